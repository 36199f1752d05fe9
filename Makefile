# Two commands do everything: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
LOWEST ?= .venv-lowest
FRAMEWORKS ?= .venv-frameworks
BIN := $(VENV)/bin
PIP_INSTALL = -m pip install --quiet --disable-pip-version-check

.PHONY: install demo test test-frameworks check unit lowest format bench chaos docs package constraints clean

install: $(VENV)/.installed

# Only what it shows; the other targets add the rest to the same environment.
demo: $(VENV)/.demo
	$(BIN)/recallrai-integrations demo

# All checks, then the tests at the lowest and at the latest supported versions.
test: check lowest unit

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/deptry recallrai_integrations

unit: install
	$(BIN)/pytest -n 3

# The adapters and the core with the oldest versions that pyproject.toml allows. The cassettes are left out:
# the recorder that the oldest langchain-tests allows does not run beside today's aiohttp.
lowest: $(LOWEST)/.installed
	$(LOWEST)/bin/pytest -n 3 -m "not slow" tests/core tests/langchain tests/llama_index --ignore tests/core/test_wire.py

# The adapters of agent frameworks with the oldest versions of these. Warnings are no errors here: the oldest
# releases of what the frameworks need warn of one another.
test-frameworks: $(FRAMEWORKS)/.installed
	$(FRAMEWORKS)/bin/pytest -n 3 -W default --disable-warnings tests/google_adk \
	  tests/openai_agents tests/pydantic_ai tests/mcp

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install
	$(BIN)/python -m bench

# Outages, lost answers and killed processes, for a few minutes on this machine.
chaos: install
	$(BIN)/python -m bench.chaos

# The site, with screenshots, in site/; a warning fails it.
docs: install
	$(BIN)/mkdocs build --strict

# Wheel and sdist in dist/, and the wheel tried in clean environments: no extra, each alone, all of them.
# `make package PYTHONS="3.10 3.13"` tries it with these.
package: install
	PATH="$(BIN):$$PATH" $(BIN)/python -m scripts.package $(foreach one,$(PYTHONS),--python $(one))

$(VENV)/.demo: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python $(PIP_INSTALL) --constraint constraints.txt --editable ".[cli,langchain]"
	touch $@

$(VENV)/.installed: $(VENV)/.demo
	$(VENV)/bin/python $(PIP_INSTALL) --upgrade "pip>=25.1"
	$(VENV)/bin/python $(PIP_INSTALL) --constraint constraints.txt --editable ".[all,frameworks]" --group dev
	touch $@

$(LOWEST)/.installed: pyproject.toml constraints-lowest.txt
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python $(PIP_INSTALL) --upgrade "pip>=25.1"
	$(LOWEST)/bin/python $(PIP_INSTALL) --constraint constraints-lowest.txt --editable ".[all]" --group test
	touch $@

$(FRAMEWORKS)/.installed: pyproject.toml constraints-frameworks.txt
	$(PYTHON) -m venv $(FRAMEWORKS)
	$(FRAMEWORKS)/bin/python $(PIP_INSTALL) --upgrade "pip>=25.1"
	$(FRAMEWORKS)/bin/python $(PIP_INSTALL) --constraint constraints-frameworks.txt --editable ".[all,frameworks]" --group test
	touch $@

# Pins every dependency, for all supported Pythons at once; records no download address.
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.10 --upgrade --no-header --no-annotate \
  --no-emit-index-url --no-emit-find-links --strip-extras --extra all pyproject.toml
constraints: install
	$(VENV)/bin/python $(PIP_INSTALL) uv
	$(COMPILE) --extra frameworks --group dev --output-file constraints.txt
	# langgraph 1.0.2 admits later versions of its prebuilt part, and does not work with them.
	echo "langgraph-prebuilt<1.0.6" | $(COMPILE) --constraint - --resolution lowest-direct \
	  --output-file constraints-lowest.txt
	echo "langgraph-prebuilt<1.0.6" | $(COMPILE) --extra frameworks --constraint - --resolution lowest-direct \
	  --output-file constraints-frameworks.txt

clean:
	rm -rf $(VENV) $(LOWEST) $(FRAMEWORKS) .pytest_cache .mypy_cache .ruff_cache .hypothesis dist build site

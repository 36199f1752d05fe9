"""Every Python example in the docstrings and on the site's pages runs as it stands."""

from __future__ import annotations

import asyncio
import gc
import sys
import types
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pytest_examples import CodeExample, find_examples

from recallrai_integrations.local import LocalRecallrAI
from tests.conftest import may_block

ROOT = Path(__file__).parents[2]
EXAMPLES = [
    example
    for example in find_examples(ROOT / "recallrai_integrations", ROOT / "docs")
    if example.prefix.startswith("python")
]


def place(example: CodeExample) -> str:
    return f"{example.path.relative_to(ROOT)}:{example.start_line}"


@pytest.fixture(scope="module")
def service() -> Iterator[LocalRecallrAI]:
    with LocalRecallrAI() as server:
        yield server


@contextmanager
def own_loop() -> Iterator[None]:
    """Frameworks' sync calls run on the thread's event loop, and leave one behind where there is none."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    loop.close()
    asyncio.set_event_loop(None)


@pytest.mark.parametrize("example", EXAMPLES, ids=place)
def test_an_example_runs(
    example: CodeExample,
    service: LocalRecallrAI,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    # The environment of a reader who has an account; what an example writes, it writes elsewhere.
    monkeypatch.setenv("RECALLRAI_API_KEY", service.api_key)
    monkeypatch.setenv("RECALLRAI_PROJECT_ID", service.project_id)
    monkeypatch.setenv("RECALLRAI_BASE_URL", service.base_url)
    monkeypatch.chdir(tmp_path)
    module = types.ModuleType("example")
    monkeypatch.setitem(sys.modules, "example", module)  # where frameworks look up the types of a function
    # Compiled as a part of its file: an error points at the line of the docstring.
    with own_loop(), may_block():  # its coroutines look like ours, and may connect on their loop
        exec(compile("\n" * example.start_line + example.source, example.path, "exec"), module.__dict__)
    with warnings.catch_warnings():
        # The SDK's clients and LlamaIndex's own Memory cannot be closed; nothing of ours is left open.
        warnings.simplefilter("ignore", ResourceWarning)
        module.__dict__.clear()
        gc.collect()


def test_every_part_of_the_package_has_examples() -> None:
    parts = {example.path.relative_to(ROOT).parts[1] for example in EXAMPLES}
    assert parts >= {"connection.py", "langchain", "llama_index", "local", "testing", "index.md"}

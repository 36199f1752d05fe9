"""Importing does nothing, warns of nothing, and brings no framework along."""

from __future__ import annotations

import subprocess
import sys

import pytest

WALK = """
import importlib, pkgutil, warnings
import recallrai_integrations as package
warnings.filterwarnings("error", module=r"recallrai_integrations(\\.|$)")
names = [one.name for one in pkgutil.walk_packages(package.__path__, package.__name__ + ".")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
print(len(names))
"""


def python(*arguments: str) -> str:
    ran = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_the_root_package_imports_without_a_warning():
    python("-W", "error", "-c", "import recallrai_integrations")


def test_no_module_of_ours_causes_a_warning():
    assert int(python("-c", WALK)) > 50


CONNECT = """
from recallrai_integrations import connect
with connect(local=":memory:") as connection:
    conversation = connection.conversation("ada", "t")
    conversation.record(("user", "hi"))
    conversation.recall()
    conversation.finish(wait=True)
"""


def test_connecting_warns_of_nothing():
    python("-W", "error", "-c", CONNECT)


@pytest.mark.parametrize(
    ("absent", "use", "command"),
    [
        ("snowballstemmer", "from recallrai_integrations.testing import offline", "[local]"),
        (
            "langchain_core",
            "from recallrai_integrations.testing.offline import QuotingChatModel",
            "[langchain]",
        ),
        ("llama_index", "from recallrai_integrations.testing.offline import QuotingLLM", "[llama-index]"),
        ("agents", "from recallrai_integrations.testing.offline import QuotingAgentModel", "[openai-agents]"),
        ("agents", "from recallrai_integrations import openai_agents", "[openai-agents]"),
        ("pydantic_ai", "from recallrai_integrations.testing.offline import QuotingModel", "[pydantic-ai]"),
        ("pydantic_ai", "from recallrai_integrations import pydantic_ai", "[pydantic-ai]"),
        ("google", "from recallrai_integrations.testing.offline import QuotingLlm", "[google-adk]"),
        ("google", "from recallrai_integrations import google_adk", "[google-adk]"),
        ("pytest", "from recallrai_integrations.testing import AdapterContract", "pip install pytest"),
        ("fastapi", "from recallrai_integrations.testing import AdapterContract", "[local]"),
        ("pytest", "from recallrai_integrations.testing import langchain", "pip install pytest"),
        ("langchain_core", "from recallrai_integrations.testing import langchain", "[langchain]"),
        ("llama_index", "from recallrai_integrations.testing import llama_index", "[llama-index]"),
    ],
)
def test_a_part_of_testing_names_what_is_missing(absent, use, command):
    code = f"""
import sys
from recallrai_integrations import MissingDependencyError
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
try:
    {use}
except MissingDependencyError as error:
    print(error)
"""
    assert command in python("-c", code)


@pytest.mark.parametrize(
    "module",
    [
        "",
        ".langchain",
        ".llama_index",
        ".openai_agents",
        ".pydantic_ai",
        ".google_adk",
        ".local",
        ".testing",
        ".cli",
    ],
)
def test_importing_writes_nothing_and_starts_nothing(module, tmp_path):
    code = f"""
import os, logging, threading
import recallrai_integrations{module}
assert not logging.getLogger("recallrai_integrations").handlers
assert threading.active_count() == 1, threading.enumerate()
assert os.listdir(".") == []
"""
    ran = subprocess.run(
        [sys.executable, "-B", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize(
    ("module", "strangers"),
    [
        (
            "",
            [
                "langchain_core",
                "llama_index",
                "fastapi",
                "typer",
                "recallrai",
                "httpx",
                "pydantic",
            ],
        ),
        (".langchain", ["llama_index", "fastapi", "typer", "langchain_classic"]),
        (".llama_index", ["langchain_core", "langgraph", "fastapi", "typer"]),
        (".openai_agents", ["langchain_core", "llama_index", "fastapi", "typer"]),
        (".pydantic_ai", ["langchain_core", "llama_index", "fastapi", "typer"]),
        (".google_adk", ["langchain_core", "llama_index", "typer"]),
        (".local", ["langchain_core", "llama_index", "typer", "recallrai"]),
        (".testing", ["pytest", "langchain_core", "llama_index", "fastapi"]),
        (".testing.offline", ["pytest", "langchain_core", "llama_index", "fastapi"]),
        (".testing.adapter", ["langchain_core", "llama_index", "typer"]),
    ],
)
def test_importing_brings_no_stranger_along(module, strangers):
    code = (
        f"import sys, recallrai_integrations{module}; print(*[n for n in {strangers!r} if n in sys.modules])"
    )
    assert python("-c", code).split() == []

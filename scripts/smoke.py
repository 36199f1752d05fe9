"""Runs in a clean environment, with the standard library and what one extra brings: see `package.py`.

Usage: `python -I smoke.py [EXTRA]`, with RECALLRAI_* in the environment leading to a local service.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import sysconfig
import uuid
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import recallrai_integrations
from recallrai_integrations import Connection, MissingDependencyError, connect

BRINGS: dict[str, set[str]] = {
    "": set(),
    "langchain": {"langchain"},
    "langchain-classic": {"langchain", "langchain-classic"},
    "llama-index": {"llama-index"},
    "openai-agents": {"openai-agents"},
    "pydantic-ai": {"pydantic-ai"},
    "google-adk": {"google-adk"},
    "local": {"local"},
    "cli": {"local", "cli"},
    "otel": {"otel"},
    "mcp": {"mcp"},
    "frameworks": {"google-adk", "mcp", "openai-agents", "pydantic-ai"},
    "all": {"langchain", "langchain-classic", "llama-index", "local", "cli", "otel"},
}
"""What works with each extra installed alone."""

FACT = "I am allergic to hazelnuts."
QUESTION = "What am I allergic to?"


def main(extra: str) -> None:
    """Tries everything; an assertion or an error is a broken wheel."""
    here = Path(recallrai_integrations.__file__)
    assert here.is_relative_to(sysconfig.get_path("purelib")), f"{here} is not the installed wheel"
    assert version("recallrai-integrations") == recallrai_integrations.__version__
    warnings.filterwarnings("error", module=r"recallrai_integrations(\.|$)")  # those that our files cause
    core()
    brought = BRINGS[extra]
    for name, use in USES.items():
        if name in brought:
            use()
        elif name != "langchain-classic" or "langchain" in brought:  # else it is LangChain that is missing
            must_name_its_command(name)


def core() -> None:
    """The core without a framework, over the network."""
    with connect() as connection:
        talk_and_remember(connection)


def talk_and_remember(connection: Connection) -> None:
    """A conversation is made into memories, which another thread recalls."""
    user = f"smoke-{uuid.uuid4()}"
    with connection.conversation(user) as conversation:
        conversation.record([("user", FACT), ("assistant", "Noted.")])
        conversation.finish(wait=True)
    later = connection.conversation(user, "another thread")
    later.record(("user", QUESTION))
    assert "hazelnuts" in later.recall().text


def langchain() -> None:
    """A model wrapped with memory stores what was said and puts memories into the prompt."""
    from langchain_core.language_models import FakeListChatModel

    from recallrai_integrations.langchain import with_recallrai_memory

    user = f"smoke-{uuid.uuid4()}"
    with connect() as connection:
        model = FakeListChatModel(responses=["Noted.", "Hazelnuts."])
        chain = with_recallrai_memory(model, connection=connection, user_id=user)
        assert chain.invoke(FACT).content == "Noted."
        connection.flush()
        assert connection.user(user).info().user_id == user


def langchain_classic() -> None:
    """The memory class of classic chains."""
    from recallrai_integrations.langchain import RecallrAIMemory

    with connect() as connection:
        memory = RecallrAIMemory(connection=connection, user_id=f"smoke-{uuid.uuid4()}", thread_id="thread-1")
        memory.save_context({"input": FACT}, {"output": "Noted."})
        assert "Noted." in str(memory.load_memory_variables({"input": QUESTION}))


def llama_index() -> None:
    """LlamaIndex's memory stores messages and gives them back."""
    from llama_index.core.llms import ChatMessage

    from recallrai_integrations.llama_index import RecallrAIMemory

    with connect() as connection:
        memory = RecallrAIMemory(connection=connection, user_id=f"smoke-{uuid.uuid4()}", thread_id="thread-1")
        memory.put(ChatMessage(role="user", content=FACT))
        assert FACT in [message.content for message in memory.get_all()]


def stores_what_was_said(connection: Connection, user: str) -> None:
    """A turn of an agent is in its thread."""
    connection.flush()
    history = connection.conversation(user, "thread-1").history()
    assert [message.content for message in history] == [FACT, "Noted."]


def openai_agents() -> None:
    """A run of an agent stores what was said."""
    from agents import Agent, Model, ModelResponse, Runner, Usage, set_tracing_disabled
    from openai.types.responses import ResponseOutputMessage, ResponseOutputText

    from recallrai_integrations.openai_agents import RecallrAIMemory, recallrai_tools

    class Noting(Model):
        async def get_response(self, *_: object, **__: object) -> ModelResponse:
            text = ResponseOutputText(text="Noted.", type="output_text", annotations=[])
            message = ResponseOutputMessage(
                id="1", content=[text], role="assistant", status="completed", type="message"
            )
            return ModelResponse(output=[message], usage=Usage(), response_id=None)

        def stream_response(self, *_: object, **__: object) -> Any:
            raise NotImplementedError

    set_tracing_disabled(disabled=True)
    user = f"smoke-{uuid.uuid4()}"
    with connect() as connection:
        agent = Agent("Friend", model=Noting(), tools=recallrai_tools(connection))
        run = RecallrAIMemory(connection).for_run(user, "thread-1")
        assert Runner.run_sync(agent, FACT, **run).final_output == "Noted."
        stores_what_was_said(connection, user)


def pydantic_ai() -> None:
    """A run of an agent stores what was said."""
    from pydantic_ai import Agent
    from pydantic_ai.models.test import TestModel

    from recallrai_integrations.pydantic_ai import RecallrAIMemory

    user = f"smoke-{uuid.uuid4()}"
    with connect() as connection:
        memory = RecallrAIMemory(connection, user_id=user, thread_id="thread-1")
        agent = Agent(TestModel(custom_output_text="Noted."), capabilities=[memory])
        assert agent.run_sync(FACT).output == "Noted."
        stores_what_was_said(connection, user)


def google_adk() -> None:
    """A run of an app stores what was said."""
    import asyncio

    from google.adk.agents import LlmAgent
    from google.adk.apps import App
    from google.adk.models import BaseLlm, LlmResponse
    from google.adk.runners import InMemoryRunner
    from google.genai import types

    from recallrai_integrations.google_adk import RecallrAIPlugin

    class Noting(BaseLlm):
        async def generate_content_async(self, *_: Any, **__: Any) -> Any:
            yield LlmResponse(content=types.Content(role="model", parts=[types.Part(text="Noted.")]))

    user = f"smoke-{uuid.uuid4()}"
    with connect() as connection:
        agent = LlmAgent(name="friend", model=Noting(model="noting"))
        app = App(name="app", root_agent=agent, plugins=[RecallrAIPlugin(connection)])
        runner = InMemoryRunner(app=app)
        asyncio.run(runner.run_debug(FACT, user_id=user, session_id="thread-1", quiet=True))
        stores_what_was_said(connection, user)


def local() -> None:
    """The embedded service."""
    with connect(local=":memory:") as connection:
        talk_and_remember(connection)


def cli() -> None:
    """The command, and `python -m`."""
    script = Path(sysconfig.get_path("scripts")) / "recallrai-integrations"
    for command in ([str(script)], [sys.executable, "-I", "-m", "recallrai_integrations.cli"]):
        said = subprocess.run([*command, "--version"], check=True, capture_output=True, text=True)
        assert recallrai_integrations.__version__ in said.stdout


def mcp() -> None:
    """The server as a process, which answers to a first message and ends with its input."""
    hello = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "smoke", "version": "1"},
        },
    }
    command = [sys.executable, "-I", "-m", "recallrai_integrations.mcp", "--user", f"smoke-{uuid.uuid4()}"]
    said = subprocess.run(
        command, input=f"{json.dumps(hello)}\n", check=True, capture_output=True, text=True, timeout=60
    )
    (answer,) = map(json.loads, said.stdout.splitlines())
    assert answer["result"]["serverInfo"]["version"] == recallrai_integrations.__version__


def otel() -> None:
    """With the OpenTelemetry API alone, tracing costs nothing and breaks nothing."""
    importlib.import_module("opentelemetry.trace")
    core()


USES: dict[str, Callable[[], None]] = {
    "langchain": langchain,
    "langchain-classic": langchain_classic,
    "llama-index": llama_index,
    "openai-agents": openai_agents,
    "pydantic-ai": pydantic_ai,
    "google-adk": google_adk,
    "local": local,
    "cli": cli,
    "otel": otel,
    "mcp": mcp,
}


def must_name_its_command(extra: str) -> None:
    """What an absent extra would bring fails with the command that installs it."""
    if extra == "otel":  # nothing to import: traces begin when it is installed
        return
    if extra == "cli":
        said = subprocess.run(
            [sys.executable, "-I", "-m", "recallrai_integrations.cli", "--version"],
            check=False,
            capture_output=True,
            text=True,
        )
        assert said.returncode == 2, said  # noqa: PLR2004 - wrong set-up
        assert_tells(said.stderr, extra)
        return
    for attempt in ATTEMPTS[extra]:
        assert_tells(refusal(attempt), extra)


def refusal(attempt: Callable[[], object]) -> str:
    """What the attempt's `MissingDependencyError` says."""
    try:
        attempt()
    except MissingDependencyError as error:
        return str(error)
    raise AssertionError("It works without its extra.")


ATTEMPTS: dict[str, list[Callable[[], object]]] = {
    "langchain": [lambda: importlib.import_module("recallrai_integrations.langchain")],
    "langchain-classic": [
        lambda: importlib.import_module("recallrai_integrations.langchain").RecallrAIMemory,
    ],
    "llama-index": [lambda: importlib.import_module("recallrai_integrations.llama_index")],
    "mcp": [lambda: importlib.import_module("recallrai_integrations.mcp")],
    "openai-agents": [lambda: importlib.import_module("recallrai_integrations.openai_agents")],
    "google-adk": [lambda: importlib.import_module("recallrai_integrations.google_adk")],
    "pydantic-ai": [lambda: importlib.import_module("recallrai_integrations.pydantic_ai")],
    "local": [
        lambda: importlib.import_module("recallrai_integrations.local"),
        lambda: connect(local=":memory:"),
        lambda: importlib.import_module("recallrai_integrations.testing.offline"),
    ],
}


def assert_tells(text: str, extra: str) -> None:
    """The text is one line that ends with the command."""
    assert text.strip().endswith(f'pip install "recallrai-integrations[{extra}]"'), text
    assert "\n" not in text.strip(), text


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "")

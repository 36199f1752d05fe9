"""Runs the two days of the demo and checks the second one."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.rule import Rule
from rich.text import Text

from recallrai_integrations import Connection, MissingDependencyError
from recallrai_integrations._flows.ops import DeleteUser
from recallrai_integrations.cli._common import CREDENTIALS, ExitCode, connected
from recallrai_integrations.cli._output import counted, notice, out, print_error
from recallrai_integrations.cli.recalled import panel
from recallrai_integrations.context.reading import block_in, recalled_memories

from .story import DAY_ONE, DAY_TWO, THREADS, Exchange, Line, Talk

__all__ = ["demo_command"]

_Framework = Literal["google-adk", "langchain", "llama-index", "mcp", "openai-agents", "pydantic-ai"]
_AGENTS = {
    "google-adk": "an app of Google's ADK",
    "langchain": "a LangChain agent",
    "llama-index": "a LlamaIndex chat engine and agent",
    "mcp": "an assistant that speaks MCP",
    "openai-agents": "an OpenAI Agents SDK agent",
    "pydantic-ai": "a Pydantic AI agent",
}


def demo_command(
    framework: Annotated[_Framework, typer.Option(help="The framework of the agent.")] = "langchain",
    model: Annotated[
        str | None,
        typer.Option(
            metavar="PROVIDER:NAME",
            help="A real chat model such as openai:gpt-5-mini. The default is a small offline model that "
            "quotes its prompt.",
        ),
    ] = None,
    local: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="Use the embedded service with this database file, instead of RECALLRAI_API_KEY, "
            "RECALLRAI_PROJECT_ID and RECALLRAI_BASE_URL. If neither is set, it is a temporary file.",
        ),
    ] = None,
    day: Annotated[int, typer.Option(hidden=True, min=1, max=2)] = 1,
    user: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Talk to an agent on day one, and see it remember on day two, in a new process and a new thread.

    Needs no key and no network: without RecallrAI credentials in the environment it runs on the embedded
    service and a temporary file, without --model on a small offline model. The answers of day two are
    checked: exit code 1 when memory did not reach the model.
    """
    if day == 2:  # noqa: PLR2004 - the second of two
        complete = _day_two(framework, model, local, user or "ada")
    else:
        with _place(local) as (where, user_id, is_hosted):
            _introduce(framework, model, where)
            try:
                processed = _day_one(framework, model, where, user_id)
                complete = _in_a_new_process(framework, model, where, user_id) and processed
            finally:
                if is_hosted:
                    _clean_up(user_id)
            if local is not None:
                notice(
                    "To see the memories, run: recallrai-integrations memories list "
                    f"--user {user_id} --local {local}"
                )
    if not complete:
        raise typer.Exit(ExitCode.NOT_COMPLETE)


@contextmanager
def _place(local: str | None) -> Generator[tuple[str | None, str, bool]]:
    """Where the demo's memory lives: a database or None for the hosted service, the user, and which it is."""
    if local is not None:
        yield local, f"ada-{uuid.uuid4().hex[:8]}", False
    elif any(os.environ.get(name) for name in CREDENTIALS):
        yield None, f"recallrai-demo-{uuid.uuid4().hex[:8]}", True
    else:
        with tempfile.TemporaryDirectory(prefix="recallrai-demo-") as folder:
            yield str(Path(folder) / "memory.db"), "ada", False


def _introduce(framework: str, model: str | None, where: str | None) -> None:
    service = "the RecallrAI service of your environment" if where is None else "the embedded local service"
    talker = model or "a small offline model that only quotes its prompt"
    told = f"The user talks to {_AGENTS[framework]}. Memory: {service}. Model: {talker}."
    out.print(Text(told, style="dim"), soft_wrap=True)


def _day_one(framework: _Framework, model: str | None, local: str | None, user_id: str) -> bool:
    out.print(Rule(f"Day one · thread {THREADS[1]!r} · process {os.getpid()}"))
    with connected(local, must_exist=False) as connection:
        talk = _talk(framework, 1)(connection, user_id, THREADS[1], model)
        for line in DAY_ONE:
            _turn(talk, line)
        out.print(Text("The conversation ends, and the service makes memories of it …", style="dim"))
        session = connection.conversation(user_id, THREADS[1]).finish(wait=True)
    if session is None or session.status != "processed":
        status = "not there" if session is None else session.status
        print_error(
            f"No memories were made of day one: its session is {status}. See recallrai-integrations doctor."
        )
        return False
    return True


def _in_a_new_process(framework: str, model: str | None, local: str | None, user_id: str) -> bool:
    command = [sys.executable, "-m", "recallrai_integrations.cli", "demo", "--day", "2", "--user", user_id]
    command += ["--framework", framework]
    command += [] if model is None else ["--model", model]
    command += [] if local is None else ["--local", local]
    sys.stdout.flush()
    ended = subprocess.run(command, check=False)  # noqa: S603 - this very program
    if ended.returncode not in {ExitCode.FINE, ExitCode.NOT_COMPLETE}:
        raise typer.Exit(ended.returncode)
    return ended.returncode == ExitCode.FINE


def _day_two(framework: _Framework, model: str | None, local: str | None, user_id: str) -> bool:
    out.print(Rule(f"Day two · thread {THREADS[2]!r} · process {os.getpid()}"))
    missed: list[str] = []
    with connected(local) as connection:
        talk = _talk(framework, 2)(connection, user_id, THREADS[2], model)
        for line in DAY_TWO:
            exchange = _turn(talk, line)
            missed += _missed(line, exchange)
        connection.conversation(user_id, THREADS[2]).finish()
    for reason in missed:
        print_error(reason)
    if not missed:
        out.print(Text("Remembered: every answer of day two came from memory.", style="bold green"))
    return not missed


def _missed(line: Line, exchange: Exchange) -> Sequence[str]:
    word = line.expects.lower()
    if word not in block_in(exchange.request).lower():
        return [f"memory did not reach the model: {line.expects!r} was not in the request for {line.text!r}."]
    if word not in exchange.answer.lower():
        return [f"the model was sent {line.expects!r} and did not use it to answer {line.text!r}."]
    return []


def _turn(talk: Talk, line: Line) -> Exchange:
    out.print(Text(f"\nUser: {line.text}", style="bold"))
    exchange = talk.say(line.text)
    memories = recalled_memories(block_in(exchange.request))
    found = counted(len(memories), "memory", "memories")
    out.print(panel(memories, title=f"recalled, as sent to the model: {found}"))
    out.print(Text(f"Agent: {exchange.answer}"))
    return exchange


def _talk(framework: _Framework, day: int) -> Callable[[Connection, str, str, str | None], Talk]:
    """How a conversation is begun on this day.

    Raises:
        MissingDependencyError: the framework is not installed.
    """
    try:
        if framework == "langchain":
            from .langchain import AgentTalk  # noqa: PLC0415 - an extra

            return AgentTalk
        if framework == "google-adk":
            from . import google_adk  # noqa: PLC0415 - an extra

            return google_adk.AppTalk
        if framework == "mcp":
            from .mcp import AssistantTalk  # noqa: PLC0415 - an extra

            return AssistantTalk
        if framework == "openai-agents":
            from . import openai_agents  # noqa: PLC0415 - an extra

            return openai_agents.AgentTalk
        if framework == "pydantic-ai":
            from . import pydantic_ai  # noqa: PLC0415 - an extra

            return pydantic_ai.AgentTalk
        from . import llama_index  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        if isinstance(error, MissingDependencyError):
            raise
        raise MissingDependencyError.for_extra(framework, error.name or framework) from error
    return llama_index.ChatEngineTalk if day == 1 else llama_index.AgentTalk


def _clean_up(user_id: str) -> None:
    with connected(None) as connection:
        connection.runtime.run(iter(DeleteUser(user_id)))
    notice(f"The demo's user {user_id} has been deleted from the project again.")

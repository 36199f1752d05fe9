"""What users write with OpenAI Agents, for the type checkers; never run. See `use_core`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents import Agent, Model, RunConfig, RunHooks, Runner, RunResult, Session, SQLiteSession, Tool
from typing_extensions import assert_type

from recallrai_integrations import Connection, ContextOptions, RecallOptions
from recallrai_integrations.openai_agents import RecallrAIMemory, RecallrAISession, recallrai_tools
from recallrai_integrations.testing.offline import QuotingAgentModel


async def runs(connection: Connection, agent: Agent[Any], hooks: RunHooks[Any]) -> RunResult:
    memory = RecallrAIMemory(connection, recall=RecallOptions(), context=ContextOptions(placement="user"))
    session: Session = SQLiteSession("thread-1")
    run = memory.for_run("ada", session=session, hooks=hooks, run_config=RunConfig(workflow_name="mine"))
    assert_type(run, Mapping[str, Any])
    Runner.run_streamed(agent, "hi", **memory.for_run(conversation_id="conv_1"), context={"user_id": "ada"})
    return await Runner.run(agent, "hi", **run)


def tools(connection: Connection) -> Agent[Any]:
    found: list[Tool] = recallrai_tools(connection, user_id="ada", forget_needs_approval=True)
    model: Model = QuotingAgentModel()
    return Agent("Archivist", tools=found, model=model)


def sessions(connection: Connection) -> Session:
    return RecallrAISession("ada", "thread-1", connection=connection)


def wrong(connection: Connection) -> None:
    memory = RecallrAIMemory(connection)
    RecallrAIMemory("connection")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    RecallrAIMemory(connection, process="sometimes")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    memory.for_run(session="thread-1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    memory.for_run(hooks=memory)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    RecallrAISession(connection=connection)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    recallrai_tools(user=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]

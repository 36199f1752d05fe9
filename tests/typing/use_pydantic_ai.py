"""What users write with Pydantic AI, for the type checkers; never run. See `use_core`."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic_ai import Agent
from typing_extensions import assert_type

from recallrai_integrations import Connection, ContextOptions, RecallOptions
from recallrai_integrations.pydantic_ai import RecallrAIMemory, RecallrAIToolset


@dataclass
class Deps:
    user_id: str


async def agents(connection: Connection) -> None:
    memory = RecallrAIMemory(
        connection, context=ContextOptions(), recall=RecallOptions(), process="every_run"
    )
    agent = Agent("openai:gpt-5-mini", deps_type=Deps, capabilities=[memory])
    assert_type(agent, Agent[Deps, str])
    result = await agent.run("hi", deps=Deps("ada"), conversation_id="thread-1", capabilities=[memory])
    assert_type(result.output, str)


def tools(connection: Connection) -> None:
    toolset = RecallrAIToolset(connection, user_id="ada")
    Agent("openai:gpt-5-mini", deps_type=Deps, toolsets=[toolset, toolset.prefixed("memory")])


def wrong(connection: Connection) -> None:
    RecallrAIMemory("rai_key")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    RecallrAIMemory(connection, process="never")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    RecallrAIMemory(connection, "ada")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    RecallrAIToolset(connection, recall="deep")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    RecallrAIToolset("rai_key")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

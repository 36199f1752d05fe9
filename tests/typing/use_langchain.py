"""What users write with LangChain, for the type checkers; never run. See `use_core`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from langchain.agents import AgentState, create_agent
from langchain.agents.middleware import AgentMiddleware
from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import HumanMessage
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langgraph.graph import MessagesState
from typing_extensions import TypedDict, assert_type

from recallrai_integrations import Connection, RecallOptions
from recallrai_integrations.langchain import (
    MergeConflictMiddleware,
    RecalledText,
    RecallrAIChatMessageHistory,
    RecallrAIMemory,
    RecallrAIMiddleware,
    RecallrAIRetriever,
    RecallrAIToolkit,
    Storing,
    finish_node,
    merge_conflict_nodes,
    recall_node,
    remember_node,
    with_recallrai_memory,
)
from recallrai_integrations.testing.langchain import Colour, ScriptedChatModel, run


class State(MessagesState):
    memory: RecalledText


def without_secrets(storing: Storing) -> bool:
    return "password" not in storing.message.content


def agents(connection: Connection) -> list[AgentMiddleware[Any, Any]]:
    middleware = RecallrAIMiddleware(connection, should_store=without_secrets, recall=RecallOptions())
    return [MergeConflictMiddleware(connection, limit=1), middleware]


@dataclass
class Context:
    user_id: str
    thread_id: str


class TypedContext(TypedDict):
    user_id: str


def agents_with_contexts(connection: Connection) -> None:
    """The documented way to name a user."""
    memory, conflicts = RecallrAIMiddleware(connection), MergeConflictMiddleware(connection)
    model = ScriptedChatModel(script=["Hi"])
    agent = create_agent(model, middleware=[conflicts, memory], context_schema=Context)
    agent.invoke({"messages": [HumanMessage("Hi")]}, context=Context("ada", "thread-1"))
    create_agent(model, middleware=[memory, AddsNothing()], context_schema=TypedContext)
    create_agent(model, middleware=[memory])


class AddsNothing(AgentMiddleware[AgentState[Any], TypedContext]):
    """Another middleware, which wants this context."""


def chains(connection: Connection) -> list[Runnable[Any, Any]]:
    chain = with_recallrai_memory(FakeListChatModel(responses=["Hi"]), connection=connection, user_id="ada")
    nodes = [recall_node(connection), remember_node(connection), finish_node(connection, wait=True)]
    return [chain, *nodes, *merge_conflict_nodes(connection).values()]


def tests(connection: Connection, colour: Colour) -> None:
    chain = with_recallrai_memory(ScriptedChatModel(script=["Hi"]), connection=connection, user_id="ada")
    run(colour, chain, "Hello")
    run("both", chain, "Hello")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def histories(connection: Connection) -> BaseChatMessageHistory:
    return RecallrAIChatMessageHistory("ada", "thread-1", connection=connection, limit=20)


def others(connection: Connection, state: State) -> BaseRetriever:
    assert_type(state["memory"], str)
    assert_type(RecallrAIToolkit(connection=connection).get_tools(), list[BaseTool])
    RecallrAIMemory(connection=connection, user_id="ada", thread_id="thread-1").clear()
    return RecallrAIRetriever(connection=connection, user_id="ada", k=3)


def wrong(connection: Connection) -> None:
    RecallrAIMiddleware(connection, user_id="ada").user_id = "bob"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    RecallrAIMiddleware("rai_key")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    RecallrAIMiddleware(connection, "ada")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    RecallrAIMiddleware(connection, should_store="never")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with_recallrai_memory("prompt", connection=connection)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with_recallrai_memory(FakeListChatModel(responses=[]), thread="1")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    RecallrAIRetriever(connection=connection, k="3")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

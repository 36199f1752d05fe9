"""Nodes for plain `StateGraph`s: recall before the model, remember after it, finish at the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias

from langchain_core.runnables import Runnable
from langgraph.channels import UntrackedValue

from recallrai_integrations.connection import Connection
from recallrai_integrations.options import ContextOptions, ProcessPolicy, RecallOptions

from ._identity import bind
from ._nodes import Finishing, MemoryNode, Recalling, Remembering
from ._provenance import Nested, Nesting

__all__ = ["RecalledText", "finish_node", "recall_node", "remember_node"]

RecalledText: TypeAlias = Annotated[str, UntrackedValue]
"""The type of a state key that holds memories: it is in no checkpoint."""


def recall_node(
    connection: Connection | None = None,
    *,
    user_id: str | None = None,
    thread_id: str | None = None,
    messages_key: str = "messages",
    context_key: str = "memory",
    recall: RecallOptions | None = None,
    context: ContextOptions | None = None,
    metadata: Mapping[str, Any] | None = None,
    auto_process_after_seconds: int = 600,
    nested: Nested = "auto",
) -> Runnable[Any, dict[str, Any]]:
    """A node that stores the user's new message, recalls by it, and writes the memories to the state.

    Declare their key as `RecalledText`, so that they are in no checkpoint; your model node puts them into
    its system message. A run that is resumed behind this node finds the key empty.

    Args:
        connection: from `connect()`; None takes the one from the environment.
        user_id: the user; None reads the runtime context or `configurable`.
        thread_id: the thread; None reads them as well. Without any, each run is a separate conversation.
        messages_key: the state key of the messages.
        context_key: the state key that gets the memories, as text; "" when there are none.
        recall: what to ask for; replaces the connection's options.
        context: how memories are written; replaces the connection's options.
        metadata: for the sessions that are opened.
        auto_process_after_seconds: inactivity after which the service processes a session, at least 600.
        nested: where the graph is called by another one, or by a tool; see `RecallrAIMiddleware`.

    Example:
        ```python
        from langchain_core.language_models.fake_chat_models import FakeListChatModel
        from langchain_core.messages import SystemMessage
        from langgraph.graph import MessagesState, StateGraph
        from recallrai_integrations import connect
        from recallrai_integrations.langchain import RecalledText, recall_node, remember_node

        class State(MessagesState):
            memory: RecalledText

        model = FakeListChatModel(responses=["Tofu curry."])

        def answer(state: State):
            system = SystemMessage("You are a cook." + state["memory"])
            return {"messages": [model.invoke([system, *state["messages"]])]}

        with connect(local=":memory:") as connection:
            graph = StateGraph(State)
            recall, remember = recall_node(connection), remember_node(connection)
            graph.add_sequence([("recall", recall), ("answer", answer), ("remember", remember)])
            graph.set_entry_point("recall")
            graph.compile().invoke(
                {"messages": [("user", "What shall I cook?")]},
                {"configurable": {"user_id": "ada", "thread_id": "thread-1"}},
            )
        ```
    """
    binding = bind(
        connection,
        user_id,
        thread_id,
        metadata=metadata,
        auto_process_after_seconds=auto_process_after_seconds,
        recall=recall,
        context=context,
    )
    return MemoryNode(Recalling(binding, messages_key, Nesting(nested, "recall_node"), context_key), "recall")


def remember_node(
    connection: Connection | None = None,
    *,
    user_id: str | None = None,
    thread_id: str | None = None,
    messages_key: str = "messages",
    process: ProcessPolicy | None = None,
    process_every: int = 10,
    metadata: Mapping[str, Any] | None = None,
    auto_process_after_seconds: int = 600,
    nested: Nested = "auto",
) -> Runnable[Any, dict[str, Any]]:
    """A node that stores the answer, and the user's message where no `recall_node` did; put it last.

    Args:
        connection: from `connect()`; None takes the one from the environment.
        user_id: as in `recall_node`.
        thread_id: as in `recall_node`.
        messages_key: the state key of the messages.
        process: when the session is made into memories; None: after each run without a thread, otherwise by
            `finish_node` or the service's inactivity timer.
        process_every: n of `process="every_n_turns"`.
        metadata: for the sessions that are opened.
        auto_process_after_seconds: inactivity after which the service processes a session, at least 600.
        nested: as in `recall_node`.

    Example:
        ```python
        from langchain_core.language_models import FakeListChatModel
        from langgraph.graph import MessagesState, StateGraph

        from recallrai_integrations import connect
        from recallrai_integrations.langchain import remember_node

        model = FakeListChatModel(responses=["Noted."])

        def answer(state: MessagesState):
            return {"messages": [model.invoke(state["messages"])]}

        with connect(local=":memory:") as connection:
            graph = StateGraph(MessagesState)
            graph.add_sequence([("answer", answer), ("remember", remember_node(connection))])
            graph.set_entry_point("answer")
            config = {"configurable": {"user_id": "ada", "thread_id": "thread-1"}}
            graph.compile().invoke({"messages": [("user", "I moved to Lisbon.")]}, config)
            assert len(connection.conversation("ada", "thread-1").history()) == 2
        ```
    """
    binding = bind(
        connection,
        user_id,
        thread_id,
        process=process,
        process_every=process_every,
        metadata=metadata,
        auto_process_after_seconds=auto_process_after_seconds,
    )

    return MemoryNode(Remembering(binding, messages_key, Nesting(nested, "remember_node")), "remember")


def finish_node(
    connection: Connection | None = None,
    *,
    user_id: str | None = None,
    thread_id: str | None = None,
    wait: bool | float = False,
) -> Runnable[Any, dict[str, Any]]:
    """A node that ends the thread's conversation and has memories made of it.

    Args:
        connection: from `connect()`; None takes the one from the environment.
        user_id: as in `recall_node`.
        thread_id: as in `recall_node`.
        wait: True waits until the memories are made, at most ten minutes; a number waits so many seconds.

    Example:
        ```python
        from langchain_core.language_models import FakeListChatModel
        from langgraph.graph import MessagesState, StateGraph

        from recallrai_integrations import connect
        from recallrai_integrations.langchain import finish_node, remember_node

        model = FakeListChatModel(responses=["Noted."])

        def answer(state: MessagesState):
            return {"messages": [model.invoke(state["messages"])]}

        with connect(local=":memory:") as connection:
            graph = StateGraph(MessagesState)
            remember, finish = remember_node(connection), finish_node(connection, wait=True)
            graph.add_sequence([("answer", answer), ("remember", remember), ("finish", finish)])
            graph.set_entry_point("answer")
            config = {"configurable": {"user_id": "ada", "thread_id": "thread-1"}}
            graph.compile().invoke({"messages": [("user", "I moved to Lisbon.")]}, config)
            assert connection.user("ada").memories()
        ```
    """
    return MemoryNode(Finishing(bind(connection, user_id, thread_id), wait), "finish")

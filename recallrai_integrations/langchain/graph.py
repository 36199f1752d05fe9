"""Nodes for plain `StateGraph`s: recall before the model, remember after it, finish at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeAlias, cast

from langchain_core.messages import BaseMessage, convert_to_messages
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda
from langgraph.channels import UntrackedValue

from recallrai_integrations.adapter import TurnCache
from recallrai_integrations.connection import Connection
from recallrai_integrations.conversation import Conversation
from recallrai_integrations.messages import Message
from recallrai_integrations.options import ContextOptions, ProcessPolicy, RecallOptions
from recallrai_integrations.recall import Recall

from ._binding import Binding, Identity, runtime_context
from ._messages import conversation_of, last_user, turn_answer, turn_questions
from ._turns import is_resuming, not_landed

__all__ = ["RecalledText", "finish_node", "recall_node", "remember_node"]

RecalledText: TypeAlias = Annotated[str, UntrackedValue]
"""The type of a state key that holds memories: it is in no checkpoint."""

_TAIL = 10
_open_turns = TurnCache[Conversation](10_000)
"""Conversations whose question was stored and whose answer is awaited, for all nodes of this process."""


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
) -> Runnable[Any, dict[str, Any]]:
    """A node that stores the user's new message, recalls by it, and writes the memories to the state.

    Declare their key as `RecalledText`, so that they are in no checkpoint; your model node puts them into
    its system message. A run that is resumed behind this node finds the key empty.

    Args:
        connection: from `connect()`; None takes the one from the environment.
        user_id: the user; None reads the runtime context or `configurable`.
        thread_id: the thread; None reads them as well. Without any, each run is a conversation by itself.
        messages_key: the state key of the messages.
        context_key: the state key that gets the memories, as text; "" when there are none.
        recall: what to ask for, in place of the connection's options.
        context: how memories are written, in place of the connection's options.
        metadata: for the sessions that are opened.
        auto_process_after_seconds: inactivity after which the service processes a session, at least 600.

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
    binding = _binding(
        connection,
        user_id,
        thread_id,
        metadata=metadata,
        auto_process_after_seconds=auto_process_after_seconds,
    )
    options: dict[str, Any] = {"options": recall, "context": context}

    def written(messages: Sequence[BaseMessage], recalled: Recall) -> dict[str, Any]:
        return {context_key: recalled.prompt(sent=conversation_of(messages)).text}

    def node(state: Any, config: RunnableConfig) -> dict[str, Any]:
        messages, identity, key = _at(binding, state, messages_key, config)
        new = turn_questions(messages)
        if not new:
            return {context_key: ""}
        conversation = _open_turns.get(key)
        if conversation is None:
            conversation = binding.conversation(identity)
            tail = conversation.history(_TAIL) if is_resuming(config) else []
            if new := not_landed(new, tail):
                conversation.record(new)
            _open_turns.put(key, conversation)
        return written(messages, conversation.recall(**options))

    async def anode(state: Any, config: RunnableConfig) -> dict[str, Any]:
        messages, identity, key = _at(binding, state, messages_key, config)
        new = turn_questions(messages)
        if not new:
            return {context_key: ""}
        conversation = _open_turns.get(key)
        if conversation is None:
            conversation = await binding.aconversation(identity)
            tail = await conversation.ahistory(_TAIL) if is_resuming(config) else []
            if new := not_landed(new, tail):
                await conversation.arecord(new)
            _open_turns.put(key, conversation)
        return written(messages, await conversation.arecall(**options))

    return RunnableLambda(node, afunc=anode, name="recall")


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
    binding = _binding(
        connection,
        user_id,
        thread_id,
        process=process,
        process_every=process_every,
        metadata=metadata,
        auto_process_after_seconds=auto_process_after_seconds,
    )

    def node(state: Any, config: RunnableConfig) -> dict[str, Any]:
        messages, identity, key = _at(binding, state, messages_key, config)
        asked_in = _open_turns.get(key)
        conversation = asked_in if asked_in and not identity.thread_id else binding.conversation(identity)
        questions: list[Message] = []
        if asked_in is None:  # there is no recall node, or it ran in another process
            questions = not_landed(_last_questions(messages), conversation.history(_TAIL))
        if new := [*questions, *_answers(messages)]:
            conversation.record(new)
        _open_turns.drop(key)
        conversation.end_run()
        return {}

    async def anode(state: Any, config: RunnableConfig) -> dict[str, Any]:
        messages, identity, key = _at(binding, state, messages_key, config)
        asked_in = _open_turns.get(key)
        if asked_in and not identity.thread_id:
            conversation = asked_in
        else:
            conversation = await binding.aconversation(identity)
        questions: list[Message] = []
        if asked_in is None:
            questions = not_landed(_last_questions(messages), await conversation.ahistory(_TAIL))
        if new := [*questions, *_answers(messages)]:
            await conversation.arecord(new)
        _open_turns.drop(key)
        await conversation.aend_run()
        return {}

    return RunnableLambda(node, afunc=anode, name="remember")


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
    binding = _binding(connection, user_id, thread_id)

    def node(_: Any, config: RunnableConfig) -> dict[str, Any]:
        binding.conversation(binding.identity(config, runtime_context(config))).finish(wait)
        return {}

    async def anode(_: Any, config: RunnableConfig) -> dict[str, Any]:
        conversation = await binding.aconversation(binding.identity(config, runtime_context(config)))
        await conversation.afinish(wait)
        return {}

    return RunnableLambda(node, afunc=anode, name="finish")


def _binding(
    connection: Connection | None, user_id: str | None, thread_id: str | None, **sessions: Any
) -> Binding:
    return Binding.of(connection, user_id, thread_id, **sessions)


def _at(
    binding: Binding, state: Any, messages_key: str, config: RunnableConfig
) -> tuple[list[BaseMessage], Identity, tuple[Any, ...]]:
    """The messages, whose they are, and which turn of theirs it is."""
    given = (
        cast("Mapping[str, Any]", state).get(messages_key, [])
        if isinstance(state, Mapping)
        else getattr(state, messages_key)
    )
    messages = convert_to_messages(given)
    identity = binding.identity(config, runtime_context(config))
    asked = last_user(messages)
    turn = None if asked is None else asked.id or str(cast("object", asked.content))  # pyright: ignore[reportUnknownMemberType] - untyped dict blocks
    return messages, identity, (identity, turn)


def _answers(messages: Sequence[BaseMessage]) -> list[Message]:
    answer = turn_answer(messages)
    return [] if answer is None else [answer]


def _last_questions(messages: Sequence[BaseMessage]) -> list[Message]:
    """What the user said in the turn that the messages end with."""
    asked = last_user(messages)
    end = 0 if asked is None else next(n for n, one in enumerate(messages, 1) if one is asked)
    return turn_questions(messages[:end])

"""Nodes for plain `StateGraph`s: recall before the model, remember after it, finish at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias, cast

from langchain_core.messages import BaseMessage, convert_to_messages
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda
from langchain_core.runnables.utils import ConfigurableFieldSpec
from langgraph.channels import UntrackedValue
from typing_extensions import override

from recallrai_integrations.adapter import TurnCache
from recallrai_integrations.connection import Connection
from recallrai_integrations.conversation import Conversation
from recallrai_integrations.messages import Message
from recallrai_integrations.options import ContextOptions, ProcessPolicy, RecallOptions
from recallrai_integrations.recall import Recall

from ._binding import Binding, Identity, runtime_context
from ._messages import conversation_of, turn_answer
from ._provenance import Nested, Nesting, outermost
from ._turns import Asked, Handed, is_resuming

__all__ = ["RecalledText", "finish_node", "recall_node", "remember_node"]

RecalledText: TypeAlias = Annotated[str, UntrackedValue]
"""The type of a state key that holds memories: it is in no checkpoint."""

_TAIL = 10
_open_turns = TurnCache[Conversation](10_000)
"""Conversations whose question was stored and whose answer is awaited, for all nodes of this process."""
_handed = Handed()


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
        thread_id: the thread; None reads them as well. Without any, each run is a conversation by itself.
        messages_key: the state key of the messages.
        context_key: the state key that gets the memories, as text; "" when there are none.
        recall: what to ask for, in place of the connection's options.
        context: how memories are written, in place of the connection's options.
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
    binding = Binding.of(
        connection,
        user_id,
        thread_id,
        metadata=metadata,
        auto_process_after_seconds=auto_process_after_seconds,
    )
    work = _Recalling(
        binding,
        messages_key,
        Nesting(nested, "recall_node"),
        context_key=context_key,
        options={"options": recall, "context": context},
    )
    return _Node(work, "recall")


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
    binding = Binding.of(
        connection,
        user_id,
        thread_id,
        process=process,
        process_every=process_every,
        metadata=metadata,
        auto_process_after_seconds=auto_process_after_seconds,
    )

    return _Node(_Remembering(binding, messages_key, Nesting(nested, "remember_node")), "remember")


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
    return _Node(_Finishing(Binding.of(connection, user_id, thread_id), wait), "finish")


class _Node(RunnableLambda[Any, dict[str, Any]]):
    """A node that says what it reads of a run's config."""

    def __init__(self, work: _Recalling | _Remembering | _Finishing, name: str) -> None:
        super().__init__(work.run, afunc=work.arun, name=name)
        self._binding = work.binding

    @property
    @override
    def config_specs(self) -> list[ConfigurableFieldSpec]:
        return self._binding.config_specs


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn:
    """What a node is asked to do in one run of it."""

    messages: list[BaseMessage]
    identity: Identity
    asked: Asked
    stores: bool
    key: tuple[Any, ...]

    def opened(self, conversation: Conversation) -> Conversation | None:
        """The conversation that has its question already."""
        return _open_turns.get((conversation.connection, *self.key))

    def open(self, conversation: Conversation) -> None:
        _open_turns.put((conversation.connection, *self.key), conversation)

    def close(self, conversation: Conversation) -> None:
        _open_turns.drop((conversation.connection, *self.key))


@dataclass(frozen=True, slots=True)
class _Step:
    """What the nodes of a turn have in common."""

    binding: Binding
    messages_key: str
    nesting: Nesting

    def _turn(self, state: Any, config: RunnableConfig) -> _Turn | None:
        """Which turn it is; None where there is nothing to do."""
        if self.nesting.is_off(config):
            return None
        given = (
            cast("Mapping[str, Any]", state).get(self.messages_key, [])
            if isinstance(state, Mapping)
            else getattr(state, self.messages_key)
        )
        messages = convert_to_messages(given)
        identity = self.binding.identity(config, runtime_context(config))
        asked = Asked.of(messages)
        told_apart = asked.key if asked.has_id else (asked.key, outermost(config))
        return _Turn(
            messages=messages,
            identity=identity,
            asked=asked,
            stores=self.nesting.stores(asked.native, config),
            key=(identity, told_apart),
        )


@dataclass(frozen=True, slots=True)
class _Recalling(_Step):
    context_key: str
    options: Mapping[str, Any]

    def run(self, state: Any, config: RunnableConfig) -> dict[str, Any]:
        turn = self._turn(state, config)
        if turn is None or not self._recalls(turn):
            return {self.context_key: ""}
        conversation = self.binding.conversation(turn.identity)
        if (opened := turn.opened(conversation)) is not None:
            conversation = opened
        elif turn.stores:
            tail = conversation.history(_TAIL) if self._in_doubt(turn, conversation, config) else []
            if new := turn.asked.not_landed(turn.asked.questions(), tail):
                conversation.record(new)
            turn.open(conversation)
        return self._written(turn, conversation.recall(**self.options))

    async def arun(self, state: Any, config: RunnableConfig) -> dict[str, Any]:
        turn = self._turn(state, config)
        if turn is None or not self._recalls(turn):
            return {self.context_key: ""}
        conversation = await self.binding.aconversation(turn.identity)
        if (opened := turn.opened(conversation)) is not None:
            conversation = opened
        elif turn.stores:
            tail = await conversation.ahistory(_TAIL) if self._in_doubt(turn, conversation, config) else []
            if new := turn.asked.not_landed(turn.asked.questions(), tail):
                await conversation.arecord(new)
            turn.open(conversation)
        return self._written(turn, await conversation.arecall(**self.options))

    def _recalls(self, turn: _Turn) -> bool:
        return bool(turn.asked.questions()) and (turn.stores or turn.identity.thread_id is not None)

    def _in_doubt(self, turn: _Turn, conversation: Conversation, config: RunnableConfig) -> bool:
        return _handed.in_doubt(conversation.connection, turn.identity, turn.asked) or is_resuming(config)

    def _written(self, turn: _Turn, recalled: Recall) -> dict[str, Any]:
        return {self.context_key: recalled.prompt(sent=conversation_of(turn.messages)).text}


@dataclass(frozen=True, slots=True)
class _Remembering(_Step):
    def run(self, state: Any, config: RunnableConfig) -> dict[str, Any]:
        turn = self._turn(state, config)
        if turn is not None and turn.stores:
            conversation = self.binding.conversation(turn.identity)
            opened = turn.opened(conversation)
            if opened is not None and turn.identity.thread_id is None:
                conversation = opened
            # Without an open turn there is no recall node, or it ran in another process.
            tail = conversation.history(_TAIL) if opened is None else []
            if new := self._new(turn, tail, asks=opened is None):
                conversation.record(new)
            turn.close(conversation)
            conversation.end_run()
        return {}

    async def arun(self, state: Any, config: RunnableConfig) -> dict[str, Any]:
        turn = self._turn(state, config)
        if turn is not None and turn.stores:
            conversation = await self.binding.aconversation(turn.identity)
            opened = turn.opened(conversation)
            if opened is not None and turn.identity.thread_id is None:
                conversation = opened
            tail = await conversation.ahistory(_TAIL) if opened is None else []
            if new := self._new(turn, tail, asks=opened is None):
                await conversation.arecord(new)
            turn.close(conversation)
            await conversation.aend_run()
        return {}

    def _new(self, turn: _Turn, tail: Sequence[Message], *, asks: bool) -> list[Message]:
        questions = turn.asked.not_landed(turn.asked.questions(), tail) if asks else []
        answer = turn_answer(turn.messages)
        return questions if answer is None else [*questions, answer]


@dataclass(frozen=True, slots=True)
class _Finishing:
    binding: Binding
    wait: bool | float

    def run(self, _: Any, config: RunnableConfig) -> dict[str, Any]:
        self.binding.conversation(self.binding.identity(config, runtime_context(config))).finish(self.wait)
        return {}

    async def arun(self, _: Any, config: RunnableConfig) -> dict[str, Any]:
        identity = self.binding.identity(config, runtime_context(config))
        await (await self.binding.aconversation(identity)).afinish(self.wait)
        return {}

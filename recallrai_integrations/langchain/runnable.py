"""`with_recallrai_memory`: long-term memory around a chain, a chat model or any other runnable."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Mapping
from contextlib import aclosing, closing
from dataclasses import dataclass
from typing import Any, cast

from langchain_core.messages import BaseMessage
from langchain_core.runnables import Runnable, RunnableConfig, ensure_config
from typing_extensions import override

from recallrai_integrations.connection import Connection
from recallrai_integrations.conversation import Conversation
from recallrai_integrations.errors import RecallrAIIntegrationError
from recallrai_integrations.messages import Message
from recallrai_integrations.options import ContextOptions, ProcessPolicy, RecallOptions
from recallrai_integrations.recall import Recall

from ._binding import Binding, runtime_context
from ._chain import Keys, Sink, check, with_recall
from ._messages import to_langchain, turn_questions

__all__ = ["RecallrAIRunnable", "with_recallrai_memory"]

logger = logging.getLogger("recallrai_integrations")


def with_recallrai_memory(
    runnable: Runnable[Any, Any],
    *,
    connection: Connection | None = None,
    user_id: str | None = None,
    thread_id: str | None = None,
    input_messages_key: str | None = None,
    output_messages_key: str | None = None,
    history_messages_key: str | None = None,
    history_limit: int | None = None,
    context_key: str | None = None,
    recall: RecallOptions | None = None,
    context: ContextOptions | None = None,
    process: ProcessPolicy | None = None,
    process_every: int = 10,
    auto_process_after_seconds: int = 600,
    metadata: Mapping[str, Any] | None = None,
    store_partial: bool = False,
) -> RecallrAIRunnable:
    """Gives a chain, a chat model or another runnable the memory of its user.

    Each call stores the user's new message, recalls, runs the runnable with what was recalled, and stores
    the answer; invoke, stream and batch alike, sync and async. The keys mean what they mean to
    `RunnableWithMessageHistory`. The user and the thread come from the arguments, else from
    `config={"configurable": {"user_id": …, "thread_id": …}}`.

    Failure: outages before the answer follow the connection's `on_error`. What fails after the answer was
    made (storing it, processing) is logged as an error and never keeps the answer from the caller. Errors of
    the runnable pass through, and nothing but the question is stored then. The same holds for a stream that
    is aborted, unless `store_partial`.

    Args:
        runnable: a chat model, or a chain such as `prompt | model | parser`. For agents use
            `RecallrAIMiddleware`.
        connection: from `connect()`; None makes one from the environment on first use.
        user_id: the user, when the chain serves only one.
        thread_id: the thread. Without any, each call is a conversation by itself.
        input_messages_key: where a dict input has the user's message: text, a message, or messages. Not
            needed for a dict of one key, nor when the key is `"input"`.
        output_messages_key: where a dict output has the answer. Not needed for a dict of one key, nor when
            the key is `"output"`.
        history_messages_key: fills this variable of a dict input with the earlier messages of the thread,
            such as a `MessagesPlaceholder`; None reads no history.
        history_limit: at most so many of them; None for all.
        context_key: fills this variable of a dict input with the memories as text; None puts them into the
            system message of the request to the chat model, wherever in the chain that is.
        recall: what to ask for, in place of the connection's options.
        context: how memories are put into the prompt, in place of the connection's options.
        process: when a session is made into memories; see `Connection.conversation`.
        process_every: n of `process="every_n_turns"`.
        auto_process_after_seconds: inactivity after which the service processes a session, at least 600.
        metadata: for the sessions that are opened.
        store_partial: store what an aborted or failed stream had produced.

    Returns:
        A runnable that takes and gives what `runnable` does.

    Raises:
        InvalidInputError: a wrong option or id, an agent, or no place for the memories to go.

    Example:
        ```python
        from langchain_core.language_models.fake_chat_models import FakeListChatModel
        from langchain_core.prompts import ChatPromptTemplate
        from recallrai_integrations import connect
        from recallrai_integrations.langchain import with_recallrai_memory

        prompt = ChatPromptTemplate.from_messages([("system", "You are a cook."), ("human", "{question}")])
        with connect(local=":memory:") as connection:
            chain = prompt | FakeListChatModel(responses=["Tofu curry."])
            chain = with_recallrai_memory(chain, connection=connection, input_messages_key="question")
            config = {"configurable": {"user_id": "ada", "thread_id": "thread-1"}}
            chain.invoke({"question": "What shall I cook?"}, config)
        ```
    """
    keys = Keys(
        input=input_messages_key,
        output=output_messages_key,
        history=history_messages_key,
        context=context_key,
    )
    check(runnable, keys)
    binding = Binding.of(
        connection,
        user_id,
        thread_id,
        metadata=metadata,
        process=process,
        process_every=process_every,
        auto_process_after_seconds=auto_process_after_seconds,
    )
    return RecallrAIRunnable(
        runnable,
        binding,
        keys,
        recall=recall,
        context=context,
        history_limit=history_limit,
        store_partial=store_partial,
    )


@dataclass(slots=True)
class _Call:
    """One call: its conversation, and the runnable and input made for it."""

    conversation: Conversation
    questions: list[Message]
    sink: Sink


class RecallrAIRunnable(Runnable[Any, Any]):
    """A runnable with memory; made by `with_recallrai_memory`, which says what it does."""

    def __init__(
        self,
        bound: Runnable[Any, Any],
        binding: Binding,
        keys: Keys,
        *,
        recall: RecallOptions | None,
        context: ContextOptions | None,
        history_limit: int | None,
        store_partial: bool,
    ) -> None:
        self.bound = bound
        self._binding = binding
        self._keys = keys
        self._options: dict[str, Any] = {"options": recall, "context": context}
        self._history_limit = history_limit
        self._store_partial = store_partial

    @property
    @override
    def InputType(self) -> Any:
        return self.bound.InputType

    @property
    @override
    def OutputType(self) -> Any:
        return self.bound.OutputType

    @override
    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        config = ensure_config(config)
        call = self._begin(input, config)
        bound, value = self._prepared(input, *self._before(call))
        output = bound.invoke(value, config, **kwargs)
        call.sink.add(output)
        self._after(call)
        return output

    @override
    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        config = ensure_config(config)
        call = await self._abegin(input, config)
        bound, value = self._prepared(input, *(await self._abefore(call)))
        output = await bound.ainvoke(value, config, **kwargs)
        call.sink.add(output)
        await self._aafter(call)
        return output

    @override
    def stream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Iterator[Any]:
        config = ensure_config(config)
        call = self._begin(input, config)
        bound, value = self._prepared(input, *self._before(call))
        try:
            with closing(cast("Generator[Any]", bound.stream(value, config, **kwargs))) as chunks:
                for chunk in chunks:
                    call.sink.add(chunk)
                    yield chunk
        except BaseException:  # an error, or nobody reads on
            if self._store_partial:
                self._after(call, ended=False)
            raise
        self._after(call)

    @override
    async def astream(
        self, input: Any, config: RunnableConfig | None = None, **kwargs: Any
    ) -> AsyncIterator[Any]:
        config = ensure_config(config)
        call = await self._abegin(input, config)
        bound, value = self._prepared(input, *(await self._abefore(call)))
        try:
            async with aclosing(
                cast("AsyncGenerator[Any]", bound.astream(value, config, **kwargs))
            ) as chunks:
                async for chunk in chunks:
                    call.sink.add(chunk)
                    yield chunk
        except BaseException:  # an error, a cancellation, or nobody reads on
            if self._store_partial:
                await self._aafter(call, ended=False)
            raise
        await self._aafter(call)

    def _prepared(
        self, given: Any, history: list[BaseMessage], recall: Recall | None
    ) -> tuple[Runnable[Any, Any], Any]:
        return with_recall(self.bound, self._keys, given, recall, history)

    def _questions(self, given: Any) -> list[Message]:
        return turn_questions(self._keys.input_messages(given))

    def _begin(self, given: Any, config: RunnableConfig) -> _Call:
        identity = self._binding.identity(config, runtime_context(config))
        return _Call(self._binding.conversation(identity), self._questions(given), Sink(self._keys))

    async def _abegin(self, given: Any, config: RunnableConfig) -> _Call:
        identity = self._binding.identity(config, runtime_context(config))
        conversation = await self._binding.aconversation(identity)
        return _Call(conversation, self._questions(given), Sink(self._keys))

    def _before(self, call: _Call) -> tuple[list[BaseMessage], Recall | None]:
        """Reads what came before, stores the question, and recalls by it."""
        history: list[Message] = []
        if self._keys.history is not None:
            history = call.conversation.history(self._history_limit)
        if not call.questions:
            return [to_langchain(one) for one in history], None
        call.conversation.record(call.questions)
        return [to_langchain(one) for one in history], call.conversation.recall(**self._options)

    async def _abefore(self, call: _Call) -> tuple[list[BaseMessage], Recall | None]:
        """The async twin of `_before`."""
        history: list[Message] = []
        if self._keys.history is not None:
            history = await call.conversation.ahistory(self._history_limit)
        if not call.questions:
            return [to_langchain(one) for one in history], None
        await call.conversation.arecord(call.questions)
        return [to_langchain(one) for one in history], await call.conversation.arecall(**self._options)

    def _after(self, call: _Call, *, ended: bool = True) -> None:
        """Stores the answer; whatever happens here, the caller has it."""
        try:
            if (answer := call.sink.answer()) is not None:
                call.conversation.record(answer)
            if ended:
                call.conversation.end_run()
        except RecallrAIIntegrationError as error:
            _tell(error)

    async def _aafter(self, call: _Call, *, ended: bool = True) -> None:
        """The async twin of `_after`."""
        try:
            if (answer := call.sink.answer()) is not None:
                await call.conversation.arecord(answer)
            if ended:
                await call.conversation.aend_run()
        except RecallrAIIntegrationError as error:
            _tell(error)


def _tell(error: RecallrAIIntegrationError) -> None:
    logger.error("The answer was given but could not be stored in RecallrAI: %s", error)

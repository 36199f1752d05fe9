"""`with_recallrai_memory`: long-term memory around a chain, a chat model or any other runnable."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import aclosing, closing
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from langchain_core.runnables import Runnable, RunnableConfig, ensure_config
from langchain_core.runnables.utils import ConfigurableFieldSpec, get_unique_config_specs
from typing_extensions import Unpack, override

from recallrai_integrations.adapter import Binding, Steps, Twin, arun, ending_run, recording, run
from recallrai_integrations.connection import Connection
from recallrai_integrations.errors import InvalidInputError, RecallrAIIntegrationError
from recallrai_integrations.messages import Message
from recallrai_integrations.options import MemoryOptions
from recallrai_integrations.recall import Recall

from ._asked import Asked, Handed
from ._chain import Keys, Sink, check, last_parser, with_recall
from ._identity import Bound, bind, config_specs, places
from ._messages import to_langchain
from ._provenance import Nested, Nesting, caller
from ._questions import Question, unanswered_on_error
from ._telling import Once, tell_not_stored

__all__ = ["RecallrAIRunnable", "with_recallrai_memory"]


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
    store_partial: bool = False,
    nested: Nested = "auto",
    **options: Unpack[MemoryOptions],
) -> RecallrAIRunnable:
    """Gives a chain, a chat model or another runnable the memory of its user.

    Each call stores the user's new message, recalls, runs the runnable with what was recalled, and stores
    the answer; invoke, stream and batch alike, sync and async. The keys mean what they mean to
    `RunnableWithMessageHistory`. The user and the thread come from the arguments, else from
    `config={"configurable": {"user_id": …, "thread_id": …}}`.

    Failure: outages before the answer follow the connection's `on_error`. What fails after the answer was
    made (storing it, processing) is logged as an error and never keeps the answer from the caller. Errors of
    the runnable pass through, and nothing but the question is stored then. The same holds for a stream that
    is aborted, unless `store_partial`. A question that got no answer and is asked again, by a retry, a
    fallback, a parallel branch or a loop of your own, is stored once.

    An answer that is no text, of a parser or of a dict's key, is stored as JSON. Where it cannot be told what
    the answer is, one warning says so.

    Args:
        runnable: a chat model, or a chain such as `prompt | model | parser`. For agents use
            `RecallrAIMiddleware`.
        connection: from `connect()`; None makes one from the environment on first use.
        user_id: the user, when the chain serves only one.
        thread_id: the thread. Without any, each call is a separate conversation.
        input_messages_key: where a dict input has the user's message: text, a message, or messages. Not
            needed for a dict of one key, nor when the key is `"input"`.
        output_messages_key: where a dict output has the answer. Not needed for a dict of one key, nor when
            the key is `"output"`.
        history_messages_key: fills this variable of a dict input with the earlier messages of the thread,
            such as a `MessagesPlaceholder`; None reads no history.
        history_limit: at most so many of them; None for all.
        context_key: fills this variable of a dict input with the memories as text; None puts them into the
            system message of the request to the chat model, wherever in the chain that is.
        store_partial: store what an aborted or failed stream had produced.
        nested: where it runs in a tool or a graph; see `RecallrAIMiddleware`.
        **options: recall, context, metadata, process, process_every, auto_process_after_seconds; see
            `MemoryOptions`.

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
    binding = bind(connection, user_id, thread_id, **options)
    return RecallrAIRunnable(
        runnable,
        binding,
        keys,
        nested=nested,
        history_limit=history_limit,
        store_partial=store_partial,
    )


@dataclass(slots=True, kw_only=True)
class _Call:
    """One call: the runnable and the input made for it, and what is to be stored of it, if anything."""

    bound: Runnable[Any, Any]
    value: Any
    sink: Sink
    question: Question | None = None


_handed = Handed()


class RecallrAIRunnable(Bound, Runnable[Any, Any]):
    """A runnable with memory; made by `with_recallrai_memory`, which says what it does."""

    def __init__(
        self,
        bound: Runnable[Any, Any],
        binding: Binding,
        keys: Keys,
        *,
        nested: Nested,
        history_limit: int | None,
        store_partial: bool,
    ) -> None:
        self.bound = bound
        self._binding = binding
        self._keys = keys
        self._parser = last_parser(bound)
        self._nesting = Nesting(nested, "with_recallrai_memory")
        self._history_limit = history_limit
        self._store_partial = store_partial
        self._lost_answer = Once("with_recallrai_memory stored no answer in RecallrAI. %s")

    @property
    @override
    def InputType(self) -> Any:
        return self.bound.InputType

    @property
    @override
    def OutputType(self) -> Any:
        return self.bound.OutputType

    @property
    @override
    def config_specs(self) -> list[ConfigurableFieldSpec]:
        return get_unique_config_specs([*self.bound.config_specs, *config_specs(self._binding)])

    @override
    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        config = ensure_config(config)
        call = run(self._beginning(input, config))
        with unanswered_on_error(call.question):
            output = call.bound.invoke(call.value, config, **kwargs)
        call.sink.add(output)
        run(self._ending(call))
        return output

    @override
    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        config = ensure_config(config)
        call = await arun(self._beginning(input, config))
        with unanswered_on_error(call.question):
            output = await call.bound.ainvoke(call.value, config, **kwargs)
        call.sink.add(output)
        await arun(self._ending(call))
        return output

    @override
    def stream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Iterator[Any]:
        config = ensure_config(config)
        call = run(self._beginning(input, config))
        chunks = cast("Generator[Any]", call.bound.stream(call.value, config, **kwargs))
        try:
            with unanswered_on_error(call.question), closing(chunks):
                for chunk in chunks:
                    call.sink.add(chunk)
                    yield chunk
        except BaseException:  # an error, or nobody reads on
            if self._store_partial:
                run(self._ending(call, complete=False))
            raise
        run(self._ending(call))

    @override
    async def astream(
        self, input: Any, config: RunnableConfig | None = None, **kwargs: Any
    ) -> AsyncIterator[Any]:
        config = ensure_config(config)
        call = await arun(self._beginning(input, config))
        chunks = cast("AsyncGenerator[Any]", call.bound.astream(call.value, config, **kwargs))
        try:
            with unanswered_on_error(call.question):
                async with aclosing(chunks):
                    async for chunk in chunks:
                        call.sink.add(chunk)
                        yield chunk
        except BaseException:  # an error, a cancellation, or nobody reads on
            if self._store_partial:
                await arun(self._ending(call, complete=False))
            raise
        await arun(self._ending(call))

    def _beginning(self, given: Any, config: RunnableConfig) -> Steps[_Call]:
        """Reads what came before, stores the question, and recalls by it."""
        sink = Sink(self._keys, self._parser)
        if self._nesting.is_off(config):
            bound, value = with_recall(self.bound, self._keys, given, None, [])
            return _Call(bound=bound, value=value, sink=sink)
        identity = self._binding.identity(*places(config))
        asked = Asked.of(self._keys.input_messages(given))
        messages = asked.questions()
        stores = self._nesting.stores(asked.native, config)
        conversation = yield from self._binding.opening(identity)
        question, again = Question.asked(conversation, messages, within=caller(config) if stores else None)
        conversation = question.conversation
        before: list[Message] = []
        if self._keys.history is not None:
            before = yield from Twin(conversation.history, conversation.ahistory, self._history_limit)
            before = question.without(before, again=again)
        if stores and messages:
            doubtful = not again and _handed.in_doubt(conversation.connection, identity, asked)
            landed = partial(asked.not_landed, question.messages) if doubtful else None
            yield from recording(conversation, question.messages, in_doubt=landed)
        recalled: Recall | None = None
        if messages and (stores or identity.thread_id is not None):
            recall, context = self._binding.recall, self._binding.context
            recalled = yield from Twin(
                conversation.recall, conversation.arecall, options=recall, context=context
            )
        history = [to_langchain(one) for one in before]
        bound, value = with_recall(self.bound, self._keys, given, recalled, history)
        call = _Call(bound=bound, value=value, sink=sink)
        if stores:
            call.question = question
        return call

    def _ending(self, call: _Call, *, complete: bool = True) -> Steps[None]:
        """Stores the answer; whatever happens here, the caller has it."""
        if call.question is None:
            return
        conversation = call.question.conversation
        try:
            answer = call.sink.answer()
        except InvalidInputError as error:
            self._lost_answer.warn(str(error))
            answer = None
        else:
            call.question.ended(answered=answer is not None)
        try:
            yield from recording(conversation, [] if answer is None else [answer])
            if complete:
                yield from ending_run(conversation)
        except RecallrAIIntegrationError as error:
            tell_not_stored(error)

"""`RecallrAIMemory`: memory for the chains of langchain-classic (`ConversationChain`, `LLMChain` …)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.messages import BaseMessage, SystemMessage, get_buffer_string
from pydantic import PrivateAttr
from typing_extensions import override

from recallrai_integrations.adapter import Binding, Identity, Steps, Twin, arun, ending_run, recording, run
from recallrai_integrations.adapter.copies import SharingConnection
from recallrai_integrations.conversation import Conversation
from recallrai_integrations.errors import (
    InvalidInputError,
    MissingDependencyError,
    RecallrAIIntegrationError,
)
from recallrai_integrations.messages import Message
from recallrai_integrations.models import SessionInfo
from recallrai_integrations.options import ContextOptions, ProcessPolicy, RecallOptions
from recallrai_integrations.recall import Recall

from ._chain import Keys
from ._identity import OwnConversation, bind
from ._messages import to_langchain, turn_answer, turn_questions
from ._telling import Once, tell_not_stored

try:
    from langchain_classic.base_memory import BaseMemory
except ModuleNotFoundError as _error:
    if _error.name != "langchain_classic":
        raise
    raise MissingDependencyError.for_extra("langchain-classic", _error.name) from _error

__all__ = ["RecallrAIMemory"]


class RecallrAIMemory(SharingConnection, BaseMemory):
    """The memory of one conversation with one user, for chains that take `memory=`.

    Loading stores the question, recalls by it, and fills one variable with the memories and the
    conversation so far; saving stores the answer. Use one object for each conversation.

    Failure: in an outage, loading follows the connection's `on_error`. Saving never raises, because that
    would lose the answer: it logs an error. A question that failed in the chain and is asked again, with the
    same text, is stored once.

    With `return_messages=True` the memories are a system message of their own, before the conversation so
    far: the memory does not see the prompt, whose system message they would belong into. So put
    `MessagesPlaceholder("history")` directly behind that; further down, some models refuse or move a system
    message. For a single one, leave `return_messages` False and name the variable in the prompt's, as in
    `("system", "You are a cook. {history}")`, or use `with_recallrai_memory`. Do not use
    `("placeholder", "{history}")` here: it is optional, and these chains silently fill no optional variables.

    Attributes:
        user_id: whose memory it is.
        thread_id: the ongoing conversation; None for one of its own, which `finish()` ends.
        connection: from `connect()`; None makes one from the environment on first use.
        memory_key: the prompt variable that is filled.
        input_key: where the chain's inputs have the question; not needed when there is only one, nor when it
            is `"input"`.
        output_key: where its outputs have the answer; not needed when there is only one.
        return_messages: fill the variable with messages, for a `MessagesPlaceholder`, instead of text.
        human_prefix: before what the user said, in text.
        ai_prefix: before what the assistant said, in text.
        history_limit: at most so many messages of the conversation so far; None for all.
        recall: what to ask for; replaces the connection's options.
        context: how memories are put into the prompt; replaces the connection's options. Its `placement`
            says nothing here: they stand where the variable does.
        process: when the session is made into memories; None: by `finish()` or the service's inactivity
            timer. `"every_run"` does so after each answer.
        process_every: n of `process="every_n_turns"`.
        auto_process_after_seconds: inactivity after which the service processes a session, at least 600.
        metadata: for the sessions that are opened.

    Raises:
        ValidationError: pydantic's, which is a ValueError: no user id, one that cannot be sent, a wrong type.

    Example:
        ```python
        from recallrai_integrations import connect
        from recallrai_integrations.langchain import RecallrAIMemory

        with connect(local=":memory:") as connection:
            memory = RecallrAIMemory(connection=connection, user_id="ada", thread_id="thread-1")
            memory.save_context({"input": "I moved to Lisbon."}, {"output": "How do you like it?"})
            print(memory.load_memory_variables({"input": "What shall I visit?"}))
        ```
    """

    user_id: str | None = None
    thread_id: str | None = None
    memory_key: str = "history"
    input_key: str | None = None
    output_key: str | None = None
    return_messages: bool = False
    human_prefix: str = "Human"
    ai_prefix: str = "AI"
    history_limit: int | None = 50
    recall: RecallOptions | None = None
    context: ContextOptions | None = None
    process: ProcessPolicy | None = None
    process_every: int = 10
    auto_process_after_seconds: int = 600
    metadata: Mapping[str, Any] | None = None

    _own: OwnConversation = PrivateAttr(default_factory=OwnConversation)
    _asked: tuple[Identity, list[Message]] | None = PrivateAttr(default=None)
    _lost_answer: Once = PrivateAttr(default_factory=lambda: Once("RecallrAIMemory stored no answer. %s"))

    @override
    def model_post_init(self, context: Any, /) -> None:
        super().model_post_init(context)
        self._binding().identity()

    @property
    @override
    def memory_variables(self) -> list[str]:
        return [self.memory_key]

    @override
    def load_memory_variables(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Stores the question and fills the variable; without a question it only tells what was said.

        Raises:
            ServiceUnavailableError: an outage with `on_error="raise"`.
            InvalidInputError: it cannot be told which input is the question, or it is not text or messages.
        """
        return run(self._loading(inputs))

    @override
    async def aload_memory_variables(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """The async twin of `load_memory_variables`."""
        return await arun(self._loading(inputs))

    @override
    def save_context(self, inputs: dict[str, Any], outputs: dict[str, str]) -> None:
        """Stores the answer, and the question where it was not loaded before; errors are logged."""
        run(self._saving(inputs, outputs))

    @override
    async def asave_context(self, inputs: dict[str, Any], outputs: dict[str, str]) -> None:
        """The async twin of `save_context`."""
        await arun(self._saving(inputs, outputs))

    @override
    def clear(self) -> None:
        """Begins the conversation anew; nothing is deleted, and what was said is remembered."""
        self._asked = None
        self._conversation().clear()

    @override
    async def aclear(self) -> None:
        """The async twin of `clear`."""
        self._asked = None
        await (await self._aconversation()).aclear()

    def finish(self, wait: bool | float = False) -> SessionInfo | None:
        """Ends the conversation and has memories made of it; see `Conversation.finish`."""
        return self._conversation().finish(wait)

    async def afinish(self, wait: bool | float = False) -> SessionInfo | None:
        """The async twin of `finish`."""
        return await (await self._aconversation()).afinish(wait)

    def _binding(self) -> Binding:
        return bind(
            self.connection,
            self.user_id,
            self.thread_id,
            metadata=self.metadata,
            process=self.process or "manual",
            process_every=self.process_every,
            auto_process_after_seconds=self.auto_process_after_seconds,
        )

    def _opening(self) -> Steps[Conversation]:
        return (yield from self._own.opening(self._binding()))

    def _conversation(self) -> Conversation:
        return run(self._opening())

    async def _aconversation(self) -> Conversation:
        return await arun(self._opening())

    def _loading(self, inputs: Mapping[str, Any]) -> Steps[dict[str, Any]]:
        questions = self._questions(inputs)
        conversation = yield from self._opening()
        said = yield from Twin(conversation.history, conversation.ahistory, self.history_limit)
        recall = None
        if questions:
            asked = self._asked_before()
            said = said[: len(said) - len(asked)]
            if not _same(questions, asked):
                yield from recording(conversation, questions)
                self._asked = (self._binding().identity(), questions)
            recall = yield from Twin(
                conversation.recall, conversation.arecall, options=self.recall, context=self.context
            )
        return {self.memory_key: self._filled(said, questions, recall)}

    def _saving(self, inputs: Mapping[str, Any], outputs: Mapping[str, str]) -> Steps[None]:
        try:
            conversation = yield from self._opening()
            questions = self._questions(inputs)
            asked = [] if _same(questions, self._asked_before()) else questions
            self._asked = None
            yield from recording(conversation, [*asked, *self._answers(outputs)])
            yield from ending_run(conversation)
        except RecallrAIIntegrationError as error:
            tell_not_stored(error)

    def _asked_before(self) -> list[Message]:
        """Questions that are stored and have no answer, because the chain failed after it had loaded them."""
        asked = self._asked
        return asked[1] if asked is not None and asked[0] == self._binding().identity() else []

    def _questions(self, inputs: Mapping[str, Any]) -> list[Message]:
        given = {key: value for key, value in inputs.items() if key not in (self.memory_key, "stop")}
        return turn_questions(self._keys.input_messages(given)) if given else []

    def _answers(self, outputs: Mapping[str, str]) -> list[Message]:
        try:
            answer = turn_answer(self._keys.output_messages(outputs))
        except InvalidInputError as error:
            self._lost_answer.warn(str(error))
            return []
        return [] if answer is None else [answer]

    @property
    def _keys(self) -> Keys:
        return Keys(
            input=self.input_key,
            output=self.output_key,
            history=None,
            context=None,
            input_option="input_key",
            output_option="output_key",
        )

    def _filled(
        self, said: list[Message], questions: list[Message], recall: Recall | None
    ) -> str | list[BaseMessage]:
        text = "" if recall is None else recall.prompt(sent=[*said, *questions]).text
        history = [to_langchain(one) for one in said]
        if self.return_messages:
            return [SystemMessage(text), *history] if text else history
        told = get_buffer_string(history, human_prefix=self.human_prefix, ai_prefix=self.ai_prefix)
        return "\n\n".join(filter(None, (text, told)))


def _same(questions: list[Message], asked: list[Message]) -> bool:
    return [one.content for one in questions] == [one.content for one in asked]

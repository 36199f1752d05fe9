"""`RecallrAIMemory`: memory for the chains of langchain-classic (`ConversationChain`, `LLMChain` …)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from langchain_core.messages import BaseMessage, SystemMessage, get_buffer_string
from pydantic import Field, PrivateAttr
from typing_extensions import override

from recallrai_integrations.connection import Connection
from recallrai_integrations.conversation import Conversation
from recallrai_integrations.errors import MissingDependencyError, RecallrAIIntegrationError
from recallrai_integrations.messages import Message
from recallrai_integrations.models import SessionInfo
from recallrai_integrations.options import ContextOptions, ProcessPolicy, RecallOptions
from recallrai_integrations.recall import Recall

from ._binding import Binding
from ._chain import Keys
from ._messages import to_langchain, turn_answer, turn_questions

try:
    from langchain_classic.base_memory import BaseMemory
    from langchain_classic.memory.utils import get_prompt_input_key
except ModuleNotFoundError as _error:
    if _error.name != "langchain_classic":
        raise
    raise MissingDependencyError.for_extra("langchain-classic", _error.name) from _error

__all__ = ["RecallrAIMemory"]

logger = logging.getLogger("recallrai_integrations")


class RecallrAIMemory(BaseMemory):
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
        input_key: where the chain's inputs have the question; not needed when there is only one.
        output_key: where its outputs have the answer; not needed when there is only one.
        return_messages: fill the variable with messages, for a `MessagesPlaceholder`, instead of text.
        human_prefix: before what the user said, in text.
        ai_prefix: before what the assistant said, in text.
        history_limit: at most so many messages of the conversation so far; None for all.
        recall: what to ask for, in place of the connection's options.
        context: how memories are put into the prompt, in place of the connection's options. Its `placement`
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
    connection: Connection | None = Field(default=None, exclude=True, repr=False)
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

    _binding: Binding = PrivateAttr()
    _own: Conversation | None = PrivateAttr(default=None)
    _asked: list[Message] = PrivateAttr(default_factory=list[Message])

    @override
    def model_post_init(self, context: Any, /) -> None:
        super().model_post_init(context)
        self._binding = Binding.of(
            self.connection,
            self.user_id,
            self.thread_id,
            metadata=self.metadata,
            process=self.process or "manual",
            process_every=self.process_every,
            auto_process_after_seconds=self.auto_process_after_seconds,
        )
        self._binding.identity(None)

    @property
    @override
    def memory_variables(self) -> list[str]:
        return [self.memory_key]

    @override
    def load_memory_variables(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Stores the question and fills the variable; without a question it only tells what was said.

        Raises:
            ServiceUnavailableError: an outage with `on_error="raise"`.
            InvalidInputError: the question is not text or messages.
        """
        conversation = self._conversation()
        said = conversation.history(self.history_limit)
        recall = None
        if questions := self._questions(inputs):
            said = self._before(said)
            if not self._is_asked(questions):
                conversation.record(questions)
                self._asked = questions
            recall = conversation.recall(options=self.recall, context=self.context)
        return {self.memory_key: self._filled(said, questions, recall)}

    @override
    async def aload_memory_variables(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """The async twin of `load_memory_variables`."""
        conversation = await self._aconversation()
        said = await conversation.ahistory(self.history_limit)
        recall = None
        if questions := self._questions(inputs):
            said = self._before(said)
            if not self._is_asked(questions):
                await conversation.arecord(questions)
                self._asked = questions
            recall = await conversation.arecall(options=self.recall, context=self.context)
        return {self.memory_key: self._filled(said, questions, recall)}

    @override
    def save_context(self, inputs: dict[str, Any], outputs: dict[str, str]) -> None:
        """Stores the answer, and the question where it was not loaded before; errors are logged."""
        try:
            conversation = self._conversation()
            if messages := self._to_save(inputs, outputs):
                conversation.record(messages)
            conversation.end_run()
        except RecallrAIIntegrationError as error:
            _tell(error)

    @override
    async def asave_context(self, inputs: dict[str, Any], outputs: dict[str, str]) -> None:
        """The async twin of `save_context`."""
        try:
            conversation = await self._aconversation()
            if messages := self._to_save(inputs, outputs):
                await conversation.arecord(messages)
            await conversation.aend_run()
        except RecallrAIIntegrationError as error:
            _tell(error)

    @override
    def clear(self) -> None:
        """Begins the conversation anew; nothing is deleted, and what was said is remembered."""
        self._asked = []
        self._conversation().clear()

    @override
    async def aclear(self) -> None:
        """The async twin of `clear`."""
        self._asked = []
        await (await self._aconversation()).aclear()

    def finish(self, wait: bool | float = False) -> SessionInfo | None:
        """Ends the conversation and has memories made of it; see `Conversation.finish`."""
        return self._conversation().finish(wait)

    async def afinish(self, wait: bool | float = False) -> SessionInfo | None:
        """The async twin of `finish`."""
        return await (await self._aconversation()).afinish(wait)

    def _conversation(self) -> Conversation:
        if self._own is None:
            self._own = self._binding.conversation(self._binding.identity(None))
        return self._own

    async def _aconversation(self) -> Conversation:
        if self._own is None:
            self._own = await self._binding.aconversation(self._binding.identity(None))
        return self._own

    def _questions(self, inputs: Mapping[str, Any]) -> list[Message]:
        key = self.input_key
        if key is None:
            try:
                key = get_prompt_input_key(dict(inputs), self.memory_variables)
            except ValueError:
                return []  # nothing is asked, or it cannot be told what
        return turn_questions(_messages(inputs[key])) if key in inputs else []

    def _is_asked(self, questions: list[Message]) -> bool:
        """Whether the chain failed after it had loaded the same question, so that it is stored already."""
        return [one.content for one in questions] == [one.content for one in self._asked]

    def _before(self, said: list[Message]) -> list[Message]:
        """What was said before the question, when that is stored already."""
        return said[: len(said) - len(self._asked)] if self._asked else said

    def _to_save(self, inputs: Mapping[str, Any], outputs: Mapping[str, str]) -> list[Message]:
        questions = self._questions(inputs)
        messages = [] if self._is_asked(questions) else questions
        self._asked = []
        keys = Keys(input=None, output=self.output_key, history=None, context=None)
        answer = turn_answer(keys.output_messages(outputs))
        if answer is None:
            logger.warning("RecallrAIMemory found no answer among %s; set output_key=…", ", ".join(outputs))
        return [*messages, *([] if answer is None else [answer])]

    def _filled(
        self, said: list[Message], questions: list[Message], recall: Recall | None
    ) -> str | list[BaseMessage]:
        text = "" if recall is None else recall.prompt(sent=[*said, *questions]).text
        history = [to_langchain(one) for one in said]
        if self.return_messages:
            return [SystemMessage(text), *history] if text else history
        told = get_buffer_string(history, human_prefix=self.human_prefix, ai_prefix=self.ai_prefix)
        return "\n\n".join(filter(None, (text, told)))


def _messages(value: Any) -> list[BaseMessage]:
    return Keys(input=None, output=None, history=None, context=None).input_messages(value)


def _tell(error: RecallrAIIntegrationError) -> None:
    logger.error("The answer was given but could not be stored in RecallrAI: %s", error)

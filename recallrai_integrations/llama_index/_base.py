"""`TranscriptMemory`: what of `RecallrAIMemory` is not called by engines: its transcript, its end, copies."""

from __future__ import annotations

import logging
from abc import ABC
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Literal, TypeVar

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.bridge.pydantic import Field, PrivateAttr
from llama_index.core.memory import BaseMemory
from typing_extensions import Self, override

from recallrai_integrations.adapter import Steps, Twin
from recallrai_integrations.models import SessionInfo

from ._messages import question_text
from ._prompt import Tokenizer, assemble, default_tokenizer
from ._settings import Settings
from ._snapshot import dump_transcript
from ._states import Turn
from ._transcript import Transcript

__all__ = ["DEFAULT_TOKEN_LIMIT", "TranscriptMemory"]

T = TypeVar("T")

logger = logging.getLogger("recallrai_integrations.llama_index")

DEFAULT_TOKEN_LIMIT: Final = 30_000
"""The framework's own default."""


class TranscriptMemory(BaseMemory, ABC):
    """A memory over the transcript of a conversation, which it shares with its copies."""

    user_id: str
    thread_id: str
    token_limit: int = Field(default=DEFAULT_TOKEN_LIMIT, ge=1)
    insert_method: Literal["system", "user"] | None = None
    tokenizer_fn: Tokenizer = Field(default_factory=default_tokenizer, exclude=True, repr=False)

    _settings: Settings = PrivateAttr()
    _transcript: Transcript = PrivateAttr()

    # --- the end of a conversation

    def finish(self, wait: bool | float = False) -> SessionInfo | None:
        """Has memories made of the conversation; see `Conversation.finish`. It may go on afterwards."""
        return self._run(lambda transcript: transcript.finish(wait))

    async def afinish(self, wait: bool | float = False) -> SessionInfo | None:
        """The async twin of `finish`."""
        return await self._arun(lambda transcript: transcript.finish(wait))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._settings.binding.process != "manual":
            self.finish()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._settings.binding.process != "manual":
            await self.afinish()

    # --- copies and serialization

    def __bool__(self) -> bool:
        return True

    @override
    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """The same object: copies that the framework makes stay the same conversation."""
        return self

    @override
    def to_dict(self, **kwargs: Any) -> dict[str, Any]:
        """The memory as JSON values: identity, options and history; no credentials and no memories."""
        return {
            "class_name": self.class_name(),
            "user_id": self.user_id,
            "thread_id": self.thread_id,
            "token_limit": self.token_limit,
            "insert_method": self.insert_method,
            **self._settings.to_dict(),
            "transcript": dump_transcript(self._own()),
        }

    # --- inside

    def _own(self) -> Transcript:
        """The history of this user and thread: a copy for somebody else begins one of its own."""
        if self.thread_id is None:  # pyright: ignore[reportUnnecessaryComparison] - fields can be set to anything
            self.thread_id = self._settings.new_thread_id()
        identity = self._settings.identity(self.user_id, self.thread_id)
        if self._transcript.identity != identity:
            self._transcript = self._settings.transcript(identity)
        return self._transcript

    def _run(self, operation: Callable[[Transcript], Steps[T]]) -> T:
        connection = self._settings.binding.source.get()
        transcript = self._settings.bind(self._own(), connection)
        return transcript.run(operation(transcript))

    async def _arun(self, operation: Callable[[Transcript], Steps[T]]) -> T:
        connection = await self._settings.binding.source.aget()
        transcript = self._settings.bind(self._own(), connection)
        return await transcript.arun(operation(transcript))

    def _ask(self, transcript: Transcript, asked: object) -> Steps[Turn | None]:
        context = self._settings.placed(transcript.stored.conversation.connection, self.insert_method)
        return transcript.ask(question_text(asked), self._settings.binding.recall, context)

    def _assemble(self, turn: Turn | None, tokens_before: int) -> list[ChatMessage]:
        return assemble(
            list(self._own().entries),
            None if turn is None else turn.recall,
            pending=turn.question if turn is not None and turn.is_announced else None,
            token_limit=self.token_limit,
            tokens_before=tokens_before,
            tokenizer=self.tokenizer_fn,
        )

    def _clear(self, transcript: Transcript) -> Steps[None]:
        conversation = transcript.stored.conversation
        if self.thread_id == self._settings.made_up:
            yield from Twin(conversation.finish, conversation.afinish)
            self.thread_id = self._settings.new_thread_id()
        else:
            yield from Twin(conversation.clear, conversation.aclear)
        transcript.restart(self._settings.identity(self.user_id, self.thread_id))

    def _warn_of_stripping(self) -> None:
        transcript = self._own()
        if transcript.warned or not any(entry.stripped for entry in transcript.entries[-4:]):
            return
        connection = transcript.stored.conversation.connection
        if self._settings.placed(connection, self.insert_method).placement == "user":
            return
        transcript.warned = True
        logger.warning(
            "A ReAct or CodeAct agent uses this RecallrAIMemory. They drop system messages (ReActAgent "
            'only without a system_prompt), and the memories with them: use insert_method="user".'
        )

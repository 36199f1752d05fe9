"""`RecallrAIMemoryBlock`: long-term memory for those who keep the framework's own `Memory`."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.memory import BaseMemoryBlock, Memory
from typing_extensions import override

from recallrai_integrations.adapter import Binding, Steps, TurnCache
from recallrai_integrations.connection import Connection
from recallrai_integrations.errors import InvalidInputError, RecallrAIIntegrationError
from recallrai_integrations.identity import thread_id_text
from recallrai_integrations.models import SessionInfo
from recallrai_integrations.options import ContextOptions, RecallOptions
from recallrai_integrations.recall import Recall

from ._messages import Entry, joined_text
from ._prompt import count_tokens, memory_text
from ._states import History, Turn
from ._stored import Stored
from ._transcript import Transcript

__all__ = ["RecallrAIMemoryBlock"]

logger = logging.getLogger("recallrai_integrations.llama_index")

_SESSION_KEY: Final = "session_id"
"""Where the framework tells a block which of its sessions is meant."""
Rendered: TypeAlias = tuple[Recall, Sequence[Entry]]
"""What a text was made from: the framework truncates by the text alone."""


class RecallrAIMemoryBlock(BaseMemoryBlock[str]):
    """A block for `Memory.from_defaults(memory_blocks=[…])`: stores the conversation and brings memories.

    The framework hands messages to a block only when its short-term memory overflows, which an ordinary chat
    never does. So the block stores what it sees whenever it is asked for memories. What a chat engine answers
    last is seen with the next question; `await block.aflush(memory)` stores it at once, and
    `await block.afinish(memory)` ends the conversation. `RecallrAIMemory` needs neither.

    An outage costs fresh memories and nothing else; refused credentials are raised when memories are asked
    for. Handing over messages that overflow never raises, since the framework has dropped them by then.

    Args:
        user_id: the application's id of the user.
        thread_id: the application's id of the conversation; None takes the `session_id` of the `Memory`.
        connection: where to keep it; None connects with the environment's credentials at the first use.
        recall: replaces the connection's `RecallOptions`.
        context: replaces the connection's `ContextOptions`.
        metadata: for the session in RecallrAI.
        name: of the block, in the prompt.
        description: of the block.
        priority: 0 is never truncated; others are cut when the `Memory` exceeds its token limit, the lowest
            number first. Memories are cut by whole entries.

    Raises:
        MissingIdentityError: no user id.

    Example:
        ```python
        import asyncio

        from llama_index.core.chat_engine import SimpleChatEngine
        from llama_index.core.llms import MockLLM
        from llama_index.core.memory import Memory

        from recallrai_integrations import connect
        from recallrai_integrations.llama_index import RecallrAIMemoryBlock


        async def main() -> None:
            async with connect(local=":memory:") as connection:
                block = RecallrAIMemoryBlock("ada", connection=connection)
                memory = Memory.from_defaults(session_id="thread-1", memory_blocks=[block])
                engine = SimpleChatEngine.from_defaults(llm=MockLLM(), memory=memory)
                print(await engine.achat("My dog is called Biscuit."))
                await block.afinish(memory)


        asyncio.run(main())
        ```
    """

    user_id: str
    thread_id: str | None = None

    _binding: Binding = PrivateAttr()
    _transcripts: TurnCache[Transcript] = PrivateAttr(default_factory=lambda: TurnCache[Transcript](1024))
    _rendered: TurnCache[Rendered] = PrivateAttr(default_factory=lambda: TurnCache[Rendered](64))

    def __init__(
        self,
        user_id: str,
        thread_id: str | None = None,
        *,
        connection: Connection | None = None,
        recall: RecallOptions | None = None,
        context: ContextOptions | None = None,
        metadata: Mapping[str, Any] | None = None,
        name: str = "recallrai",
        description: str | None = "What is remembered of the user from earlier conversations.",
        priority: int = 1,
    ) -> None:
        binding = Binding.of(
            connection,
            recall=recall,
            context=context,
            metadata=metadata,
            process="manual",
            where="RecallrAIMemoryBlock(user_id=…)",
        )
        fields: dict[str, Any] = {
            "user_id": binding.identity({"user_id": user_id}).user_id,
            "thread_id": thread_id_text(thread_id),
            "name": name,
            "description": description,
            "priority": priority,
        }
        super().__init__(**fields)
        self._binding = binding

    async def aflush(self, memory: Memory) -> int:
        """Stores what the memory holds and RecallrAI does not yet, above all a chat engine's last answer.

        Returns:
            How many messages still wait: 0 unless the service is down.

        Raises:
            RecallrAIIntegrationError: see `Conversation.flush`.
        """
        transcript = await self._caught_up(memory)
        return await transcript.stored.conversation.aflush()

    async def afinish(self, memory: Memory, wait: bool | float = False) -> SessionInfo | None:
        """Ends the conversation that the memory holds; see `Conversation.finish`."""
        transcript = await self._caught_up(memory)
        return await transcript.stored.conversation.afinish(wait)

    @override
    async def _aget(self, messages: list[ChatMessage] | None = None, **block_kwargs: Any) -> str:
        if not messages:
            return ""
        transcript = await self._transcript(block_kwargs.get(_SESSION_KEY))
        turn = await transcript.arun(self._follow(transcript, _once(messages)))
        if turn is None or turn.recall is None:
            return ""
        entries = list(transcript.entries)
        text = memory_text(turn.recall, entries)
        self._rendered.put((self.user_id, text), (turn.recall, entries))
        return text

    @override
    async def aput(
        self,
        messages: list[ChatMessage],
        from_short_term_memory: bool = False,
        session_id: str | None = None,
    ) -> None:
        """Takes messages that leave the short-term memory; stores those that were never seen."""
        if from_short_term_memory and not self.accept_short_term_memory:
            return
        try:
            transcript = await self._transcript(session_id)
            await transcript.arun(transcript.tell_leaving(messages))
        except RecallrAIIntegrationError as error:
            logger.error("Messages that left LlamaIndex's memory were not stored: %s", error)  # noqa: TRY400 - a trace says no more

    @override
    async def _aput(self, messages: list[ChatMessage]) -> None:
        await self.aput(messages)

    @override
    async def atruncate(self, content: str, tokens_to_truncate: int) -> str | None:
        """The content with its last entries left out, so that it is shorter by so many tokens; or None."""
        known = self._rendered.get((self.user_id, content)) if content else None
        if known is None:
            return None
        recall, entries = known
        limit = count_tokens(content) - tokens_to_truncate - count_tokens(recall.prompt().instructions)
        if limit < 1:
            return None
        shorter = replace(recall.options, max_chars=None, max_tokens=limit, count_tokens=count_tokens)
        text = memory_text(replace(recall, options=shorter), entries)
        self._rendered.put((self.user_id, text), known)
        return text or None

    def _follow(self, transcript: Transcript, messages: list[ChatMessage]) -> Steps[Turn | None]:
        """The turn that the memory's history ends with; none while the service cannot be read."""
        if not (yield from transcript.take_over(messages)):
            return None
        return (yield from transcript.ask("", self._binding.recall, self._binding.context))

    async def _caught_up(self, memory: Memory) -> Transcript:
        """The transcript of a memory, once the service was told all that the memory holds."""
        transcript = await self._transcript(memory.session_id)
        await transcript.arun(transcript.take_over(await memory.aget_all()))
        return transcript

    async def _transcript(self, session_id: str | None) -> Transcript:
        """What is known of a conversation of this user; a copy for another user finds another one."""
        thread = self.thread_id or session_id
        if thread is None:
            raise InvalidInputError(
                "The memory block has no thread id: pass thread_id=…, or use the block in a Memory, "
                "whose session_id becomes the thread id."
            )
        identity = self._binding.identity({"user_id": self.user_id, "thread_id": thread})
        transcript = self._transcripts.get(identity)
        if transcript is None:
            conversation = await self._binding.aconversation(identity)
            new = Transcript(identity, History.UNREAD, stored=Stored(at=conversation))
            transcript = self._transcripts.setdefault(identity, new)
        return transcript


def _once(messages: list[ChatMessage]) -> list[ChatMessage]:
    """Without the question that the framework adds behind a history that ends with it already."""
    if len(messages) < 2 or messages[-1].role.value != "user":  # noqa: PLR2004 - a question and its copy
        return messages
    added = joined_text(messages[-1])
    for message in reversed(messages[:-1]):
        if message.role.value == "user":
            return messages[:-1] if joined_text(message) == added else messages
        if message.role.value == "assistant" and joined_text(message).strip():
            break
    return messages

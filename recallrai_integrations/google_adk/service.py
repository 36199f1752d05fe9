"""`RecallrAIMemoryService`: RecallrAI behind ADK's own seam for memories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from google.adk.events import Event
from google.adk.memory import BaseMemoryService
from google.adk.memory.base_memory_service import SearchMemoryResponse
from google.adk.memory.memory_entry import MemoryEntry
from google.adk.sessions import Session
from google.genai import types
from typing_extensions import Unpack, override

from recallrai_integrations.adapter import Binding, unsent
from recallrai_integrations.connection import Connection
from recallrai_integrations.conversation import Conversation
from recallrai_integrations.errors import InvalidInputError
from recallrai_integrations.messages import Message
from recallrai_integrations.models import Memory
from recallrai_integrations.options import MemoryOptions

from ._events import said_in
from .plugin import WHERE

__all__ = ["RecallrAIMemoryService"]


class RecallrAIMemoryService(BaseMemoryService):
    """Searches and fills the user's memories for ADK: `Runner(…, memory_service=…)`, and `load_memory`.

    It may stand beside `RecallrAIPlugin`, which stores every turn by itself; what the plugin stored is not
    stored again. With the plugin leave `preload_memory` out: it searches once for each request to a model,
    while the plugin recalls once in each turn.

    Failure: outages of searching raise `ServiceUnavailableError`, which `load_memory` shows as the tool's
    error; storing follows the connection's `on_error`.

    Args:
        connection: from `connect()`; None makes one from the environment on first use.
        k: most memories of a search, at least 1.
        **options: recall, metadata, auto_process_after_seconds; see `MemoryOptions`.

    Raises:
        InvalidInputError: a wrong option.

    Example:
        ```python
        import asyncio

        from recallrai_integrations import connect
        from recallrai_integrations.google_adk import RecallrAIMemoryService

        with connect(local=":memory:") as connection:
            service = RecallrAIMemoryService(connection)
            with connection.conversation("ada") as conversation:
                conversation.record(("user", "My dog is called Biscuit."))
                conversation.finish(wait=True)
            found = asyncio.run(service.search_memory(app_name="a", user_id="ada", query="my dog"))
            print(found.memories[0].content.parts[0].text)
        ```
    """

    def __init__(
        self, connection: Connection | None = None, *, k: int = 10, **options: Unpack[MemoryOptions]
    ) -> None:
        self._binding = Binding.of(connection, where=WHERE, **options)
        self._k = k

    @override
    async def add_session_to_memory(self, session: Session) -> None:
        """Stores what of a session is not stored yet, and has memories made of it."""
        conversation = await self._conversation(session.user_id, session.id)
        await _add(conversation, said_in(session.events))
        await conversation.afinish()

    @override
    async def add_events_to_memory(
        self,
        *,
        app_name: str,
        user_id: str,
        events: Sequence[Event],
        session_id: str | None = None,
        custom_metadata: Mapping[str, object] | None = None,
    ) -> None:
        """Stores what of some events is not stored yet.

        Memories are made when the session is added as a whole, or after a time of inactivity; of events
        without a session at once.
        """
        conversation = await self._conversation(user_id, session_id, custom_metadata)
        await _add(conversation, said_in(events))
        if session_id is None:
            await conversation.afinish()

    @override
    async def add_memory(
        self,
        *,
        app_name: str,
        user_id: str,
        memories: Sequence[MemoryEntry],
        custom_metadata: Mapping[str, object] | None = None,
    ) -> None:
        """Stores texts as what the user said, in a conversation of its own, and has memories made of it."""
        texts = ["\n".join(part.text for part in one.content.parts or [] if part.text) for one in memories]
        said = [Message("user", text) for text in texts if text.strip()]
        if not said:
            raise InvalidInputError("There is no text in these memories, and only text can be remembered.")
        conversation = await self._conversation(user_id, None, custom_metadata)
        await conversation.arecord(said)
        await conversation.afinish()

    @override
    async def search_memory(self, *, app_name: str, user_id: str, query: str) -> SearchMemoryResponse:
        """The memories that a question recalls, most similar first; see `UserMemory.search`."""
        user = await self._binding.auser({"user_id": user_id})
        if not query.strip():
            return SearchMemoryResponse()
        found = await user.asearch(query, k=self._k, options=self._binding.recall)
        return SearchMemoryResponse(memories=[_entry(memory) for memory in found])

    @override
    async def delete_memory(self, *, app_name: str, user_id: str, memory_id: str | None = None) -> None:
        """Deletes one memory, with its older versions.

        Raises:
            InvalidInputError: no id, or one that cannot be one.
            NotFoundError: the user has no such memory.
        """
        if not memory_id:
            raise InvalidInputError("No memory_id. To delete a user, call connection.aforget(user_id).")
        user = await self._binding.auser({"user_id": user_id})
        await user.aforget_memory(memory_id)

    async def _conversation(
        self, user_id: str, session_id: str | None, metadata: Mapping[str, Any] | None = None
    ) -> Conversation:
        identity = self._binding.identity({"user_id": user_id, "thread_id": session_id})
        connection = await self._binding.source.aget()
        return connection.conversation(
            identity.user_id,
            identity.thread_id,
            metadata={**(self._binding.metadata or {}), **(metadata or {})} or None,
            auto_process_after_seconds=self._binding.auto_process_after_seconds,
        )


async def _add(conversation: Conversation, said: Sequence[Message]) -> None:
    """The plugin, or an earlier call in another process, may have stored some of it."""
    new = unsent(said, await conversation.ahistory()) if conversation.thread_id is not None else list(said)
    if new:
        await conversation.arecord(new)


def _entry(memory: Memory) -> MemoryEntry:
    return MemoryEntry(
        id=memory.memory_id,
        content=types.Content(role="user", parts=[types.Part(text=memory.content)]),
        author="user",
        timestamp=memory.created_at.isoformat(),
        custom_metadata={"categories": list(memory.categories), "similarity": memory.similarity},
    )

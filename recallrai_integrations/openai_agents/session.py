"""`RecallrAISession`: the conversation that RecallrAI keeps, as a session of the SDK."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from agents import TResponseInputItem
from agents.memory import SessionABC, SessionSettings
from typing_extensions import override

from recallrai_integrations.adapter import Binding, arun, recording
from recallrai_integrations.connection import Connection
from recallrai_integrations.conversation import Conversation

from ._items import said_in

__all__ = ["WHERE", "RecallrAISession"]

WHERE: Final = 'Runner.run(…, context={"user_id": …})'


class RecallrAISession(SessionABC):
    """A thread's messages as a `Session`, in place of a database: text only, without tool calls.

    Passed to `RecallrAIMemory.for_run`, it gives the model the conversation, while the run stores what is
    said and recalls. Passed to a runner by itself, it stores what is said and recalls nothing, since a
    session does not know the question. Reading costs a request or two in each run; without any session the
    memories hold the latest messages of the thread too.

    Failure: as `Conversation.history` and `Conversation.record`.

    Args:
        user_id: whose thread it is.
        thread_id: the thread, which is also the `session_id`.
        connection: from `connect()`; None makes one from the environment on first use.
        session_settings: of the SDK: `SessionSettings(limit=…)` for the latest messages only.
        auto_process_after_seconds: inactivity after which the service processes a session, at least 600.
        metadata: for the sessions that are opened.

    Raises:
        MissingIdentityError: no user id.
        InvalidInputError: an id that cannot be sent.

    Example:
        ```python
        from agents import Agent, Runner

        from recallrai_integrations import connect
        from recallrai_integrations.openai_agents import RecallrAIMemory, RecallrAISession
        from recallrai_integrations.testing.offline import QuotingAgentModel

        with connect(local=":memory:") as connection:
            memory, agent = RecallrAIMemory(connection), Agent("Cook", model=QuotingAgentModel())
            for text in ("I am allergic to nuts.", "What am I allergic to?"):
                session = RecallrAISession("ada", "thread-1", connection=connection)
                print(Runner.run_sync(agent, text, **memory.for_run(session=session)).final_output)
        ```
    """

    def __init__(
        self,
        user_id: str,
        thread_id: str,
        *,
        connection: Connection | None = None,
        session_settings: SessionSettings | None = None,
        auto_process_after_seconds: int = 600,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        self._binding = Binding.of(
            connection,
            user_id,
            thread_id,
            auto_process_after_seconds=auto_process_after_seconds,
            metadata=metadata,
            where=WHERE,
        )
        identity = self._binding.identity()
        self.user_id, self.thread_id = identity.user_id, identity.thread_id
        self.session_id = str(thread_id)
        self.session_settings = session_settings

    @override
    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        if limit is None and self.session_settings is not None:
            limit = self.session_settings.limit
        if limit is not None and limit < 1:
            return []
        history = await (await self._conversation()).ahistory(limit)
        return [cast("TResponseInputItem", {"role": one.role, "content": one.content}) for one in history]

    @override
    async def add_items(self, items: list[TResponseInputItem]) -> None:
        """Stores what the user said, and the answer: text beside a tool call is narration."""
        calls = any(str(cast("Mapping[str, Any]", item).get("type")).endswith("_call") for item in items)
        new = [one for one in said_in(items) if one.role == "user" or not calls]
        if new:
            await arun(recording(await self._conversation(), new))

    @override
    async def pop_item(self) -> TResponseInputItem | None:
        """None: what was said is not taken back."""
        return None

    @override
    async def clear_session(self) -> None:
        """Begins the thread anew, for all processes. Nothing is deleted, and what was said is remembered."""
        await (await self._conversation()).aclear()

    async def _conversation(self) -> Conversation:
        return await self._binding.aconversation(self._binding.identity())

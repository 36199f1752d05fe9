"""`RecallrAIChatMessageHistory`: a chat history kept by RecallrAI."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.messages import BaseMessage
from typing_extensions import override

from recallrai_integrations.adapter import Identity, arun, run
from recallrai_integrations.connection import Connection
from recallrai_integrations.conversation import Conversation
from recallrai_integrations.identity import user_id_text
from recallrai_integrations.messages import Message
from recallrai_integrations.models import SessionInfo

from ._identity import Bound, OwnConversation, bind
from ._messages import from_langchain, to_langchain, versioned

__all__ = ["RecallrAIChatMessageHistory"]

_OURS = "recallrai-"


class RecallrAIChatMessageHistory(Bound, BaseChatMessageHistory):
    """The history of a thread, across its sessions and processes, for whatever takes a chat history.

    Making one does no I/O, as `RunnableWithMessageHistory` needs it. Only what the user and the assistant
    said is stored: system messages, tool traffic and summaries are passed over. It keeps a history and
    recalls nothing: `with_recallrai_memory` and `RecallrAIMiddleware` do both.

    Messages that were read carry ids that are the same at every read; handed back with new ones behind them,
    as agents do, only the new ones are stored.

    Failure: reading and writing follow the connection's `on_error`. `RunnableWithMessageHistory` itself logs
    errors of writing and raises those of reading.

    Args:
        user_id: whose history it is.
        thread_id: the ongoing conversation; None for one of its own, which ends with this object.
        connection: from `connect()`; None makes one from the environment on first use.
        limit: read only the last so many messages; None for all.
        metadata: for the sessions that are opened.
        auto_process_after_seconds: inactivity after which the service processes a session, at least 600.

    Raises:
        MissingIdentityError: no user id.
        InvalidInputError: an id that cannot be sent.

    Example:
        ```python
        from recallrai_integrations import connect
        from recallrai_integrations.langchain import RecallrAIChatMessageHistory

        with connect(local=":memory:") as connection:
            history = RecallrAIChatMessageHistory("ada", "thread-1", connection=connection)
            history.add_user_message("I moved to Lisbon.")
            print(history.messages)
            history.finish()
        ```
    """

    def __init__(
        self,
        user_id: str | None = None,
        thread_id: str | None = None,
        *,
        connection: Connection | None = None,
        limit: int | None = None,
        metadata: Mapping[str, Any] | None = None,
        auto_process_after_seconds: int = 600,
    ) -> None:
        self._binding = bind(
            connection,
            user_id_text(user_id),
            thread_id,
            metadata=metadata,
            auto_process_after_seconds=auto_process_after_seconds,
        )
        self._limit = limit
        self._own = OwnConversation()

    @property
    @override
    def messages(self) -> list[BaseMessage]:  # type: ignore[override]  # an attribute there, read as a property
        """All messages, oldest first, read afresh."""
        return self._told(self._conversation().history(self._limit))

    @override
    async def aget_messages(self) -> list[BaseMessage]:
        """The async twin of `messages`."""
        return self._told(await (await self._aconversation()).ahistory(self._limit))

    @override
    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Stores what is new and was said by the user or the assistant, in order.

        Raises:
            RequestRejectedError: the service refused one for good; the others have been sent.
            ServiceUnavailableError: an outage with `on_error="raise"`.
        """
        if new := _new(messages):
            self._conversation().record(new)

    @override
    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        """The async twin of `add_messages`."""
        if new := _new(messages):
            await (await self._aconversation()).arecord(new)

    @override
    def clear(self) -> None:
        """Begins the thread anew, for all processes: its sessions are finished and left out from now on.

        Nothing is deleted, and what was said is remembered. In an outage that happens later, in its turn,
        and here the thread is empty at once.

        Raises:
            ServiceUnavailableError: an outage with `on_error="raise"`.
        """
        self._conversation().clear()

    @override
    async def aclear(self) -> None:
        """The async twin of `clear`."""
        await (await self._aconversation()).aclear()

    def finish(self, wait: bool | float = False) -> SessionInfo | None:
        """Ends the conversation and has memories made of it; see `Conversation.finish`."""
        return self._conversation().finish(wait)

    async def afinish(self, wait: bool | float = False) -> SessionInfo | None:
        """The async twin of `finish`."""
        return await (await self._aconversation()).afinish(wait)

    @override
    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._identity.user_id!r}, {self._identity.thread_id!r})"

    @property
    def _identity(self) -> Identity:
        return self._binding.identity()

    def _conversation(self) -> Conversation:
        return run(self._own.opening(self._binding))

    async def _aconversation(self) -> Conversation:
        return await arun(self._own.opening(self._binding))

    def _told(self, stored: Sequence[Message]) -> list[BaseMessage]:
        times: Counter[tuple[str, str]] = Counter()
        told: list[BaseMessage] = []
        for message in stored:
            said = (message.role, message.content)
            times[said] += 1
            name = "\x1f".join(
                (self._identity.user_id, str(self._identity.thread_id), *said, str(times[said]))
            )
            told.append(to_langchain(message, id=f"{_OURS}{uuid5(NAMESPACE_OID, name)}"))
        return told


def _new(messages: Sequence[BaseMessage]) -> list[Message]:
    """What is to be stored of messages that a framework hands over after a run.

    Agents hand over the whole history: what stands before a message that was read from here is known. They
    also hand over the question twice, as it was given and with the id that they gave it.
    """
    known = [place for place, one in enumerate(messages) if (one.id or "").startswith(_OURS)]
    new: list[Message] = []
    for native in messages[known[-1] + 1 if known else 0 :]:
        message = from_langchain(native)
        if message is None:
            continue
        last = new[-1] if new else None
        if last is not None and last.id is None and message.id is not None and _same(last, message):
            new.pop()
        new.append(message)
    return list(map(versioned, new))


def _same(first: Message, second: Message) -> bool:
    return (first.role, first.content) == (second.role, second.content)

"""The contract of an outbox, and the values it keeps."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import inf
from typing import Any, Literal, TypeAlias

from recallrai_integrations.errors import OutboxError
from recallrai_integrations.messages import Message, fingerprint

__all__ = [
    "ClaimLostError",
    "ConversationKey",
    "Figures",
    "Outbox",
    "OutboxEntry",
    "Request",
    "SessionCursor",
    "Unconfirmed",
    "on_a_loop",
]


@dataclass(frozen=True, slots=True)
class ConversationKey:
    """Which conversation a message belongs to, and how its session is opened.

    Args:
        key: unique for the conversation within a project: the same for all processes that know the thread,
            random for a conversation without one.
        user_id: the application's id of the user.
        thread_id: the application's id of the thread, or None.
        metadata: for the session, as the application gave it (after redaction).
        auto_process_after_seconds: for the session.
    """

    key: str
    user_id: str
    thread_id: str | None
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any], hash=False, compare=False)
    auto_process_after_seconds: int = field(default=600, hash=False, compare=False)


Request: TypeAlias = Literal["process", "clear"]
"""What can wait beside messages: to process the session, or to end the history of the thread."""


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """Something to deliver: a message, or a request to process or to clear.

    Args:
        seq: grows within a conversation; deliveries follow it. Below 0 for a copy that was never put.
        message: its `created_at` is when it was recorded, unless the application said when it was said. None
            for a request.
        recorded_at: timezone-aware.
        kind: what it is.
    """

    seq: int
    message: Message | None
    recorded_at: datetime
    kind: Literal["message"] | Request = "message"

    def __post_init__(self) -> None:
        said = self.message
        if said is not None and said.created_at is None:
            stamped = Message(said.role, said.content, said.id, self.recorded_at)
            object.__setattr__(self, "message", stamped)


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """A message that was sent, and of which no answer was seen.

    Args:
        entry: the message.
        settled_at: from when on it can no longer take effect, by the monotonic clock of the machine, which
            all its processes share; infinite when that clock started anew since.
    """

    entry: OutboxEntry
    settled_at: float


@dataclass(slots=True)
class SessionCursor:
    """Where in the service a conversation stands, as far as is known.

    Args:
        session_id: the session that takes the next message; None before it is found or opened.
        stored: how many messages the session held when this knowledge of it begins; None for a session that
            was found and has not been counted.
        sent: how often each message, by its fingerprint, was stored since then.
        delivered: `seq` of the entry that was stored last.
        unconfirmed: the message that was sent last and of which no answer was seen.
        opening: from when on a request to open a session, of which no answer was seen, can no longer take
            effect; None when there is none. The clock is that of `Unconfirmed.settled_at`.
        unreconciled: this process opened the session, and another may have opened one at the same time.
        target: while the session's messages move to an older one: where that stands.
    """

    session_id: str | None = None
    stored: int | None = None
    sent: Counter[str] = field(default_factory=Counter[str])
    delivered: int = 0
    unconfirmed: Unconfirmed | None = None
    opening: float | None = None
    unreconciled: bool = False
    target: SessionCursor | None = None

    @property
    def length(self) -> int:
        """How many messages the session holds at least."""
        return (self.stored or 0) + self.sent.total()

    def enter(self, session_id: str, *, stored: int | None, unreconciled: bool = False) -> None:
        """Takes a session that was opened (`stored=0`), counted, or found (`stored=None`)."""
        self.leave()
        self.session_id, self.stored, self.unreconciled = session_id, stored, unreconciled

    def leave(self) -> None:
        """The session takes no more messages; the next one opens another."""
        self.session_id, self.stored, self.unconfirmed, self.opening = None, None, None, None
        self.unreconciled, self.target = False, None
        self.sent.clear()

    def acknowledge(self, entry: OutboxEntry) -> None:
        """Records that the service has stored an entry's message."""
        self.delivered = entry.seq  # first: interrupted after it, no other step can have it sent again
        if entry.message is not None:
            self.sent[fingerprint(entry.message)] += 1
        self.unconfirmed = None

    def counted(self, total: int) -> None:
        """The session was read: it holds `total` messages, and knowledge begins anew here."""
        self.stored = total
        self.sent.clear()

    def clock_started_anew(self, head: OutboxEntry | None) -> None:
        """The machine was started again: what was sent last, and how long ago, is not known any more.

        Args:
            head: what is delivered next; it may have been sent already.
        """
        if self.stored is not None and head is not None and head.message is not None:  # else none was sent
            self.unconfirmed = Unconfirmed(head, inf)
        if self.target is not None and self.target.unconfirmed is not None:
            self.target.unconfirmed = Unconfirmed(self.target.unconfirmed.entry, inf)
        if self.opening is not None:
            self.opening = inf


class ClaimLostError(OutboxError):
    """The conversation was taken over, since its claim had run out: nothing may be sent for it."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What to watch of an outbox.

    Args:
        waiting: messages and requests that wait for the project.
        oldest_seconds: how long the oldest of them has waited; 0 when none waits.
        claims: conversations that are being delivered, by all who share the outbox; None where that is not
            counted.
    """

    waiting: int = 0
    oldest_seconds: float = 0.0
    claims: int | None = None


class Outbox(ABC):
    """Keeps messages from the moment they are recorded until the service has acknowledged them.

    Methods may be called from any thread. They never talk to the service. Whoever delivers a conversation
    holds its claim; within one process the conversation's lock is held as well.
    """

    blocking: bool
    """Whether calls may touch a disk or the network, so that they are kept off an event loop."""
    poll_seconds: float | None = None
    """How often to look for what other processes left behind, `due`; None where that is not needed."""

    @abstractmethod
    def put(self, key: ConversationKey, items: Sequence[Message | Request]) -> list[OutboxEntry]:
        """Takes messages and requests to process or to clear, in order, all or none.

        Messages whose id the conversation has had already are passed over.

        Returns:
            What was taken.

        Raises:
            OutboxFullError: more would wait than the limit allows; nothing was taken.
            OutboxError: the file cannot be written.
        """

    @abstractmethod
    def claim(self, key: ConversationKey, cursor: SessionCursor) -> SessionCursor | None:
        """The right to deliver this conversation; None while another process has it.

        Args:
            key: the conversation.
            cursor: what this process last knew.

        Returns:
            Where the conversation stands, as the last one who delivered it left it, or wrote down before it
            died.
        """

    @abstractmethod
    def cursor(self, key: ConversationKey, cursor: SessionCursor) -> SessionCursor:
        """Where the conversation stands, for looking only: as it was kept last, or as this process knows it.

        Args:
            key: the conversation.
            cursor: what this process last knew.
        """

    @abstractmethod
    def keep(self, key: ConversationKey, cursor: SessionCursor, *, synced: bool = True) -> None:
        """Writes down where the conversation stands, before a request leaves that changes it.

        Args:
            key: the conversation.
            cursor: where it stands.
            synced: whether it survives a loss of power, and not only the end of the process.

        Raises:
            ClaimLostError: another process has taken the conversation over; the request must not leave.
            OutboxError: it cannot be written; the same.
        """

    @abstractmethod
    def holds(self, key: ConversationKey, waiting: OutboxEntry) -> bool:
        """Whether it still waits: False once it was delivered, withdrawn or purged."""

    @abstractmethod
    def next(self, key: ConversationKey) -> OutboxEntry | None:
        """The next to deliver; None also when the claim has been lost."""

    @abstractmethod
    def done(self, key: ConversationKey, waiting: OutboxEntry, cursor: SessionCursor) -> None:
        """It is delivered: forget it, keep its id.

        Raises:
            OutboxError: the file cannot be written; the message still waits, and is unconfirmed there.
        """

    @abstractmethod
    def reject(self, key: ConversationKey, waiting: OutboxEntry, reason: str) -> None:
        """The service will never take it: out of the queue, so that later ones still go."""

    @abstractmethod
    def withdraw(self, key: ConversationKey, taken: Iterable[OutboxEntry]) -> None:
        """Gives messages back to the caller: neither they nor their ids are known any more."""

    @abstractmethod
    def release(self, key: ConversationKey, cursor: SessionCursor) -> None:
        """Ends a claim."""

    @abstractmethod
    def waiting(self, key: ConversationKey) -> list[OutboxEntry]:
        """All that waits for this conversation, in order."""

    @abstractmethod
    def keys(self, *, user_id: str | None = None) -> list[ConversationKey]:
        """The conversations for which something waits; of a user, all that are known."""

    def due(self) -> list[ConversationKey]:
        """The conversations to deliver when none is asked for; the first of them where they are many."""
        return self.keys()

    @abstractmethod
    def figures(self) -> Figures:
        """What to watch; costs the same however much waits."""

    @abstractmethod
    def is_empty(self, key: ConversationKey) -> bool:
        """Whether nothing waits for this conversation; costs the same however much waits."""

    @abstractmethod
    def last(self, key: ConversationKey) -> OutboxEntry | None:
        """The newest entry of this conversation; costs the same however much waits."""

    @abstractmethod
    def count(self, key: ConversationKey | None = None) -> int:
        """How many wait for a conversation, counted without reading them; None: in all, which is kept."""

    @abstractmethod
    def purge(self, key: ConversationKey) -> int:
        """Drops what waits for a conversation and what is known of it; says how many that were.

        The ids of its messages stay known, so that none of them is taken again.
        """

    @abstractmethod
    def erase(self) -> tuple[str, ...]:
        """Takes the texts of what was purged out of the files.

        Returns:
            Where some remain: files that another program reads, or a database whose pages, log and backups
            are its server's affair. None where all are gone.
        """

    @abstractmethod
    def after_fork(self) -> None:
        """In the child of a fork: what waits in memory is the parent's to deliver."""

    @abstractmethod
    def close(self) -> None:
        """Ends the use of the outbox; what waits in a file stays there."""


def on_a_loop() -> bool:
    """Whether an event loop runs on this thread, which must not wait for a disk or a network."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True

"""The contract of an outbox, and the values it keeps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from recallrai_integrations.messages import Message, fingerprint

__all__ = ["ConversationKey", "Outbox", "OutboxEntry", "SessionCursor"]


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


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """Something to deliver: a message, or (`message` None) the wish to process the session, or to clear.

    Args:
        seq: grows within a conversation; deliveries follow it. Below 0 for a copy that was never put.
        message: its `created_at` is when it was recorded, unless the application said when it was said.
        recorded_at: timezone-aware.
        clears: with no message, the wish is to end the history of the thread.
    """

    seq: int
    message: Message | None
    recorded_at: datetime
    clears: bool = False

    def __post_init__(self) -> None:
        said = self.message
        if said is not None and said.created_at is None:
            stamped = Message(said.role, said.content, said.id, self.recorded_at)
            object.__setattr__(self, "message", stamped)


@dataclass(slots=True)
class SessionCursor:
    """Where in the service a conversation stands, as far as is known.

    Args:
        session_id: the session that takes the next message; None before it is found or opened.
        stored: how many messages the session held when this knowledge of it begins; None for a session that
            was found and has not been counted.
        since: when it was found or opened.
        sent: how often each message, by its fingerprint, was stored since then.
        doubt: the message that was sent last and of which no answer was seen.
        unsettled: this process opened the session, and another may have opened one at the same time.
        target: while the session's messages move to an older one: where that stands.
        moved: how many have moved.
    """

    session_id: str | None = None
    stored: int | None = None
    since: datetime | None = None
    sent: Counter[str] = field(default_factory=Counter[str])
    unconfirmed: OutboxEntry | None = None
    unreconciled: bool = False
    target: SessionCursor | None = None
    moved: int = 0

    def enter(
        self, session_id: str, *, stored: int | None, now: datetime, unreconciled: bool = False
    ) -> None:
        """Takes a session that was opened (`stored=0`), counted, or found (`stored=None`)."""
        self.leave()
        self.session_id, self.stored, self.since, self.unreconciled = session_id, stored, now, unreconciled

    def leave(self) -> None:
        """The session takes no more messages; the next one opens another."""
        self.session_id, self.stored, self.since, self.unconfirmed = None, None, None, None
        self.unreconciled, self.target, self.moved = False, None, 0
        self.sent.clear()

    def note(self, message: Message) -> None:
        """A message is known to be stored."""
        self.unconfirmed = None
        self.sent[fingerprint(message)] += 1

    def mark_unconfirmed(self, waiting: OutboxEntry) -> None:
        """A message was noted as stored and still waits: whoever delivers it next has to find it first."""
        if waiting.message is not None:
            self.unconfirmed = waiting
            self.sent[fingerprint(waiting.message)] -= 1

    def counted(self, total: int) -> None:
        """The session was read: it holds `total` messages, and knowledge begins anew here."""
        self.stored = total
        self.sent.clear()


class Outbox(ABC):
    """Keeps messages from the moment they are recorded until the service has acknowledged them.

    Methods may be called from any thread. They never talk to the service. Whoever delivers a conversation
    holds its claim; within one process the conversation's lock is held as well.
    """

    blocking: bool
    """Whether calls may touch a disk, so that they are kept off an event loop."""

    @abstractmethod
    def put(
        self, key: ConversationKey, messages: Sequence[Message | None], *, clears: bool = False
    ) -> list[OutboxEntry]:
        """Takes messages (None: the wish to process, or with `clears` to clear), in order, all or none.

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
            Where the conversation stands, as the last one who delivered it left it. When that one died on
            the way, or could not write to the file, the message that comes next is in doubt.
        """

    @abstractmethod
    def cursor(self, key: ConversationKey, cursor: SessionCursor) -> SessionCursor:
        """Where the conversation stands, for looking only: as it was left last, or as this process knows it.

        While another process has the claim, the message that comes next is in doubt: it may be on its way.

        Args:
            key: the conversation.
            cursor: what this process last knew.
        """

    @abstractmethod
    def keep(self, key: ConversationKey, cursor: SessionCursor) -> None:
        """Remembers where the conversation stands before something is sent that nobody could find again."""

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
            OutboxError: the file cannot be written; the message still waits, and is in doubt.
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
            The files in which some remain, because another program reads them; none where all are gone.
        """

    @abstractmethod
    def after_fork(self) -> None:
        """In the child of a fork: what waits in memory is the parent's to deliver."""

    @abstractmethod
    def close(self) -> None:
        """Ends the use of the outbox; what waits in a file stays there."""

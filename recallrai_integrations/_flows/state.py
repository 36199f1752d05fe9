"""What a process knows of one conversation."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from itertools import count
from typing import Any, Protocol, TypeVar

from recallrai_integrations.errors import (
    OutboxUnavailableError,
    RequestRejectedError,
    ServiceUnavailableError,
)
from recallrai_integrations.messages import Message, fingerprint
from recallrai_integrations.models import ContextAnswer
from recallrai_integrations.options import DeliveryOptions
from recallrai_integrations.outbox import ConversationKey, Outbox, OutboxEntry, SessionCursor

from . import rules
from .locks import ConversationLock
from .ops import Call, Flow

__all__ = ["Deliverer", "State", "nothing_waits", "now", "outbox_call", "what_waits"]

T = TypeVar("T")

_REDACTIONS_KEPT = 1000


class Deliverer(Protocol):
    """The background delivery, as far as flows use it."""

    def wake(self, state: State) -> None:
        """Starts delivery of a conversation in the background.

        Raises:
            CredentialsError: the service has refused the credentials since the last such error.
        """
        ...

    def make_room(self, state: State) -> bool:
        """Wakes delivery; returns False if the last background delivery failed."""
        ...


@dataclass(eq=False)
class State:
    """What this process knows of one conversation. Guarded by the conversation's lock.

    Args:
        key: identifies the conversation.
        outbox: keeps its pending messages.
        delivery: the connection's options.
        settling_time: seconds after which a request without an answer can no longer take effect.
        lock: held during delivery.
        cursor: the session and what of it is known.
        known: the latest messages seen, for `history()` during an outage.
        opened: the sessions of a conversation without a thread, which cannot be found otherwise.
        turns: number of runs that ended, for `process="every_n_turns"`.
        failed_at: when the service last failed, by the monotonic clock.
        claimed_elsewhere: another process held the claim for all the time that it was waited for; it is not
            waited for again before it was free.
        recalls: counts recalls, in the order in which they begin.
        last_answer: the memories of the latest answered recall, for `on_deadline="stale"`.
        last_answered: the number of that recall; late answers to earlier recalls are dropped.
        stored_as: texts that a `redact` hook changed, by the fingerprints of the messages as they were.
        rejected: refusals by the service that no caller has seen yet.
        observe: called with each event, which has figures and no text.
        deliverer: delivers with `mode="background"`.
    """

    key: ConversationKey
    outbox: Outbox
    delivery: DeliveryOptions
    settling_time: float = 0.0
    lock: ConversationLock = field(default_factory=ConversationLock)
    cursor: SessionCursor = field(default_factory=SessionCursor)
    known: deque[Message] = field(default_factory=lambda: deque[Message](maxlen=1000))
    opened: list[str] = field(default_factory=list[str])
    turns: int = 0
    failed_at: float | None = None
    claimed_elsewhere: bool = False
    recalls: Iterator[int] = field(default_factory=count)
    last_answer: ContextAnswer | None = None
    last_answered: int = -1
    stored_as: dict[str, str] = field(default_factory=dict[str, str])
    rejected: list[RequestRejectedError] = field(default_factory=list[RequestRejectedError])
    observe: Callable[[ConversationKey, str, dict[str, Any]], None] | None = None
    deliverer: Deliverer | None = None

    @property
    def user_id(self) -> str:
        """The application's id of the user."""
        return self.key.user_id

    @property
    def thread_filter(self) -> dict[str, Any]:
        """The metadata by which the sessions of this thread are found."""
        return {rules.THREAD_KEY: self.key.thread_id}

    @property
    def marks(self) -> dict[str, Any]:
        """This package's marks of a new session, by which a session without a thread is found."""
        return {} if self.key.thread_id is not None else {rules.CONVERSATION_MARK: self.key.key}

    @property
    def session_filter(self) -> dict[str, Any]:
        """The metadata by which the sessions of this conversation are found, with or without a thread."""
        return {rules.OWN_KEY: self.marks} if self.key.thread_id is None else self.thread_filter

    def forget(self) -> None:
        """Drops all knowledge of the conversation; results that are still on their way are dropped too."""
        self.cursor = SessionCursor()
        self.known.clear()
        self.opened.clear()
        self.rejected.clear()
        self.stored_as.clear()
        self.last_answer, self.failed_at = None, None
        self.last_answered = next(self.recalls)

    def keep_answer(self, answer: ContextAnswer | None, recall: int) -> None:
        """Keeps the answer to a recall, unless a later one was answered or the conversation forgotten."""
        if recall >= self.last_answered:
            self.last_answer, self.last_answered = answer, recall

    def keep_stored_as(self, message: Message, stored: Message) -> None:
        """Keeps the redacted form of a message, for the latest messages that `redact` changed."""
        if stored.content != message.content:
            self.stored_as[fingerprint(message)] = stored.content
            if len(self.stored_as) > _REDACTIONS_KEPT:
                del self.stored_as[next(iter(self.stored_as))]

    def emit(self, kind: str, **detail: Any) -> None:
        """Reports an event to the connection."""
        if self.observe is not None:
            self.observe(self.key, kind, detail)

    def after_fork(self, deliverer: Deliverer) -> None:
        """Replaces the lock and the delivery, whose threads exist only in the parent."""
        self.lock, self.deliverer = ConversationLock(), deliverer

    def raise_rejected(self) -> None:
        """Raises an error for the messages that the service has rejected since the last call.

        Raises:
            RequestRejectedError: the first refusal, with the number of the others.
        """
        if not self.rejected:
            return
        first, others = self.rejected[0], len(self.rejected) - 1
        self.rejected.clear()
        if others:
            raise RequestRejectedError(
                f"{first} {others} more refused as well.", status=first.status
            ) from first
        raise first

    def emit_outage(self, error: ServiceUnavailableError) -> None:
        """Reports that an operation continues without the service."""
        of_outbox = isinstance(error, OutboxUnavailableError)  # which has reported it itself
        self.emit("degraded", status=error.status, error=str(error), of_outbox=of_outbox)


def outbox_call(state: State, call: Callable[[], T]) -> Flow[T]:
    """Calls the outbox, off the event loop if it uses a file."""
    if state.outbox.blocking:
        return (yield from Call(call, blocking=True))
    return call()


def what_waits(state: State) -> Flow[list[OutboxEntry]]:
    """Returns all pending entries of this conversation, in order."""
    return (yield from outbox_call(state, lambda: state.outbox.waiting(state.key)))


def nothing_waits(state: State) -> Flow[bool]:
    """Returns whether this conversation has no pending entries, without reading them."""
    return (yield from outbox_call(state, lambda: state.outbox.is_empty(state.key)))


def now() -> datetime:
    """Returns the time, timezone-aware."""
    return datetime.now(timezone.utc)

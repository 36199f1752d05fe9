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
from .ops import Call, Flow
from .turns import Turns

__all__ = ["Deliverer", "State", "nothing_waits", "now", "outbox_call", "what_waits"]

T = TypeVar("T")

_REDACTIONS_KEPT = 1000


class Deliverer(Protocol):
    """Who delivers with `mode="background"`, as far as flows need them."""

    def wake(self, state: State) -> None:
        """Has a worker deliver what waits for a conversation.

        Raises:
            CredentialsError: the service refused the credentials since that was told last.
        """
        ...

    def make_room(self, state: State) -> bool:
        """`wake`; says whether what workers deliver gets through."""
        ...


@dataclass(eq=False)
class State:
    """What this process knows of one conversation. Guarded by the conversation's lock.

    Args:
        key: which conversation it is.
        outbox: where its messages wait.
        delivery: how they are delivered.
        settling_time: seconds after which a request without an answer can no longer take effect.
        lock: held by whoever delivers.
        cursor: where the conversation stands in the service.
        known: the latest messages seen, for `history()` in an outage.
        opened: the sessions of a conversation without a thread: nothing else leads to them.
        turns: runs that ended, for `process="every_n_turns"`.
        failed_at: when the service last failed, by the monotonic clock.
        claimed_elsewhere: another process held the claim for all the time that it was waited for; it is not
            waited for again before it was free.
        recalls: numbers them, in the order in which they begin.
        last_answer: the memories of the latest recall that was answered, for `on_deadline="stale"`.
        last_answered: its number; what comes late for an earlier one is not kept.
        stored_as: texts that a `redact` hook changed, by the fingerprints of the messages as they were.
        rejected: refusals by the service that have not been told to the caller yet.
        observe: told what happened, with figures and no text.
        deliverer: delivers with `mode="background"`.
    """

    key: ConversationKey
    outbox: Outbox
    delivery: DeliveryOptions
    settling_time: float = 0.0
    lock: Turns = field(default_factory=Turns)
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
        """Our own marks of a new session; that of a conversation without a thread is found by them."""
        return {} if self.key.thread_id is not None else {rules.CONVERSATION_MARK: self.key.key}

    @property
    def session_filter(self) -> dict[str, Any]:
        """The metadata by which the sessions of this conversation are found, with or without a thread."""
        return {rules.OWN_KEY: self.marks} if self.key.thread_id is None else self.thread_filter

    def forget(self) -> None:
        """Knows nothing of the conversation any more; what is still under way for it is not kept."""
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
        """Keeps what became of a message on its way out, of the latest ones that changed."""
        if stored.content != message.content:
            self.stored_as[fingerprint(message)] = stored.content
            if len(self.stored_as) > _REDACTIONS_KEPT:
                del self.stored_as[next(iter(self.stored_as))]

    def emit(self, kind: str, **detail: Any) -> None:
        """Tells the connection what happened."""
        if self.observe is not None:
            self.observe(self.key, kind, detail)

    def after_fork(self, deliverer: Deliverer) -> None:
        """Drops what belongs to threads of the parent."""
        self.lock, self.deliverer = Turns(), deliverer

    def raise_rejected(self) -> None:
        """Tells the caller what the service has refused since it was told last.

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
        """Tells that an operation goes on without the service."""
        of_outbox = isinstance(error, OutboxUnavailableError)  # which has told of it itself
        self.emit("degraded", status=error.status, error=str(error), of_outbox=of_outbox)


def outbox_call(state: State, call: Callable[[], T]) -> Flow[T]:
    """A step in the outbox, kept off the event loop when it may touch a disk."""
    if state.outbox.blocking:
        return (yield from Call(call, blocking=True))
    return call()


def what_waits(state: State) -> Flow[list[OutboxEntry]]:
    """All that waits for this conversation, in order."""
    return (yield from outbox_call(state, lambda: state.outbox.waiting(state.key)))


def nothing_waits(state: State) -> Flow[bool]:
    """Whether nothing waits for this conversation, found out without reading what does."""
    return (yield from outbox_call(state, lambda: state.outbox.is_empty(state.key)))


def now() -> datetime:
    """The time, timezone-aware."""
    return datetime.now(timezone.utc)

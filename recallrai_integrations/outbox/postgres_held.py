"""What a process holds while the server of its outbox cannot be reached."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import Final

from recallrai_integrations.errors import OutboxFullError
from recallrai_integrations.messages import Message

from .base import ConversationKey, OutboxEntry, Request

__all__ = ["Held", "entry"]

_FIRST: Final = 2**62
"""From here on entries are numbered that the database has not numbered yet."""

Put = Callable[[ConversationKey, Sequence[Message | Request], list[bytes]], object]


class Held:
    """Messages and requests, in the order in which they came; whoever uses it holds its lock.

    Args:
        limit: most of them.
    """

    def __init__(self, limit: int) -> None:
        self.lock = threading.RLock()
        self._limit = limit
        self._batches: deque[tuple[ConversationKey, list[Message | Request], list[bytes]]] = deque()

    def __bool__(self) -> bool:
        return bool(self._batches)

    def add(
        self, key: ConversationKey, items: Sequence[Message | Request], ids: list[bytes]
    ) -> list[OutboxEntry]:
        """Takes them, but for those whose id is held already.

        Raises:
            OutboxFullError: there is no room; none was taken.
        """
        with self.lock:
            now = datetime.now(timezone.utc)
            known = {one for other, _, some in self._batches if other == key for one in some}
            fresh: dict[bytes, Message | Request] = {}
            fresh.update((one, item) for one, item in zip(ids, items, strict=True) if one not in known)
            if self.count() + len(fresh) > self._limit:
                raise OutboxFullError(
                    f"{self.count()} messages wait in this process already, since the outbox cannot be "
                    f"reached (outbox_limit={self._limit}); the new ones were not taken."
                )
            stamped: list[Message | Request] = [_stamped(one, now) for one in fresh.values()]
            if stamped:
                self._batches.append((key, stamped, list(fresh)))
            return [entry(_FIRST + number, one, now) for number, one in enumerate(stamped)]

    def hand_over(self, put: Put) -> None:
        """Has all of it put elsewhere, in order; what `put` raises ends it, and the rest stays."""
        with self.lock:
            while self._batches:
                put(*self._batches[0])
                self._batches.popleft()

    def drop(self, key: ConversationKey) -> int:
        """Drops what is held for a conversation; says how many that were."""
        with self.lock:
            dropped = self.count(key)
            self._batches = deque(one for one in self._batches if one[0] != key)
            return dropped

    def last(self, key: ConversationKey) -> OutboxEntry | None:
        """The newest that is held for a conversation."""
        with self.lock:
            found: list[Message | Request] = [items[-1] for other, items, _ in self._batches if other == key]
            return entry(_FIRST, found[-1], datetime.now(timezone.utc)) if found else None

    def count(self, key: ConversationKey | None = None) -> int:
        """How many are held, for a conversation or in all."""
        with self.lock:
            return sum(len(items) for other, items, _ in self._batches if key in {None, other})


def entry(seq: int, item: Message | Request, recorded_at: datetime) -> OutboxEntry:
    """What was put, under the number that it got."""
    if isinstance(item, Message):
        return OutboxEntry(seq, item, recorded_at)
    return OutboxEntry(seq, None, recorded_at, item)


def _stamped(item: Message | Request, now: datetime) -> Message | Request:
    return replace(item, created_at=item.created_at or now) if isinstance(item, Message) else item

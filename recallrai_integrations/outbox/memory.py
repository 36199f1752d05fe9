"""An outbox in memory: what waits is gone with the process."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from itertools import count

from typing_extensions import override

from recallrai_integrations.errors import OutboxFullError
from recallrai_integrations.messages import Message

from .base import ConversationKey, Figures, Outbox, OutboxEntry, Request, SessionCursor

__all__ = ["MemoryOutbox"]

_IDS_PER_CONVERSATION = 10_000
_CONVERSATIONS_WITH_IDS = 10_000


class MemoryOutbox(Outbox):
    """Keeps what waits in queues of this process, one for each conversation.

    Args:
        limit: most messages that may wait in all.
    """

    blocking = False

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._queues: dict[ConversationKey, deque[OutboxEntry]] = {}
        self._ids: dict[ConversationKey, dict[str, None]] = {}
        self._numbers = count(1)
        self._count = 0

    @override
    def put(self, key: ConversationKey, items: Sequence[Message | Request]) -> list[OutboxEntry]:
        now = datetime.now(timezone.utc)
        with self._lock:
            ids = self._ids.get(key, {})
            new_ids: dict[str, None] = {}
            fresh: list[Message | Request] = []
            for item in items:
                if isinstance(item, Message) and item.id is not None:
                    if item.id in ids or item.id in new_ids:
                        continue
                    new_ids[item.id] = None
                fresh.append(item)
            if self._count + len(fresh) > self._limit:
                raise OutboxFullError(
                    f"The outbox in memory is full: it holds outbox_limit={self._limit} messages. "
                    "The new ones were not accepted."
                )
            if new_ids:
                kept = self._ids[key] = self._ids.pop(key, {})  # the latest used last
                while len(self._ids) > _CONVERSATIONS_WITH_IDS:
                    del self._ids[next(iter(self._ids))]
                kept.update(new_ids)
                while len(kept) > _IDS_PER_CONVERSATION:
                    del kept[next(iter(kept))]
            taken = [
                OutboxEntry(next(self._numbers), item, now)
                if isinstance(item, Message)
                else OutboxEntry(next(self._numbers), None, now, item)
                for item in fresh
            ]
            if taken:
                self._queues.setdefault(key, deque()).extend(taken)
                self._count += len(taken)
            return taken

    @override
    def claim(self, key: ConversationKey, cursor: SessionCursor) -> SessionCursor:
        return cursor

    @override
    def cursor(self, key: ConversationKey, cursor: SessionCursor) -> SessionCursor:
        return cursor

    @override
    def keep(self, key: ConversationKey, cursor: SessionCursor, *, synced: bool = True) -> None:
        pass

    @override
    def holds(self, key: ConversationKey, waiting: OutboxEntry) -> bool:
        with self._lock:
            return any(one.seq == waiting.seq for one in self._queues.get(key, ()))

    @override
    def next(self, key: ConversationKey) -> OutboxEntry | None:
        with self._lock:
            queue = self._queues.get(key)
            return queue[0] if queue else None

    @override
    def done(self, key: ConversationKey, waiting: OutboxEntry, cursor: SessionCursor) -> None:
        self._drop(key, {waiting.seq})

    @override
    def reject(self, key: ConversationKey, waiting: OutboxEntry, reason: str) -> None:
        self._drop(key, {waiting.seq})

    @override
    def withdraw(self, key: ConversationKey, taken: Iterable[OutboxEntry]) -> None:
        taken = list(taken)
        for waiting in self._drop(key, {one.seq for one in taken}):
            if waiting.message is not None and waiting.message.id is not None:
                with self._lock:
                    self._ids.get(key, {}).pop(waiting.message.id, None)

    @override
    def release(self, key: ConversationKey, cursor: SessionCursor) -> None:
        pass

    @override
    def waiting(self, key: ConversationKey) -> list[OutboxEntry]:
        with self._lock:
            return list(self._queues.get(key, ()))

    @override
    def keys(self, *, user_id: str | None = None) -> list[ConversationKey]:
        with self._lock:
            if user_id is None:
                return list(self._queues)
            return [one for one in {**self._queues, **self._ids} if one.user_id == user_id]

    @override
    def is_empty(self, key: ConversationKey) -> bool:
        return self.count(key) == 0

    @override
    def last(self, key: ConversationKey) -> OutboxEntry | None:
        with self._lock:
            queue = self._queues.get(key)
            return queue[-1] if queue else None

    @override
    def count(self, key: ConversationKey | None = None) -> int:
        with self._lock:
            return self._count if key is None else len(self._queues.get(key, ()))

    @override
    def figures(self) -> Figures:
        now = datetime.now(timezone.utc)
        with self._lock:
            ages = [(now - queue[0].recorded_at).total_seconds() for queue in self._queues.values()]
            return Figures(self._count, max(0.0, *ages, 0.0))

    @override
    def purge(self, key: ConversationKey) -> int:
        with self._lock:
            dropped = len(self._queues.pop(key, ()))
            self._count -= dropped
            return dropped

    @override
    def erase(self) -> tuple[str, ...]:
        return ()

    @override
    def after_fork(self) -> None:
        self._lock = threading.Lock()
        self._queues.clear()
        self._count = 0

    @override
    def close(self) -> None:
        pass

    def _drop(self, key: ConversationKey, seqs: set[int]) -> list[OutboxEntry]:
        with self._lock:
            queue = self._queues.get(key)
            if queue is None:
                return []
            if {queue[0].seq} == seqs:  # a delivery, which looks at no other entry
                dropped = [queue.popleft()]
            else:
                dropped = [one for one in queue if one.seq in seqs]
                self._queues[key] = queue = deque(one for one in queue if one.seq not in seqs)
            if not queue:
                del self._queues[key]
            self._count -= len(dropped)
            return dropped

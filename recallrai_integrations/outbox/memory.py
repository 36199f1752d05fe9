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

from .base import Address, Outbox, Place, Waiting

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
        self._queues: dict[Address, deque[Waiting]] = {}
        self._ids: dict[Address, dict[str, None]] = {}
        self._numbers = count(1)
        self._count = 0

    @override
    def put(
        self, address: Address, messages: Sequence[Message | None], *, clears: bool = False
    ) -> list[Waiting]:
        now = datetime.now(timezone.utc)
        with self._lock:
            ids = self._ids.get(address, {})
            new_ids: dict[str, None] = {}
            fresh: list[Message | None] = []
            for message in messages:
                if message is not None and message.id is not None:
                    if message.id in ids or message.id in new_ids:
                        continue
                    new_ids[message.id] = None
                fresh.append(message)
            if self._count + len(fresh) > self._limit:
                raise OutboxFullError(
                    f"{self._count} messages wait for RecallrAI already (outbox_limit={self._limit}); "
                    "the new ones were not taken."
                )
            if new_ids:
                kept = self._ids[address] = self._ids.pop(address, {})  # the latest used last
                while len(self._ids) > _CONVERSATIONS_WITH_IDS:
                    del self._ids[next(iter(self._ids))]
                kept.update(new_ids)
                while len(kept) > _IDS_PER_CONVERSATION:
                    del kept[next(iter(kept))]
            taken = [
                Waiting(next(self._numbers), message, now, clears and message is None) for message in fresh
            ]
            if taken:
                self._queues.setdefault(address, deque()).extend(taken)
                self._count += len(taken)
            return taken

    @override
    def claim(self, address: Address, place: Place) -> Place:
        return place

    @override
    def place(self, address: Address, place: Place) -> Place:
        return place

    @override
    def keep(self, address: Address, place: Place) -> None:
        pass

    @override
    def holds(self, address: Address, waiting: Waiting) -> bool:
        with self._lock:
            return any(one.seq == waiting.seq for one in self._queues.get(address, ()))

    @override
    def next(self, address: Address) -> Waiting | None:
        with self._lock:
            queue = self._queues.get(address)
            return queue[0] if queue else None

    @override
    def done(self, address: Address, waiting: Waiting, place: Place) -> None:
        self._drop(address, {waiting.seq})

    @override
    def reject(self, address: Address, waiting: Waiting, reason: str) -> None:
        self._drop(address, {waiting.seq})

    @override
    def withdraw(self, address: Address, taken: Iterable[Waiting]) -> None:
        taken = list(taken)
        for waiting in self._drop(address, {one.seq for one in taken}):
            if waiting.message is not None and waiting.message.id is not None:
                with self._lock:
                    self._ids.get(address, {}).pop(waiting.message.id, None)

    @override
    def release(self, address: Address, place: Place) -> None:
        pass

    @override
    def waiting(self, address: Address) -> list[Waiting]:
        with self._lock:
            return list(self._queues.get(address, ()))

    @override
    def addresses(self, *, user_id: str | None = None) -> list[Address]:
        with self._lock:
            if user_id is None:
                return list(self._queues)
            return [one for one in {**self._queues, **self._ids} if one.user_id == user_id]

    @override
    def count(self) -> int:
        return self._count

    @override
    def purge(self, address: Address) -> int:
        with self._lock:
            dropped = len(self._queues.pop(address, ()))
            self._count -= dropped
            return dropped

    @override
    def go_on_in_a_fork(self) -> None:
        self._lock = threading.Lock()
        self._queues.clear()
        self._count = 0

    @override
    def close(self) -> None:
        pass

    def _drop(self, address: Address, seqs: set[int]) -> list[Waiting]:
        with self._lock:
            queue = self._queues.get(address)
            if queue is None:
                return []
            dropped = [one for one in queue if one.seq in seqs]
            if queue and dropped == [queue[0]]:
                queue.popleft()
            else:
                self._queues[address] = queue = deque(one for one in queue if one.seq not in seqs)
            if not queue:
                del self._queues[address]
            self._count -= len(dropped)
            return dropped

"""Threads and tasks that wait for the lock of a conversation."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Final

from typing_extensions import override

from recallrai_integrations._flows import ConversationLock, Waiter

__all__ = ["TaskWaiter", "ThreadWaiter"]

_LOOK_AGAIN: Final = 1.0
"""Seconds after which a waiter checks whether those before it still run."""


class ThreadWaiter(Waiter):
    """A thread that waits; it always leaves the queue itself."""

    def __init__(self) -> None:
        super().__init__()
        self._woken: SimpleQueue[None] = SimpleQueue()

    @property
    @override
    def is_over(self) -> bool:
        return False

    @override
    def wake(self) -> None:
        self._woken.put(None)

    def wait(self) -> None:
        """Waits until it is woken, or for a moment."""
        with suppress(Empty):
            self._woken.get(timeout=_LOOK_AGAIN)


class TaskWaiter(Waiter):
    """A task that waits; created and entered on the task's own event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        super().__init__(self._loop)
        self._woken = asyncio.Event()
        self._task: asyncio.Task[object] | None = None
        self._lock: ConversationLock | None = None
        self.has_come = False

    @property
    @override
    def is_over(self) -> bool:
        return self._loop.is_closed() or (self._task is not None and self._task.done())

    @override
    def wake(self) -> None:
        with suppress(RuntimeError):  # the loop was closed just now
            self._loop.call_soon_threadsafe(self._woken.set)

    def enter(self, lock: ConversationLock) -> None:
        """Joins the end of the queue, for the running task."""
        self._task = asyncio.current_task()
        self._lock = lock
        lock.enter(self)

    async def come(self) -> None:
        """Waits until it is first."""
        assert self._lock is not None
        while not self._lock.is_first(self):
            self._woken.clear()
            if self._lock.is_first(self):
                break
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._woken.wait(), _LOOK_AGAIN)
        self.has_come = True

"""The lock of a conversation: threads and tasks deliver it one at a time, in the order of their arrival."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from contextlib import suppress
from contextvars import ContextVar

__all__ = ["Caller", "ConversationLock", "Waiter", "caller", "caller_has_left"]


class Caller:
    """The caller of a flow. `left` becomes True when it is cancelled or interrupted; the flow continues."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = False


caller: ContextVar[Caller | None] = ContextVar("recallrai_caller", default=None)


def caller_has_left() -> bool:
    """Returns whether the caller has left, so that nobody receives what the flow returns or raises."""
    waits = caller.get()
    return waits is not None and waits.left


class Waiter(ABC):
    """A thread or a task in the queue of a `ConversationLock`.

    Args:
        loop: the event loop of a task; None for a thread.
    """

    def __init__(self, loop: object | None = None) -> None:
        self.loop = loop

    @property
    @abstractmethod
    def is_over(self) -> bool:
        """Whether the thread or task has ended without leaving the queue."""

    @abstractmethod
    def wake(self) -> None:
        """Makes the thread or task check again whether it is first; called from any thread."""


class ConversationLock:
    """A lock for threads and tasks of any event loop, which outlives those that hold it.

    It is a queue whose first waiter holds the lock. An exception from a signal handler may occur between any
    two steps of an event loop's thread, so waiters that have ended, or whose loop was closed, are removed.
    """

    def __init__(self) -> None:
        self._queue: deque[Waiter] = deque()

    def enter(self, waiter: Waiter) -> None:
        """Joins the end of the queue."""
        self._queue.append(waiter)

    def is_first(self, waiter: Waiter) -> bool:
        """Returns whether the waiter holds the lock."""
        return self._first() is waiter

    def leave(self, waiter: Waiter) -> None:
        """Removes a waiter from any position of the queue, and wakes the next one."""
        with suppress(ValueError):
            self._queue.remove(waiter)
        following = self._first()
        if following is not None:
            following.wake()

    def holds(self, loop: object) -> bool:
        """Returns whether a task of this loop is in the queue."""
        return any(waiter.loop is loop and not waiter.is_over for waiter in tuple(self._queue))

    def _first(self) -> Waiter | None:
        while self._queue:
            with suppress(IndexError, ValueError):  # other threads change the queue meanwhile
                first = self._queue[0]
                if not first.is_over:
                    return first
                self._queue.remove(first)
        return None

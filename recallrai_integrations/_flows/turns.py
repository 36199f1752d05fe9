"""Who may deliver a conversation: one at a time, in the order in which they came."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from contextlib import suppress
from contextvars import ContextVar

__all__ = ["Caller", "Turn", "Turns", "caller", "caller_has_left"]


class Caller:
    """Whoever waits for a flow; `left` once it was cancelled or interrupted, while the flow goes on."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = False


caller: ContextVar[Caller | None] = ContextVar("recallrai_caller", default=None)


def caller_has_left() -> bool:
    """Whether nobody waits for what this flow returns or raises."""
    waits = caller.get()
    return waits is not None and waits.left


class Turn(ABC):
    """A place in the queue for a conversation.

    Args:
        loop: the event loop that goes on only while its thread does; None for a thread.
    """

    def __init__(self, loop: object | None = None) -> None:
        self.loop = loop

    @property
    @abstractmethod
    def is_over(self) -> bool:
        """Whether whoever took the place has ended without giving it back."""

    @abstractmethod
    def wake(self) -> None:
        """Has its owner look again whether it is first; called from any thread."""


class Turns:
    """A lock for threads and tasks of any event loop, which outlives those that hold it.

    It is a queue, and who is first holds it. An exception out of a signal handler may strike between any two
    steps of an event loop's thread: a place whose owner has ended, or whose loop was closed, is passed over.
    """

    def __init__(self) -> None:
        self._queue: deque[Turn] = deque()

    def enter(self, turn: Turn) -> None:
        """Takes the last place."""
        self._queue.append(turn)

    def is_first(self, turn: Turn) -> bool:
        """Whether the conversation is the turn's."""
        return self._first() is turn

    def leave(self, turn: Turn) -> None:
        """Gives a place back, wherever in the queue it is."""
        with suppress(ValueError):
            self._queue.remove(turn)
        following = self._first()
        if following is not None:
            following.wake()

    def holds(self, loop: object) -> bool:
        """Whether a task of this loop has a place."""
        return any(turn.loop is loop and not turn.is_over for turn in tuple(self._queue))

    def _first(self) -> Turn | None:
        while self._queue:
            with suppress(IndexError, ValueError):  # others take places and give them back meanwhile
                first = self._queue[0]
                if not first.is_over:
                    return first
                self._queue.remove(first)
        return None

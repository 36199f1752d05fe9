"""What the adapters of all frameworks share: getting a connection late, and one recall for each user turn."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, Generic

from typing_extensions import TypeVar, override

from .connection import Connection, connect
from .recall import Recall

__all__ = ["IMAGE_PLACEHOLDER", "ConnectionSource", "TurnCache"]

T = TypeVar("T", default=Recall)

IMAGE_PLACEHOLDER = "[image]"
"""Stands for a message that holds no text but an image (ours)."""


class ConnectionSource:
    """A connection, or the promise to make one from the environment when it is needed first.

    Adapters are made at import time, in constructors, on event loops: none of these may do I/O. Copies of an
    adapter share the source, and pickling or deep-copying it never takes a key along.

    Args:
        connection: the application's; None to `connect()` from the environment on first use.
    """

    def __init__(self, connection: Connection | None = None) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def get(self) -> Connection:
        """The connection.

        Raises:
            CredentialsError: none was given and the environment has no credentials.
        """
        if self._connection is None:
            with self._lock:
                if self._connection is None:
                    self._connection = connect()
        return self._connection

    async def aget(self) -> Connection:
        """The connection; making one imports the SDK, which is kept off the event loop."""
        if self._connection is None:
            return await asyncio.to_thread(self.get)
        return self._connection

    def __deepcopy__(self, memo: dict[int, Any]) -> ConnectionSource:
        return self

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        return (ConnectionSource, ())


class TurnCache(Generic[T]):
    """What belongs to the latest user turns: a tool loop recalls once however often it calls the model.

    Lives in the process only: memories are never put into a framework's state.

    Args:
        size: turns kept, the least recently used goes first.
    """

    def __init__(self, size: int = 1024) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._turns: OrderedDict[Hashable, T] = OrderedDict()

    def get(self, turn: Hashable) -> T | None:
        """What was kept for a turn, usually its recall, if it is still there."""
        with self._lock:
            kept = self._turns.get(turn)
            if kept is not None:
                self._turns.move_to_end(turn)
            return kept

    def put(self, turn: Hashable, value: T) -> None:
        """Keeps something for a turn."""
        with self._lock:
            self._turns[turn] = value
            self._turns.move_to_end(turn)
            if len(self._turns) > self._size:
                self._turns.popitem(last=False)

    def __deepcopy__(self, memo: dict[int, Any]) -> TurnCache[T]:
        return self

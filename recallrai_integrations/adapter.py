"""What the adapters of all frameworks share: getting a connection late, and one recall for each user turn."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, Generic

from typing_extensions import TypeVar, override

from .connection import Connection, connect
from .recall import Recall

__all__ = ["IMAGE_PLACEHOLDER", "ConnectionSource", "TurnCache"]

T = TypeVar("T", default=Recall)

_VARIABLES = ("RECALLRAI_API_KEY", "RECALLRAI_PROJECT_ID", "RECALLRAI_BASE_URL")

IMAGE_PLACEHOLDER = "[image]"
"""Stands for a message that holds no text but an image (ours)."""


class ConnectionSource:
    """A connection, or the promise to make one from the environment when it is needed first.

    Adapters are made at import time, in constructors, on event loops: none of these may do I/O. Adapters
    that are given no connection share one, also those that are made anew for every request. Copies of an
    adapter share it too, and pickling or deep-copying never takes a key along.

    Args:
        connection: the application's; None to `connect()` from the environment on first use.

    Example:
        ```python
        from recallrai_integrations import connect
        from recallrai_integrations.adapter import ConnectionSource

        source = ConnectionSource()  # no I/O: fit for a constructor
        with connect(local=":memory:") as connection:
            assert ConnectionSource(connection).get() is connection
        ```
    """

    def __init__(self, connection: Connection | None = None) -> None:
        self._connection = connection

    @property
    def known(self) -> Connection | None:
        """The connection, if there is one already."""
        return self._connection or _known_from_environment()

    def get(self) -> Connection:
        """The connection.

        Raises:
            CredentialsError: none was given and the environment has no credentials.
        """
        return self.known or _from_environment()

    async def aget(self) -> Connection:
        """The connection; making one imports the SDK, which is kept off the event loop."""
        known = self.known
        return await asyncio.to_thread(_from_environment) if known is None else known

    def __deepcopy__(self, memo: dict[int, Any]) -> ConnectionSource:
        return self

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        return (ConnectionSource, ())


_environment_lock = threading.Lock()
_environment: dict[tuple[str | None, ...], Connection] = {}


def _environment_key() -> tuple[str | None, ...]:
    return tuple(map(os.environ.get, _VARIABLES))


def _known_from_environment() -> Connection | None:
    connection = _environment.get(_environment_key())
    return None if connection is None or connection.closed else connection


def _from_environment() -> Connection:
    with _environment_lock:
        connection = _known_from_environment()
        if connection is None:
            connection = _environment[_environment_key()] = connect()
        return connection


class TurnCache(Generic[T]):
    """What belongs to the latest user turns: a tool loop recalls once however often it calls the model.

    Lives in the process only: memories are never put into a framework's state.

    Args:
        size: turns kept, the least recently used goes first.

    Example:
        ```python
        from recallrai_integrations import connect
        from recallrai_integrations.adapter import TurnCache

        recalls = TurnCache()
        with connect(local=":memory:") as connection:
            conversation = connection.conversation("ada", "thread-1")
            conversation.record(("user", "What should I cook?"))
            for _ in range(3):  # each call of the model in the tool loop of one turn
                recall = recalls.get(("thread-1", "message-1"))
                if recall is None:
                    recall = conversation.recall()
                    recalls.put(("thread-1", "message-1"), recall)
        ```
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

    def drop(self, turn: Hashable) -> None:
        """Forgets a turn that has ended."""
        with self._lock:
            self._turns.pop(turn, None)

    def __deepcopy__(self, memo: dict[int, Any]) -> TurnCache[T]:
        return self

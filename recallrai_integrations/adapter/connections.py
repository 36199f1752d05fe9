"""`ConnectionSource`, which makes a connection only when it is needed."""

from __future__ import annotations

import asyncio
import os
import threading
import uuid
from typing import Any, cast
from weakref import WeakKeyDictionary, WeakValueDictionary

from typing_extensions import override

from recallrai_integrations.connecting import connect
from recallrai_integrations.connection import Connection
from recallrai_integrations.errors import InvalidInputError

__all__ = ["ConnectionSource"]

_VARIABLES = ("RECALLRAI_API_KEY", "RECALLRAI_PROJECT_ID", "RECALLRAI_BASE_URL")


class ConnectionSource:
    """A connection, or one that is made from the environment when it is first needed.

    Adapters are created at import time, in constructors and on event loops, where I/O is not acceptable.
    Adapters without a connection share one, even if they are created anew for every request, and so do copies
    of an adapter. A pickle contains no key but a mark, by which the process that wrote it finds the
    connection again while it exists; another process makes a connection from its environment.

    Args:
        connection: the application's; None to `connect()` from the environment on first use.

    Raises:
        InvalidInputError: the argument is not a connection.

    Example:
        ```python
        from recallrai_integrations import connect
        from recallrai_integrations.adapter import ConnectionSource

        source = ConnectionSource()  # no I/O, so it may be called in a constructor
        with connect(local=":memory:") as connection:
            assert ConnectionSource(connection).get() is connection
        ```
    """

    def __init__(self, connection: Connection | None = None) -> None:
        if connection is not None and not isinstance(cast("object", connection), Connection):
            raise InvalidInputError(
                f"connection must be what connect() returns, not a {type(connection).__name__}."
            )
        self._connection = connection

    @property
    def known(self) -> Connection | None:
        """The connection, if it exists already."""
        return self._connection or _known_from_environment()

    def get(self) -> Connection:
        """Returns the connection, and makes it if necessary.

        Raises:
            CredentialsError: no connection was given and the environment has no credentials.
        """
        return self.known or _from_environment()

    async def aget(self) -> Connection:
        """The async twin of `get`; the SDK is imported off the event loop."""
        known = self.known
        return await asyncio.to_thread(_from_environment) if known is None else known

    def __deepcopy__(self, memo: dict[int, Any]) -> ConnectionSource:
        return self

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        return (ConnectionSource.marked, (self.mark,))

    @property
    def mark(self) -> str | None:
        """A random text by which this process finds the connection; None for that of the environment."""
        return None if self._connection is None else _mark(self._connection)

    @classmethod
    def marked(cls, mark: str | None) -> ConnectionSource:
        """Returns the source with a mark; in another process, and for None, that of the environment."""
        return cls(None if mark is None else _connections.get(mark))


_connections: WeakValueDictionary[str, Connection] = WeakValueDictionary()
_marks: WeakKeyDictionary[Connection, str] = WeakKeyDictionary()
_marks_lock = threading.Lock()


def _mark(connection: Connection) -> str:
    with _marks_lock:
        mark = _marks.setdefault(connection, uuid.uuid4().hex)
        _connections[mark] = connection
    return mark


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

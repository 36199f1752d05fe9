"""The way to the PostgreSQL server of an outbox: a pool, another try, and what is said when it fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any, Final

from recallrai_integrations.credentials import Secret
from recallrai_integrations.errors import MissingDependencyError, OutboxError, OutboxUnavailableError

from .postgres_schema import SCHEMA, SQL, VERSION, grants

try:
    import psycopg
    import psycopg_pool
    from psycopg import errors, sql
    from psycopg.conninfo import conninfo_to_dict, make_conninfo
    from psycopg.rows import DictRow, dict_row
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] not in {"psycopg", "psycopg_pool"}:
        raise
    raise MissingDependencyError.for_extra("postgres", str(error.name)) from error

__all__ = ["Server", "make_schema", "waiting_when_full"]

_CONNECTIONS: Final = 4
"""Most connections of one process; one is held between uses (ours)."""
_CONNECT_SECONDS: Final = 5
_LOOK_SECONDS: Final = 0.5
"""How long a caller waits for a server that could not be reached the last time."""
_RECONNECT_SECONDS: Final = 5.0
"""How long the pool tries by itself, with growing pauses, until it is asked for a connection again."""
_TRIES: Final = 3
_PAUSE: Final = 1.0
"""Seconds for which a server that could not be reached is not asked again."""

_AGAIN = (errors.DeadlockDetected, errors.SerializationFailure)
_WRONG_LOGIN = (errors.InvalidPassword, errors.InvalidAuthorizationSpecification)
_NO_SCHEMA = (
    errors.InvalidSchemaName,
    errors.UndefinedTable,
    errors.UndefinedColumn,
    errors.UndefinedFunction,
)


class Server:
    """Carries out statements, each in a transaction of its own, from any thread.

    Args:
        url: as libpq takes it; the password is in no repr and no error.

    Attributes:
        name: host and database, for errors and logs.
    """

    def __init__(self, url: Secret) -> None:
        self.name = _name(url)
        self._url = url
        self._lock = threading.Lock()
        self._pool: psycopg_pool.ConnectionPool[psycopg.Connection[DictRow]] | None = None
        self._of_the_parent: list[object] = []  # kept, so that nothing closes the parent's sockets
        self._down_until = 0.0
        self._closed = False

    def check(self, *, writable: bool = True) -> None:
        """Finds out whether the outbox can be used.

        Raises:
            OutboxUnavailableError: the server cannot be reached.
            OutboxError: it does not let us in, or holds no outbox of this release's format.
        """
        with _connect(self._url, self.name) as connection:
            try:
                row = connection.execute(
                    f"SELECT (SELECT max(version) FROM {SCHEMA}.format) AS version,"  # noqa: S608 - a constant
                    " pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on' AS read_only"
                ).fetchone()
            except psycopg.Error as error:
                raise self._explained(error) from error.with_traceback(None)
        assert row is not None
        if row["version"] != VERSION:
            raise OutboxError(
                f"The outbox in {self.name} has format {row['version']}; this release uses format {VERSION}. "
                + (_INIT if (row["version"] or 0) < VERSION else "Use the release that migrated it.")
            )
        if writable and row["read_only"]:
            raise OutboxError(_READ_ONLY.format(self.name))

    def run(self, query: str, values: Sequence[object] = ()) -> list[dict[str, Any]]:
        """The rows of one statement, which may be carried out twice when its connection breaks.

        Raises:
            OutboxUnavailableError: the server cannot be reached, or cannot write at the moment.
            OutboxError: something else is wrong.
        """
        if time.monotonic() < self._down_until:
            raise OutboxUnavailableError(f"The outbox in {self.name} cannot be reached.")
        for left in reversed(range(_TRIES)):
            pool = self._opened()
            try:
                with pool.connection(timeout=_LOOK_SECONDS if self._down_until else None) as connection:
                    rows = connection.execute(query.encode(), values).fetchall()
                    self._down_until = 0.0
                    return rows
            except psycopg_pool.PoolTimeout as error:
                self._down_until = time.monotonic() + _PAUSE
                raise self._explained(error) from error.with_traceback(None)
            except psycopg.OperationalError as error:
                if not left or (error.sqlstate and not isinstance(error, (*_AGAIN, *_LEFT))):
                    raise self._explained(error) from error.with_traceback(None)
                if not isinstance(error, _AGAIN):
                    pool.check()  # after a restart of the server all connections are dead
            except psycopg.Error as error:
                raise self._explained(error) from error.with_traceback(None)
        raise AssertionError

    def after_fork(self) -> None:
        """In the child of a fork: what belongs to the parent is not touched any more."""
        self._of_the_parent.append(self._pool)
        self._lock, self._pool = threading.Lock(), None

    def close(self) -> None:
        """Closes the connections."""
        with self._lock:
            self._closed = True
            if self._pool is not None:
                self._pool.close()

    def _opened(self) -> psycopg_pool.ConnectionPool[psycopg.Connection[DictRow]]:
        with self._lock:
            if self._closed:
                raise OutboxError(f"The outbox in {self.name} is closed.")
            if self._pool is None:
                self._pool = psycopg_pool.ConnectionPool(
                    _conninfo(self._url),
                    connection_class=psycopg.Connection[DictRow],
                    kwargs=_KWARGS,
                    min_size=1,
                    max_size=_CONNECTIONS,
                    timeout=_CONNECT_SECONDS,
                    max_idle=60.0,
                    reconnect_timeout=_RECONNECT_SECONDS,
                    open=True,
                    name="recallrai-outbox",
                )
            return self._pool

    def _explained(self, error: psycopg.Error) -> OutboxError:
        return _explained(self.name, error)


_KWARGS: Final[dict[str, Any]] = {
    "autocommit": True,
    "prepare_threshold": None,  # prepared statements belong to a session, which a pooler does not keep
    "row_factory": dict_row,
}
_LEFT = (
    errors.AdminShutdown,
    errors.CrashShutdown,
    errors.CannotConnectNow,
    errors.IdleSessionTimeout,
    errors.ConnectionException,
)
_INIT: Final = "Run once: recallrai-integrations outbox init postgresql://…"
_READ_ONLY: Final = (
    "The server of the outbox in {} is read-only, such as a replica is; name the primary, or add "
    "target_session_attrs=read-write to the URL."
)


def make_schema(url: Secret, *, grant: Sequence[str]) -> None:
    """See `outbox.init`."""
    name = _name(url)
    with _connect(url, name) as connection:
        try:
            with connection.transaction():
                row = connection.execute("SELECT current_setting('server_encoding') AS encoding").fetchone()
                if row is None or row["encoding"] != "UTF8":
                    raise OutboxError(f"The database of {name} is not in UTF8; name another one.")
                connection.execute("SELECT pg_advisory_xact_lock(5981467014962463567)")  # one at a time
                connection.execute(SQL.encode())
                for role in grant:
                    connection.execute(grants(sql.Identifier(role).as_string(connection)).encode())
        except psycopg.Error as error:
            raise _explained(name, error) from error.with_traceback(None)


def waiting_when_full(error: OutboxError) -> str | None:
    """How many wait, when that is why the outbox took no more."""
    cause = error.__cause__
    is_full = isinstance(cause, psycopg.Error) and cause.sqlstate == "RIFUL"
    return cause.diag.message_primary if isinstance(cause, psycopg.Error) and is_full else None


def _conninfo(url: Secret) -> str:
    given = conninfo_to_dict(url.reveal())
    defaults: dict[str, str | int] = {
        "connect_timeout": _CONNECT_SECONDS,
        "tcp_user_timeout": 10_000,
        "client_encoding": "UTF8",
        "application_name": "recallrai-integrations",
    }
    return make_conninfo(url.reveal(), **{key: value for key, value in defaults.items() if key not in given})


def _connect(url: Secret, name: str) -> psycopg.Connection[DictRow]:
    try:
        return psycopg.Connection[DictRow].connect(_conninfo(url), **_KWARGS)
    except psycopg.Error as error:
        explained = _explained(name, error)
    raise explained  # outside: the frames of psycopg hold the password, and error trackers record them


def _name(url: Secret) -> str:
    try:
        parts = conninfo_to_dict(url.reveal())
    except psycopg.Error:
        parts = None
    if parts is None:
        raise OutboxError("The outbox's URL is none that PostgreSQL knows: postgresql://user@host/database.")
    where = parts.get("host") or parts.get("hostaddr") or parts.get("service") or "localhost"
    return f"postgresql://{where}/{parts.get('dbname') or ''}"


def _explained(name: str, error: psycopg.Error) -> OutboxError:
    """What a failure means, with its remedy; the server's own words hold no password."""
    said = " ".join(str(error).split())
    for kinds, words, kind, remedy in _REMEDIES:
        if isinstance(error, kinds) or (words and words in said):
            return kind(remedy.format(name, said))
    if isinstance(error, psycopg.OperationalError):
        return OutboxUnavailableError(f"The outbox in {name} cannot be reached: {said}")
    return OutboxError(f"The outbox in {name} cannot be used: {said}")


_LOGIN: Final = (
    "The server refuses the login to the outbox in {}; check user and password, in the URL or where libpq "
    "looks for them (PGPASSWORD, ~/.pgpass)."
)
_REMEDIES: Final[tuple[tuple[tuple[type[psycopg.Error], ...], str, type[OutboxError], str], ...]] = (
    ((errors.ReadOnlySqlTransaction,), "", OutboxUnavailableError, _READ_ONLY),
    (
        (errors.DiskFull,),
        "",
        OutboxUnavailableError,
        "The outbox in {} cannot grow: make room on its server's disk. What was in it is still there.",
    ),
    (_NO_SCHEMA, "", OutboxError, "There is no outbox of this release in {}. " + _INIT),
    (
        (errors.InsufficientPrivilege,),
        "",
        OutboxError,
        "The role may not do this in {} ({}); grant it: recallrai-integrations outbox init … --grant ROLE",
    ),
    (_WRONG_LOGIN, "authentication failed", OutboxError, _LOGIN),
    ((), "no password supplied", OutboxError, _LOGIN),
    (
        (errors.InvalidCatalogName,),
        'database "',
        OutboxError,
        "There is no database for the outbox {}; create it first.",
    ),
)

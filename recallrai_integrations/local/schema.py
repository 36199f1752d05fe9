"""The tables of users, sessions and messages, and the opening of a database file.

Times are ISO 8601 text in UTC of one length, so that text order is time order. The memory's own tables are
made by `memory.create_tables`; both live in one file, so that a session's memories and its new status
become visible in one transaction.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Generator
from typing import Final

from recallrai_integrations.errors import LocalServiceError

from .memory import create_tables
from .metadata import matches

APPLICATION_ID: Final = 0x5265634C  # "RecL": tells our files from other programs' databases
VERSION: Final = 1  # of the tables; a file of a higher one is refused
MEMORY: Final = ":memory:"

_BUSY_TIMEOUT_MS: Final = 10_000
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS users (
    pk INTEGER PRIMARY KEY,
    custom_user_id TEXT NOT NULL UNIQUE,
    metadata TEXT NOT NULL,
    merge_conflict_enabled INTEGER,
    created_at TEXT NOT NULL,
    last_active_at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS users_newest ON users (created_at, pk);
CREATE TABLE IF NOT EXISTS sessions (
    pk INTEGER PRIMARY KEY,
    session_id TEXT NOT NULL UNIQUE,
    user_pk INTEGER NOT NULL,
    status TEXT NOT NULL,
    metadata TEXT NOT NULL,
    created_at TEXT NOT NULL,
    started_at TEXT NOT NULL,
    processed_at TEXT,
    auto_process_after_seconds INTEGER NOT NULL,
    due_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS sessions_newest ON sessions (user_pk, created_at, pk);
CREATE INDEX IF NOT EXISTS sessions_by_status ON sessions (user_pk, status);
CREATE INDEX IF NOT EXISTS sessions_due ON sessions (due_at) WHERE status = 'pending';
CREATE INDEX IF NOT EXISTS sessions_in_work ON sessions (pk) WHERE status = 'processing';
CREATE TABLE IF NOT EXISTS messages (
    pk INTEGER PRIMARY KEY,
    session_pk INTEGER NOT NULL,
    user_pk INTEGER NOT NULL,
    role TEXT NOT NULL,
    content TEXT NOT NULL,
    created_at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS messages_by_session ON messages (session_pk);
CREATE INDEX IF NOT EXISTS messages_by_user ON messages (user_pk);
"""
# A message restarts the inactivity timer. In the schema, so that adding one is one statement: each statement
# of the writer's thread has to wait for the interpreter's lock.
_TRIGGER: Final = """
CREATE TRIGGER IF NOT EXISTS message_added AFTER INSERT ON messages BEGIN
    UPDATE sessions
    SET due_at = (julianday(new.created_at) - 2440587.5) * 86400 + auto_process_after_seconds
    WHERE pk = new.session_pk;
    UPDATE users SET last_active_at = new.created_at WHERE pk = new.user_pk;
END
"""


def keep_private(path: str) -> None:
    """Makes a file that is not there yet for its owner alone; what SQLite puts beside it has the same mode.

    One that is there is not touched: to close it would give up the locks that this process has on it.
    """
    if path != MEMORY:
        with contextlib.suppress(OSError):  # it is there, or SQLite will say why it cannot be made
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def connect(path: str) -> sqlite3.Connection:
    """A connection for one thread at a time; transactions are begun and ended by the caller."""
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    db.create_function("metadata_matches", 2, matches, deterministic=True)
    db.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
    return db


def erase(db: sqlite3.Connection, *, wait: float) -> bool:
    """Takes deleted text out of the write-ahead log; False when a reader still needs what is in it.

    Args:
        db: the connection that writes, outside a transaction.
        wait: seconds to wait for readers.
    """
    db.execute(f"PRAGMA busy_timeout = {wait * 1000:.0f}")
    try:
        (is_busy, _, _) = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        db.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
    return not is_busy


def open_writer(path: str) -> sqlite3.Connection:
    """Opens or creates the database, and makes sure that it is one of ours.

    Raises:
        LocalServiceError: not a database, another program's, of a newer version, damaged, read-only, or in a
            folder that does not exist.
    """
    keep_private(path)
    try:
        db = connect(path)
    except sqlite3.Error as error:
        raise LocalServiceError(reason(path, error)) from error
    try:
        _check_and_create(db, path)
    except sqlite3.Error as error:
        db.close()
        raise LocalServiceError(reason(path, error)) from error
    except LocalServiceError:
        db.close()
        raise
    return db


def _check_and_create(db: sqlite3.Connection, path: str) -> None:
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION_ID and (application or tables):
        raise LocalServiceError(
            f"{path} is a SQLite database of another program. It was left as it is; choose another file."
        )
    if version > VERSION:
        raise LocalServiceError(
            f"{path} was written by a newer version of recallrai-integrations (its tables have version"
            f" {version}, this one knows {VERSION}). Upgrade: pip install -U recallrai-integrations"
        )
    db.execute("PRAGMA secure_delete = ON")  # what is deleted leaves no trace in free pages
    # An acknowledged write is on the disk: each commit waits for the log to be flushed.
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA cache_size = -65536")  # 64 MB: a session writes all over the word index
    with transaction(db):
        for statement in _TABLES.split(";"):
            if statement.strip():
                db.execute(statement)
        db.execute(_TRIGGER)
        create_tables(db)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {VERSION}")


@contextlib.contextmanager
def transaction(db: sqlite3.Connection) -> Generator[None]:
    """A write transaction: committed at the end, rolled back when something is raised."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # some errors, a full disk among them, have already rolled back
            db.execute("ROLLBACK")
        raise


def reason(path: str, error: sqlite3.Error) -> str:
    """What is wrong with a database, and what to do about it."""
    text = str(error)
    if "unable to open" in text:
        return (
            f"Cannot open the database {path}. Check that its folder exists and may be written to, and that"
            " the file is yours: nobody else may read it."
        )
    if "not a database" in text:
        return f"{path} is not a SQLite database. It was left as it is; choose another file."
    if "readonly" in text or "read-only" in text:
        return f"The database {path} is read-only. Make it and its folder writable, or choose another file."
    if "full" in text:
        return f"The disk that holds {path} is full. Free some space and start again; nothing was lost."
    if "locked" in text or "busy" in text:
        return f"The database {path} is held by another program. End that program, or choose another file."
    return (
        f"The database {path} cannot be used: {text}. Restore it from a copy, save what is left with"
        f' sqlite3 "{path}" .recover, or choose another file.'
    )

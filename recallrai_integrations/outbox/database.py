"""Opening an outbox file: what it must be, and what is said when it is not."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Generator
from contextlib import ExitStack, closing, contextmanager, suppress
from os import PathLike, fspath
from pathlib import Path
from typing import Final

from recallrai_integrations.errors import OutboxError

from .codec import cursor_of_format_1

__all__ = ["BUSY_SECONDS", "begin", "check_pages", "connect", "corrupt", "erase", "look", "reported"]

_APPLICATION_ID: Final = 0x52_41_49_4F  # "RAIO"
_VERSION: Final = 2
_MIGRATION: Final = """
ALTER TABLE conversations RENAME COLUMN place TO cursor;
ALTER TABLE entries ADD COLUMN kind TEXT NOT NULL DEFAULT 'message';
UPDATE entries SET kind = coalesce(content, 'process'), content = NULL WHERE role IS NULL;
ALTER TABLE rejected ADD COLUMN kind TEXT NOT NULL DEFAULT 'message';
UPDATE rejected SET kind = coalesce(content, 'process'), content = NULL WHERE role IS NULL;
UPDATE conversations SET owner = NULL, machine = NULL, pid = NULL, started = NULL, lease_until = NULL;
"""
"""From format 1. Its claims meant another clock; whoever holds one with an older release finds it lost."""
BUSY_SECONDS: Final = 30.0
_ERASE_SECONDS: Final = 5.0
_making: Final = threading.Lock()
_SCHEMA = """
CREATE TABLE conversations (
    pk INTEGER PRIMARY KEY,
    project TEXT NOT NULL,              -- which service and project it is for
    user_id TEXT NOT NULL,
    thread_id TEXT,                     -- NULL: a conversation by itself
    key TEXT NOT NULL,
    metadata TEXT NOT NULL,             -- JSON
    auto_process_after_seconds INTEGER NOT NULL,
    used_at REAL NOT NULL,              -- seconds since the epoch
    cursor TEXT,                        -- JSON; NULL before the first delivery
    boot TEXT NOT NULL,                 -- the start of the machine in which it was claimed last
    -- The claim; NULL: free. Seconds of the monotonic clock, except that a start is what `owners` says.
    owner TEXT, machine TEXT, pid INTEGER, started REAL, lease_until REAL
);
CREATE UNIQUE INDEX conversations_by_key ON conversations (project, user_id, key, thread_id IS NULL);
CREATE TABLE entries (                  -- what waits
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    conversation INTEGER NOT NULL REFERENCES conversations (pk) ON DELETE CASCADE,
    kind TEXT NOT NULL,                 -- message, or a request: process, clear
    role TEXT, content TEXT, id TEXT,   -- of a message
    said_at TEXT,                       -- as the application gave it
    recorded_at TEXT NOT NULL
);
CREATE INDEX entries_by_conversation ON entries (conversation, seq);
CREATE TABLE rejected (                 -- what the service will never take
    seq INTEGER PRIMARY KEY,
    conversation INTEGER NOT NULL REFERENCES conversations (pk) ON DELETE CASCADE,
    kind TEXT NOT NULL, role TEXT, content TEXT, id TEXT, said_at TEXT, recorded_at TEXT NOT NULL,
    reason TEXT NOT NULL,
    rejected_at TEXT NOT NULL
);
CREATE TABLE ids (                      -- of all messages taken, so that none is taken twice
    conversation INTEGER NOT NULL REFERENCES conversations (pk) ON DELETE CASCADE,
    id TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (conversation, id)
) WITHOUT ROWID;
"""
_COUNTS = """
CREATE TABLE IF NOT EXISTS counts (     -- of what waits
    project TEXT PRIMARY KEY,
    waiting INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TRIGGER IF NOT EXISTS entry_added AFTER INSERT ON entries BEGIN
    INSERT INTO counts SELECT project, 1 FROM conversations WHERE pk = new.conversation
    ON CONFLICT (project) DO UPDATE SET waiting = waiting + 1;
END;

CREATE TRIGGER IF NOT EXISTS entry_removed AFTER DELETE ON entries BEGIN
    UPDATE counts SET waiting = waiting - 1
    WHERE project = (SELECT project FROM conversations WHERE pk = old.conversation);
END;

CREATE INDEX IF NOT EXISTS ids_by_number ON ids (conversation, number);

DELETE FROM counts;

INSERT INTO counts
SELECT project, count(*) FROM entries JOIN conversations ON pk = conversation GROUP BY project;
"""


def connect(path: str | PathLike[str]) -> sqlite3.Connection:
    """Opens an outbox file for use from any thread, one at a time; transactions are the caller's.

    Args:
        path: the file, made when there is none; its folder must exist.

    Raises:
        OutboxError: it is not ours, corrupt, newer, not writable; it was left as it was.
    """
    file = Path(fspath(path)).absolute()
    with reported(file):
        _check_is_no_folder(file)
        if not file.parent.is_dir():
            raise OutboxError(f"The outbox {file} cannot be created: create the folder {file.parent} first.")
        _keep_private(file)
        db = _open(file, "mode=rwc")
        try:
            _prepare(db, file)
        except BaseException:
            db.close()
            raise
        return db


@contextmanager
def look(path: str | PathLike[str]) -> Generator[sqlite3.Connection]:
    """Opens an outbox file for reading alone, also where nothing can be written; its pages are not checked.

    Raises:
        OutboxError: it is missing, not ours, newer, cannot be read; it was left as it was.
    """
    file = Path(fspath(path)).absolute()
    log = file.with_name(f"{file.name}-wal")
    with reported(file), ExitStack() as opened:
        _check_is_no_folder(file)
        if not file.exists():
            raise OutboxError(f"There is no outbox at {file}.")
        has_log = log.exists() and log.stat().st_size > 0
        try:
            # The last to close a file takes away what SQLite put beside it, unless it only may read. Only a
            # log that others wrote, or that a dead process left, is not for us to close.
            db = opened.enter_context(closing(_open_to_look(file, "mode=ro" if has_log else "mode=rw")))
        except sqlite3.OperationalError as error:
            if _is_locked(error):
                raise
            if has_log:  # no room beside the file for what it takes to read a log
                folder = opened.enter_context(tempfile.TemporaryDirectory())
                copy = Path(shutil.copy(file, folder))
                shutil.copy(log, folder)
                db = opened.enter_context(closing(_open_to_look(copy, "mode=rw")))
            else:
                db = opened.enter_context(closing(_open_to_look(file, "mode=ro&immutable=1")))
        if _is_empty(db):  # nothing has been put into it yet; an outbox would make itself at home in it
            db = opened.enter_context(closing(sqlite3.connect(":memory:")))
            db.executescript(_SCHEMA)
        elif _check_kind(db, file) != _VERSION:
            renewed = opened.enter_context(closing(sqlite3.connect(":memory:", isolation_level=None)))
            db.backup(renewed)
            _migrate(renewed)
            db = renewed
        yield db


def _check_is_no_folder(file: Path) -> None:
    if file.is_dir():
        raise OutboxError(f"The outbox {file} is a folder; name a file in it.")


def _keep_private(file: Path) -> None:
    """Makes a file that is not there yet for its owner alone; what SQLite puts beside it has the same mode.

    One that is there is not touched: to close it would give up the locks that this process has on it.
    """
    with _making, suppress(OSError):  # it is there, or SQLite will say why it cannot be made
        os.close(os.open(os.path.realpath(file), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _open(file: Path, how: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{file.as_uri()}?{how}",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )


def _open_to_look(file: Path, how: str) -> sqlite3.Connection:
    db = _open(file, how)
    try:
        db.execute("PRAGMA query_only = ON")
        _is_empty(db)  # SQLite says at the first reading that it cannot
    except BaseException:
        db.close()
        raise
    return db


def begin(db: sqlite3.Connection, *, synced: bool) -> None:
    """Begins a transaction that writes.

    Many processes may want to at once. SQLite's own waiting grows to steps of 100 ms, in which others slip
    in; asking often keeps the waits of callers short.

    Args:
        db: the connection.
        synced: whether its commit is to survive a loss of power by itself, and not with a later one.
    """
    db.execute(f"PRAGMA synchronous = {'FULL' if synced else 'NORMAL'}")
    db.execute("PRAGMA busy_timeout = 0")
    ends = time.monotonic() + BUSY_SECONDS
    while not _begun(db, last=time.monotonic() > ends):
        time.sleep(random.uniform(0.001, 0.005))  # noqa: S311 - spreads those that wait


def _begun(db: sqlite3.Connection, *, last: bool) -> bool:
    try:
        db.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if last or not _is_locked(error):
            raise
        return False
    return True


def erase(db: sqlite3.Connection) -> bool:
    """Takes deleted text out of the write-ahead log; False when another reader still needs what is in it."""
    db.execute(f"PRAGMA busy_timeout = {_ERASE_SECONDS * 1000:.0f}")
    (is_busy, _, _) = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not is_busy


def _is_locked(error: sqlite3.Error) -> bool:
    return "locked" in str(error)


def _prepare(db: sqlite3.Connection, file: Path) -> None:
    db.execute("PRAGMA foreign_keys = ON")
    db.execute("PRAGMA secure_delete = ON")  # what is forgotten leaves no trace in free pages
    if not _is_empty(db):
        version = _check_kind(db, file)
        check_pages(db, file)
        _check_writable(db)
        if version != _VERSION:
            _migrate(db)
        _keep_counts(db)
        db.execute("PRAGMA synchronous = FULL")
        return
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("BEGIN EXCLUSIVE")
    try:
        if _is_empty(db):  # nobody else was quicker
            for statement in _SCHEMA.split(";\n"):
                db.execute(statement)
            db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {_VERSION}")
        db.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise
    _check_kind(db, file)
    check_pages(db, file)
    _keep_counts(db)


def _keep_counts(db: sqlite3.Connection) -> None:
    """Has the file keep count of what waits: counting it anew for each message would cost what waits."""
    if _has_counts(db):
        return
    begin(db, synced=True)
    try:
        if not _has_counts(db):
            for statement in _COUNTS.split(";\n\n"):
                db.execute(statement)
        db.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise


def _has_counts(db: sqlite3.Connection) -> bool:
    names = ("entry_added", "entry_removed", "ids_by_number")
    found = db.execute("SELECT count(*) FROM sqlite_master WHERE name IN (?, ?, ?)", names)
    return bool(found.fetchone()[0] == len(names))


def _is_empty(db: sqlite3.Connection) -> bool:
    return not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]


def _check_kind(db: sqlite3.Connection, file: Path) -> int:
    """The format of an outbox file."""
    if db.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION_ID:
        raise OutboxError(f"{file} is a database of another program; name another file for the outbox.")
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if not 1 <= version <= _VERSION:
        raise OutboxError(
            f"The outbox {file} has format {version}; this release reads formats up to {_VERSION}. Use the "
            "release that wrote it (recallrai-integrations outbox flush), or name another file."
        )
    return version


def _migrate(db: sqlite3.Connection) -> None:
    """Brings a file of format 1 to today's, whole or not at all; what waits in it stays."""
    db.execute("BEGIN EXCLUSIVE")
    try:
        if db.execute("PRAGMA user_version").fetchone()[0] == 1:  # nobody else was quicker
            for statement in _MIGRATION.split(";\n"):
                db.execute(statement)
            found = db.execute("SELECT pk, cursor FROM conversations WHERE cursor IS NOT NULL").fetchall()
            for pk, cursor in found:
                db.execute(
                    "UPDATE conversations SET cursor = ? WHERE pk = ?", (cursor_of_format_1(cursor), pk)
                )
            db.execute(f"PRAGMA user_version = {_VERSION}")
        db.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise


def check_pages(db: sqlite3.Connection, file: Path) -> None:
    """Looks at all pages of an open file.

    Raises:
        OutboxError: one is damaged.
    """
    problems = [row[0] for row in db.execute("PRAGMA quick_check(1)")]
    if problems != ["ok"]:
        raise OutboxError(corrupt(file))


def _check_writable(db: sqlite3.Connection) -> None:
    db.execute("BEGIN IMMEDIATE")
    try:
        db.execute("UPDATE conversations SET used_at = used_at WHERE 0")
    finally:
        with suppress(sqlite3.Error):
            db.execute("ROLLBACK")


@contextmanager
def reported(file: Path) -> Generator[None]:
    """Errors of SQLite and of the file system as `OutboxError`, each with its remedy."""
    try:
        yield
    except sqlite3.Error as error:
        raise OutboxError(_explained(file, error)) from error
    except OSError as error:
        raise OutboxError(
            f"The outbox {file} cannot be used: {error.strerror or error}. Check that you may read and write "
            "the file and its folder."
        ) from error


def _explained(file: Path, error: sqlite3.Error) -> str:
    said = str(error)
    if "not a database" in said or "malformed" in said or "encrypted" in said or "decode" in said:
        return corrupt(file)
    if "readonly" in said:
        return f"The outbox {file} is read-only; make the file and its folder writable, or name another."
    if "full" in said or "disk I/O" in said:
        return (
            f"The outbox {file} cannot grow ({said}); make room on its disk. What was in it is still there."
        )
    if "locked" in said or "busy" in said:
        return f"The outbox {file} is locked by another program for more than {BUSY_SECONDS:.0f} seconds."
    if "unable to open" in said:
        return f"The outbox {file} cannot be opened; see that you may read and write it and its folder."
    return f"The outbox {file} cannot be used: {said}."


def corrupt(file: Path) -> str:
    """What to say of a file that holds what this package does not write."""
    return (
        f"The outbox {file} is damaged or no SQLite file. It was left as it is: move it away to go on with a "
        f'new one, and get out what can be saved with: sqlite3 "{file}" .recover'
    )

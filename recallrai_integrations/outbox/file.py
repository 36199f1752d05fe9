"""An outbox in a SQLite file: what waits outlives the process, and several processes may share it."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timezone
from os import PathLike, fspath
from pathlib import Path
from typing import Any
from weakref import WeakSet

from typing_extensions import override

from recallrai_integrations.errors import OutboxError, OutboxFullError
from recallrai_integrations.messages import Message

from . import database, rows
from .base import (
    ClaimLostError,
    ConversationKey,
    Figures,
    Outbox,
    OutboxEntry,
    Request,
    SessionCursor,
    on_a_loop,
)
from .codec import cursor_from_json, cursor_to_json
from .owners import LEASE_SECONDS, Owner, is_alive, new_owner

__all__ = ["FileOutbox"]

_IDLE_SECONDS = 30 * 24 * 3600.0


class FileOutbox(Outbox):
    """Keeps what waits in a SQLite file (write-ahead log, synced to disk before a call returns).

    Threads and processes of one machine may share the file; it must not lie on a network file system. The
    file holds message texts, session metadata and ids, and no credentials. A conversation in which nothing
    waits is forgotten by the file, with the ids of its messages, 30 days after its last use.

    Args:
        path: the file; made when there is none.
        project: which service and project the messages are for; others in the same file are not touched.
        limit: most messages that may wait for this project.

    On an event loop, which must not wait for a disk, or 30 s for the lock of another process, the file is
    opened at the first use, which is on a thread; elsewhere at once, so that an error shows early.

    Raises:
        OutboxError: the file cannot be used; the message says why and what to do.
    """

    blocking = True

    def __init__(self, path: str | PathLike[str], *, project: str, limit: int) -> None:
        self._file = Path(fspath(path)).absolute()
        self._project = project
        self._limit = limit
        self._reading, self._writing, self._opening = threading.Lock(), threading.Lock(), threading.Lock()
        self._closed = self._is_open = False
        self._opened_by: int | None = None
        self._claimed: set[ConversationKey] = set()
        if not on_a_loop():
            with self._read():
                pass

    @override
    def put(self, key: ConversationKey, items: Sequence[Message | Request]) -> list[OutboxEntry]:
        now = datetime.now(timezone.utc)
        with self._write() as db:
            pk = rows.find_or_add(db, self._project, key)
            fresh: list[Message | Request] = [
                one
                for one in items
                if not isinstance(one, Message) or one.id is None or rows.add_id(db, pk, one.id)
            ]
            waiting = rows.count(db, self._project)
            if waiting + len(fresh) > self._limit:
                raise OutboxFullError(
                    f"The outbox {self._file} is full: it holds outbox_limit={self._limit} messages. "
                    "The new ones were not accepted."
                )
            return [rows.insert(db, pk, one, now) for one in fresh]

    @override
    def claim(self, key: ConversationKey, cursor: SessionCursor) -> SessionCursor | None:
        with self._write(synced=False) as db:
            row = rows.find(db, self._project, key)
            if row is None:
                return cursor
            if row["owner"] not in {None, self._owner.token}:
                holder = Owner(row["owner"], row["machine"], row["boot"], row["pid"], row["started"])
                if is_alive(holder, lease_until=row["lease_until"]):
                    return None
            left = self._found_cursor(db, row, cursor)
            me, lease_until = self._owner, time.monotonic() + LEASE_SECONDS
            db.execute(
                "UPDATE conversations SET owner = ?, machine = ?, boot = ?, pid = ?, started = ?,"
                " lease_until = ? WHERE pk = ?",
                (me.token, me.machine, me.boot, me.pid, me.started, lease_until, row["pk"]),
            )
            self._claimed.add(key)
            return left

    @override
    def cursor(self, key: ConversationKey, cursor: SessionCursor) -> SessionCursor:
        with self._read() as db:
            row = rows.find(db, self._project, key)
            return cursor if row is None else self._found_cursor(db, row, replace(cursor))

    @override
    def keep(self, key: ConversationKey, cursor: SessionCursor, *, synced: bool = True) -> None:
        with self._write(synced=synced) as db:
            row = rows.find(db, self._project, key)
            if row is not None and row["owner"] in {None, self._owner.token}:
                db.execute(
                    "UPDATE conversations SET cursor = ?, lease_until = ? WHERE pk = ?",
                    (cursor_to_json(cursor), time.monotonic() + LEASE_SECONDS, row["pk"]),
                )
            elif row is not None and key in self._claimed:
                raise ClaimLostError(f"Another process has taken the conversation over in {self._file}.")

    @override
    def holds(self, key: ConversationKey, waiting: OutboxEntry) -> bool:
        with self._read() as db:
            return db.execute("SELECT 1 FROM entries WHERE seq = ?", (waiting.seq,)).fetchone() is not None

    @override
    def next(self, key: ConversationKey) -> OutboxEntry | None:
        with self._read() as db:
            row = self._mine(db, key)
            return None if row is None else rows.head(db, row["pk"])

    @override
    def done(self, key: ConversationKey, waiting: OutboxEntry, cursor: SessionCursor) -> None:
        with self._write() as db:
            if (row := self._mine(db, key)) is not None:
                db.execute("DELETE FROM entries WHERE seq = ?", (waiting.seq,))
                db.execute(
                    "UPDATE conversations SET cursor = ?, lease_until = ? WHERE pk = ?",
                    (cursor_to_json(cursor), time.monotonic() + LEASE_SECONDS, row["pk"]),
                )

    @override
    def reject(self, key: ConversationKey, waiting: OutboxEntry, reason: str) -> None:
        with self._write() as db:
            if self._mine(db, key) is None:
                return
            db.execute(
                "INSERT INTO rejected (seq, conversation, kind, role, content, id, said_at, recorded_at,"
                " reason, rejected_at)"
                " SELECT seq, conversation, kind, role, content, id, said_at, recorded_at, ?, ?"
                " FROM entries WHERE seq = ?",
                (reason, datetime.now(timezone.utc).isoformat(), waiting.seq),
            )
            db.execute("DELETE FROM entries WHERE seq = ?", (waiting.seq,))

    @override
    def withdraw(self, key: ConversationKey, taken: Iterable[OutboxEntry]) -> None:
        with self._write() as db:
            for one in taken:
                db.execute(
                    "DELETE FROM ids WHERE (conversation, id) IN"
                    " (SELECT conversation, id FROM entries WHERE seq = ?)",
                    (one.seq,),
                )
                db.execute("DELETE FROM entries WHERE seq = ?", (one.seq,))

    @override
    def release(self, key: ConversationKey, cursor: SessionCursor) -> None:
        with self._write(synced=False) as db:
            self._claimed.discard(key)
            if (row := self._mine(db, key)) is not None:
                db.execute(
                    "UPDATE conversations SET cursor = ?, owner = NULL, machine = NULL, pid = NULL,"
                    " started = NULL, lease_until = NULL WHERE pk = ?",
                    (cursor_to_json(cursor), row["pk"]),
                )

    @override
    def waiting(self, key: ConversationKey) -> list[OutboxEntry]:
        with self._read() as db:
            row = rows.find(db, self._project, key)
            if row is None:
                return []
            found = db.execute("SELECT * FROM entries WHERE conversation = ? ORDER BY seq", (row["pk"],))
            return [rows.waiting_of(row) for row in found]

    @override
    def keys(self, *, user_id: str | None = None) -> list[ConversationKey]:
        with self._read() as db:
            if user_id is None:
                found = rows.waiting_conversations(db, self._project)
            else:
                found = db.execute(
                    "SELECT * FROM conversations WHERE project = ? AND user_id = ?", (self._project, user_id)
                )
            return [rows.address_of(row) for row in found]

    @override
    def is_empty(self, key: ConversationKey) -> bool:
        with self._read() as db:
            row = rows.find(db, self._project, key)
            return row is None or not rows.has_entries(db, row["pk"])

    @override
    def last(self, key: ConversationKey) -> OutboxEntry | None:
        with self._read() as db:
            row = rows.find(db, self._project, key)
            return None if row is None else rows.tail(db, row["pk"])

    @override
    def count(self, key: ConversationKey | None = None) -> int:
        with self._read() as db:
            if key is None:
                return rows.count(db, self._project)
            row = rows.find(db, self._project, key)
            return 0 if row is None else rows.count_entries(db, row["pk"])

    @override
    def figures(self) -> Figures:
        with self._read() as db:
            oldest = rows.oldest(db, self._project)
            age = 0.0 if oldest is None else (datetime.now(timezone.utc) - oldest).total_seconds()
            return Figures(rows.count(db, self._project), max(0.0, age))

    @override
    def purge(self, key: ConversationKey) -> int:
        with self._write() as db:
            row = rows.find(db, self._project, key)
            if row is None:
                return 0
            dropped = db.execute("DELETE FROM entries WHERE conversation = ?", (row["pk"],)).rowcount
            db.execute("DELETE FROM rejected WHERE conversation = ?", (row["pk"],))
            db.execute("UPDATE conversations SET cursor = NULL, metadata = '{}' WHERE pk = ?", (row["pk"],))
        return dropped

    @override
    def erase(self) -> tuple[str, ...]:
        with self._writing, self._reading, database.reported(self._file):
            self._check()
            return () if database.erase(self._writer) else (str(self._file),)

    def pause(self) -> None:
        """Before a fork: closes the file, between two steps of whoever uses it.

        SQLite in the child would take the parent's locks for its own, and hold none: what the child wrote
        after the parent had closed the file would be lost.
        """
        self._writing.acquire()
        self._reading.acquire()
        with suppress(sqlite3.Error):
            self._close_file()

    def go_on(self) -> None:
        """After a fork, in parent and child: the file is opened anew on use."""
        self._reading.release()
        self._writing.release()

    @override
    def after_fork(self) -> None:
        pass  # see `pause`

    @override
    def close(self) -> None:
        if self._closed:
            return
        with suppress(OutboxError), self._write() as db:
            # A delivery still on its way leaves its claim as a dead process would, and takes no other.
            self._closed = True
            db.execute("UPDATE conversations SET lease_until = -9e999 WHERE owner = ?", (self._owner.token,))
        with self._writing, self._reading:
            self._closed = True
            self._close_file()
        _in_use.discard(self)

    @override
    def __repr__(self) -> str:
        return f"FileOutbox({str(self._file)!r})"

    # --- the file

    def _open(self) -> None:
        if self._opened_by != os.getpid():  # the first time, or forked
            self._owner, self._opened_by = new_owner(), os.getpid()
            self._claimed.clear()
        self._writer = database.connect(self._file)
        try:
            self._reader = database.connect(self._file)  # reads wait for no write of this or another process
        except BaseException:
            self._writer.close()
            raise
        self._writer.row_factory = self._reader.row_factory = sqlite3.Row
        self._is_open = True
        try:
            self._forget_idle()
        except BaseException:
            self._close_file()
            raise
        _in_use.add(self)

    def _forget_idle(self) -> None:
        database.begin(self._writer, synced=True)
        with self._writer:  # commits, or rolls back
            self._writer.execute(
                "DELETE FROM conversations WHERE project = ? AND used_at < ? AND owner IS NULL"
                " AND NOT EXISTS (SELECT 1 FROM entries WHERE conversation = pk)"
                " AND NOT EXISTS (SELECT 1 FROM rejected WHERE conversation = pk)",
                (self._project, time.time() - _IDLE_SECONDS),
            )

    def _close_file(self) -> None:
        if not self._is_open:
            return
        self._is_open = False
        self._reader.close()
        self._writer.close()

    def _check(self) -> None:
        if self._closed:
            raise OutboxError(f"The outbox {self._file} is closed.")
        with self._opening:
            if not self._is_open:
                self._open()

    @contextmanager
    def _read(self) -> Generator[sqlite3.Connection]:
        with self._reading, database.reported(self._file):
            self._check()
            yield self._reader

    @contextmanager
    def _write(self, *, synced: bool = True) -> Generator[sqlite3.Connection]:
        with self._writing, database.reported(self._file):
            self._check()
            db = self._writer
            database.begin(db, synced=synced)
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    db.execute("ROLLBACK")
                raise

    def _found_cursor(self, db: sqlite3.Connection, row: Any, cursor: SessionCursor) -> SessionCursor:
        """Where a conversation stands, as it was written down last."""
        try:
            left = cursor if row["cursor"] is None else cursor_from_json(row["cursor"])
        except (ValueError, LookupError, TypeError) as error:  # not what this package writes
            raise OutboxError(database.corrupt(self._file)) from error
        if row["boot"] != self._owner.boot:  # a loss of power takes what was not synced
            left.clock_started_anew(rows.head(db, row["pk"]))
        return left

    def _mine(self, db: sqlite3.Connection, key: ConversationKey) -> Any:
        """The conversation's row while its claim is ours, else None."""
        row = rows.find(db, self._project, key)
        return row if row is not None and row["owner"] == self._owner.token else None


_in_use: WeakSet[FileOutbox] = WeakSet()
_paused: list[FileOutbox] = []
_forking = threading.Lock()


def _before_a_fork() -> None:
    _forking.acquire()
    for outbox in list(_in_use):
        _paused.append(outbox)
        outbox.pause()


def _after_a_fork() -> None:
    while _paused:
        _paused.pop().go_on()
    _forking.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_a_fork, after_in_parent=_after_a_fork, after_in_child=_after_a_fork)

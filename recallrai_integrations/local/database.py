"""One database file: many readers, one writer that commits in groups.

All writes go through one thread. What has queued up while a commit waits for the disk goes into the next
transaction together, each write in its own savepoint: 64 clients cost a few flushes, not 64, and nobody sees
"database is locked". A write is answered after its commit, so an acknowledged one survives a power cut.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeAlias, TypeVar

from recallrai_integrations.errors import LocalServiceError

from . import schema

T = TypeVar("T")

logger = logging.getLogger("recallrai_integrations.local")

_READERS: Final = 8  # threads; a recall that asks a model keeps one of them waiting
_LARGEST_GROUP: Final = 256


@dataclass(slots=True)
class _Task(Generic[T]):
    """A function of a connection, and where its outcome goes."""

    run: Callable[[sqlite3.Connection], T]
    outcome: Future[T]


class Database:
    """A database file, open in this process alone.

    Args:
        path: the file, made if absent (its folder must exist), or `":memory:"`.

    Raises:
        LocalServiceError: the file cannot be used, or another process uses it; it stays as it was.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock_file = None if path == schema.MEMORY else _locked(path)
        try:
            self._writer = schema.open_writer(path)
        except LocalServiceError:
            self._unlock()
            raise
        # A database in memory has one connection only: the reader and the writer take turns.
        self._turn = threading.Lock() if path == schema.MEMORY else contextlib.nullcontext()
        self._writes: _Queue = queue.SimpleQueue()
        self._reads: _Queue = queue.SimpleQueue()
        self._closed = False
        # Plain threads, not an executor: executors stop working before the interpreter's exit handlers run,
        # and what is delivered there still needs its service.
        self._writing = _thread("recallrai-write", self._write_all)
        readers = 1 if path == schema.MEMORY else _READERS
        self._reading = [_thread(f"recallrai-read-{n}", self._read_all) for n in range(readers)]

    def submit(self, run: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """Run a function in a write transaction; the future is done once it is committed or rolled back."""
        return self._enqueue(self._writes, run)

    def submit_read(self, run: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """Run a function that only reads, on a thread of its own and in one snapshot."""
        return self._enqueue(self._reads, run)

    async def write(self, run: Callable[[sqlite3.Connection], T]) -> T:
        """Like `submit`, awaited. A cancelled request does not take back its write."""
        return await asyncio.shield(asyncio.wrap_future(self.submit(run)))

    async def read(self, run: Callable[[sqlite3.Connection], T]) -> T:
        """Like `submit_read`, awaited."""
        return await asyncio.wrap_future(self.submit_read(run))

    def _enqueue(self, tasks: _Queue, run: Callable[[sqlite3.Connection], T]) -> Future[T]:
        task = _Task(run, Future[T]())
        if self._closed:
            task.outcome.set_exception(
                LocalServiceError(f"The local service on {self.path} has been stopped.")
            )
        else:
            tasks.put(task)
        return task.outcome

    def close(self) -> None:
        """Carry out what is queued, then close the file. Idempotent."""
        if self._closed:
            return
        self._closed = True
        for _ in self._reading:
            self._reads.put(None)
        self._writes.put(None)
        for thread in (*self._reading, self._writing):
            thread.join()
        self._writer.close()
        self._unlock()

    def _unlock(self) -> None:
        # The empty lock file stays: taking it away would let two processes lock two files of one name.
        if self._lock_file is not None:
            self._lock_file.close()

    def _read_all(self) -> None:
        own = None if self.path == schema.MEMORY else _reader(self.path)
        try:
            while (task := self._reads.get()) is not None:
                if not task.outcome.set_running_or_notify_cancel():
                    continue
                try:
                    if own is None:
                        with self._turn:
                            result = task.run(self._writer)
                    else:
                        with _snapshot(own):
                            result = task.run(own)
                except BaseException as error:  # noqa: BLE001 - belongs to the one who asked
                    task.outcome.set_exception(error)
                else:
                    task.outcome.set_result(result)
        finally:
            if own is not None:
                own.close()

    def _write_all(self) -> None:
        while (first := self._writes.get()) is not None:
            group = [first]
            ended = False
            with contextlib.suppress(queue.Empty):
                while len(group) < _LARGEST_GROUP:
                    following = self._writes.get_nowait()
                    if following is None:
                        ended = True
                        break
                    group.append(following)
            self._commit(group)
            if ended:
                return

    def _commit(self, group: list[_Task[Any]]) -> None:
        results: list[tuple[_Task[Any], Any, BaseException | None]] = []
        try:
            with self._turn, schema.transaction(self._writer):
                results.extend((write, *_in_savepoint(self._writer, write)) for write in group)
        except BaseException as error:  # noqa: BLE001 - handed to everyone who waits; this thread goes on
            results = [(write, None, error) for write in group]
            logger.error(  # noqa: TRY400 - no trace: a message of SQLite may quote what was to be written
                "write failed", extra={"error": type(error).__name__, "writes": len(group)}
            )
        for write, result, failure in results:
            if failure is None:
                write.outcome.set_result(result)
            else:
                write.outcome.set_exception(failure)


_Queue: TypeAlias = "queue.SimpleQueue[_Task[Any] | None]"


def _thread(name: str, run: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread


def _reader(path: str) -> sqlite3.Connection:
    db = schema.connect(path)
    db.execute("PRAGMA query_only = ON")
    return db


@contextlib.contextmanager
def _snapshot(db: sqlite3.Connection) -> Generator[None]:
    db.execute("BEGIN")
    try:
        yield
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def _in_savepoint(db: sqlite3.Connection, write: _Task[Any]) -> tuple[Any, BaseException | None]:
    db.execute("SAVEPOINT one")
    try:
        result = write.run(db)
    except BaseException as error:
        if not db.in_transaction:  # SQLite gave up the whole transaction: nobody's write was done
            raise
        db.execute("ROLLBACK TO one")
        db.execute("RELEASE one")
        return None, error
    db.execute("RELEASE one")
    return result, None


def _locked(path: str) -> sqlite3.Connection:
    """Hold `<path>-lock` until the connection is closed or the process dies, on every platform.

    Two processes on one file would both take up the same unprocessed sessions.
    """
    lock: sqlite3.Connection | None = None
    try:
        lock = sqlite3.connect(f"{path}-lock", timeout=0, isolation_level=None, check_same_thread=False)
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error as error:
        if lock is not None:
            lock.close()
        if "locked" in str(error):
            raise LocalServiceError(
                f"{path} is in use by the local service of another process. Let that one serve both: start"
                f' `recallrai-integrations serve --db "{path}"` once and connect with its base_url, or choose'
                " another file."
            ) from error
        raise LocalServiceError(schema.reason(path, error)) from error
    return lock

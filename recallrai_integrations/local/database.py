"""One database file: many readers, one writer that commits in groups.

All writes go through one thread. What has queued up while a commit waits for the disk goes into the next
transaction together, each write in its own savepoint: 64 clients cost a few flushes, not 64, and nobody sees
"database is locked". A write is answered after its commit, so an acknowledged one survives a power cut.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeAlias, TypeVar

from recallrai_integrations.errors import LocalServiceError

from . import logs, schema

T = TypeVar("T")

logger = logs.events

_READERS: Final = 8  # threads; a recall that asks a model keeps one of them waiting
_LARGEST_GROUP: Final = 256
_ERASE_SECONDS: Final = 1.0  # how long a deletion waits for readers, and the pause until it is tried again


@dataclass(slots=True)
class _Task(Generic[T]):
    """A function of a connection, and where its outcome goes.

    Args:
        run: what is to be done.
        outcome: set when it is done; belongs to `loop` if there is one.
        loop: the event loop that waits, or None where a thread does.
        one_statement: it is atomic by itself and needs no savepoint.
        erases: what it deletes must not stay in the file or its log.
    """

    run: Callable[[sqlite3.Connection], T]
    outcome: Future[T] | asyncio.Future[T]
    loop: asyncio.AbstractEventLoop | None = None
    one_statement: bool = False
    erases: bool = False


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
        self.keeps_deleted_text = False
        """Whether text that was deleted is still in the log, because a reader that began before needs it."""
        # Plain threads, not an executor: executors stop working before the interpreter's exit handlers run,
        # and what is delivered there still needs its service.
        self._writing = _thread("recallrai-write", self._write_all)
        readers = 1 if path == schema.MEMORY else _READERS
        self._reading = [_thread(f"recallrai-read-{n}", self._read_all) for n in range(readers)]

    def submit(self, run: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """Runs a function in a write transaction; the future is done once it is committed or rolled back."""
        outcome = Future[T]()
        self._enqueue(self._writes, _Task(run, outcome))
        return outcome

    def submit_read(self, run: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """Runs a function that only reads, on a thread of its own and in one snapshot."""
        outcome = Future[T]()
        self._enqueue(self._reads, _Task(run, outcome))
        return outcome

    async def write(
        self, run: Callable[[sqlite3.Connection], T], *, one_statement: bool = False, erases: bool = False
    ) -> T:
        """Like `submit`, awaited. A cancelled request does not take back its write.

        Args:
            run: what is to be written; the transaction is not its business.
            one_statement: it executes a single statement, which SQLite undoes by itself when it fails.
            erases: it deletes what users said. That is gone from the file and its log when this returns, or
                `keeps_deleted_text` is set until it is.
        """
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[T] = loop.create_future()
        self._enqueue(self._writes, _Task(run, outcome, loop, one_statement, erases))
        return await outcome

    async def read(self, run: Callable[[sqlite3.Connection], T]) -> T:
        """Like `submit_read`, awaited."""
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[T] = loop.create_future()
        self._enqueue(self._reads, _Task(run, outcome, loop))
        return await outcome

    def _enqueue(self, tasks: _Queue, task: _Task[Any]) -> None:
        if self._closed:
            raise LocalServiceError(f"The local service on {self.path} has been stopped.")
        tasks.put(task)

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
                _deliver([self._read_one(own, task)])
        finally:
            if own is not None:
                own.close()

    def _read_one(self, own: sqlite3.Connection | None, task: _Task[Any]) -> _Outcome:
        try:
            if own is None:
                with self._turn:
                    return task, task.run(self._writer), None
            with _snapshot(own):
                return task, task.run(own), None
        except BaseException as error:  # noqa: BLE001 - belongs to the one who asked
            return task, None, error

    def _write_all(self) -> None:
        while True:
            try:
                first = self._writes.get(timeout=_ERASE_SECONDS if self.keeps_deleted_text else None)
            except queue.Empty:
                self._erase(wait=0.0)
                continue
            if first is None:
                return
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
        results: list[_Outcome] = []
        try:
            with self._turn, schema.transaction(self._writer):
                results.extend((write, *_in_savepoint(self._writer, write)) for write in group)
        except BaseException as error:  # noqa: BLE001 - handed to everyone who waits; this thread goes on
            results = [(write, None, error) for write in group]
            logger.error(  # noqa: TRY400 - no trace: a message of SQLite may quote what was to be written
                "write failed", extra={"error": type(error).__name__, "writes": len(group)}
            )
        if any(write.erases for write in group):
            self._erase(wait=_ERASE_SECONDS)
        _deliver(results)

    def _erase(self, *, wait: float) -> None:
        """Has deleted text leave the log, now or as soon as no reader needs it any more."""
        if self.path == schema.MEMORY:
            return
        try:
            self.keeps_deleted_text = not schema.erase(self._writer, wait=wait)
        except sqlite3.Error as error:
            self.keeps_deleted_text = True
            logger.error("deleted text stays in the log", extra={"error": type(error).__name__})  # noqa: TRY400


_Outcome: TypeAlias = "tuple[_Task[Any], Any, BaseException | None]"
_Queue: TypeAlias = "queue.SimpleQueue[_Task[Any] | None]"


def _deliver(results: Iterable[_Outcome]) -> None:
    """Wakes everyone who waits; each event loop is woken once for all of its own."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Outcome]] = {}
    for result in results:
        loop = result[0].loop
        if loop is None:
            _settle([result])
        else:
            by_loop.setdefault(loop, []).append(result)
    for loop, settled in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_settle, settled)


def _settle(results: Iterable[_Outcome]) -> None:
    for task, result, error in results:
        if task.outcome.done():  # the request was cancelled meanwhile
            continue
        if error is None:
            task.outcome.set_result(result)
        else:
            task.outcome.set_exception(error)


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
    if write.one_statement:
        try:
            return write.run(db), None
        except Exception as error:
            if not db.in_transaction:
                raise
            return None, error
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
    schema.keep_private(f"{path}-lock")
    try:
        lock = sqlite3.connect(f"{path}-lock", timeout=0, isolation_level=None, check_same_thread=False)
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error as error:
        if lock is not None:
            lock.close()
        if "locked" in str(error):
            raise LocalServiceError(
                f"{path} is in use by the local service of another process. Let that one serve both: start"
                f' `recallrai-integrations serve --db "{path}"` once and connect to its address'
                " (RECALLRAI_BASE_URL or base_url), or choose another file."
            ) from error
        raise LocalServiceError(schema.reason(path, error)) from error
    return lock

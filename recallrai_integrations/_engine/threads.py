"""Threads of our own: a process can end although one of them hangs in a request.

The main thread is the one in which signal handlers run, and an exception out of one may strike between any
two steps of Python code there. What it enters here is held by locks and queues that are written in C, so that
none of them is left locked.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar, cast
from weakref import finalize

from recallrai_integrations.errors import ConnectionClosedError

__all__ = ["CLOSED", "CallThreads", "ThreadPool", "spawn_thread"]

T = TypeVar("T")

CLOSED = "This connection to RecallrAI is closed; make another with connect()."
_SIGNALS_POLL = 1.0
"""Seconds after which a wait looks up: some platforms deliver signals only between waits."""


class _Task:
    """A call and the promise of its outcome."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call = call
        self.future: Future[Any] = Future()

    def run(self) -> None:
        try:
            self.future.set_result(self._call())
        except BaseException as error:  # noqa: BLE001 - kept for whoever waits for it
            self.future.set_exception(error)


class ThreadPool:
    """A few daemon threads, started as they are needed.

    Those of `ThreadPoolExecutor` keep the interpreter from exiting for as long as a request hangs.

    Args:
        most: how many threads.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._threads = 0
        self._unfinished: set[Future[Any]] = set()
        self._closed = False
        self._queue: SimpleQueue[_Task | None] = SimpleQueue()
        self._end = finalize(self, self._queue.put, None)  # each thread hands the end on to the next
        self._end.atexit = False

    def submit(self, call: Callable[[], T]) -> Future[T]:
        """Runs a call on one of the threads, in the order of calls.

        Where no thread can be started, because the interpreter is on its way out, one that is there runs
        it, else the caller's. After `close` the future holds a `ConnectionClosedError`.
        """
        task = _Task(call)
        future = task.future
        future.add_done_callback(self._unfinished.discard)
        with self._lock:
            if self._closed:
                future.set_exception(ConnectionClosedError(CLOSED))
                return future
            self._unfinished.add(future)
            try:
                if self._threads < min(self._most, len(self._unfinished)):
                    self._start()
                if self._threads:
                    self._queue.put(task)
                    return future
            except BaseException:
                self._unfinished.discard(future)
                raise
        task.run()
        return future

    def close(self, timeout: float) -> None:
        """Waits for what was submitted, for so many seconds; what has not begun by then never does."""
        wait(tuple(self._unfinished), timeout)
        with self._lock:
            if self._closed:
                return
            self._closed = True
        while True:
            try:
                task = self._queue.get_nowait()
            except Empty:
                break
            if task is not None:
                task.future.set_exception(ConnectionClosedError(CLOSED))
        self._end()

    def _start(self) -> None:
        thread = threading.Thread(target=_work, args=(self._queue,), name="recallrai-worker", daemon=True)
        with suppress(RuntimeError):
            thread.start()
            self._threads += 1


class CallThreads:
    """Daemon threads that carry out calls of the main thread, one each.

    An exception out of a signal handler ends the main thread's wait and not the call: a request that is under
    way is finished, and its answer kept.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[_Call[Any] | None] = SimpleQueue()
        self._idle: SimpleQueue[None] = SimpleQueue()
        self.close = finalize(self, self._calls.put, None)
        self.close.atexit = False

    def run(self, call: Callable[[], T], *, interrupted: Callable[[], object]) -> T:
        """Carries out a call and waits for it.

        Args:
            call: runs on another thread, or on this one where none can be started any more.
            interrupted: called when an exception out of a signal handler ends the wait.
        """
        one = _Call(call)
        try:
            self._idle.get_nowait()
        except Empty:
            work = threading.Thread(
                target=_serve, args=(self._calls, self._idle), name="recallrai-call", daemon=True
            )
            try:
                work.start()
            except RuntimeError:  # the interpreter is on its way out
                return call()
        self._calls.put(one)
        try:
            one.wait()
        except BaseException:
            interrupted()
            raise
        return one.outcome()


class _Call(Generic[T]):
    """A call, and its outcome once it has one."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._result: T | None = None
        self._error: BaseException | None = None
        self._done = threading.Lock()
        self._done.acquire()

    def run(self) -> None:
        try:
            self._result = self._call()
        except BaseException as error:  # noqa: BLE001 - kept for whoever waits for it
            self._error = error

    def tell(self) -> None:
        self._done.release()

    def wait(self) -> None:
        while not self._done.acquire(timeout=_SIGNALS_POLL):
            pass

    def outcome(self) -> T:
        error, self._error = self._error, None
        if error is None:
            return cast("T", self._result)
        try:
            raise error
        finally:
            del error  # its trace holds this frame


def spawn_thread(call: Callable[[], T]) -> Future[T]:
    """Runs a call on a daemon thread of its own.

    Raises:
        RuntimeError: no thread can be started: the interpreter is on its way out.
    """
    task = _Task(call)
    threading.Thread(target=task.run, name="recallrai-beside", daemon=True).start()
    return task.future


def _work(queue: SimpleQueue[_Task | None]) -> None:
    while (task := queue.get()) is not None:
        task.run()
        del task  # and with it what the call holds on to
    queue.put(None)


def _serve(calls: SimpleQueue[_Call[Any] | None], idle: SimpleQueue[None]) -> None:
    while (call := calls.get()) is not None:
        call.run()
        idle.put(None)  # first: whoever waits for the call may have another one at once
        call.tell()
        del call
    calls.put(None)

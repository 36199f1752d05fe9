"""Threads of our own: a process can end although one of them hangs in a request."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, TypeVar
from weakref import finalize

from recallrai_integrations.errors import ConnectionClosedError

__all__ = ["CLOSED", "ThreadPool", "spawn_thread"]

T = TypeVar("T")

CLOSED = "This connection to RecallrAI is closed; make another with connect()."


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
        self._changed = threading.Condition()
        self._threads = 0
        self._unfinished = 0
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
        with self._changed:
            if self._closed:
                task.future.set_exception(ConnectionClosedError(CLOSED))
                return task.future
            self._unfinished += 1
            task.future.add_done_callback(self._note_end)
            if self._threads < min(self._most, self._unfinished):
                self._start()
            if self._threads:
                self._queue.put(task)
                return task.future
        task.run()
        return task.future

    def close(self, timeout: float) -> None:
        """Waits for what was submitted, for so many seconds; what has not begun by then never does."""
        with self._changed:
            self._changed.wait_for(lambda: not self._unfinished, timeout)
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

    def _note_end(self, _: Future[Any]) -> None:
        with self._changed:
            self._unfinished -= 1
            self._changed.notify_all()


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

"""Runs flows, on threads or on an event loop: the only code that knows the difference."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from typing import Any, Generic, TypeVar, cast

from typing_extensions import override

from .backend import Backend
from .ops import (
    Beside,
    Collect,
    Exclusive,
    Flow,
    Local,
    Op,
    Pending,
    ServiceOp,
    Sleep,
    Together,
    WaitFor,
)
from .options import DeliveryOptions
from .resilience import Requests

__all__ = ["Engine", "adrive", "drive"]

T = TypeVar("T")

_PAGES_AT_ONCE = 16


def drive(flow: Flow[T], engine: Engine, *, insist: bool = False) -> T:
    """Runs a flow on this thread.

    Args:
        flow: what to run.
        engine: carries out its ops.
        insist: try although the circuit breaker is open.
    """
    answer, error = None, None
    while True:
        try:
            op = flow.send(answer) if error is None else flow.throw(error)
        except StopIteration as end:
            return cast("T", end.value)
        answer = error = None
        try:
            answer = engine.execute(op, insist=insist)
        except BaseException as raised:  # noqa: BLE001 - the flow decides; what it does not handle goes on
            error = raised


async def adrive(flow: Flow[T], engine: Engine, *, insist: bool = False) -> T:
    """Runs a flow on the running event loop; the twin of `drive`."""
    answer, error = None, None
    while True:
        try:
            op = flow.send(answer) if error is None else flow.throw(error)
        except StopIteration as end:
            return cast("T", end.value)
        answer = error = None
        try:
            answer = await engine.aexecute(op, insist=insist)
        except BaseException as raised:  # noqa: BLE001 - as in `drive`; cancellation too
            error = raised


class Engine:
    """Carries out ops: requests, and the few steps beside them.

    Args:
        backend: sends requests.
        delivery: how requests are repeated.
        observe: told of requests; see `Requests`.
    """

    def __init__(
        self, backend: Backend, delivery: DeliveryOptions, observe: Callable[[str, dict[str, Any]], object]
    ) -> None:
        self._requests = Requests(backend, delivery, observe)
        self._pool = ThreadPoolExecutor(max_workers=_PAGES_AT_ONCE, thread_name_prefix="recallrai")
        self._tasks: set[asyncio.Task[Any]] = set()
        self._steps: dict[type, Callable[[Any, bool], Any]] = {
            Beside: self._beside,
            Collect: self._collect,
            Exclusive: self._exclusive,
            Local: self._local,
            Sleep: self._sleep,
            Together: self._together,
            WaitFor: self._wait_for,
        }
        self._asteps: dict[type, Callable[[Any, bool], Awaitable[Any]]] = {
            Beside: self._abeside,
            Collect: self._acollect,
            Exclusive: self._aexclusive,
            Local: self._alocal,
            Sleep: self._asleep,
            Together: self._atogether,
            WaitFor: self._await_for,
        }

    @property
    def is_down(self) -> bool:
        """Whether some kind of request failed when it was last tried."""
        return self._requests.is_down

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Runs work on an owned worker thread; the interpreter does not exit before it is done."""
        return self._pool.submit(work)

    def close(self) -> None:
        """Waits for the workers."""
        self._pool.shutdown(wait=True)

    def execute(self, op: Op[Any], *, insist: bool = False) -> Any:
        """Carries out one op on this thread."""
        if isinstance(op, ServiceOp):
            return self._requests.send(op, insist=insist)
        return self._steps[type(op)](op, insist)

    async def aexecute(self, op: Op[Any], *, insist: bool = False) -> Any:
        """Carries out one op on the running loop."""
        if isinstance(op, ServiceOp):
            return await self._requests.asend(op, insist=insist)
        return await self._asteps[type(op)](op, insist)

    def _exclusive(self, op: Exclusive[T], insist: bool) -> T:
        with op.lock:
            return drive(op.flow, self, insist=insist)

    async def _aexclusive(self, op: Exclusive[T], insist: bool) -> T:
        async with op.lock:
            return await adrive(op.flow, self, insist=insist)

    def _local(self, op: Local[T], _: bool) -> T:
        return op.call()

    async def _alocal(self, op: Local[T], _: bool) -> T:
        if not op.blocking:
            return op.call()
        work = asyncio.ensure_future(asyncio.to_thread(op.call))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.wait((work,))  # a step in a file is over before the flow hears of the cancellation
            raise

    def _sleep(self, op: Sleep, _: bool) -> None:
        time.sleep(op.seconds)

    async def _asleep(self, op: Sleep, _: bool) -> None:
        await asyncio.sleep(op.seconds)

    def _wait_for(self, op: WaitFor[T], _: bool) -> T | None:
        return op.future.result() if wait((op.future,), timeout=op.seconds).done else None

    async def _await_for(self, op: WaitFor[T], _: bool) -> T | None:
        if not op.future.done():
            await asyncio.wait((asyncio.wrap_future(op.future),), timeout=op.seconds)
        return op.future.result() if op.future.done() else None

    def _beside(self, op: Beside[T], insist: bool) -> Pending[T]:
        flow: Flow[T] = op.flow
        return _PendingCall[T].start(lambda: drive(flow, self, insist=insist))

    async def _abeside(self, op: Beside[T], insist: bool) -> Pending[T]:
        task = asyncio.create_task(adrive(op.flow, self, insist=insist))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())  # seen, whoever collects it
        return _PendingTask(task)

    def _collect(self, op: Collect[T], _: bool) -> list[Pending[T]]:
        calls = {one.future: one for one in cast("Sequence[_PendingCall[T]]", op.pending)}
        ended = wait(calls, timeout=op.seconds, return_when="FIRST_COMPLETED").done
        return [calls[future] for future in ended]

    async def _acollect(self, op: Collect[T], _: bool) -> list[Pending[T]]:
        tasks = {one.task: one for one in cast("Sequence[_PendingTask[T]]", op.pending)}
        ended, _rest = await asyncio.wait(tasks, timeout=op.seconds, return_when="FIRST_COMPLETED")
        return [tasks[task] for task in ended]

    def _together(self, op: Together[T], insist: bool) -> list[T]:
        if len(op.ops) == 1:
            return [cast("T", self.execute(op.ops[0], insist=insist))]
        futures = [self._pool.submit(self.execute, one, insist=insist) for one in op.ops]
        wait(futures)
        return [cast("T", future.result()) for future in futures]

    async def _atogether(self, op: Together[T], insist: bool) -> list[T]:
        limit = asyncio.Semaphore(_PAGES_AT_ONCE)

        async def one_of(request: ServiceOp[T]) -> T:
            async with limit:
                return cast("T", await self.aexecute(request, insist=insist))

        answers = await asyncio.gather(*map(one_of, op.ops), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return cast("list[T]", answers)


class _PendingCall(Pending[T], Generic[T]):
    """A flow on a daemon thread of its own, so that one that hangs keeps no interpreter from exiting."""

    def __init__(self, future: Future[T]) -> None:
        self.future = future

    @classmethod
    def start(cls, call: Callable[[], T]) -> _PendingCall[T]:
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(call())
            except BaseException as error:  # noqa: BLE001 - kept for whoever collects it
                future.set_exception(error)

        thread = threading.Thread(
            target=copy_context().run, args=(run,), name="recallrai-beside", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # no threads any more: the interpreter is on its way out
            run()
        return cls(future)

    @override
    def result(self) -> T:
        return self.future.result()


class _PendingTask(Pending[T], Generic[T]):
    def __init__(self, task: asyncio.Task[T]) -> None:
        self.task = task

    @override
    def result(self) -> T:
        return self.task.result()

"""Runs flows on threads or on an event loop; no other code knows the difference."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future, wait
from contextvars import ContextVar, copy_context
from functools import partial
from typing import Any, Generic, TypeVar, cast

from typing_extensions import override

from recallrai_integrations import _flows as flows
from recallrai_integrations._backend import Backend
from recallrai_integrations._flows.ops import (
    Await,
    Call,
    Flow,
    Gather,
    Locked,
    Op,
    ServiceOp,
    Sleep,
    Spawn,
    Spawned,
    WaitAny,
)
from recallrai_integrations.errors import DeadlockError
from recallrai_integrations.options import DeliveryOptions

from .breaker import CircuitBreaker
from .requests import Requests
from .threads import CallThreads, ThreadPool, spawn_thread
from .waiting import TaskWaiter, ThreadWaiter

__all__ = ["Engine", "adrive", "drive"]

T = TypeVar("T")

_DELIVERIES_AT_ONCE = 16
_PAGES_AT_ONCE = 16

_stopped: ContextVar[asyncio.AbstractEventLoop | None] = ContextVar("recallrai_stopped", default=None)


def drive(flow: Flow[T], engine: Engine, *, insist: bool = False, caller: flows.Caller | None = None) -> T:
    """Runs a flow on this thread.

    Args:
        flow: what to run.
        engine: carries out its ops.
        insist: try although the circuit breaker is open.
        caller: once it has left, the flow only continues with steps that take no time; None never leaves.
    """
    answer, error = None, None
    while True:
        try:
            op = flow.send(answer) if error is None else flow.throw(error)
        except StopIteration as end:
            return cast("T", end.value)
        answer = error = None
        try:
            answer = engine.execute(_wanted(op, caller), insist=insist)
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


def _wanted(op: Op[T], caller: flows.Caller | None) -> Op[T]:
    if caller is not None and caller.left and not isinstance(op, Call):
        raise _CallerLeft
    return op


class _CallerLeft(BaseException):
    """Ends a flow whose caller has left; no code outside catches it."""


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
        self._workers = ThreadPool(_DELIVERIES_AT_ONCE)
        self._readers = ThreadPool(_PAGES_AT_ONCE)  # a read waits for no delivery that hangs
        self._spawned: set[asyncio.Task[Any]] = set()
        self._in_turns: set[asyncio.Task[Any]] = set()
        self._calls = CallThreads()
        self._steps: dict[type, Callable[[Any, bool], Any]] = {
            Spawn: self._spawn,
            WaitAny: self._wait_any,
            Locked: self._locked,
            Call: self._call,
            Sleep: self._sleep,
            Gather: self._gather,
            Await: self._await,
        }
        self._asteps: dict[type, Callable[[Any, bool], Awaitable[Any]]] = {
            Spawn: self._aspawn,
            WaitAny: self._await_any,
            Locked: self._alocked,
            Call: self._acall,
            Sleep: self._asleep,
            Gather: self._agather,
            Await: self._aawait,
        }

    @property
    def is_down(self) -> bool:
        """Whether the last request of some kind failed."""
        return self._requests.is_down

    def run(self, flow: Flow[T], *, insist: bool = False) -> T:
        """Runs a flow for this thread; for the main one, in which signal handlers raise, on another thread.

        Args:
            flow: what to run.
            insist: try although the circuit breaker is open.
        """
        if threading.get_ident() != threading.main_thread().ident:
            return drive(flow, self, insist=insist)
        caller, context = flows.Caller(), copy_context()
        context.run(flows.caller.set, caller)
        context.run(_stopped.set, _stopped_loop())

        def leave() -> None:
            caller.left = True

        return self._calls.run(
            lambda: context.run(lambda: drive(flow, self, insist=insist, caller=caller)), interrupted=leave
        )

    @property
    def seconds_refused(self) -> float:
        """Seconds during which no request to store is sent; 0 while the service works."""
        return self._requests.breaker.seconds_left()

    @property
    def recall_breaker(self) -> CircuitBreaker:
        """Refuses recalls while the service cannot recall."""
        return self._requests.recall_breaker

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Runs work on an owned worker thread."""
        return self._workers.submit(work)

    def close(self, timeout: float) -> None:
        """Waits for the threads, at most so many seconds; afterwards no request begins."""
        self._workers.close(timeout)
        self._requests.close()
        self._readers.close(0.0)
        self._calls.close()

    async def aclose(self, timeout: float) -> None:
        """The async twin of `close`; what goes on beside a flow of this loop is cancelled."""
        tasks = [task for task in self._spawned if task.get_loop() is asyncio.get_running_loop()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(self.close, timeout)

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

    def _locked(self, op: Locked[T], insist: bool) -> T:
        stopped = _stopped_loop()
        if stopped is not None and op.lock.holds(stopped):
            raise DeadlockError(
                "This call would never return: an async call for the same conversation is running on this "
                "event loop, which a sync call blocks. Await the async method instead, the same name with "
                "an a before it: await conversation.arecord(…)."
            )
        waiter = ThreadWaiter()
        op.lock.enter(waiter)
        try:
            while not op.lock.is_first(waiter):
                waiter.wait()
                if flows.caller_has_left():
                    raise _CallerLeft
            return drive(op.flow, self, insist=insist)
        finally:
            op.lock.leave(waiter)

    async def _alocked(self, op: Locked[T], insist: bool) -> T:
        """On a task of the engine: a cancelled caller leaves at once, and what has begun is finished."""
        waiter, caller = TaskWaiter(), flows.Caller()
        before = flows.caller.set(caller)
        try:
            task = _held(asyncio.create_task(self._in_turn(op, waiter, insist)), self._in_turns)
        finally:
            flows.caller.reset(before)
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError:
            caller.left = True
            if not waiter.has_come:
                task.cancel()
            raise
        return task.result()

    async def _in_turn(self, op: Locked[T], waiter: TaskWaiter, insist: bool) -> T:
        waiter.enter(op.lock)
        try:
            await waiter.come()
            return await adrive(op.flow, self, insist=insist)
        finally:
            op.lock.leave(waiter)

    def _call(self, op: Call[T], _: bool) -> T:
        return op.call()

    async def _acall(self, op: Call[T], _: bool) -> T:
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

    def _await(self, op: Await[T], _: bool) -> T | None:
        if not op.future.done():
            wait((op.future,), timeout=op.seconds)
        return op.future.result() if op.future.done() else None

    async def _aawait(self, op: Await[T], _: bool) -> T | None:
        if not op.future.done():
            await asyncio.wait((asyncio.wrap_future(op.future),), timeout=op.seconds)
        return op.future.result() if op.future.done() else None

    def _spawn(self, op: Spawn[T], insist: bool) -> Spawned[T]:
        context = copy_context()
        context.run(_stopped.set, _stopped_loop())

        def call() -> T:
            return context.run(lambda: drive(op.flow, self, insist=insist))

        try:
            return _SpawnedCall(spawn_thread(call))
        except RuntimeError:  # no threads any more: the interpreter is on its way out
            return _SpawnedCall(self._workers.submit(call))

    async def _aspawn(self, op: Spawn[T], insist: bool) -> Spawned[T]:
        return _SpawnedTask(_held(asyncio.create_task(adrive(op.flow, self, insist=insist)), self._spawned))

    def _wait_any(self, op: WaitAny[T], _: bool) -> list[Spawned[T]]:
        calls = {one.future: one for one in cast("Sequence[_SpawnedCall[T]]", op.pending)}
        ended = wait(calls, timeout=op.seconds, return_when="FIRST_COMPLETED").done
        return [calls[future] for future in ended]

    async def _await_any(self, op: WaitAny[T], _: bool) -> list[Spawned[T]]:
        tasks = {one.task: one for one in cast("Sequence[_SpawnedTask[T]]", op.pending)}
        ended, _rest = await asyncio.wait(tasks, timeout=op.seconds, return_when="FIRST_COMPLETED")
        return [tasks[task] for task in ended]

    def _gather(self, op: Gather[T], insist: bool) -> list[T]:
        if len(op.ops) == 1:
            return [cast("T", self.execute(op.ops[0], insist=insist))]
        futures = [self._readers.submit(partial(self.execute, one, insist=insist)) for one in op.ops]
        wait(futures)
        return [cast("T", future.result()) for future in futures]

    async def _agather(self, op: Gather[T], insist: bool) -> list[T]:
        limit = asyncio.Semaphore(_PAGES_AT_ONCE)

        async def one_of(request: ServiceOp[T]) -> T:
            async with limit:
                return cast("T", await self.aexecute(request, insist=insist))

        answers = await asyncio.gather(*map(one_of, op.ops), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return cast("list[T]", answers)


def _held(task: asyncio.Task[T], tasks: set[asyncio.Task[Any]]) -> asyncio.Task[T]:
    """Holds a task, which its loop does only weakly, until it has ended."""
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())  # seen, whoever collects it
    return task


def _stopped_loop() -> asyncio.AbstractEventLoop | None:
    """The event loop that goes on only when this sync call, or the one that it runs beside, has returned."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return _stopped.get()


class _SpawnedCall(Spawned[T], Generic[T]):
    def __init__(self, future: Future[T]) -> None:
        self.future = future

    @override
    def result(self) -> T:
        return self.future.result()

    @property
    @override
    def done(self) -> bool:
        return self.future.done()


class _SpawnedTask(Spawned[T], Generic[T]):
    def __init__(self, task: asyncio.Task[T]) -> None:
        self.task = task

    @override
    def result(self) -> T:
        return self.task.result()

    @property
    @override
    def done(self) -> bool:
        return self.task.done() or self.task.get_loop().is_closed()  # a closed loop runs none to its end

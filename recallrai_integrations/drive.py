"""Runs flows, on threads or on an event loop: the only code that knows the difference."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar, cast

from purgatory.domain.model import ClosedState, Context, OpenedState
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    Retrying,
    stop_after_attempt,
    stop_before_delay,
    wait_exponential,
    wait_random,
)
from tenacity.stop import stop_base
from typing_extensions import override

from .backend import Backend
from .errors import ServiceUnavailableError
from .ops import (
    Beside,
    Collect,
    Exclusive,
    Flow,
    GetContext,
    Local,
    Op,
    Pending,
    ServiceOp,
    Sleep,
    Together,
    WaitFor,
)
from .options import DeliveryOptions

__all__ = ["Engine", "adrive", "drive"]

T = TypeVar("T")

_PAGES_AT_ONCE = 16
_backoff = wait_exponential(multiplier=0.2, max=5.0) + wait_random(0.0, 0.2)


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
    """Carries out ops: requests with retries and a circuit breaker, and the few steps beside them.

    Args:
        backend: sends requests.
        delivery: retries, budget, breaker.
        observe: told `"retried"` and `"recovered"`, with figures.
    """

    def __init__(
        self, backend: Backend, delivery: DeliveryOptions, observe: Callable[[str, dict[str, Any]], object]
    ) -> None:
        self._backend = backend
        self._observe = observe
        # Recalls have one of their own, so that a service that cannot recall still takes messages.
        self._breaker, self._recall_breaker = (
            Context(name, delivery.breaker_threshold, delivery.breaker_reset) for name in ("store", "recall")
        )
        self._tries, self._retry_budget = delivery.retries + 1, delivery.retry_budget
        policy: dict[str, Any] = {
            "wait": _pause,
            "retry": _may_repeat,
            "before_sleep": self._note_retry,
            "reraise": True,
        }
        self._retrying = Retrying(**policy)
        self._aretrying = AsyncRetrying(**policy)
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
        self._failing: dict[str, float] = {}
        self._failing_for_now = 2 * delivery.breaker_reset

    @property
    def is_down(self) -> bool:
        """Whether some kind of request failed when it was last tried."""
        return bool(self._failing)

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Runs work on an owned worker thread; the interpreter does not exit before it is done."""
        return self._pool.submit(work)

    def close(self) -> None:
        """Waits for the workers."""
        self._pool.shutdown(wait=True)

    def execute(self, op: Op[Any], *, insist: bool = False) -> Any:
        """Carries out one op on this thread."""
        if not isinstance(op, ServiceOp):
            return self._steps[type(op)](op, insist)
        started = time.monotonic()
        try:
            return self._send(op, insist=insist)
        except ServiceUnavailableError as error:
            failed = [error]

        def send(op: ServiceOp[Any], *, insist: bool) -> Any:
            if failed:
                raise failed.pop()
            return self._send(op, insist=insist)

        return self._retrying.copy(stop=self._give_up(started))(send, op, insist=insist)

    async def aexecute(self, op: Op[Any], *, insist: bool = False) -> Any:
        """Carries out one op on the running loop."""
        if not isinstance(op, ServiceOp):
            return await self._asteps[type(op)](op, insist)
        started = time.monotonic()
        try:
            return await self._asend(op, insist=insist)
        except ServiceUnavailableError as error:
            failed = [error]

        async def send(op: ServiceOp[Any], *, insist: bool) -> Any:
            if failed:
                raise failed.pop()
            return await self._asend(op, insist=insist)

        return await self._aretrying.copy(stop=self._give_up(started))(send, op, insist=insist)

    def _give_up(self, started: float) -> stop_base:
        """When retrying ends. It begins with the outcome of the first try, so that one counts too.

        Nearly all requests succeed at once, and for those the machinery of retries would be the largest part
        of what is done here.
        """
        left = max(0.0, self._retry_budget - (time.monotonic() - started))
        return stop_after_attempt(self._tries) | stop_before_delay(left)

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

    def _send(self, op: ServiceOp[T], *, insist: bool) -> T:
        with self._guard(op, insist=insist):
            return self._backend.send(op)

    async def _asend(self, op: ServiceOp[T], *, insist: bool) -> T:
        with self._guard(op, insist=insist):
            return await self._backend.asend(op)

    def _guard(self, op: ServiceOp[Any], *, insist: bool) -> _Guard:
        breaker = self._recall_breaker if isinstance(op, GetContext) else self._breaker
        return _Guard(breaker, self._note_outcome, type(op).__name__, insist=insist)

    def _note_outcome(self, request: str, *, failed: bool) -> None:
        if failed:
            self._failing[request] = time.monotonic()
        elif self._failing:
            # Reads may work while writes fail: the outage is over when what failed works again. What nobody
            # has asked for since says nothing any more.
            since = time.monotonic() - self._failing_for_now
            self._failing = {
                name: at for name, at in self._failing.copy().items() if name != request and at > since
            }
            if not self._failing:
                self._observe("recovered", {})

    def _note_retry(self, state: RetryCallState) -> None:
        op = state.args[0]
        self._observe("retried", {"request": type(op).__name__, "attempt": state.attempt_number})


class _NoteOutcome(Protocol):
    def __call__(self, request: str, *, failed: bool) -> None: ...


class _BreakerOpenError(ServiceUnavailableError):
    """Refused without a request; waiting a moment would not help."""


class _Guard:
    """Lets a request through the circuit breaker and tells it the outcome; works in both colours."""

    def __init__(self, breaker: Context, note_outcome: _NoteOutcome, request: str, *, insist: bool) -> None:
        self._breaker = breaker
        self._note_outcome = note_outcome
        self._request = request
        self._insist = insist

    def __enter__(self) -> None:
        try:
            self._breaker.handle_new_request()
        except OpenedState as opened:
            opened.__traceback__ = None  # one object for the whole outage: its trace would grow with each use
            if not self._insist:
                raise _BreakerOpenError(
                    "RecallrAI failed several times in a row and is not asked for a while.",
                    may_have_taken_effect=False,
                ) from None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, ServiceUnavailableError):
            self._breaker.handle_exception(error)
            self._note_outcome(self._request, failed=True)
        elif error is None or isinstance(error, Exception):
            if self._breaker.state == "opened":
                self._breaker.set_state(ClosedState())  # a request that insisted found the service back
            else:
                self._breaker.handle_end_request()
            self._note_outcome(self._request, failed=False)
        self._breaker.messages.clear()


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


def _may_repeat(state: RetryCallState) -> bool:
    error = state.outcome.exception() if state.outcome is not None else None
    if not isinstance(error, ServiceUnavailableError) or isinstance(error, _BreakerOpenError):
        return False
    return cast("ServiceOp[Any]", state.args[0]).repeatable or not error.may_have_taken_effect


def _pause(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome is not None else None
    asked = error.retry_after if isinstance(error, ServiceUnavailableError) else None
    return asked if asked is not None else _backoff(state)

"""Sending requests: retries, circuit breakers, and the number of writes at the same time."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from types import TracebackType
from typing import Any, Protocol, TypeVar, cast

from aiologic import Semaphore
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

from recallrai_integrations._backend import Backend
from recallrai_integrations._flows.ops import GetContext, ServiceOp, Write
from recallrai_integrations.errors import ConnectionClosedError, ServiceUnavailableError
from recallrai_integrations.options import DeliveryOptions

from .breaker import CircuitBreaker, CircuitOpenError
from .threads import CLOSED

__all__ = ["Requests"]

T = TypeVar("T")

_WRITES_AT_ONCE = 400
"""Of the 500 connections of a client (SDK): the others are there for reads when all of these hang."""

_ANY_NUMBER = nullcontext()

_backoff = wait_exponential(multiplier=0.2, max=5.0) + wait_random(0.0, 0.2)


class Requests:
    """Sends the requests of one connection, as often as may help.

    Nearly all succeed at once, and retrying is not prepared before the first try has failed: it would be the
    larger part of what is done here.

    Args:
        backend: sends one request once.
        delivery: retries, budget, breaker.
        observe: told `"retried"` and `"recovered"`, with figures.
    """

    def __init__(
        self, backend: Backend, delivery: DeliveryOptions, observe: Callable[[str, dict[str, Any]], object]
    ) -> None:
        self._backend = backend
        self._observe = observe
        # Recalls have one of their own, so that a service that cannot recall still takes messages.
        self.breaker, self.recall_breaker = (
            CircuitBreaker(delivery.breaker_threshold, delivery.breaker_reset) for _ in ("store", "recall")
        )
        # A thread waits for no task: the loop of that task may be its own.
        self._writes, self._awrites = Semaphore(_WRITES_AT_ONCE), Semaphore(_WRITES_AT_ONCE)
        self._closed = False
        self._tries, self._retry_budget = delivery.retries + 1, delivery.retry_budget
        policy: dict[str, Any] = {
            "wait": _pause,
            "retry": _may_repeat,
            "before_sleep": self._note_retry,
            "reraise": True,
        }
        self._retrying = Retrying(**policy)
        self._aretrying = AsyncRetrying(**policy)
        self._failing: dict[str, float] = {}
        self._failing_for_now = 2 * delivery.breaker_reset

    @property
    def is_down(self) -> bool:
        """Whether some kind of request failed when it was last tried."""
        return bool(self._failing)

    def send(self, op: ServiceOp[T], *, insist: bool) -> T:
        """Sends a request from this thread.

        Args:
            op: the request.
            insist: try although the circuit breaker is open.

        Raises:
            ServiceError: see `Backend.send`.
        """
        started = time.monotonic()
        try:
            return self._send_once(op, insist=insist)
        except ServiceUnavailableError as error:
            failed = [error]

        def send(op: ServiceOp[T], *, insist: bool) -> T:
            if failed:
                raise failed.pop()
            return self._send_once(op, insist=insist)

        return self._retrying.copy(stop=self._give_up(started))(send, op, insist=insist)

    async def asend(self, op: ServiceOp[T], *, insist: bool) -> T:
        """The async twin of `send`."""
        started = time.monotonic()
        try:
            return await self._asend_once(op, insist=insist)
        except ServiceUnavailableError as error:
            failed = [error]

        async def send(op: ServiceOp[T], *, insist: bool) -> T:
            if failed:
                raise failed.pop()
            return await self._asend_once(op, insist=insist)

        return await self._aretrying.copy(stop=self._give_up(started))(send, op, insist=insist)

    def close(self) -> None:
        """No request begins any more."""
        self._closed = True

    def _give_up(self, started: float) -> stop_base:
        """When retrying, which begins with the outcome of the first try, ends: that try's time counts."""
        left = max(0.0, self._retry_budget - (time.monotonic() - started))
        return stop_after_attempt(self._tries) | stop_before_delay(left)

    def _send_once(self, op: ServiceOp[T], *, insist: bool) -> T:
        with _room(self._writes, op), self._guard(op, insist=insist):
            return self._backend.send(op)

    async def _asend_once(self, op: ServiceOp[T], *, insist: bool) -> T:
        async with _room(self._awrites, op):
            with self._guard(op, insist=insist):
                return await self._backend.asend(op)

    def _guard(self, op: ServiceOp[Any], *, insist: bool) -> _Guard:
        if self._closed:
            raise ConnectionClosedError(CLOSED)
        breaker = self.recall_breaker if isinstance(op, GetContext) else self.breaker
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


class _Guard:
    """Lets a request through the circuit breaker and reports the outcome to it; works sync and async."""

    def __init__(
        self, breaker: CircuitBreaker, note_outcome: _NoteOutcome, request: str, *, insist: bool
    ) -> None:
        self._breaker = breaker
        self._note_outcome = note_outcome
        self._request = request
        self._insist = insist
        self._probe: object | None = None

    def __enter__(self) -> None:
        self._probe = self._breaker.enter(insist=self._insist)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, ServiceUnavailableError):
            self._breaker.fail(self._probe)
            self._note_outcome(self._request, failed=True)
        elif error is None or isinstance(error, Exception):
            self._breaker.succeed()
            self._note_outcome(self._request, failed=False)
        else:
            self._breaker.abandon(self._probe)


def _room(writes: Semaphore, op: ServiceOp[Any]) -> Semaphore | nullcontext[None]:
    return writes if isinstance(op, Write) else _ANY_NUMBER


def _may_repeat(state: RetryCallState) -> bool:
    error = state.outcome.exception() if state.outcome is not None else None
    if not isinstance(error, ServiceUnavailableError) or isinstance(error, CircuitOpenError):
        return False
    return cast("ServiceOp[Any]", state.args[0]).repeatable or not error.may_have_taken_effect


def _pause(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome is not None else None
    asked = error.retry_after if isinstance(error, ServiceUnavailableError) else None
    return asked if asked is not None else _backoff(state)

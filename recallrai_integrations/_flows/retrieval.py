"""Recalling: first the question, then the context, in parallel with the instructions."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Final, Protocol

from recallrai_integrations.errors import NotFoundError, RequestRejectedError, ServiceUnavailableError
from recallrai_integrations.models import ContextAnswer
from recallrai_integrations.options import DeliveryOptions, RecallOptions
from recallrai_integrations.outbox import ConversationKey

from .delivery import deliver
from .ops import Await, Flow, GetContext, Locked, Spawn, Spawned, WaitAny
from .sessions import find_session, open_session
from .state import State, nothing_waits

__all__ = ["LateRecalls", "Recalled", "recall"]

_JUST_FAILED = 1.0
_INSTRUCTIONS_GRACE = 2.0
_QUICK: Final = "low_latency"
_LATE_AT_ONCE: Final = 16
_LATE_OF_A_CONVERSATION: Final = 2


class Breaker(Protocol):
    """The circuit breaker of recalls, as far as flows use it."""

    def check(self) -> None:
        """Raises `ServiceUnavailableError` while the service cannot recall."""
        ...

    def miss(self) -> None:
        """Counts a recall that was not answered in time as a failure."""
        ...


class LateRecalls:
    """The recalls of one connection that missed the deadline of their turn; each holds a thread or a task.

    Args:
        breaker: of recalls.
    """

    def __init__(self, breaker: Breaker) -> None:
        self._breaker = breaker
        self._lock = threading.Lock()
        self._late: list[tuple[ConversationKey, Spawned[Any]]] = []

    def check(self, key: ConversationKey) -> None:
        """Raises `ServiceUnavailableError` if too many recalls are late, so that no other may begin."""
        self._breaker.check()
        with self._lock:
            late = self._late = [one for one in self._late if not one[1].done]
        of_conversation = sum(other == key for other, _ in late)
        if of_conversation >= _LATE_OF_A_CONVERSATION or len(late) >= _LATE_AT_ONCE:
            raise ServiceUnavailableError(
                f"{len(late)} earlier recalls have not been answered yet; no other recall is sent.",
                may_have_taken_effect=False,
            )

    def add(self, key: ConversationKey, pending: Sequence[Spawned[Any]]) -> None:
        """Adds recalls whose turn continues without them."""
        with self._lock:
            self._late += [(key, one) for one in pending]

    def miss(self) -> None:
        """Counts a missed deadline."""
        self._breaker.miss()


@dataclass(frozen=True, slots=True)
class Recalled:
    """The result of a recall: an answer, possibly a stale one, or None; `degraded` if it is not fresh."""

    answer: ContextAnswer | None
    degraded: bool
    instructions: str = ""


def recall(
    state: State,
    options: RecallOptions,
    *,
    late: LateRecalls,
    instructions: Callable[[str], Future[str]] | None,
    on_progress: Callable[[str], object] | None = None,
) -> Flow[Recalled]:
    """Delivers the question, requests the context, and fetches the instructions in parallel.

    Args:
        state: the conversation.
        options: how to recall.
        late: the recalls of this connection that missed their deadline.
        instructions: returns a future of a strategy's text; None if no instructions are needed.
        on_progress: called with the service's status texts.

    Raises:
        ServiceUnavailableError: with `on_error="raise"`.
        CredentialsError, RequestRejectedError: always.
    """
    if instructions is not None:
        for name in _may_answer(options, state.delivery):
            instructions(name)
    number = next(state.recalls)
    deadline = state.delivery.recall_deadline
    ends = None if deadline is None else time.monotonic() + deadline
    try:
        question = _Question(state, options, number, on_progress)
        recalled = yield from _ask(question) if ends is None else _ask_until(question, late, ends)
    except ServiceUnavailableError as error:
        if state.delivery.on_error == "raise":
            raise
        state.emit_outage(error)
        recalled = _late(state)
    except NotFoundError:  # deleted during the recall; the next message opens another session
        recalled = Recalled(None, degraded=False)
    if recalled.answer is None or instructions is None:
        return recalled
    text = instructions(recalled.answer.strategy)
    patience = _INSTRUCTIONS_GRACE if ends is None else max(0.0, ends - time.monotonic())
    told = yield from Await(text, patience)
    return Recalled(recalled.answer, degraded=recalled.degraded, instructions=told or "")


@dataclass(frozen=True, slots=True)
class _Question:
    """The arguments of a recall.

    Args:
        state: the conversation.
        options: how to recall.
        number: of this recall.
        on_progress: called with the service's status texts.
    """

    state: State
    options: RecallOptions
    number: int
    on_progress: Callable[[str], object] | None = None


def _may_answer(options: RecallOptions, delivery: DeliveryOptions) -> set[str]:
    """Returns the strategies one of which will answer; with auto the service chooses."""
    asked = {options.wire_strategy}
    if options.fallback_strategy is not None:
        asked.add(replace(options, strategy=options.fallback_strategy).wire_strategy)
    if delivery.recall_deadline is not None and delivery.on_deadline == "fallback":
        asked.add(_QUICK)
    return {"low_latency", "balanced", "agentic"} if "auto" in asked else asked


def _session_to_ask(state: State) -> Flow[tuple[str, bool]]:
    """Delivers the question; returns the session and whether it contains the question."""
    just_failed = state.failed_at is not None and time.monotonic() - state.failed_at < _JUST_FAILED
    if just_failed and not (yield from nothing_waits(state)):
        raise ServiceUnavailableError(
            "The question could not be stored, so nothing was recalled; see the warning before."
        )
    try:
        stored = (yield from deliver(state)) is not None
    except RequestRejectedError as error:
        if error.status != HTTPStatus.PAYMENT_REQUIRED:
            raise
        # Reading costs no balance. The refusal was raised when the question was recorded.
        session = yield from find_session(state)
        if session is None:
            raise ServiceUnavailableError(str(error), status=error.status) from error
        return session.session_id, False
    if not stored and state.cursor.session_id is None:
        raise ServiceUnavailableError(
            "Another process is opening the session, so memories cannot be recalled yet."
        )
    return (yield from open_session(state)), stored


def _ask(question: _Question, brought: list[Recalled] | None = None) -> Flow[Recalled]:
    """Delivers the question and recalls; with a second strategy if the first finds no memories.

    Args:
        question: the arguments of the recall.
        brought: receives the first answer before the second recall begins.
    """
    state, options = question.state, question.options
    session_id, stored = yield from Locked(state.lock, _session_to_ask(state))
    answer = yield from GetContext(state.user_id, session_id, options, question.on_progress)
    recalled = Recalled(answer, degraded=not stored)
    if options.fallback_strategy is not None and not answer.memory_ids:
        if brought is not None:
            brought.append(Recalled(answer, degraded=True))
        second = replace(options, strategy=options.fallback_strategy, fallback_strategy=None)
        try:
            answer = yield from GetContext(state.user_id, session_id, second)
        except ServiceUnavailableError as error:
            state.emit_outage(error)
            recalled = Recalled(answer, degraded=True)
        else:
            recalled = max(recalled, Recalled(answer, degraded=not stored), key=_worth)
    state.keep_answer(recalled.answer, question.number)
    return recalled


def _ask_until(question: _Question, late: LateRecalls, ends: float) -> Flow[Recalled]:
    """Runs `_ask` in parallel until the deadline; a late recall continues, and its answer is kept.

    With `on_deadline="fallback"` a recall by the quick strategy begins at half of the time. The best answer
    that arrives in time counts.
    """
    late.check(question.state.key)
    pending: list[Spawned[Recalled]] = []
    try:
        return (yield from _first_in_time(question, late, ends, pending))
    finally:
        late.add(question.state.key, pending)


def _first_in_time(
    question: _Question, late: LateRecalls, ends: float, pending: list[Spawned[Recalled]]
) -> Flow[Recalled]:
    """Returns the best answer that arrives in time; `pending` keeps the recalls that have not ended."""
    state, brought, failed = question.state, list[Recalled](), list[ServiceUnavailableError]()
    first = yield from Spawn(_ask(question, brought))
    pending.append(first)
    if state.delivery.on_deadline == "fallback":
        if (yield from WaitAny(pending, (ends - time.monotonic()) / 2)):
            return first.result()
        quick = replace(question.options, strategy=_QUICK, fallback_strategy=None)
        pending.append((yield from Spawn(_ask(_Question(state, quick, question.number)))))
    while pending and (done := (yield from WaitAny(pending, max(0.0, ends - time.monotonic())))):
        for one in done:
            pending.remove(one)
            try:
                recalled = one.result()
            except ServiceUnavailableError as error:
                failed.append(error)
                continue
            if one is first:
                return recalled
            brought.append(recalled)
    if first in pending:
        state.emit("late", deadline=state.delivery.recall_deadline)
        if not brought:
            late.miss()
    if failed and not brought:
        raise failed[-1]
    return max(brought, key=_worth, default=_late(state))


def _worth(recalled: Recalled) -> tuple[bool, bool]:
    """Ranks answers: memories before conversations only; of equal answers the first wins."""
    answer = recalled.answer
    return (False, False) if answer is None else (bool(answer.memory_ids), bool(answer.session_ids))


def _late(state: State) -> Recalled:
    stale = state.last_answer if state.delivery.on_deadline == "stale" else None
    return Recalled(stale, degraded=True)

"""Recalling: the question first, then the context, with the instructions beside it."""

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
    """What flows ask of the circuit breaker of recalls."""

    def check(self) -> None:
        """Raises `ServiceUnavailableError` while the service cannot recall."""
        ...

    def miss(self) -> None:
        """Counts a recall that was not answered in time as a failure."""
        ...


class LateRecalls:
    """The recalls of one connection that outlived the deadline of their turn: each holds a thread or a task.

    Args:
        breaker: of recalls.
    """

    def __init__(self, breaker: Breaker) -> None:
        self._breaker = breaker
        self._lock = threading.Lock()
        self._late: list[tuple[ConversationKey, Spawned[Any]]] = []

    def check(self, key: ConversationKey) -> None:
        """Raises `ServiceUnavailableError` when no recall may begin that could become late as well."""
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
        """Takes recalls whose turn goes on without them."""
        with self._lock:
            self._late += [(key, one) for one in pending]

    def miss(self) -> None:
        """Counts a missed deadline."""
        self._breaker.miss()


@dataclass(frozen=True, slots=True)
class Recalled:
    """What a recall brought: an answer, perhaps a stale one, or None; `degraded` when it is not fresh."""

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
    """Delivers the question, asks for the context, and gets the instructions beside it.

    Args:
        state: the conversation.
        options: what to ask for.
        late: the recalls of this connection that outlived their turns.
        instructions: the text of a strategy, or the promise of it; None when it is not wanted.
        on_progress: told the service's status texts.

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
    except NotFoundError:  # deleted while it was asked; the next message opens another session
        recalled = Recalled(None, degraded=False)
    if recalled.answer is None or instructions is None:
        return recalled
    text = instructions(recalled.answer.strategy)
    patience = _INSTRUCTIONS_GRACE if ends is None else max(0.0, ends - time.monotonic())
    told = yield from Await(text, patience)
    return Recalled(recalled.answer, degraded=recalled.degraded, instructions=told or "")


@dataclass(frozen=True, slots=True)
class _Question:
    """A recall as it is asked.

    Args:
        state: the conversation.
        options: what to ask for.
        number: of this recall.
        on_progress: told the service's status texts.
    """

    state: State
    options: RecallOptions
    number: int
    on_progress: Callable[[str], object] | None = None


def _may_answer(options: RecallOptions, delivery: DeliveryOptions) -> set[str]:
    """The strategies of which one will answer: with auto it is the service that chooses."""
    asked = {options.wire_strategy}
    if options.fallback_strategy is not None:
        asked.add(replace(options, strategy=options.fallback_strategy).wire_strategy)
    if delivery.recall_deadline is not None and delivery.on_deadline == "fallback":
        asked.add(_QUICK)
    return {"low_latency", "balanced", "agentic"} if "auto" in asked else asked


def _session_to_ask(state: State) -> Flow[tuple[str, bool]]:
    """Delivers the question, by which the service recalls; the session, and whether the question is in it."""
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
        # Reading costs no balance. Whoever recorded the question has been told of the refusal.
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
    """Delivers the question and asks; a second strategy when the first recalls nothing.

    Args:
        question: what is asked.
        brought: gets the first answer before the second strategy is asked.
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
    """`_ask` beside this flow; what is late goes on alone and is kept for the next turn.

    With `on_deadline="fallback"` the quick strategy is asked too when half of the time is over. Whatever one
    of them has brought in time counts.
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
    """The best answer that comes in time; `pending` keeps the recalls that have not ended."""
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
    """Orders answers: memories are worth more than mere conversations; of equal ones the first counts."""
    answer = recalled.answer
    return (False, False) if answer is None else (bool(answer.memory_ids), bool(answer.session_ids))


def _late(state: State) -> Recalled:
    stale = state.last_answer if state.delivery.on_deadline == "stale" else None
    return Recalled(stale, degraded=True)

"""Recalling: the question first, then the context, with the instructions beside it."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Final

from recallrai_integrations.errors import NotFoundError, ServiceUnavailableError
from recallrai_integrations.models import ContextAnswer
from recallrai_integrations.options import DeliveryOptions, RecallOptions

from .delivery import deliver
from .ops import Await, Flow, GetContext, Locked, Spawn, WaitAny
from .sessions import open_session
from .state import State, what_waits

__all__ = ["Recalled", "recall"]

_JUST_FAILED = 1.0
_INSTRUCTIONS_GRACE = 2.0
_QUICK: Final = "low_latency"


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
    instructions: Callable[[str], Future[str]] | None,
    on_progress: Callable[[str], object] | None = None,
) -> Flow[Recalled]:
    """Delivers the question, asks for the context, and gets the instructions beside it.

    Args:
        state: the conversation.
        options: what to ask for.
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
        if ends is None:
            recalled = yield from _ask(state, options, number, on_progress)
        else:
            recalled = yield from _ask_until(state, options, number, on_progress, ends)
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
    if state.failed_at is not None and time.monotonic() - state.failed_at < _JUST_FAILED:
        waits = yield from what_waits(state)
        if waits:
            raise ServiceUnavailableError("The question could not be stored; see the warning before.")
    stored = (yield from deliver(state)) is not None
    if not stored and state.cursor.session_id is None:
        raise ServiceUnavailableError("Another process is opening the session; there is none to ask yet.")
    return (yield from open_session(state)), stored


def _ask(
    state: State,
    options: RecallOptions,
    number: int,
    on_progress: Callable[[str], object] | None = None,
    brought: list[Recalled] | None = None,
) -> Flow[Recalled]:
    """Delivers the question and asks; a second strategy when the first recalls nothing.

    Args:
        state: the conversation.
        options: what to ask for.
        number: of this recall.
        on_progress: told the service's status texts.
        brought: gets the first answer before the second strategy is asked.
    """
    session_id, stored = yield from Locked(state.lock, _session_to_ask(state))
    answer = yield from GetContext(state.user_id, session_id, options, on_progress)
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
    state.keep_answer(recalled.answer, number)
    return recalled


def _ask_until(
    state: State,
    options: RecallOptions,
    number: int,
    on_progress: Callable[[str], object] | None,
    ends: float,
) -> Flow[Recalled]:
    """`_ask` beside this flow; what is late goes on alone and is kept for the next turn.

    With `on_deadline="fallback"` the quick strategy is asked too when half of the time is over. Whatever one
    of them has brought in time counts.
    """
    brought = list[Recalled]()
    first = yield from Spawn(_ask(state, options, number, on_progress, brought))
    pending = [first]
    if state.delivery.on_deadline == "fallback":
        if (yield from WaitAny(pending, (ends - time.monotonic()) / 2)):
            return first.result()
        quick = replace(options, strategy=_QUICK, fallback_strategy=None)
        pending.append((yield from Spawn(_ask(state, quick, number))))
    failed: ServiceUnavailableError | None = None
    while pending and (done := (yield from WaitAny(pending, max(0.0, ends - time.monotonic())))):
        for one in done:
            pending.remove(one)
            try:
                recalled = one.result()
            except ServiceUnavailableError as error:
                failed = error
                continue
            if one is first:
                return recalled
            brought.append(recalled)
    if first in pending:
        state.emit("late", deadline=state.delivery.recall_deadline)
    if brought:
        return max(brought, key=_worth)
    if failed is not None:
        raise failed
    return _late(state)


def _worth(recalled: Recalled) -> tuple[bool, bool]:
    """Orders answers: memories are worth more than mere conversations; of equal ones the first counts."""
    answer = recalled.answer
    return (False, False) if answer is None else (bool(answer.memory_ids), bool(answer.session_ids))


def _late(state: State) -> Recalled:
    stale = state.last_answer if state.delivery.on_deadline == "stale" else None
    return Recalled(stale, degraded=True)

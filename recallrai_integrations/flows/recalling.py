"""Recalling: the question first, then the context, with the instructions beside it."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace

from recallrai_integrations.errors import NotFoundError, ServiceUnavailableError
from recallrai_integrations.models import ContextAnswer
from recallrai_integrations.ops import Beside, Collect, Exclusive, Flow, GetContext, Pending, WaitFor
from recallrai_integrations.options import RecallOptions

from .delivery import deliver
from .sessions import open_session
from .state import State, what_waits

__all__ = ["Recalled", "recall"]

_JUST_FAILED = 1.0
_INSTRUCTIONS_GRACE = 2.0


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
        instructions: starts fetching the text of a strategy; None when it is not wanted.
        on_progress: told the service's status texts.

    Raises:
        ServiceUnavailableError: with `on_error="raise"`.
        CredentialsError, RequestRejectedError: always.
    """
    texts = {} if instructions is None else {name: instructions(name) for name in _prompts_for(options)}
    try:
        session_id = yield from Exclusive(state.lock, _session_to_ask(state))
        recalled = yield from _ask(state, GetContext(state.user_id, session_id, options, on_progress))
    except ServiceUnavailableError as error:
        if state.delivery.on_error == "raise":
            raise
        state.note_outage(error)
        recalled = _late(state)
    except NotFoundError:  # deleted while it was asked; the next message opens another session
        state.place.leave()
        recalled = Recalled(None, degraded=False)
    if recalled.answer is None or not texts:
        return recalled
    text = texts.get(recalled.answer.strategy) or next(iter(texts.values()))
    return replace(recalled, instructions=(yield from WaitFor(text, _INSTRUCTIONS_GRACE)) or "")


def _prompts_for(options: RecallOptions) -> tuple[str, ...]:
    """With auto it is the service that chooses; its structured texts share one prompt (SDK)."""
    return ("low_latency", "agentic") if options.strategy == "auto" else (options.wire_strategy,)


def _session_to_ask(state: State) -> Flow[str]:
    """Delivers the question, by which the service recalls, and says in which session it is."""
    if state.failed_at is not None and time.monotonic() - state.failed_at < _JUST_FAILED:
        waits = yield from what_waits(state)
        if waits:
            raise ServiceUnavailableError("The question could not be stored; see the warning before.")
    yield from deliver(state)
    return (yield from open_session(state))


def _ask(state: State, request: GetContext) -> Flow[Recalled]:
    recalled = yield from _within_deadline(state, request)
    fallback = request.options.fallback_strategy
    if recalled.degraded or recalled.answer is None:
        return recalled
    state.last_answer = recalled.answer
    if fallback is None or recalled.answer.memory_ids:
        return recalled
    second = replace(request, options=replace(request.options, strategy=fallback))
    return Recalled((yield from second), degraded=False)


def _late(state: State) -> Recalled:
    stale = state.last_answer if state.delivery.on_deadline == "stale" else None
    return Recalled(stale, degraded=True)


def _within_deadline(state: State, request: GetContext) -> Flow[Recalled]:
    deadline = state.delivery.recall_deadline
    if deadline is None:
        return Recalled((yield from request), degraded=False)

    def keep(late: ContextAnswer) -> None:
        state.last_answer = late

    ends = time.monotonic() + deadline
    main: Pending[ContextAnswer] = yield from Beside(request, keep)
    second: Pending[ContextAnswer] | None = None
    if state.delivery.on_deadline == "fallback":
        if (yield from Collect((main,), deadline / 2)):
            return Recalled(main.result(), degraded=False)
        quick = replace(request, options=replace(request.options, strategy="low_latency"), on_progress=None)
        second = yield from Beside(quick, keep)
    if (yield from Collect((main,), max(0.0, ends - time.monotonic()))):
        return Recalled(main.result(), degraded=False)
    if second is not None and (yield from Collect((second,), 0.0)):
        return Recalled(second.result(), degraded=False)
    main.abandon()
    if second is not None:
        second.abandon()
    state.note("late", deadline=deadline)
    return _late(state)

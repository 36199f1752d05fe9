"""Recalling: the question first, then the context, with the instructions beside it."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace

from recallrai_integrations.errors import NotFoundError, ServiceUnavailableError
from recallrai_integrations.models import ContextAnswer
from recallrai_integrations.ops import Beside, Collect, Exclusive, Flow, GetContext, WaitFor
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
    deadline = state.delivery.recall_deadline
    ends = None if deadline is None else time.monotonic() + deadline
    try:
        if ends is None:
            recalled = yield from _ask(state, options, on_progress)
        else:
            recalled = yield from _ask_until(state, options, on_progress, ends)
    except ServiceUnavailableError as error:
        if state.delivery.on_error == "raise":
            raise
        state.note_outage(error)
        recalled = _late(state)
    except NotFoundError:  # deleted while it was asked; the next message opens another session
        recalled = Recalled(None, degraded=False)
    if recalled.answer is None or not texts:
        return recalled
    text = texts.get(recalled.answer.strategy) or next(iter(texts.values()))
    patience = _INSTRUCTIONS_GRACE if ends is None else max(0.0, ends - time.monotonic())
    return replace(recalled, instructions=(yield from WaitFor(text, patience)) or "")


def _prompts_for(options: RecallOptions) -> tuple[str, ...]:
    """With auto it is the service that chooses; its structured texts share one prompt (SDK)."""
    return ("low_latency", "agentic") if options.strategy == "auto" else (options.wire_strategy,)


def _session_to_ask(state: State) -> Flow[tuple[str, bool]]:
    """Delivers the question, by which the service recalls; the session, and whether the question is in it."""
    if state.failed_at is not None and time.monotonic() - state.failed_at < _JUST_FAILED:
        waits = yield from what_waits(state)
        if waits:
            raise ServiceUnavailableError("The question could not be stored; see the warning before.")
    stored = (yield from deliver(state)) is not None
    if not stored and state.place.session_id is None:
        raise ServiceUnavailableError("Another process is opening the session; there is none to ask yet.")
    return (yield from open_session(state)), stored


def _ask(
    state: State, options: RecallOptions, on_progress: Callable[[str], object] | None = None
) -> Flow[Recalled]:
    """Delivers the question and asks; a second strategy when the first recalls nothing."""
    generation = state.generation
    session_id, stored = yield from Exclusive(state.lock, _session_to_ask(state))
    answer = yield from GetContext(state.user_id, session_id, options, on_progress)
    if options.fallback_strategy is not None and not answer.memory_ids:
        second = replace(options, strategy=options.fallback_strategy, fallback_strategy=None)
        answer = yield from GetContext(state.user_id, session_id, second)
    if state.generation == generation:  # else it was forgotten while it was asked
        state.last_answer = answer
    return Recalled(answer, degraded=not stored)


def _ask_until(
    state: State,
    options: RecallOptions,
    on_progress: Callable[[str], object] | None,
    ends: float,
) -> Flow[Recalled]:
    """`_ask` beside this flow; what is late goes on alone and is kept for the next turn."""
    asked = [(yield from Beside(_ask(state, options, on_progress)))]
    if state.delivery.on_deadline == "fallback":
        if (yield from Collect(asked, (ends - time.monotonic()) / 2)):
            return asked[0].result()
        asked.append((yield from Beside(_ask(state, replace(options, strategy="low_latency")))))
    if (yield from Collect(asked[:1], max(0.0, ends - time.monotonic()))):
        return asked[0].result()
    if asked[1:] and (yield from Collect(asked[1:], 0.0)):
        return asked[1].result()
    state.note("late", deadline=state.delivery.recall_deadline)
    return _late(state)


def _late(state: State) -> Recalled:
    stale = state.last_answer if state.delivery.on_deadline == "stale" else None
    return Recalled(stale, degraded=True)

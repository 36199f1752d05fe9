"""The end of a run and of a conversation."""

from __future__ import annotations

import time
from collections import deque

from recallrai_integrations.errors import NotFoundError, ServiceUnavailableError
from recallrai_integrations.models import SessionInfo
from recallrai_integrations.options import ProcessPolicy

from . import rules
from .delivery import deliver, process_open, put
from .locks import caller_has_left
from .ops import Flow, GetSession, Locked, Sleep
from .state import State, nothing_waits, outbox_call

__all__ = ["end_run", "finish"]

_POLLS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


def finish(state: State, *, wait: float = 0.0) -> Flow[SessionInfo | None]:
    """Delivers pending messages and has the open session processed.

    During an outage the request to process is queued behind the messages, unless `on_error` is `"raise"`.

    Args:
        state: the conversation.
        wait: seconds to wait for the outcome.

    Returns:
        The session after waiting; None without waiting, if there was nothing to process, and if the
        outcome could not be read.
    """
    processed = yield from Locked(state.lock, _finish(state))
    state.raise_rejected()
    if not processed or not wait:
        return None
    try:
        return (yield from _wait_until_processed(state.user_id, processed[-1], wait))
    except NotFoundError:  # deleted meanwhile
        return None
    except ServiceUnavailableError as error:
        if state.delivery.on_error == "raise":
            raise
        state.emit_outage(error)
        return None


def _finish(state: State) -> Flow[list[str]]:
    try:
        yield from deliver(state)
        if (yield from nothing_waits(state)):
            return (yield from process_open(state))
    except ServiceUnavailableError as error:
        if state.delivery.on_error == "raise" and not caller_has_left():
            raise
        state.emit_outage(error)
    yield from _finish_later(state)  # after the outage, or by the process that is delivering
    return []


def _finish_later(state: State) -> Flow[None]:
    last = yield from outbox_call(state, lambda: state.outbox.last(state.key))
    if last is None or last.kind == "message":
        yield from put(state, ["process"])


def end_run(state: State, policy: ProcessPolicy | None, every: int) -> Flow[None]:
    """Ends a run of the framework: processes the session if the policy says so."""
    state.turns += 1
    has_thread = state.key.thread_id is not None
    if not rules.should_process(policy, has_thread=has_thread, turns=state.turns, every=every):
        return
    if state.delivery.mode == "background":
        yield from put(state, ["process"])  # the caller does not wait; background delivery does the rest
        if state.deliverer is not None:
            state.deliverer.wake(state)
        return
    yield from finish(state)


def _wait_until_processed(user_id: str, session_id: str, seconds: float) -> Flow[SessionInfo]:
    """Reads the session until it is processed or has failed, for at most `seconds`."""
    ends = time.monotonic() + seconds
    polls = deque(_POLLS)
    while True:
        session = yield from GetSession(user_id, session_id)
        if session.status not in {"pending", "processing"} or time.monotonic() >= ends:
            return session
        yield from Sleep(min(polls[0], max(0.0, ends - time.monotonic())))
        if len(polls) > 1:
            polls.popleft()

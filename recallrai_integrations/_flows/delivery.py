"""Storing what was said: in order, each message once, whatever the service does in between."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from recallrai_integrations.errors import (
    CredentialsError,
    NotFoundError,
    OutboxFullError,
    RecallrAIIntegrationError,
    RequestRejectedError,
    ServiceUnavailableError,
)
from recallrai_integrations.messages import Message
from recallrai_integrations.outbox import ClaimLostError, ConversationKey, Outbox, OutboxEntry, Request

from .locks import caller_has_left
from .ops import Call, Flow, Locked, Process, Sleep, Spawn, Spawned, WaitAny
from .patience import Patience
from .sessions import load_cursor, mark_cleared, open_session, reconcile, sessions_to_process
from .state import State, nothing_waits, outbox_call
from .transmission import confirm, save_cursor, send, still_wanted

__all__ = [
    "GIVE_UP_AFTER",
    "claim",
    "clear",
    "deliver",
    "deliver_alone",
    "flush",
    "flush_all",
    "process_open",
    "put",
    "record",
]

_ROLLOVERS = 3
_CLAIM_POLL = 0.02
_CLAIM_PATIENCE = 2.0
_BACK_PRESSURE_POLL = 0.05
_PAYMENT_REQUIRED = 402
_FLUSHED_AT_ONCE = 8
GIVE_UP_AFTER: Final = 3
"""So many conversations in a row that do not get through are an outage; fewer have trouble of their own."""


def record(state: State, messages: Sequence[Message]) -> Flow[None]:
    """Takes messages and, unless a worker does it in the background, delivers them.

    Raises:
        RequestRejectedError: the service will never take one of them; the others have been sent.
        ServiceUnavailableError: with `on_error="raise"`; what was not acknowledged is the caller's again.
        CredentialsError: refused by the service, in the background since that was told last.
        OutboxFullError: with `on_error="raise"`.
    """
    if state.delivery.mode == "background":
        try:
            yield from put(state, messages)
        finally:  # a cancelled caller may have had them taken
            if state.deliverer is not None:
                state.deliverer.wake(state)
        return
    yield from Locked(state.lock, _record_inline(state, messages))


def _record_inline(state: State, items: Sequence[Message | Request]) -> Flow[None]:
    taken = yield from put(state, items)
    try:
        yield from deliver(state)
    except (ServiceUnavailableError, CredentialsError) as error:
        if state.delivery.on_error == "raise" and not caller_has_left():
            yield from outbox_call(state, lambda: state.outbox.withdraw(state.key, taken))
            raise
        if isinstance(error, CredentialsError):
            raise
        state.emit_outage(error)
    if not caller_has_left():  # else whoever comes next hears of it
        state.raise_rejected()


def clear(state: State) -> Flow[None]:
    """Ends the thread's history for all processes: processes and marks its sessions, deletes nothing.

    During an outage the request is queued behind the messages, and `history` is empty at once.

    Raises:
        RequestRejectedError, ServiceUnavailableError, CredentialsError, OutboxFullError: see `record`.
    """
    yield from Locked(state.lock, _record_inline(state, ["clear"]))


def put(state: State, items: Sequence[Message | Request]) -> Flow[list[OutboxEntry]]:
    """Takes messages into the outbox; when it is full, waits for room as long as the service takes messages.

    More messages than the outbox may hold are taken part by part, with deliveries in between. The caller
    holds the conversation's lock unless workers deliver.

    Raises:
        OutboxFullError: there is no room, with `on_error="raise"`; what still waits of them is the caller's.
        CredentialsError: refused while room was to be made.
    """
    limit, taken, start = state.delivery.outbox_limit, list[OutboxEntry](), 0
    try:
        for start in range(0, len(items), limit):
            taken += yield from _put_part(state, items[start : start + limit])
    except (OutboxFullError, CredentialsError) as error:
        if state.delivery.on_error == "raise":
            yield from outbox_call(state, lambda: state.outbox.withdraw(state.key, taken))
            raise
        if isinstance(error, CredentialsError):
            raise
        state.emit("refused", messages=len(items) - start, error=str(error))
    return taken


def _put_part(state: State, items: Sequence[Message | Request]) -> Flow[list[OutboxEntry]]:
    ends = time.monotonic() + state.delivery.retry_budget
    while True:
        try:
            taken = yield from outbox_call(state, lambda: state.outbox.put(state.key, items))
        except OutboxFullError:
            if time.monotonic() < ends and (yield from _make_room(state)):
                continue
            raise
        if "clear" in items:
            state.known.clear()
        state.known.extend(one.message for one in taken if one.message is not None)
        return taken


def _make_room(state: State) -> Flow[bool]:
    """Whether trying again may help: something was delivered, or workers are at it and get through."""
    if state.delivery.mode == "inline":
        before = yield from outbox_call(state, state.outbox.count)
        with suppress(ServiceUnavailableError):
            yield from deliver(state)
        return (yield from outbox_call(state, state.outbox.count)) < before
    if state.deliverer is None or not state.deliverer.make_room(state):
        return False
    yield from Sleep(_BACK_PRESSURE_POLL)
    return True


def deliver_alone(state: State, *, patience: float | None = None) -> Flow[int | None]:
    """`deliver` under the conversation's lock, for workers."""
    return (yield from Locked(state.lock, deliver(state, patience=patience)))


def deliver(state: State, *, patience: float | None = None) -> Flow[int | None]:
    """Sends what waits for this conversation, in order.

    What the service refuses for good is set aside, told in `state.rejected`, and later messages still go.

    Args:
        state: the conversation.
        patience: seconds to wait for another process that is delivering it; after that it is left to it.
            None: two, and none while that process goes on holding the claim.

    Returns:
        How many the service has answered; None when they were left to another process.

    Raises:
        ServiceUnavailableError: an outage; what was not acknowledged keeps waiting.
        CredentialsError: the same.
    """
    outbox, key = state.outbox, state.key
    if (yield from nothing_waits(state)):
        state.claimed_elsewhere = False
        yield from load_cursor(state)
        return 0
    count = 0
    try:
        if not (yield from claim(state, _patience(state) if patience is None else patience)):
            state.claimed_elsewhere = state.claimed_elsewhere or patience is None
            state.emit("left_to_another")
            yield from load_cursor(state)
            return None
        if state.cursor.unreconciled:
            yield from _confirm_first(state)
            yield from reconcile(state)
        while waiting := (yield from outbox_call(state, lambda: outbox.next(key))):
            yield from _deliver_one(state, waiting)
            count += 1
    except ClaimLostError:  # what the other process wrote down is what counts
        state.emit("left_to_another")
        yield from load_cursor(state)
        return None
    except Exception:
        yield from outbox_call(state, lambda: outbox.release(key, state.cursor))
        raise
    except BaseException:  # cancelled or thrown away: no op can be asked for any more
        outbox.release(key, state.cursor)
        raise
    state.failed_at = None
    yield from outbox_call(state, lambda: outbox.release(key, state.cursor))
    return count


def _confirm_first(state: State) -> Flow[None]:
    """Finds out about an unconfirmed message while the session that may hold it is still there."""
    if state.cursor.unconfirmed is None:
        return
    waiting = yield from outbox_call(state, lambda: state.outbox.next(state.key))
    try:
        yield from confirm(state, state.cursor, waiting, Patience(state.delivery))
    except NotFoundError:
        state.cursor.leave()


def _deliver_one(state: State, waiting: OutboxEntry) -> Flow[None]:
    outbox, key, cursor = state.outbox, state.key, state.cursor
    try:
        if waiting.message is not None:
            if (
                waiting.seq > cursor.delivered
            ):  # else an interrupt came between its answer and what follows here
                yield from _append(state, waiting, waiting.message)
        else:
            yield from process_open(state)
            if waiting.kind == "clear":
                yield from mark_cleared(state)
    except (RequestRejectedError, NotFoundError) as error:
        if error.status == _PAYMENT_REQUIRED:
            raise  # the account, not the message: it keeps waiting
        reason = str(error)
        yield from outbox_call(state, lambda: outbox.reject(key, waiting, reason))
        state.emit("rejected", status=error.status)
        if isinstance(error, RequestRejectedError):
            state.rejected.append(error)
    except ServiceUnavailableError:
        state.failed_at = time.monotonic()
        raise
    else:
        yield from outbox_call(state, lambda: outbox.done(key, waiting, cursor))


def _patience(state: State) -> float:
    return 0.0 if state.claimed_elsewhere else _CLAIM_PATIENCE


def claim(state: State, patience: float) -> Flow[bool]:
    """The claim, with the cursor as it was kept last; False while another process goes on delivering."""
    ends = time.monotonic() + patience

    def take() -> bool:
        """All in one step: a flow that is cancelled meanwhile gives back what it was given."""
        cursor = state.outbox.claim(state.key, state.cursor)
        if cursor is not None:
            state.cursor, state.claimed_elsewhere = cursor, False
        return cursor is not None

    while True:
        if (yield from outbox_call(state, take)):
            return True
        if time.monotonic() >= ends:
            return False
        yield from Sleep(_CLAIM_POLL)


def _append(state: State, waiting: OutboxEntry, message: Message) -> Flow[None]:
    """One message into the session of its thread, past sessions that take none any more."""
    refusal: RequestRejectedError | NotFoundError | None = None
    for _ in range(_ROLLOVERS):
        known = state.cursor.session_id is not None
        yield from open_session(state)
        if not known and not (yield from still_wanted(state, waiting)):
            return
        try:
            was_sent = yield from send(state, state.cursor, waiting, message)
        except RequestRejectedError as error:
            if error.status != 400:  # noqa: PLR2004 - 400 says: this session takes no messages (service)
                raise
            refusal = error
        except NotFoundError as error:
            refusal = error
            state.emit("session_gone")
        else:
            if was_sent:
                state.emit("stored", role=message.role, characters=len(message.content))
            return
        state.cursor.leave()
        state.emit("session_rolled_over")
    assert refusal is not None
    raise refusal


def flush(state: State) -> Flow[int]:
    """Delivers what waits; says how many still do.

    Raises:
        RequestRejectedError: the service refused a message for good.
        ServiceUnavailableError: with `on_error="raise"`.
    """
    try:
        yield from Locked(state.lock, deliver(state))
    except ServiceUnavailableError as error:
        if state.delivery.on_error == "raise":
            raise
        state.emit_outage(error)
    state.raise_rejected()
    return (yield from outbox_call(state, lambda: state.outbox.count(state.key)))


def flush_all(
    outbox: Outbox,
    state_of: Callable[[ConversationKey], State],
    *,
    timeout: float | None = None,
    patience: float | None = None,
) -> Flow[None]:
    """Delivers what waits, several conversations at the same time.

    Args:
        outbox: what waits.
        state_of: the state of a conversation.
        timeout: seconds to wait; the rest goes on by itself. None waits for all.
        patience: without a timeout, seconds to wait for the next message to get through; the same.

    Raises:
        RecallrAIIntegrationError: the first error, after all conversations have been tried; credentials and
            an outage of several conversations in a row end it sooner.
    """
    ends = None if timeout is None else time.monotonic() + timeout
    waiting = deque((yield from Call(outbox.keys, blocking=outbox.blocking)))
    errors: list[RecallrAIIntegrationError] = []
    if len(waiting) <= 1 and timeout is None and patience is None:
        yield from _flush_some(waiting, state_of, errors)
    else:
        left = yield from Call(outbox.count, blocking=outbox.blocking)
        pending: list[Spawned[None]] = []
        for _ in range(min(_FLUSHED_AT_ONCE, len(waiting))):  # each takes from `waiting` as it begins
            one = yield from Spawn(_flush_some(waiting, state_of, errors))
            pending.append(one)
        while pending:
            done = yield from WaitAny(
                pending, patience if ends is None else max(0.0, ends - time.monotonic())
            )
            for one in done:
                pending.remove(one)
                one.result()
            if not done:
                before, left = left, (yield from Call(outbox.count, blocking=outbox.blocking))
                if ends is not None or left >= before:
                    break
    if errors:
        raise errors[0]


def _flush_some(
    waiting: deque[ConversationKey],
    state_of: Callable[[ConversationKey], State],
    errors: list[RecallrAIIntegrationError],
) -> Flow[None]:
    in_a_row = 0
    while waiting:
        try:
            key = waiting.popleft()
        except IndexError:  # taken by another one
            return
        try:
            failed = bool((yield from flush(state_of(key))))
        except RecallrAIIntegrationError as error:
            errors.append(error)
            # A message that was refused is out of the way, and says nothing of the next conversation.
            failed = not isinstance(error, RequestRejectedError) or error.status == _PAYMENT_REQUIRED
            if isinstance(error, CredentialsError):
                waiting.clear()
        in_a_row = in_a_row + 1 if failed else 0
        if in_a_row == GIVE_UP_AFTER:
            waiting.clear()


def process_open(state: State) -> Flow[list[str]]:
    """Starts processing of the open session; answers with the ids of the sessions concerned."""
    cursor = state.cursor
    if cursor.unreconciled:
        yield from reconcile(state)
    if cursor.session_id is not None:
        open_ids = [cursor.session_id]
    elif state.key.thread_id is not None:
        open_ids = yield from sessions_to_process(state)
    else:
        return []
    for session_id in open_ids:
        try:
            yield from Process(state.user_id, session_id)
        except (RequestRejectedError, NotFoundError):
            continue  # processed already, or gone: there is nothing left to do for this session
        state.emit("processed")
    cursor.leave()
    yield from save_cursor(state)
    return open_ids

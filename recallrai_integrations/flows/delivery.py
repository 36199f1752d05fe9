"""Storing what was said: in order, each message once, whatever the service does in between."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress

from recallrai_integrations import plan
from recallrai_integrations.errors import (
    CredentialsError,
    NotFoundError,
    OutboxFullError,
    RequestRejectedError,
    ServiceUnavailableError,
)
from recallrai_integrations.messages import Message
from recallrai_integrations.ops import AddMessage, Exclusive, Flow, Process, ReadMessages, Sleep
from recallrai_integrations.outbox import Place, Waiting

from .sessions import open_session, sessions_to_process, settle
from .state import State, local, what_waits

__all__ = ["deliver", "deliver_alone", "flush", "process_open", "put", "record"]

_ROLLOVERS = 3
_CLAIM_POLL = 0.02
_CLAIM_PATIENCE = 5.0
_TAIL = 50
_NONE_SENT = Place().sent


def record(state: State, messages: Sequence[Message]) -> Flow[None]:
    """Takes messages and, unless a worker does it in the background, delivers them.

    Raises:
        RequestRejectedError: the service will never take one of them; the others have been sent.
        ServiceUnavailableError: with `on_error="raise"`; what was not acknowledged is the caller's again.
        CredentialsError: refused by the service.
        OutboxFullError: with `on_error="raise"`.
    """
    if state.delivery.mode == "background":
        yield from put(state, messages)
        if state.wake is not None:
            state.wake(state)
        return
    yield from Exclusive(state.lock, _record_inline(state, messages))


def _record_inline(state: State, messages: Sequence[Message]) -> Flow[None]:
    taken = yield from put(state, messages)
    try:
        yield from deliver(state)
    except (ServiceUnavailableError, CredentialsError) as error:
        if state.delivery.on_error == "raise":
            yield from local(state, lambda: state.outbox.withdraw(state.address, taken))
            raise
        if isinstance(error, CredentialsError):
            raise
        state.note_outage(error)
    if state.rejected:
        raise state.rejected.pop(0)


def put(state: State, messages: Sequence[Message | None]) -> Flow[list[Waiting]]:
    """Takes messages into the outbox; what waits already is delivered first when it is full."""
    try:
        taken = yield from local(state, lambda: state.outbox.put(state.address, messages))
    except OutboxFullError:
        taken = yield from _put_once_more(state, messages)
    state.known.extend(one.message for one in taken if one.message is not None)
    return taken


def _put_once_more(state: State, messages: Sequence[Message | None]) -> Flow[list[Waiting]]:
    with suppress(ServiceUnavailableError):
        yield from deliver(state)
    try:
        return (yield from local(state, lambda: state.outbox.put(state.address, messages)))
    except OutboxFullError as full:
        if state.delivery.on_error == "raise":
            raise
        state.note("refused", messages=len(messages), error=str(full))
        return []


def deliver_alone(state: State) -> Flow[None]:
    """`deliver` under the conversation's lock, for workers."""
    yield from Exclusive(state.lock, deliver(state))


def deliver(state: State) -> Flow[None]:
    """Sends what waits for this conversation, in order.

    What the service refuses for good is set aside, told in `state.rejected`, and later messages still go.

    Raises:
        ServiceUnavailableError: an outage; what was not acknowledged keeps waiting.
        CredentialsError: the same.
    """
    outbox, address = state.outbox, state.address
    if not (yield from what_waits(state)):
        return
    if not (yield from _claim(state)):
        return
    try:
        if state.place.unsettled:
            yield from settle(state)
        while waiting := (yield from local(state, lambda: outbox.next(address))):
            yield from _deliver_one(state, waiting)
    except Exception:
        yield from local(state, lambda: outbox.release(address, state.place))
        raise
    except BaseException:  # cancelled or thrown away: no op can be asked for any more
        outbox.release(address, state.place)
        raise
    state.failed_at = None
    yield from local(state, lambda: outbox.release(address, state.place))


def _deliver_one(state: State, waiting: Waiting) -> Flow[None]:
    outbox, address, place = state.outbox, state.address, state.place
    try:
        if waiting.message is None:
            yield from process_open(state)
        else:
            yield from _append(state, waiting, waiting.message)
    except (RequestRejectedError, NotFoundError) as error:
        reason = str(error)
        yield from local(state, lambda: outbox.reject(address, waiting, reason))
        state.note("rejected", status=error.status)
        if isinstance(error, RequestRejectedError):
            state.rejected.append(error)
    except ServiceUnavailableError:
        state.failed_at = time.monotonic()
        raise
    else:
        yield from local(state, lambda: outbox.done(address, waiting, place))


def _claim(state: State) -> Flow[bool]:
    """The claim, or False when another process has delivered everything meanwhile."""
    outbox, address = state.outbox, state.address
    patience = time.monotonic() + _CLAIM_PATIENCE
    while True:
        place = yield from local(state, lambda: outbox.claim(address, state.place))
        if place is not None:
            state.place = place
            return True
        if time.monotonic() > patience or not (yield from what_waits(state)):
            return False
        yield from Sleep(_CLAIM_POLL)


def _append(state: State, waiting: Waiting, message: Message) -> Flow[None]:
    """One message into the session of its thread, past sessions that take none any more."""
    refusal: RequestRejectedError | NotFoundError | None = None
    for _ in range(_ROLLOVERS):
        session_id = yield from open_session(state)
        doubted = state.place.doubt
        if doubted is not None and _is_same(doubted, waiting) and (yield from _landed(state, doubted)):
            state.place.note(message)
            return
        try:
            yield from _send(state, session_id, waiting, message)
        except RequestRejectedError as error:
            if error.status != 400:  # noqa: PLR2004 - 400 says: this session takes no messages (service)
                raise
            refusal = error
        except NotFoundError as error:
            refusal = error
            state.note("session_gone")
        else:
            state.note("stored", role=message.role, characters=len(message.content))
            return
        state.place.leave()
        state.note("session_rolled_over")
    assert refusal is not None
    raise refusal


def _is_same(doubted: Waiting, waiting: Waiting) -> bool:
    """Whether this is the message in doubt, or the same one given back by a caller who repeats it."""
    if doubted.seq == waiting.seq:
        return True
    first, second = doubted.message, waiting.message
    return (
        first is not None
        and second is not None
        and first.id is not None
        and (first.id, first.role, first.content) == (second.id, second.role, second.content)
    )


def _send(state: State, session_id: str, waiting: Waiting, message: Message) -> Flow[None]:
    """Sends one message; after an ambiguous failure the session is read before it is sent again."""
    place = state.place
    started, wait = time.monotonic(), 0.2
    for remaining in range(state.delivery.retries, -1, -1):
        place.doubt = waiting
        try:
            yield from AddMessage(state.user_id, session_id, message)
        except ServiceUnavailableError as error:
            if not error.may_have_taken_effect:
                place.doubt = None
                raise
            pause = error.retry_after or wait
            if not remaining or time.monotonic() + pause - started > state.delivery.retry_budget:
                raise
            yield from Sleep(pause)
            wait *= 2
            if (yield from _landed(state, waiting)):
                place.note(message)
                return
        except (RequestRejectedError, NotFoundError):
            place.doubt = None
            raise
        else:
            place.note(message)
            return


def _landed(state: State, doubted: Waiting) -> Flow[bool]:
    """Whether the message in doubt is in the session after all; reads the session's tail."""
    place, message = state.place, doubted.message
    assert place.session_id is not None
    assert message is not None
    if place.stored is not None:
        page = yield from ReadMessages(state.user_id, place.session_id, offset=place.stored)
        landed = plan.has_landed(message, page.messages, sent_before=_NONE_SENT, not_before=None)
        place.stored = page.total - landed
        return landed
    page = yield from ReadMessages(state.user_id, place.session_id)
    tail = page.messages
    if page.total > len(tail):
        offset = page.total - min(page.total, sum(place.sent.values()) + _TAIL)
        tail = (yield from ReadMessages(state.user_id, place.session_id, offset=offset)).messages
    since = doubted.recorded_at if place.since is None else min(place.since, doubted.recorded_at)
    landed = plan.has_landed(message, tail, sent_before=place.sent, not_before=since)
    place.stored = page.total - landed
    return landed


def flush(state: State) -> Flow[int]:
    """Delivers what waits; says how many still do.

    Raises:
        RequestRejectedError: the service refused a message for good.
        ServiceUnavailableError: with `on_error="raise"`.
    """
    try:
        yield from Exclusive(state.lock, deliver(state))
    except ServiceUnavailableError as error:
        if state.delivery.on_error == "raise":
            raise
        state.note_outage(error)
    if state.rejected:
        raise state.rejected.pop(0)
    return len((yield from what_waits(state)))


def process_open(state: State) -> Flow[list[str]]:
    """Starts processing of the open session; answers with the ids of the sessions concerned."""
    place = state.place
    if place.unsettled:
        yield from settle(state)
    if place.session_id is not None:
        open_ids = [place.session_id]
    elif state.address.thread_id is not None:
        open_ids = yield from sessions_to_process(state)
    else:
        return []
    for session_id in open_ids:
        try:
            yield from Process(state.user_id, session_id)
        except (RequestRejectedError, NotFoundError):
            continue  # processed already, or gone: there is nothing left to do for this session
        state.note("processed")
    place.leave()
    return open_ids

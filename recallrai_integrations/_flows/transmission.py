"""One message into a session: sent once, although the API cannot say that it was the same."""

from __future__ import annotations

import random
import time
from contextlib import suppress
from dataclasses import replace
from typing import Final

from recallrai_integrations.errors import NotFoundError, RequestRejectedError, ServiceUnavailableError
from recallrai_integrations.messages import Message
from recallrai_integrations.outbox import OutboxEntry, SessionCursor

from . import rules
from .ops import AddMessage, Flow, ReadMessages, Sleep
from .state import State, outbox_call, what_waits

__all__ = ["is_same", "landed", "send", "still_wanted", "unstored"]

_FIRST_PAUSE = 0.2
_COUNT_ANEW_AFTER: Final = 200
_TAIL = 50


def is_same(unconfirmed: OutboxEntry, waiting: OutboxEntry) -> bool:
    """Whether this is the message in doubt, or the same one given back by a caller who repeats it."""
    if unconfirmed.seq == waiting.seq:
        return True
    first, second = unconfirmed.message, waiting.message
    return (
        first is not None
        and second is not None
        and first.id is not None
        and (first.id, first.role, first.content) == (second.id, second.role, second.content)
    )


def send(state: State, cursor: SessionCursor, waiting: OutboxEntry, message: Message) -> Flow[bool]:
    """Sends a message to the session of `cursor`; what is in doubt is looked for before it is sent again.

    Returns:
        False when the message was purged on the way, and has not been sent again.

    Raises:
        ServiceUnavailableError: an outage; `cursor.unconfirmed` tells whether the message may have arrived.
        RequestRejectedError, NotFoundError: see `AddMessage`.
    """
    assert cursor.session_id is not None
    if cursor.unconfirmed is None and cursor.sent.total() >= _COUNT_ANEW_AFTER:
        page = yield from ReadMessages(state.user_id, cursor.session_id, limit=1)
        cursor.counted(page.total)
    started, pause = time.monotonic(), _FIRST_PAUSE
    for remaining in range(state.delivery.retries, -1, -1):
        if cursor.unconfirmed is not None and is_same(cursor.unconfirmed, waiting):
            if (yield from landed(state, cursor)):
                return True
            if not (yield from still_wanted(state, waiting)):
                return False
        try:
            yield from _send_once(state, cursor, waiting, message)
        except ServiceUnavailableError as error:
            wait = error.retry_after or pause * random.uniform(0.75, 1.25)  # noqa: S311 - spreads retries
            too_late = time.monotonic() + wait - started > state.delivery.retry_budget
            if not error.may_have_taken_effect or not remaining or too_late:
                raise
            yield from Sleep(wait)
            pause *= 2
        else:
            return True
    raise AssertionError("unreachable: the last try returns or raises")


def _send_once(state: State, cursor: SessionCursor, waiting: OutboxEntry, message: Message) -> Flow[None]:
    """One try; afterwards the place says whether the message is stored, in doubt, or not there."""
    assert cursor.session_id is not None
    cursor.unconfirmed = waiting
    try:
        yield from AddMessage(state.user_id, cursor.session_id, message)
    except ServiceUnavailableError as error:
        if not error.may_have_taken_effect:
            cursor.unconfirmed = None
        raise
    except (RequestRejectedError, NotFoundError):
        cursor.unconfirmed = None
        raise
    cursor.note(message)


def still_wanted(state: State, waiting: OutboxEntry) -> Flow[bool]:
    """Whether it has not been purged meanwhile; a copy that moves between sessions never is."""
    if waiting.seq < 0:
        return True
    return (yield from outbox_call(state, lambda: state.outbox.holds(state.key, waiting)))


def landed(state: State, cursor: SessionCursor) -> Flow[bool]:
    """Whether the message in doubt is in the session after all; reads the session from where it is known."""
    unconfirmed = cursor.unconfirmed
    assert unconfirmed is not None
    assert unconfirmed.message is not None
    tail, total = yield from _unknown_part(state, cursor)
    since = None
    if cursor.stored is None:
        since = (
            unconfirmed.recorded_at if cursor.since is None else min(cursor.since, unconfirmed.recorded_at)
        )
    found = rules.has_landed(unconfirmed.message, tail, sent_before=cursor.sent, not_before=since)
    cursor.counted(total)
    cursor.unconfirmed = None
    return found


def unstored(state: State) -> Flow[list[OutboxEntry]]:
    """What waits, in order, without the message whose answer was lost when the service has it after all.

    For looking only: nothing is sent, and the message stays in doubt for the next delivery.

    Raises:
        ServiceUnavailableError: it is not known whether the service has it.
    """
    waiting = yield from what_waits(state)
    cursor = yield from outbox_call(state, lambda: state.outbox.cursor(state.key, state.cursor))
    if (
        cursor.session_id is None
        or cursor.unconfirmed is None
        or not waiting
        or not is_same(cursor.unconfirmed, waiting[0])
    ):
        return waiting
    with suppress(NotFoundError):
        if (yield from landed(state, replace(cursor, sent=cursor.sent.copy()))):
            return waiting[1:]
    return waiting


def _unknown_part(state: State, cursor: SessionCursor) -> Flow[tuple[list[Message], int]]:
    """The messages since the session was counted last, or its end when it never was; and its length."""
    assert cursor.session_id is not None
    offset = cursor.stored or 0
    page = yield from ReadMessages(state.user_id, cursor.session_id, offset=offset)
    messages = list(page.messages)
    if cursor.stored is None and page.total > len(messages):
        offset = max(0, page.total - cursor.sent.total() - _TAIL)
        messages = []
    while offset + len(messages) < page.total:
        page = yield from ReadMessages(state.user_id, cursor.session_id, offset=offset + len(messages))
        if not page.messages:
            break
        messages.extend(page.messages)
    return messages, page.total

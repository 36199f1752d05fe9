"""One message into a session: sent once, although the API cannot say that it was the same.

That a message is sent, and from when on it can no longer take effect, is written down before its request
leaves. While it is not known whether the service has it, nothing else is sent to the session: it is looked
for, and sent again when it can no longer take effect and is not there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final

from recallrai_integrations.errors import (
    CredentialsError,
    NotFoundError,
    RequestRejectedError,
    ServiceUnavailableError,
)
from recallrai_integrations.messages import Message
from recallrai_integrations.outbox import OutboxEntry, SessionCursor, Unconfirmed

from . import rules
from .ops import AddMessage, Flow, ReadMessages
from .patience import Patience, after_failure, bounded
from .state import State, outbox_call, what_waits

__all__ = ["confirm", "is_same", "mark_sending", "save_cursor", "send", "still_wanted", "unstored"]

_COUNT_ANEW_AFTER: Final = 200
_AT_ONCE: Final = 2.0
"""Seconds at most between writing down that a request leaves, and its leaving (ours)."""
_MARKINGS: Final = 5


def save_cursor(state: State, *, synced: bool = True) -> Flow[None]:
    """Saves the cursor in the outbox, for the next delivery by any process."""
    yield from outbox_call(state, lambda: state.outbox.keep(state.key, state.cursor, synced=synced))


def is_same(unconfirmed: OutboxEntry, waiting: OutboxEntry) -> bool:
    """Returns whether this is the unconfirmed message, or the same message repeated by a caller."""
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
    """Sends a message to the session of `cursor`, after looking up an unconfirmed message.

    Returns:
        False if the message was purged meanwhile, and was not sent again.

    Raises:
        ServiceUnavailableError: an outage; `cursor.unconfirmed` says whether the message may have arrived.
        RequestRejectedError, NotFoundError: see `AddMessage`.
    """
    patience = Patience(state.delivery)
    while True:
        unconfirmed = cursor.unconfirmed
        if unconfirmed is not None:
            has_landed = yield from confirm(state, cursor, waiting, patience)
            if is_same(unconfirmed.entry, waiting):
                if has_landed:
                    return True
                if not (yield from still_wanted(state, waiting)):
                    return False
        yield from _count(state, cursor)
        try:
            yield from _send_once(state, cursor, waiting, message)
        except ServiceUnavailableError as error:
            if not error.may_have_taken_effect:
                raise  # it has been retried already
            yield from patience.wait(error)
        else:
            return True


def _count(state: State, cursor: SessionCursor) -> Flow[None]:
    """Counts the session's messages before the first message is sent, and again after many."""
    assert cursor.session_id is not None
    if cursor.stored is not None and cursor.sent.total() < _COUNT_ANEW_AFTER:
        return
    page = yield from ReadMessages(state.user_id, cursor.session_id, limit=1)
    _check_not_older(cursor, page.total)
    cursor.counted(page.total)
    yield from save_cursor(state)


def _send_once(state: State, cursor: SessionCursor, waiting: OutboxEntry, message: Message) -> Flow[None]:
    """Tries once; afterwards the cursor says whether the message is stored, unconfirmed, or not sent."""
    assert cursor.session_id is not None
    settled_at = yield from mark_sending(state, lambda at: _mark(cursor, waiting, at))
    try:
        yield from AddMessage(state.user_id, cursor.session_id, message)
    except ServiceUnavailableError as error:
        cursor.unconfirmed = (
            Unconfirmed(waiting, after_failure(error, settled_at, state.settling_time))
            if error.may_have_taken_effect
            else None
        )
        raise
    except (RequestRejectedError, NotFoundError, CredentialsError):
        cursor.unconfirmed = None
        raise
    cursor.acknowledge(waiting)


def _mark(cursor: SessionCursor, waiting: OutboxEntry, settled_at: float) -> None:
    cursor.unconfirmed = Unconfirmed(waiting, settled_at)


def mark_sending(state: State, mark: Callable[[float], None]) -> Flow[float]:
    """Has it written down that a request leaves now; when it can no longer take effect, monotonic clock.

    A process that was stopped in between, for longer than the others wait for it, finds here that they have
    taken over, and sends nothing.

    Args:
        state: the conversation.
        mark: notes that moment in the cursor.
    """
    for _ in range(_MARKINGS):
        began = time.monotonic()
        mark(settled_at := began + state.settling_time)
        yield from save_cursor(state, synced=False)
        if time.monotonic() < began + _AT_ONCE:
            return settled_at
    raise ServiceUnavailableError(
        f"The outbox takes longer than {_AT_ONCE} s to write a line.", may_have_taken_effect=False
    )


def still_wanted(state: State, waiting: OutboxEntry) -> Flow[bool]:
    """Returns whether the message was not purged meanwhile; a copy between sessions never is."""
    if waiting.seq < 0:
        return True
    return (yield from outbox_call(state, lambda: state.outbox.holds(state.key, waiting)))


def confirm(
    state: State, cursor: SessionCursor, waiting: OutboxEntry | None, patience: Patience
) -> Flow[bool]:
    """Returns whether the service has the unconfirmed message; waits until that is certain.

    Args:
        state: the conversation.
        cursor: the session to which the message was sent.
        waiting: the next entry: the unconfirmed message, or another if its caller has it back.
        patience: how long to wait.

    Raises:
        ServiceUnavailableError: it is not there, but may still arrive; it stays unconfirmed.
        NotFoundError: its session was deleted.
    """
    unconfirmed = cursor.unconfirmed
    assert unconfirmed is not None
    settled_at = bounded(unconfirmed.settled_at, state.settling_time)
    cursor.unconfirmed = Unconfirmed(unconfirmed.entry, settled_at)
    while True:
        is_settled = time.monotonic() >= settled_at  # read the clock first: after that time it cannot arrive
        found, total = yield from _look_for(state, cursor)
        if found:
            given_again = waiting is not None and is_same(unconfirmed.entry, waiting)
            # First, as in `SessionCursor.acknowledge`.
            cursor.delivered = waiting.seq if waiting and given_again else unconfirmed.entry.seq
        if found or is_settled:
            cursor.unconfirmed = None
            cursor.counted(total)
            return found
        yield from patience.wait(
            ServiceUnavailableError(
                "The request to store a message got no answer, and may take effect; the message is kept."
            ),
            until=settled_at,
        )


def _look_for(state: State, cursor: SessionCursor) -> Flow[tuple[bool, int]]:
    """Returns whether the unconfirmed message is in the session, and its length; changes nothing."""
    assert cursor.session_id is not None
    unconfirmed = cursor.unconfirmed
    assert unconfirmed is not None
    assert unconfirmed.entry.message is not None
    offset, messages = cursor.stored or 0, list[Message]()
    while True:
        page = yield from ReadMessages(state.user_id, cursor.session_id, offset=offset + len(messages))
        messages.extend(page.messages)
        if not page.messages or offset + len(messages) >= page.total:
            break
    _check_not_older(cursor, page.total)
    return rules.has_landed(unconfirmed.entry.message, messages, sent_before=cursor.sent), page.total


def _check_not_older(cursor: SessionCursor, total: int) -> None:
    """Refuses outdated answers: a session only grows, so a shorter one comes from an old copy.

    Raises:
        ServiceUnavailableError: `total` is less than the session's known length.
    """
    if total < cursor.length:
        raise ServiceUnavailableError(
            f"The service's answer is outdated: a session with {cursor.length} messages had {total} in it."
        )


def unstored(state: State) -> Flow[list[OutboxEntry]]:
    """Returns the pending entries, in order, without an unconfirmed message that the service has.

    This only reads: nothing is sent, and the message stays unconfirmed for the next delivery.

    Raises:
        ServiceUnavailableError: it is not known whether the service has it.
    """
    waiting = yield from what_waits(state)
    cursor = yield from outbox_call(state, lambda: state.outbox.cursor(state.key, state.cursor))
    while waiting and waiting[0].seq <= cursor.delivered:
        del waiting[0]
    unconfirmed = cursor.unconfirmed
    if unconfirmed is None or not waiting or not is_same(unconfirmed.entry, waiting[0]):
        return waiting
    with suppress(NotFoundError):
        found, _ = yield from _look_for(state, replace(cursor))
        return waiting[found:]
    return waiting

"""One message into a session: sent once, although the API cannot say that it was the same."""

from __future__ import annotations

import random
import time
from contextlib import suppress
from dataclasses import replace
from typing import Final

from recallrai_integrations import plan
from recallrai_integrations.errors import NotFoundError, RequestRejectedError, ServiceUnavailableError
from recallrai_integrations.messages import Message
from recallrai_integrations.ops import AddMessage, Flow, ReadMessages, Sleep
from recallrai_integrations.outbox import Place, Waiting

from .state import State, local, what_waits

__all__ = ["is_same", "landed", "send", "still_wanted", "unstored"]

_FIRST_PAUSE = 0.2
_COUNT_ANEW_AFTER: Final = 200
_TAIL = 50


def is_same(doubted: Waiting, waiting: Waiting) -> bool:
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


def send(state: State, place: Place, waiting: Waiting, message: Message) -> Flow[bool]:
    """Sends a message to the session of `place`; what is in doubt is looked for before it is sent again.

    Returns:
        False when the message was purged on the way, and has not been sent again.

    Raises:
        ServiceUnavailableError: an outage; `place.doubt` tells whether the message may have arrived.
        RequestRejectedError, NotFoundError: see `AddMessage`.
    """
    assert place.session_id is not None
    if place.doubt is None and place.sent.total() >= _COUNT_ANEW_AFTER:
        page = yield from ReadMessages(state.user_id, place.session_id, limit=1)
        place.counted(page.total)
    started, pause = time.monotonic(), _FIRST_PAUSE
    for remaining in range(state.delivery.retries, -1, -1):
        if place.doubt is not None and is_same(place.doubt, waiting):
            if (yield from landed(state, place)):
                return True
            if not (yield from still_wanted(state, waiting)):
                return False
        try:
            yield from _send_once(state, place, waiting, message)
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


def _send_once(state: State, place: Place, waiting: Waiting, message: Message) -> Flow[None]:
    """One try; afterwards the place says whether the message is stored, in doubt, or not there."""
    assert place.session_id is not None
    place.doubt = waiting
    try:
        yield from AddMessage(state.user_id, place.session_id, message)
    except ServiceUnavailableError as error:
        if not error.may_have_taken_effect:
            place.doubt = None
        raise
    except (RequestRejectedError, NotFoundError):
        place.doubt = None
        raise
    place.note(message)


def still_wanted(state: State, waiting: Waiting) -> Flow[bool]:
    """Whether it has not been purged meanwhile; a copy that moves between sessions never is."""
    if waiting.seq < 0:
        return True
    return (yield from local(state, lambda: state.outbox.holds(state.address, waiting)))


def landed(state: State, place: Place) -> Flow[bool]:
    """Whether the message in doubt is in the session after all; reads the session from where it is known."""
    doubted = place.doubt
    assert doubted is not None
    assert doubted.message is not None
    tail, total = yield from _unknown_part(state, place)
    since = None
    if place.stored is None:
        since = doubted.recorded_at if place.since is None else min(place.since, doubted.recorded_at)
    found = plan.has_landed(doubted.message, tail, sent_before=place.sent, not_before=since)
    place.counted(total)
    place.doubt = None
    return found


def unstored(state: State) -> Flow[list[Waiting]]:
    """What waits, in order, without the message whose answer was lost when the service has it after all.

    For looking only: nothing is sent, and the message stays in doubt for the next delivery.

    Raises:
        ServiceUnavailableError: it is not known whether the service has it.
    """
    waiting = yield from what_waits(state)
    place = yield from local(state, lambda: state.outbox.place(state.address, state.place))
    if place.session_id is None or place.doubt is None or not waiting or not is_same(place.doubt, waiting[0]):
        return waiting
    with suppress(NotFoundError):
        if (yield from landed(state, replace(place, sent=place.sent.copy()))):
            return waiting[1:]
    return waiting


def _unknown_part(state: State, place: Place) -> Flow[tuple[list[Message], int]]:
    """The messages since the session was counted last, or its end when it never was; and its length."""
    assert place.session_id is not None
    offset = place.stored or 0
    page = yield from ReadMessages(state.user_id, place.session_id, offset=offset)
    messages = list(page.messages)
    if place.stored is None and page.total > len(messages):
        offset = max(0, page.total - place.sent.total() - _TAIL)
        messages = []
    while offset + len(messages) < page.total:
        page = yield from ReadMessages(state.user_id, place.session_id, offset=offset + len(messages))
        if not page.messages:
            break
        messages.extend(page.messages)
    return messages, page.total

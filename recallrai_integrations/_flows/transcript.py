"""Reading a conversation back, across the sessions of its thread."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from recallrai_integrations.errors import NotFoundError, RequestRejectedError, ServiceUnavailableError
from recallrai_integrations.messages import Message
from recallrai_integrations.models import MessagePage, SessionInfo
from recallrai_integrations.outbox import OutboxEntry

from . import rules
from .delivery import deliver
from .ops import Flow, Gather, GetSession, Locked, ReadMessages, ServiceOp
from .pages import read_sessions
from .sessions import list_thread, take_up, thread_sessions
from .state import State, what_waits
from .transmission import unstored

__all__ = ["history"]


def history(state: State, limit: int | None) -> Flow[list[Message]]:
    """Returns the conversation across its sessions, oldest first; with a limit only its end is read.

    Raises:
        ServiceUnavailableError: with `on_error="raise"`; otherwise an outage answers with what is known here.
    """
    try:
        messages = yield from Locked(state.lock, _history(state, limit))
    except ServiceUnavailableError as error:
        if state.delivery.on_error == "raise":
            raise
        state.emit_outage(error)
        known = yield from _what_is_known(state)
        return known if limit is None else known[-limit:]
    if limit is None:
        state.known = deque(messages, maxlen=state.known.maxlen)
    return messages


def _history(state: State, limit: int | None) -> Flow[list[Message]]:
    """Returns the stored messages followed by pending ones, after a try to deliver these."""
    try:
        yield from deliver(state)
    except ServiceUnavailableError:
        pass
    except RequestRejectedError as error:
        if error.status != HTTPStatus.PAYMENT_REQUIRED:  # reading costs no balance
            raise
    stored = yield from _read_history(state, limit)
    is_cleared, waiting = _since_cleared((yield from unstored(state)))
    messages = waiting if is_cleared else [*stored, *waiting]
    return messages if limit is None else messages[-limit:]


def _what_is_known(state: State) -> Flow[list[Message]]:
    """Returns the messages this process has seen, followed by pending ones, in a file also those of others.

    While a request to clear is pending, only the messages since that request.
    """
    is_cleared, waiting = _since_cleared((yield from what_waits(state)))
    left, seen = Counter(waiting), list[Message]()
    known = () if is_cleared else tuple(state.known)  # a copy: other threads record meanwhile
    for message in reversed(known):
        if left[message]:
            left[message] -= 1
        else:
            seen.append(message)
    return [*reversed(seen), *waiting]


def _since_cleared(waits: Sequence[OutboxEntry]) -> tuple[bool, list[Message]]:
    """Returns whether a request to clear is pending, and the pending messages after it, or all of them."""
    clears = [number for number, one in enumerate(waits) if one.kind == "clear"]
    since = waits[clears[-1] :] if clears else waits
    return bool(clears), [one.message for one in since if one.message is not None]


def _read_history(state: State, limit: int | None) -> Flow[list[Message]]:
    known: dict[str, MessagePage]
    if state.key.thread_id is None:
        here = state.cursor.session_id
        opened: list[str] = [*state.opened, *([] if here is None else [here])]
        ids, known = list(dict.fromkeys(opened)), {}
    else:
        sessions, known = yield from _sessions(state, limit)
        open_ones = [one for one in sessions if one.status == "pending"]
        if (
            state.cursor.session_id is None and len(open_ones) == 1
        ):  # more than one: they have to be reconciled first
            known.update((yield from _go_on_in(state, open_ones[0], limit)))
        ids = [one.session_id for one in sessions if not rules.is_cleared(one)]
    try:
        return (yield from _read(state, ids, limit, known))
    except NotFoundError:  # one of them was deleted meanwhile
        there: list[str] = []
        for session_id in ids:
            with suppress(NotFoundError):
                there.append((yield from GetSession(state.user_id, session_id)).session_id)
        return (yield from _read(state, there, limit, {}))


def _go_on_in(state: State, session: SessionInfo, limit: int | None) -> Flow[dict[str, MessagePage]]:
    """Takes up the open session, so that the next message neither looks for it nor counts its messages."""
    stored, known = None, dict[str, MessagePage]()
    if limit is None:
        with suppress(NotFoundError):  # deleted meanwhile
            page = known[session.session_id] = yield from ReadMessages(state.user_id, session.session_id)
            stored = page.total
    yield from take_up(state, [session], stored=stored)
    return known


def _sessions(state: State, limit: int | None) -> Flow[tuple[list[SessionInfo], dict[str, MessagePage]]]:
    """The sessions of the thread; beside their list, the first page of the one that is known to be open."""
    here = state.cursor.session_id
    if here is not None and limit is None:
        with suppress(NotFoundError):  # deleted meanwhile: without the short cut, then
            requests: list[ServiceOp[Any]] = [list_thread(state), ReadMessages(state.user_id, here)]
            listed, page = yield from Gather(requests)
            return (yield from thread_sessions(state, listed)), {here: page}
    return (yield from thread_sessions(state)), {}


def _read(
    state: State, ids: list[str], limit: int | None, known: dict[str, MessagePage]
) -> Flow[list[Message]]:
    if limit is None:
        return (yield from read_sessions(state.user_id, ids, known))
    tail: list[Message] = []
    for session_id in reversed(ids):
        if len(tail) >= limit:
            break
        tail[:0] = yield from _read_tail(state, session_id, limit - len(tail))
    return tail


def _read_tail(state: State, session_id: str, count: int) -> Flow[list[Message]]:
    first = yield from ReadMessages(
        state.user_id, session_id, limit=max(1, min(count, rules.MESSAGES_PER_PAGE))
    )
    if first.total <= len(first.messages):
        return list(first.messages)[-count:]
    start = max(0, first.total - count)
    have = list(first.messages[start:])
    offsets = rules.page_offsets(first.total, have=max(start, len(first.messages)))
    pages: list[MessagePage] = yield from Gather(
        [ReadMessages(state.user_id, session_id, offset=offset) for offset in offsets]
    )
    return [*have, *(message for page in pages for message in page.messages)][-count:]

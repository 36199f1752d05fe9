"""The session of a thread: finding it, opening it, and agreeing on one among several processes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from math import inf
from typing import Any, Final

from recallrai_integrations.errors import (
    CredentialsError,
    NotFoundError,
    RequestRejectedError,
    ServiceUnavailableError,
)
from recallrai_integrations.messages import Message
from recallrai_integrations.models import Page, SessionInfo
from recallrai_integrations.outbox import OutboxEntry, SessionCursor

from . import rules
from .ops import (
    CreateSession,
    CreateUser,
    DeleteSession,
    Flow,
    GetSession,
    ListSessions,
    Locked,
    UpdateSession,
)
from .pages import read_sessions
from .patience import Patience, after_failure, bounded
from .state import State, now, outbox_call
from .transmission import mark_sending, save_cursor, send

NOT_YET_THERE: Final = "The request to open a session got no answer, and may still take effect."

__all__ = [
    "find_session",
    "list_thread",
    "load_cursor",
    "mark_cleared",
    "open_session",
    "reconcile",
    "sessions_to_process",
    "take_up",
    "thread_sessions",
    "update",
]


def open_session(state: State) -> Flow[str]:
    """Returns the session for the next message: known, found by its thread or by our mark, or new.

    Raises:
        ServiceUnavailableError: an outage; or an earlier request to open a session may still take effect.
    """
    if state.cursor.session_id is not None:
        return state.cursor.session_id
    patience = Patience(state.delivery)
    while (session_id := (yield from _find_or_open(state, patience))) is None:
        pass
    return session_id


def _find_or_open(state: State, patience: Patience) -> Flow[str | None]:
    """Tries once; after a try without a result, pauses and returns None."""
    cursor, user_exists = state.cursor, True
    if cursor.opening is not None:
        cursor.opening = bounded(cursor.opening, state.settling_time)
    is_settled = cursor.opening is None or time.monotonic() >= cursor.opening  # before it is looked for
    if state.key.thread_id is not None or cursor.opening is not None:
        try:
            page = yield from _list_open(state)
        except NotFoundError:
            user_exists = False
        else:
            found = yield from take_up(state, page.items)
            if found is not None:
                return found
    if cursor.opening is not None and not is_settled:
        yield from patience.wait(ServiceUnavailableError(NOT_YET_THERE), until=cursor.opening)
        return None
    try:
        created = yield from _create_session(state, user_exists=user_exists)
    except ServiceUnavailableError as error:
        if not error.may_have_taken_effect:
            raise  # it has been retried already
        yield from patience.wait(error, until=cursor.opening or inf)
        return None
    cursor.enter(created.session_id, stored=0, unreconciled=state.key.thread_id is not None)
    if state.key.thread_id is None:
        state.opened.append(created.session_id)
    yield from save_cursor(state)
    state.emit("session_opened")
    return created.session_id


def _list_open(state: State) -> ListSessions:
    """Returns the request for the open sessions of this conversation."""
    return ListSessions(state.user_id, metadata_filter=state.session_filter, statuses=("pending",))


def take_up(state: State, sessions: Sequence[SessionInfo], *, stored: int | None = None) -> Flow[str | None]:
    """Continues in the open session among those of the conversation, if there is one.

    Args:
        state: the conversation.
        sessions: of the conversation.
        stored: number of messages in the open session, if known.
    """
    found = rules.oldest_open(sessions)
    if found is None:
        return None
    state.cursor.enter(found.session_id, stored=stored)
    if state.key.thread_id is None:
        state.opened.append(found.session_id)
    yield from save_cursor(state)
    return found.session_id


def _create_session(state: State, *, user_exists: bool) -> Flow[SessionInfo]:
    """Opens a session; the cursor records the request before it leaves."""
    key = state.key
    create = CreateSession(
        state.user_id,
        rules.session_metadata(key.metadata, key.thread_id, marks=state.marks),
        key.auto_process_after_seconds,
    )
    if user_exists:
        with suppress(NotFoundError):
            return (yield from _open_once(state, create))
    yield from CreateUser(state.user_id)
    return (yield from _open_once(state, create))


def _open_once(state: State, create: CreateSession) -> Flow[SessionInfo]:
    cursor = state.cursor
    settled_at = yield from mark_sending(state, lambda at: setattr(cursor, "opening", at))
    try:
        return (yield from create)
    except ServiceUnavailableError as error:
        may_come = error.may_have_taken_effect
        cursor.opening = after_failure(error, settled_at, state.settling_time) if may_come else None
        raise
    except (RequestRejectedError, NotFoundError, CredentialsError):
        cursor.opening = None
        raise


def load_cursor(state: State) -> Flow[None]:
    """Loads the cursor that other processes left; under the lock, without a claim."""
    state.cursor = yield from outbox_call(state, lambda: state.outbox.cursor(state.key, state.cursor))


def reconcile(state: State) -> Flow[None]:
    """Merges sessions that two processes opened for one thread at the same time; both continue in the oldest.

    Messages that this process stored in a younger session move to the oldest. The younger session is deleted
    when all of them have arrived.
    """
    cursor = state.cursor
    try:
        page = yield from _list_open(state)
    except NotFoundError:  # the user was deleted; the next message creates them again
        state.emit("session_gone")
        cursor.leave()
        yield from save_cursor(state)
        return
    ours, oldest = cursor.session_id, rules.oldest_open(page.items)
    if ours is None or oldest is None or oldest.session_id == ours:
        cursor.unreconciled = False
        return
    try:
        messages = yield from read_sessions(state.user_id, [ours])
    except NotFoundError:  # deleted by this process after the move, or by another
        cursor.leave()
        yield from save_cursor(state)
        return
    try:
        yield from _move(state, messages, oldest.session_id)
    except (
        RequestRejectedError,
        NotFoundError,
    ):  # it accepts no more messages; the next delivery looks again
        cursor.target = None
        return
    with suppress(NotFoundError):
        yield from DeleteSession(state.user_id, ours)
    target = cursor.target
    assert target is not None
    cursor.enter(oldest.session_id, stored=target.stored)
    cursor.sent.update(target.sent)
    yield from save_cursor(state)


def _move(state: State, messages: Sequence[Message], target_id: str) -> Flow[None]:
    """Copies the messages that have not been copied yet, so an interrupted move continues."""
    cursor = state.cursor
    if cursor.target is None or cursor.target.session_id != target_id:
        cursor.target = SessionCursor(session_id=target_id)
    target = cursor.target
    for number, message in enumerate(messages, start=1):
        if number > -target.delivered:  # copies have negative numbers
            yield from send(state, target, OutboxEntry(-number, message, now()), message)


def find_session(state: State) -> Flow[SessionInfo | None]:
    """Reads the session of this conversation: the open one, else the latest, else None."""
    cursor = yield from outbox_call(state, lambda: state.outbox.cursor(state.key, state.cursor))
    own = [*state.opened, *([] if cursor.session_id is None else [cursor.session_id])]
    for session_id in dict.fromkeys(reversed(own)):
        with suppress(NotFoundError):  # deleted: the next message handles that
            return (yield from GetSession(state.user_id, session_id))
    sessions = yield from thread_sessions(state)
    return rules.oldest_open(sessions) or (sessions[-1] if sessions else None)


def thread_sessions(state: State, first: Page | None = None) -> Flow[list[SessionInfo]]:
    """Returns all sessions of this thread, oldest first; none without a thread or without the user.

    Args:
        state: the conversation.
        first: the first page, if it has been read already.
    """
    if state.key.thread_id is None:
        return []
    found: list[SessionInfo] = []
    page = first
    while True:
        if page is None:
            try:
                page = yield from list_thread(state, offset=len(found))
            except NotFoundError:
                return []
        found.extend(page.items)
        if not page.has_more or not page.items:
            return sorted(found, key=lambda one: (one.created_at, one.session_id))
        page = None


def list_thread(state: State, *, offset: int = 0) -> ListSessions:
    """Returns the request for a page of the sessions of this thread."""
    return ListSessions(state.user_id, metadata_filter=state.thread_filter, offset=offset)


def update(state: State, metadata: dict[str, Any]) -> Flow[None]:
    """Replaces the metadata of this and later sessions, except our own keys; opens a missing session."""
    yield from Locked(state.lock, _update(state, metadata))


def _update(state: State, metadata: dict[str, Any]) -> Flow[None]:
    session = yield from find_session(state)
    if session is None:
        session_id, marks = (yield from open_session(state)), None
    else:
        session_id, marks = session.session_id, rules.own_marks(session.metadata)
    merged = rules.session_metadata(metadata, state.key.thread_id, marks=marks)
    yield from UpdateSession(state.user_id, session_id, merged)
    state.key = replace(state.key, metadata=metadata)


def mark_cleared(state: State) -> Flow[None]:
    """Marks all sessions so far as cleared, so that no reader counts them to the conversation."""
    state.opened.clear()
    for session in (yield from thread_sessions(state)):
        if not rules.is_cleared(session):
            marks = {**rules.own_marks(session.metadata), "cleared": True}
            marked = {**session.metadata, rules.OWN_KEY: marks}
            with suppress(NotFoundError):  # deleted meanwhile
                yield from UpdateSession(state.user_id, session.session_id, marked)


def sessions_to_process(state: State) -> Flow[list[str]]:
    """Returns the pending sessions of a thread."""
    try:
        page = yield from _list_open(state)
    except NotFoundError:
        return []
    return [one.session_id for one in page.items]

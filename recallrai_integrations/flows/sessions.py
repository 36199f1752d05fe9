"""Finding, opening and settling on the session of a thread."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from recallrai_integrations import plan
from recallrai_integrations.errors import NotFoundError
from recallrai_integrations.messages import Message
from recallrai_integrations.models import Page, SessionInfo
from recallrai_integrations.ops import (
    CreateSession,
    CreateUser,
    DeleteSession,
    Exclusive,
    Flow,
    GetSession,
    ListSessions,
    ReadMessages,
    UpdateSession,
)
from recallrai_integrations.outbox import Place, Waiting

from .reading import read_sessions
from .sending import landed, send
from .state import State, local, now

__all__ = [
    "find_session",
    "keep_place",
    "list_thread",
    "look_up_place",
    "mark_cleared",
    "open_session",
    "sessions_to_process",
    "settle",
    "take_up",
    "thread_sessions",
    "update",
]


def open_session(state: State) -> Flow[str]:
    """The session that takes the next message: known, found by its thread, or new."""
    place, address = state.place, state.address
    if place.session_id is not None:
        return place.session_id
    user_exists = True
    if address.thread_id is not None:
        try:
            page = yield from ListSessions(
                state.user_id, metadata_filter=state.thread_filter, statuses=("pending",)
            )
        except NotFoundError:
            user_exists = False
        else:
            found = yield from take_up(state, page.items)
            if found is not None:
                return found
    created = yield from _create_session(state, user_exists=user_exists)
    place.enter(created.session_id, stored=0, now=now(), unsettled=address.thread_id is not None)
    if address.thread_id is None:
        state.opened.append(created.session_id)
    yield from keep_place(state)
    state.note("session_opened")
    return created.session_id


def take_up(state: State, sessions: Sequence[SessionInfo]) -> Flow[str | None]:
    """Goes on in the open session among those of the thread, if there is one."""
    found = plan.oldest_open(sessions)
    if found is None:
        return None
    doubt = state.place.doubt
    state.place.enter(found.session_id, stored=None, now=now())
    state.place.doubt = doubt
    yield from keep_place(state)
    return found.session_id


def _create_session(state: State, *, user_exists: bool) -> Flow[SessionInfo]:
    address = state.address
    create = CreateSession(
        state.user_id,
        plan.session_metadata(address.metadata, address.thread_id),
        address.auto_process_after_seconds,
    )
    if user_exists:
        try:
            return (yield from create)
        except NotFoundError:
            pass
    yield from CreateUser(state.user_id)
    return (yield from create)


def keep_place(state: State) -> Flow[None]:
    """Has the outbox remember where the conversation stands, for whoever delivers it next."""
    yield from local(state, lambda: state.outbox.keep(state.address, state.place))


def look_up_place(state: State) -> Flow[None]:
    """Takes over where other processes left the conversation; under its lock, without a claim."""
    state.place = yield from local(state, lambda: state.outbox.place(state.address, state.place))


def settle(state: State) -> Flow[None]:
    """Two workers may have opened a session for one thread at the same time; both go on in the oldest.

    What this process put into a younger one moves to the oldest, and the younger one is deleted once all of
    it has arrived.
    """
    place = state.place
    try:
        page = yield from ListSessions(
            state.user_id, metadata_filter=state.thread_filter, statuses=("pending",)
        )
    except NotFoundError:  # the user was deleted with everything; the next message creates them again
        state.note("session_gone")
        place.leave()
        yield from keep_place(state)
        return
    ours, oldest = place.session_id, plan.oldest_open(page.items)
    if ours is None or oldest is None or oldest.session_id == ours:
        place.unsettled = False
        return
    try:
        messages = yield from read_sessions(state.user_id, [ours])
    except NotFoundError:  # deleted, by this process when all had moved, or by somebody else
        place.leave()
        yield from keep_place(state)
        return
    yield from _move(state, messages, oldest.session_id)
    with suppress(NotFoundError):
        yield from DeleteSession(state.user_id, ours)
    target, place.target = place.target, None
    assert target is not None
    place.enter(oldest.session_id, stored=target.stored, now=now())
    place.sent.update(target.sent)
    yield from keep_place(state)


def _move(state: State, messages: Sequence[Message], target_id: str) -> Flow[None]:
    """Copies the messages that have not been copied yet; a move that was interrupted goes on."""
    place = state.place
    if place.target is None or place.target.session_id != target_id:
        page = yield from ReadMessages(state.user_id, target_id, limit=1)
        place.target, place.moved = Place(), 0
        place.target.enter(target_id, stored=page.total, now=now())
    for number, message in enumerate(messages[place.moved :], place.moved):
        copy = Waiting(-1 - number, message, now())
        in_doubt = place.target.doubt
        if in_doubt is None or in_doubt.seq != copy.seq or not (yield from landed(state, place.target)):
            place.target.doubt = copy
            yield from keep_place(state)
            place.target.doubt = None
            yield from send(state, place.target, copy, message)
        place.moved += 1


def find_session(state: State) -> Flow[SessionInfo | None]:
    """The session of this conversation, read afresh: the open one, else the latest, else None."""
    place = yield from local(state, lambda: state.outbox.place(state.address, state.place))
    own = [*state.opened, *([] if place.session_id is None else [place.session_id])]
    for session_id in dict.fromkeys(reversed(own)):
        with suppress(NotFoundError):  # deleted: the next message finds that out too, and goes on
            return (yield from GetSession(state.user_id, session_id))
    sessions = yield from thread_sessions(state)
    return plan.oldest_open(sessions) or (sessions[-1] if sessions else None)


def thread_sessions(state: State, first: Page | None = None) -> Flow[list[SessionInfo]]:
    """All sessions of this thread, oldest first; none without a thread or without the user.

    Args:
        state: the conversation.
        first: the first page of them, where it has been read already.
    """
    if state.address.thread_id is None:
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
    """The request for a page of the sessions of this thread."""
    return ListSessions(state.user_id, metadata_filter=state.thread_filter, offset=offset)


def update(state: State, metadata: dict[str, Any]) -> Flow[None]:
    """Replaces the metadata of the session and of those to come, our own keys kept; opens one if need be."""
    yield from Exclusive(state.lock, _update(state, metadata))


def _update(state: State, metadata: dict[str, Any]) -> Flow[None]:
    session = yield from find_session(state)
    if session is None:
        session_id, marks = (yield from open_session(state)), None
    else:
        session_id, marks = session.session_id, plan.own_marks(session.metadata)
    merged = plan.session_metadata(metadata, state.address.thread_id, marks=marks)
    yield from UpdateSession(state.user_id, session_id, merged)
    state.address = replace(state.address, metadata=metadata)


def mark_cleared(state: State) -> Flow[None]:
    """The sessions so far are no part of the conversation any more, for whoever reads it."""
    state.opened.clear()
    for session in (yield from thread_sessions(state)):
        if not plan.is_cleared(session):
            marks = {**plan.own_marks(session.metadata), "cleared": True}
            marked = {**session.metadata, plan.OWN_KEY: marks}
            with suppress(NotFoundError):  # deleted meanwhile
                yield from UpdateSession(state.user_id, session.session_id, marked)


def sessions_to_process(state: State) -> Flow[list[str]]:
    """The pending sessions of a thread that this process has not talked to yet."""
    try:
        page = yield from ListSessions(
            state.user_id, metadata_filter=state.thread_filter, statuses=("pending",)
        )
    except NotFoundError:
        return []
    return [one.session_id for one in page.items]

"""Deleting: first the pending messages, then what is stored; then a check that it is gone."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from recallrai_integrations.errors import ForgetIncompleteError, NotFoundError
from recallrai_integrations.models import Forgotten, SessionInfo
from recallrai_integrations.outbox import SessionCursor

from . import rules
from .delivery import claim
from .memories import all_memories
from .ops import (
    Call,
    DeleteMemory,
    DeleteSession,
    DeleteUser,
    Flow,
    GetMemory,
    GetSession,
    GetUser,
    ListSessions,
    Locked,
)
from .state import State, outbox_call

__all__ = ["forget_memory", "forget_session", "forget_thread", "forget_user"]

_CLAIM_PATIENCE = 30.0
_ROUNDS = 3

States = Callable[[], list[State]]


def forget_user(user_id: str, states: States, *, blocking: bool) -> Flow[Forgotten]:
    """Deletes the user with everything of theirs.

    Raises:
        NotFoundError: there was nothing of this user, waiting or stored.
        ForgetIncompleteError: the service still tells something.
        ServiceError: see `errors`.
    """
    waiting, remains = yield from _fence((yield from Call(states, blocking=blocking)))
    sessions, memories = yield from _inventory(user_id, {})
    existed = True
    for _ in range(_ROUNDS):
        try:
            yield from DeleteUser(user_id)
        except NotFoundError:
            existed = bool(sessions or memories)
        if not (yield from _user_exists(user_id)):
            break
    else:
        raise ForgetIncompleteError(
            f"User {user_id!r} was deleted, but the service still returns them. Try again."
        )
    left_sessions, left_memories = yield from _inventory(user_id, {})
    _check_gone(f"user {user_id!r}", left_sessions, left_memories)
    if not existed and not waiting:
        raise NotFoundError(f"There is no user {user_id!r}, and no message of theirs is pending.", status=404)
    return Forgotten(
        user_id, tuple(sessions), tuple(memories), waiting, user_deleted=True, remains_in=remains
    )


def forget_thread(user_id: str, thread_id: str, states: States, *, blocking: bool) -> Flow[Forgotten]:
    """Deletes all sessions of a thread, and the memories made from them.

    Raises:
        NotFoundError: there was nothing of this thread, waiting or stored.
        ForgetIncompleteError: the service still tells something.
        ServiceError: see `errors`.
    """
    waiting, remains = yield from _fence((yield from Call(states, blocking=blocking)))
    of_thread = {rules.THREAD_KEY: thread_id}
    sessions: list[str] = []
    memories: list[str] = []
    for _ in range(_ROUNDS):  # another process may open one meanwhile
        found, made = yield from _inventory(user_id, of_thread)
        if not found:
            break
        sessions += found
        memories += made
        for session_id in found:
            yield from _delete_session(user_id, session_id)
    left, _ = yield from _inventory(user_id, of_thread)
    yield from _check_memories(user_id, f"thread {thread_id!r}", left, memories)
    if not sessions and not waiting:
        raise NotFoundError(f"There is no thread {thread_id!r} of user {user_id!r}.", status=404)
    return Forgotten(user_id, tuple(sessions), tuple(memories), waiting, remains_in=remains)


def forget_session(user_id: str, session_id: str, states: States, *, blocking: bool) -> Flow[Forgotten]:
    """Deletes one session, and the memories made from it.

    Raises:
        NotFoundError: there is no such session, and nothing waited for it.
        ForgetIncompleteError: the service still tells something.
        ServiceError: see `errors`.
    """
    waiting, remains = yield from _fence((yield from Call(states, blocking=blocking)), session_id)
    try:
        yield from GetSession(user_id, session_id)
    except NotFoundError:
        if not waiting:
            raise
        return Forgotten(user_id, waiting=waiting, remains_in=remains)
    made = yield from all_memories(user_id, categories=(), session_ids=(session_id,), limit=None)
    memories = [one.memory_id for one in made]
    yield from _delete_session(user_id, session_id)
    left: list[str] = []
    with suppress(NotFoundError):
        left.append((yield from GetSession(user_id, session_id)).session_id)
    yield from _check_memories(user_id, f"session {session_id}", left, memories)
    return Forgotten(user_id, (session_id,), tuple(memories), waiting, remains_in=remains)


def forget_memory(user_id: str, memory_id: str) -> Flow[Forgotten]:
    """Deletes one memory with its older versions.

    Raises:
        NotFoundError: there is no such memory.
        ForgetIncompleteError: the service still tells it.
        ServiceError: see `errors`.
    """
    memory = yield from GetMemory(user_id, memory_id)
    versions = [memory_id, *(one.memory_id for one in memory.previous_versions)]
    with suppress(NotFoundError):  # a repeated request found its work done
        yield from DeleteMemory(user_id, memory_id, previous_versions=True)
    yield from _check_memories(user_id, f"memory {memory_id}", [], versions)
    return Forgotten(user_id, memories=tuple(versions))


def _fence(states: list[State], session_id: str | None = None) -> Flow[tuple[int, tuple[str, ...]]]:
    """Takes over the delivery of each conversation, and drops its pending entries and all knowledge of it.

    Nothing that was recorded before can be delivered afterwards. This process cannot, because its locks are
    held. Another process cannot, because its claim is waited for, and it checks whether a message is still
    pending before it opens another session for it.

    Returns:
        The number of dropped entries, and the files in which their texts remain; see `Outbox.erase`.
    """
    dropped = 0
    for state in states:
        dropped += yield from Locked(state.lock, _drop(state, session_id))
    remains = (yield from outbox_call(states[0], states[0].outbox.erase)) if states else ()
    return dropped, remains


def _drop(state: State, session_id: str | None) -> Flow[int]:
    outbox, key = state.outbox, state.key
    claimed = yield from claim(state, _CLAIM_PATIENCE)
    dropped = 0
    if session_id is None or state.cursor.session_id == session_id:
        dropped = yield from outbox_call(state, lambda: outbox.purge(key))
        state.forget()
    if claimed:
        cursor = SessionCursor() if session_id is None else state.cursor
        yield from outbox_call(state, lambda: outbox.release(key, cursor))
    return dropped


def _inventory(user_id: str, metadata: dict[str, str]) -> Flow[tuple[list[str], list[str]]]:
    """Returns the ids of the sessions with these metadata, and of the current memories made from them."""
    sessions: list[SessionInfo] = []
    while True:
        try:
            page = yield from ListSessions(user_id, metadata_filter=metadata or None, offset=len(sessions))
        except NotFoundError:
            return [], []
        sessions.extend(page.items)
        if not page.has_more or not page.items:
            break
    ids = [one.session_id for one in sessions]
    if metadata and not ids:
        return [], []
    memories = yield from all_memories(
        user_id, categories=(), session_ids=ids if metadata else (), limit=None
    )
    return ids, [one.memory_id for one in memories]


def _delete_session(user_id: str, session_id: str) -> Flow[None]:
    with suppress(NotFoundError):  # gone already, or a repeated request found its work done
        yield from DeleteSession(user_id, session_id)


def _user_exists(user_id: str) -> Flow[bool]:
    try:
        yield from GetUser(user_id)
    except NotFoundError:
        return False
    return True


def _check_memories(user_id: str, what: str, sessions: list[str], memories: list[str]) -> Flow[None]:
    left: list[str] = []
    for memory_id in memories:
        with suppress(NotFoundError):
            left.append((yield from GetMemory(user_id, memory_id)).memory_id)
    _check_gone(what, sessions, left)


def _check_gone(what: str, sessions: list[str], memories: list[str]) -> None:
    if sessions or memories:
        named = [f"session {one}" for one in sessions] + [f"memory {one}" for one in memories]
        raise ForgetIncompleteError(
            f"The service still returns parts of {what} ({len(named)}): {', '.join(named[:5])}. Try again."
        )

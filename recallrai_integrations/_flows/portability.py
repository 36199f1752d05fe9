"""Exports everything of one user as dicts for JSON, and reads conversations from such an export."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, Final

from recallrai_integrations.errors import (
    InvalidInputError,
    NotFoundError,
    RequestRejectedError,
    ServiceUnavailableError,
)
from recallrai_integrations.identity import service_id_text
from recallrai_integrations.messages import Message, as_messages
from recallrai_integrations.models import Memory, SessionInfo

from . import Flow, Profile, State, Transcript, deliver_alone
from .ops import Call, GetUser, ListMemories, ListSessions, Locked
from .pages import read_sessions
from .rules import session_metadata
from .transmission import unstored

__all__ = ["FORMAT", "Export", "transcripts"]

FORMAT: Final = 1
"""Grows when the lines of an export change in a way that older releases cannot read."""

_NOT_STORED_YET: Final[Mapping[str, Any]] = {
    "metadata": {},
    "merge_conflict_enabled": None,
    "created_at": None,
    "last_active_at": None,
}


class Export:
    """An export in parts, each a flow that returns lines.

    The lines, in order, all with a key `type`:

    - `user`: `format`, `user_id`, `metadata`, `merge_conflict_enabled`, `created_at`, `last_active_at`; the
      times are null for a user who does not exist in the service yet
    - `session`, oldest first: `session_id`, `status`, `created_at`, `metadata`, and `messages`, each with
      `role`, `content` and `created_at`; messages that still wait, after another try to deliver them, are a
      session without an id whose status is `waiting`
    - `memory`, newest first: `memory_id`, `content`, `categories`, `created_at`, `event_start`, `event_end`,
      `version`, `session_id`, `previous_versions`, `connected` …

    Times are ISO 8601 with a time zone. A pending message has the time that the application gave it, else the
    time of its recording.

    Args:
        user_id: the application's id.
        states: the conversations of the user, those known to the outbox included.
        blocking: whether `states` may touch a disk.
    """

    def __init__(self, user_id: str, states: Callable[[], list[State]], *, blocking: bool) -> None:
        self._user_id = user_id
        self._states = Call(states, blocking=blocking)
        self._parts: deque[Callable[[], Flow[list[dict[str, Any]]]]] = deque([self._user])

    def parts(self) -> Iterator[Flow[list[dict[str, Any]]]]:
        """Yields the flows; run each before you ask for the next."""
        while self._parts:
            yield self._parts.popleft()()

    def _user(self) -> Flow[list[dict[str, Any]]]:
        yield from self._deliver()
        try:
            user = yield from GetUser(self._user_id)
        except NotFoundError:
            if not (waiting := (yield from self._waiting())):
                raise
            return [_user_line({"user_id": self._user_id, **_NOT_STORED_YET}), *waiting]
        sessions: list[SessionInfo] = []
        while True:
            page = yield from ListSessions(self._user_id, offset=len(sessions))
            sessions.extend(page.items)
            if not page.has_more or not page.items:
                break
        sessions.sort(key=lambda one: (one.created_at, one.session_id))
        for session in sessions:
            self._parts.append(lambda session=session: self._session(session))  # type: ignore[misc]
        self._parts.append(self._waiting)
        self._parts.append(lambda: self._memories(0))
        return [_user_line(asdict(user))]

    def _session(self, session: SessionInfo) -> Flow[list[dict[str, Any]]]:
        messages = yield from read_sessions(self._user_id, [session.session_id])
        line = {"type": "session", **_plain(asdict(session)), "messages": [_said(one) for one in messages]}
        del line["user_id"]
        return [line]

    def _deliver(self) -> Flow[None]:
        """Delivers pending messages, as far as the service accepts them."""
        states = yield from self._states
        with suppress(ServiceUnavailableError, RequestRejectedError):  # the others would fare no better
            for state in states:
                yield from deliver_alone(state)

    def _waiting(self) -> Flow[list[dict[str, Any]]]:
        found: list[tuple[datetime, dict[str, Any]]] = []
        for state in (yield from self._states):
            waiting = yield from Locked(state.lock, unstored(state))
            said = [_said(one.message) for one in waiting if one.message is not None]
            if said:
                line = {
                    "type": "session",
                    "session_id": None,
                    "status": "waiting",
                    "created_at": said[0]["created_at"],
                    "metadata": session_metadata(state.key.metadata, state.key.thread_id),
                    "messages": said,
                }
                found.append((waiting[0].recorded_at, line))
        return [line for _, line in sorted(found, key=lambda one: one[0])]

    def _memories(self, offset: int) -> Flow[list[dict[str, Any]]]:
        page = yield from ListMemories(self._user_id, offset=offset)
        if page.has_more and page.items:
            self._parts.append(lambda: self._memories(offset + len(page.items)))
        return [_memory(one) for one in page.items]


def transcripts(lines: Iterable[Mapping[str, Any]]) -> Iterator[Transcript]:
    """Yields the conversations in the lines of an export, in order, each with its user's profile.

    Memories are left out: the service cannot store them, but makes them anew from the conversations.

    Raises:
        InvalidInputError: a line is not of an export, or of a newer format; names the line, from 1.
    """
    profile = Profile()
    for number, line in enumerate(lines, start=1):
        read = _read(number, line)
        if isinstance(read, Profile):
            profile = read
        elif read is not None:
            yield replace(read, profile=profile)


def _read(number: int, line: Mapping[str, Any]) -> Transcript | Profile | None:
    try:
        kind = line["type"]
        if kind == "user":
            if line["format"] > FORMAT:
                raise InvalidInputError(f"its format is {line['format']}, this release reads {FORMAT}")
            return Profile(dict(line["metadata"]), line["merge_conflict_enabled"])
        if kind == "session" and line["messages"]:
            return Transcript(
                as_messages((one["role"], one["content"]) for one in line["messages"]),
                datetime.fromisoformat(line["created_at"]),
                dict(line["metadata"]),
                None if (origin := line.get("session_id")) is None else service_id_text("session id", origin),
            )
        if kind not in {"session", "memory"}:
            raise InvalidInputError(f"its type {kind!r} is unknown")
    except (LookupError, TypeError, ValueError) as error:
        raise InvalidInputError(f"Line {number} is not a line of an export: {error}.") from error
    return None


def _user_line(user: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "user", "format": FORMAT, **_plain(user)}


def _said(message: Message) -> dict[str, Any]:
    return {"role": message.role, "content": message.content, "created_at": _plain(message.created_at)}


def _memory(memory: Memory) -> dict[str, Any]:
    fields = _plain(asdict(memory))
    del fields["similarity"]
    fields["connected"] = [{"memory_id": one, "content": text} for one, text in memory.connected]
    return {"type": "memory", **fields}


def _plain(value: Any) -> Any:
    """Returns a value as JSON types."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}  # pyright: ignore[reportUnknownVariableType] - anybody's JSON
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]  # pyright: ignore[reportUnknownVariableType] - anybody's JSON
    return value

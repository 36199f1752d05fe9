"""Everything of one user as JSON-able dicts, and conversations brought in again from them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from .errors import InvalidInputError
from .flows import Flow, Transcript
from .flows.reading import read_sessions
from .messages import as_messages
from .models import Memory, SessionInfo
from .ops import GetUser, ListMemories, ListSessions, Local
from .outbox import Outbox
from .plan import session_metadata

__all__ = ["FORMAT", "Export", "transcripts"]

FORMAT: Final = 1
"""Grows when the lines of an export change in a way that older releases cannot read."""


class Export:
    """An export in parts, each a flow that answers with lines.

    The lines, in order, all with a key `type`:

    - `user`: `format`, `user_id`, `metadata`, `merge_conflict_enabled`, `created_at`, `last_active_at`
    - `session`, oldest first: `session_id`, `status`, `created_at`, `metadata`, and `messages`, each with
      `role`, `content` and `created_at`; messages that still wait for delivery are a session without an id
      whose status is `waiting`
    - `memory`, newest first: `memory_id`, `content`, `categories`, `created_at`, `event_start`, `event_end`,
      `version`, `session_id`, `previous_versions`, `connected` …

    Times are ISO 8601 with zone.

    Args:
        user_id: the application's id.
        outbox: what waits.
    """

    def __init__(self, user_id: str, outbox: Outbox) -> None:
        self._user_id = user_id
        self._outbox = outbox
        self._parts: deque[Callable[[], Flow[list[dict[str, Any]]]]] = deque([self._user])

    def parts(self) -> Iterator[Flow[list[dict[str, Any]]]]:
        """The flows; each is to be run before the next is asked for."""
        while self._parts:
            yield self._parts.popleft()()

    def _user(self) -> Flow[list[dict[str, Any]]]:
        user = yield from GetUser(self._user_id)
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
        return [{"type": "user", "format": FORMAT, **_plain(asdict(user))}]

    def _session(self, session: SessionInfo) -> Flow[list[dict[str, Any]]]:
        messages = yield from read_sessions(self._user_id, [session.session_id])
        said = [
            {"role": one.role, "content": one.content, "created_at": _plain(one.created_at)}
            for one in messages
        ]
        line = {"type": "session", **_plain(asdict(session)), "messages": said}
        del line["user_id"]
        return [line]

    def _waiting(self) -> Flow[list[dict[str, Any]]]:
        return (yield from Local(self._read_outbox, blocking=self._outbox.blocking))

    def _read_outbox(self) -> list[dict[str, Any]]:
        return [
            {
                "type": "session",
                "session_id": None,
                "status": "waiting",
                "created_at": _plain(waiting[0].recorded_at),
                "metadata": session_metadata(address.metadata, address.thread_id),
                "messages": [
                    {
                        "role": one.message.role,
                        "content": one.message.content,
                        "created_at": _plain(one.recorded_at),
                    }
                    for one in waiting
                    if one.message is not None
                ],
            }
            for address in self._outbox.addresses(user_id=self._user_id)
            if (waiting := self._outbox.waiting(address))
        ]

    def _memories(self, offset: int) -> Flow[list[dict[str, Any]]]:
        page = yield from ListMemories(self._user_id, offset=offset)
        if page.has_more and page.items:
            self._parts.append(lambda: self._memories(offset + len(page.items)))
        return [_memory(one) for one in page.items]


def transcripts(lines: Iterable[Mapping[str, Any]]) -> Iterator[Transcript]:
    """The conversations in the lines of an export, in order.

    Memories are left out: the service has no way to store one; it makes them anew from the conversations.

    Raises:
        InvalidInputError: a line is none of an export, or of a newer format; names the line, from 1.
    """
    for number, line in enumerate(lines, start=1):
        transcript = _transcript(number, line)
        if transcript is not None:
            yield transcript


def _transcript(number: int, line: Mapping[str, Any]) -> Transcript | None:
    try:
        kind = line["type"]
        if kind == "user" and line["format"] > FORMAT:
            raise InvalidInputError(f"it has format {line['format']}, this release reads {FORMAT}")
        if kind == "session" and line["messages"]:
            return Transcript(
                as_messages((one["role"], one["content"]) for one in line["messages"]),
                datetime.fromisoformat(line["created_at"]),
                dict(line["metadata"]),
                line.get("session_id"),
            )
        if kind not in {"user", "session", "memory"}:
            raise InvalidInputError(f"its type {kind!r} is unknown")
    except (LookupError, TypeError, ValueError) as error:
        raise InvalidInputError(f"Line {number} is no line of an export: {error}.") from error
    return None


def _memory(memory: Memory) -> dict[str, Any]:
    fields = _plain(asdict(memory))
    del fields["similarity"]
    fields["connected"] = [{"memory_id": one, "content": text} for one, text in memory.connected]
    return {"type": "memory", **fields}


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}  # pyright: ignore[reportUnknownVariableType] - anybody's JSON
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]  # pyright: ignore[reportUnknownVariableType] - anybody's JSON
    return value

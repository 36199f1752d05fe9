"""Messages and session cursors as JSON columns of an outbox."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import datetime
from math import inf
from typing import Any

from recallrai_integrations.identity import service_id_text
from recallrai_integrations.messages import Message, clean_text

from .base import OutboxEntry, SessionCursor, Unconfirmed

__all__ = [
    "cursor_from_json",
    "cursor_of_format_1",
    "cursor_to_json",
    "escaped",
    "message_from_json",
    "message_to_json",
    "shifted",
    "time_from_text",
    "time_to_text",
    "unescaped",
]


def cursor_to_json(cursor: SessionCursor) -> str:
    """A session cursor as JSON."""
    return json.dumps(_cursor(cursor), ensure_ascii=False)


def cursor_from_json(text: str) -> SessionCursor:
    """A session cursor from its JSON."""
    return _read_cursor(json.loads(text))


def shifted(cursor: SessionCursor, seconds: float) -> SessionCursor:
    """The same cursor by a clock that shows `seconds` more: from the monotonic one to another and back."""
    unconfirmed, opening, target = cursor.unconfirmed, cursor.opening, cursor.target
    return replace(
        cursor,
        unconfirmed=unconfirmed and Unconfirmed(unconfirmed.entry, unconfirmed.settled_at + seconds),
        opening=None if opening is None else opening + seconds,
        target=target and shifted(target, seconds),
    )


def message_to_json(message: Message) -> str:
    """A message as JSON, as the application gave it."""
    said = {"role": message.role, "content": message.content, "id": message.id}
    return json.dumps(
        {**said, "said_at": time_to_text(message.created_at)}, ensure_ascii=not _is_utf8(message)
    )


def message_from_json(text: str) -> Message:
    """A message from its JSON."""
    said = json.loads(text)
    return Message(said["role"], said["content"], said["id"], time_from_text(said["said_at"]))


def _is_utf8(message: Message) -> bool:
    return all(text == clean_text(text) for text in (message.content, message.id or ""))


def escaped(text: str) -> str:
    """Text for a column that takes no NUL."""
    return text.replace("\\", "\\\\").replace("\0", "\\0")


def unescaped(text: str) -> str:
    """The text that was `escaped`."""
    return "\\".join(part.replace("\\0", "\0") for part in text.split("\\\\"))


def time_to_text(moment: datetime | None) -> str | None:
    """A time as ISO 8601 with its zone."""
    return None if moment is None else moment.isoformat()


def time_from_text(text: str | None) -> datetime | None:
    """A time from ISO 8601."""
    return None if text is None else datetime.fromisoformat(text)


def _cursor(cursor: SessionCursor) -> dict[str, Any]:
    unconfirmed = cursor.unconfirmed
    return {
        "session_id": cursor.session_id,
        "stored": cursor.stored,
        "sent": dict(cursor.sent),
        "delivered": cursor.delivered,
        "unconfirmed": None if unconfirmed is None else _entry(unconfirmed.entry),
        "settled_at": inf if unconfirmed is None else unconfirmed.settled_at,
        "opening": cursor.opening,
        "unreconciled": cursor.unreconciled,
        "target": None if cursor.target is None else _cursor(cursor.target),
    }


def _read_cursor(data: dict[str, Any]) -> SessionCursor:
    entry = data["unconfirmed"]
    return SessionCursor(
        session_id=_read_session(data["session_id"]),
        stored=data["stored"],
        sent=Counter(data["sent"]),
        delivered=data["delivered"],
        unconfirmed=None if entry is None else Unconfirmed(_read_entry(entry), data["settled_at"]),
        opening=data["opening"],
        unreconciled=data["unreconciled"],
        target=None if data["target"] is None else _read_cursor(data["target"]),
    )


def _read_session(session_id: str | None) -> str | None:
    return None if session_id is None else service_id_text("session id", session_id)


def cursor_of_format_1(text: str) -> str:
    """The JSON of a cursor as it is written today, from that of a file of format 1."""
    return json.dumps(_renewed(json.loads(text)), ensure_ascii=False)


def _renewed(old: dict[str, Any]) -> dict[str, Any]:
    # A session that was found was not counted then: there is no telling which of its messages are older.
    unconfirmed = None if old["stored"] is None else old.get("doubt", old.get("unconfirmed"))
    target = old["target"]
    return {
        "session_id": old["session_id"],
        "stored": old["stored"],
        "sent": old["sent"],
        "delivered": 0,
        "unconfirmed": unconfirmed,
        "settled_at": inf,
        "opening": None,
        "unreconciled": old.get("unsettled", old.get("unreconciled")),
        "target": None if target is None else {**_renewed(target), "delivered": -old["moved"]},
    }


def _entry(entry: OutboxEntry) -> dict[str, Any]:
    message = entry.message
    said = {} if message is None else {"role": message.role, "content": message.content, "id": message.id}
    return {"seq": entry.seq, "recorded_at": entry.recorded_at.isoformat(), **said}


def _read_entry(data: dict[str, Any]) -> OutboxEntry:
    message = Message(data["role"], data["content"], data["id"]) if "role" in data else None
    return OutboxEntry(data["seq"], message, datetime.fromisoformat(data["recorded_at"]))

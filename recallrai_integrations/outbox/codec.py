"""Messages and session cursors as JSON columns of an outbox file."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from typing import Any

from recallrai_integrations.identity import service_id_text
from recallrai_integrations.messages import Message

from .base import OutboxEntry, SessionCursor

__all__ = ["cursor_from_json", "cursor_to_json", "time_from_text", "time_to_text"]


def cursor_to_json(cursor: SessionCursor) -> str:
    """A session cursor as JSON."""
    return json.dumps(_cursor(cursor), ensure_ascii=False)


def cursor_from_json(text: str) -> SessionCursor:
    """A session cursor from its JSON."""
    return _read_cursor(json.loads(text))


def time_to_text(moment: datetime | None) -> str | None:
    """A time as ISO 8601 with its zone."""
    return None if moment is None else moment.isoformat()


def time_from_text(text: str | None) -> datetime | None:
    """A time from ISO 8601."""
    return None if text is None else datetime.fromisoformat(text)


def _cursor(cursor: SessionCursor) -> dict[str, Any]:
    return {
        "session_id": cursor.session_id,
        "stored": cursor.stored,
        "since": time_to_text(cursor.since),
        "sent": dict(cursor.sent),
        "unconfirmed": None if cursor.unconfirmed is None else _waiting(cursor.unconfirmed),
        "unreconciled": cursor.unreconciled,
        "target": None if cursor.target is None else _cursor(cursor.target),
        "moved": cursor.moved,
    }


def _read_cursor(data: dict[str, Any]) -> SessionCursor:
    return SessionCursor(
        session_id=_read_session(data["session_id"]),
        stored=data["stored"],
        since=time_from_text(data["since"]),
        sent=Counter(data["sent"]),
        unconfirmed=None if data["unconfirmed"] is None else _read_waiting(data["unconfirmed"]),
        unreconciled=data["unreconciled"],
        target=None if data["target"] is None else _read_cursor(data["target"]),
        moved=data["moved"],
    )


def _read_session(session_id: str | None) -> str | None:
    return None if session_id is None else service_id_text("session id", session_id)


def _waiting(waiting: OutboxEntry) -> dict[str, Any]:
    message = waiting.message
    said = {} if message is None else {"role": message.role, "content": message.content, "id": message.id}
    return {"seq": waiting.seq, "recorded_at": waiting.recorded_at.isoformat(), **said}


def _read_waiting(data: dict[str, Any]) -> OutboxEntry:
    message = Message(data["role"], data["content"], data["id"]) if "role" in data else None
    return OutboxEntry(data["seq"], message, datetime.fromisoformat(data["recorded_at"]))

"""Messages and places as JSON columns of an outbox file."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from typing import Any

from recallrai_integrations.identity import service_id_text
from recallrai_integrations.messages import Message

from .base import Place, Waiting

__all__ = ["place_from_json", "place_to_json", "time_from_text", "time_to_text"]


def place_to_json(place: Place) -> str:
    """A place as JSON."""
    return json.dumps(_place(place), ensure_ascii=False)


def place_from_json(text: str) -> Place:
    """A place from its JSON."""
    return _read_place(json.loads(text))


def time_to_text(moment: datetime | None) -> str | None:
    """A time as ISO 8601 with its zone."""
    return None if moment is None else moment.isoformat()


def time_from_text(text: str | None) -> datetime | None:
    """A time from ISO 8601."""
    return None if text is None else datetime.fromisoformat(text)


def _place(place: Place) -> dict[str, Any]:
    return {
        "session_id": place.session_id,
        "stored": place.stored,
        "since": time_to_text(place.since),
        "sent": dict(place.sent),
        "doubt": None if place.doubt is None else _waiting(place.doubt),
        "unsettled": place.unsettled,
        "target": None if place.target is None else _place(place.target),
        "moved": place.moved,
    }


def _read_place(data: dict[str, Any]) -> Place:
    return Place(
        session_id=_read_session(data["session_id"]),
        stored=data["stored"],
        since=time_from_text(data["since"]),
        sent=Counter(data["sent"]),
        doubt=None if data["doubt"] is None else _read_waiting(data["doubt"]),
        unsettled=data["unsettled"],
        target=None if data["target"] is None else _read_place(data["target"]),
        moved=data["moved"],
    )


def _read_session(session_id: str | None) -> str | None:
    return None if session_id is None else service_id_text("session id", session_id)


def _waiting(waiting: Waiting) -> dict[str, Any]:
    message = waiting.message
    said = {} if message is None else {"role": message.role, "content": message.content, "id": message.id}
    return {"seq": waiting.seq, "recorded_at": waiting.recorded_at.isoformat(), **said}


def _read_waiting(data: dict[str, Any]) -> Waiting:
    message = Message(data["role"], data["content"], data["id"]) if "role" in data else None
    return Waiting(data["seq"], message, datetime.fromisoformat(data["recorded_at"]))

"""Reading the HTTP side's tables: the user's ongoing sessions and latest messages."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timezone
from typing import Final

from .render import Talk
from .types import Message

_ONGOING: Final = (
    "pending",
    "processing",
    "failed",
    "insufficient_balance",
)  # everything not yet turned to memories
_MOST_SESSIONS: Final = 20
_MOST_MESSAGES: Final = 200  # of each session, the latest


def ongoing(db: sqlite3.Connection, user_pk: int) -> list[Talk]:
    """The user's unprocessed sessions with their messages, latest start first."""
    marks = ",".join("?" * len(_ONGOING))
    sessions = db.execute(
        f"SELECT pk, created_at FROM sessions WHERE user_pk = ? AND status IN ({marks})"
        " ORDER BY created_at DESC, pk DESC LIMIT ?",
        (user_pk, *_ONGOING, _MOST_SESSIONS),
    ).fetchall()
    return [Talk(when(created), _messages(db, pk)) for pk, created in sessions]


def _messages(db: sqlite3.Connection, session_pk: int) -> list[Message]:
    rows = db.execute(
        "SELECT role, content, created_at FROM messages WHERE session_pk = ? ORDER BY pk DESC LIMIT ?",
        (session_pk, _MOST_MESSAGES),
    ).fetchall()
    return [Message(role, content, when(created)) for role, content, created in reversed(rows)]


def latest_messages(db: sqlite3.Connection, user_pk: int, limit: int) -> list[Message]:
    """The user's last messages over all sessions, oldest first."""
    rows = db.execute(
        "SELECT m.role, m.content, m.created_at FROM messages m JOIN sessions s ON s.pk = m.session_pk"
        " WHERE s.user_pk = ? ORDER BY m.pk DESC LIMIT ?",
        (user_pk, limit),
    ).fetchall()
    return [Message(role, content, when(created)) for role, content, created in reversed(rows)]


def when(value: str | float) -> datetime:
    """A time of the HTTP side's tables: ISO 8601 text, or seconds since 1970."""
    if isinstance(value, str):
        found = datetime.fromisoformat(value.replace("Z", "+00:00"))
        return found if found.tzinfo else found.replace(tzinfo=timezone.utc)
    return datetime.fromtimestamp(value, timezone.utc)

"""Reading the HTTP side's tables: the user's ongoing sessions and latest messages."""

from __future__ import annotations

import sqlite3
from typing import Final

from .render import Talk
from .schema import moment
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
        f"SELECT pk, created_at FROM sessions WHERE user_pk = ? AND status IN ({marks})"  # noqa: S608 - constants only
        " ORDER BY created_at DESC, pk DESC LIMIT ?",
        (user_pk, *_ONGOING, _MOST_SESSIONS),
    ).fetchall()
    return [Talk(moment(created), _messages(db, pk)) for pk, created in sessions]


def messages_of(db: sqlite3.Connection, user_pk: int, session_id: str) -> list[Message]:
    """The latest messages of one session of the user, oldest first."""
    row = db.execute(
        "SELECT pk FROM sessions WHERE session_id = ? AND user_pk = ?", (session_id, user_pk)
    ).fetchone()
    return _messages(db, row[0]) if row else []


def _messages(db: sqlite3.Connection, session_pk: int) -> list[Message]:
    rows = db.execute(
        "SELECT role, content, created_at FROM messages WHERE session_pk = ? ORDER BY pk DESC LIMIT ?",
        (session_pk, _MOST_MESSAGES),
    ).fetchall()
    return [Message(role, content, moment(created)) for role, content, created in reversed(rows)]


def latest_messages(db: sqlite3.Connection, user_pk: int, limit: int) -> list[Message]:
    """The user's last messages over all sessions, oldest first."""
    rows = db.execute(
        "SELECT role, content, created_at FROM messages WHERE user_pk = ? ORDER BY pk DESC LIMIT ?",
        (user_pk, limit),
    ).fetchall()
    return [Message(role, content, moment(created)) for role, content, created in reversed(rows)]

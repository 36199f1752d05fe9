"""Sessions and their messages: rows, wire forms, and the life of a session.

```text
pending ──process()/inactivity──> processing ──> processed
   ^ messages may be added only here      └────> failed, insufficient_balance ──process()──> processing
```
"""

from __future__ import annotations

import json
import sqlite3
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from . import memory, users
from .memory import Message, Page, SessionView
from .memory.schema import moment as parsed
from .metadata import dump
from .problems import Refused, not_found
from .users import User, now, stamp

MAX_READ_CHARS: Final = 100_000
"""What the memory reads of one message, from its beginning."""


@dataclass(frozen=True, slots=True)
class Session:
    """A row of `sessions`; times in stored form.

    `created_at` may be backdated by its creator, `started_at` is the wall clock.
    """

    pk: int
    session_id: str
    user_pk: int
    status: str
    metadata: str
    created_at: str
    started_at: str
    processed_at: str | None
    auto_process_after_seconds: int
    due_at: float

    def wire(self) -> dict[str, Any]:
        """The object S of the API, with the two properties that the vendor's page of the class lists."""
        return {
            "session_id": self.session_id,
            "status": self.status,
            "created_at": self.created_at,
            "metadata": json.loads(self.metadata),
            "processed_at": self.processed_at,
            "auto_process_after_seconds": self.auto_process_after_seconds,
        }


def create(
    db: sqlite3.Connection,
    custom_user_id: str,
    *,
    metadata: Mapping[str, Any],
    auto_process_after_seconds: int,
    created_at: datetime | None,
) -> dict[str, Any]:
    """Opens a session.

    Raises:
        Refused: 404, no such user.
    """
    user = users.get(db, custom_user_id)
    moment = now()
    session_id = str(uuid.uuid4())
    db.execute(
        "INSERT INTO sessions (session_id, user_pk, status, metadata, created_at, started_at,"
        " auto_process_after_seconds, due_at) VALUES (?, ?, 'pending', ?, ?, ?, ?, ?)",
        (
            session_id,
            user.pk,
            dump(dict(metadata)),
            stamp(created_at) if created_at else moment,
            moment,
            auto_process_after_seconds,
            time.time() + auto_process_after_seconds,
        ),
    )
    users.touch(db, user.pk, moment)
    return get(db, user, session_id).wire()


def get(db: sqlite3.Connection, user: User, session_id: str) -> Session:
    """A session of a user.

    Raises:
        Refused: 404; another user's session is not found either.
    """
    row = db.execute(
        "SELECT * FROM sessions WHERE session_id = ? AND user_pk = ?", (session_id, user.pk)
    ).fetchone()
    if row is None:
        raise not_found("Session", session_id)
    return Session(*row)


def find(db: sqlite3.Connection, custom_user_id: str, session_id: str) -> Session:
    """Like `get`, by the user's id; a 404 names the user where it is the user who is missing."""
    return get(db, users.get(db, custom_user_id), session_id)


def page(
    db: sqlite3.Connection,
    user: User,
    *,
    offset: int,
    limit: int,
    statuses: Sequence[str],
    metadata_filter: str | None,
) -> Page:
    """A user's sessions, newest first."""
    keys = db.execute(
        "SELECT pk FROM sessions WHERE user_pk = :user"
        " AND (:statuses IS NULL OR status IN (SELECT value FROM json_each(:statuses)))"
        " AND (:metadata IS NULL OR metadata_matches(metadata, :metadata))"
        " ORDER BY created_at DESC, pk DESC",
        {
            "user": user.pk,
            "statuses": json.dumps(statuses) if statuses else None,
            "metadata": metadata_filter,
        },
    ).fetchall()
    shown = json.dumps([key for (key,) in keys[offset : offset + limit]])
    rows = db.execute(
        "SELECT * FROM sessions WHERE pk IN (SELECT value FROM json_each(?))"
        " ORDER BY created_at DESC, pk DESC",
        (shown,),
    )
    return Page([Session(*row).wire() for row in rows], len(keys))


def ids_with_metadata(db: sqlite3.Connection, user: User, metadata_filter: str) -> list[str]:
    """The ids of the sessions whose metadata match."""
    rows = db.execute(
        "SELECT session_id FROM sessions WHERE user_pk = ? AND metadata_matches(metadata, ?)",
        (user.pk, metadata_filter),
    )
    return [session_id for (session_id,) in rows]


def update(db: sqlite3.Connection, session: Session, metadata: Mapping[str, Any] | None) -> None:
    """Replace the metadata; None leaves them."""
    if metadata is not None:
        db.execute("UPDATE sessions SET metadata = ? WHERE pk = ?", (dump(dict(metadata)), session.pk))
    users.touch(db, session.user_pk, now())


def delete(db: sqlite3.Connection, session: Session) -> None:
    """Deletes a session with its messages and all that was remembered from it."""
    memory.delete_session(db, session.user_pk, session.session_id)
    db.execute("DELETE FROM messages WHERE session_pk = ?", (session.pk,))
    db.execute("DELETE FROM sessions WHERE pk = ?", (session.pk,))
    users.touch(db, session.user_pk, now())


def add_message(
    db: sqlite3.Connection, custom_user_id: str, session_id: str, role: str, content: str
) -> None:
    """Append a message, which restarts the inactivity timer (by a trigger); a single statement.

    Raises:
        Refused: 404; 400 unless the session is pending.
    """
    added = db.execute(
        "INSERT INTO messages (session_pk, user_pk, role, content, created_at)"
        " SELECT s.pk, s.user_pk, ?, ?, ? FROM sessions s JOIN users u ON u.pk = s.user_pk"
        " WHERE s.session_id = ? AND u.custom_user_id = ? AND s.status = 'pending'",
        (role, content, now(), session_id, custom_user_id),
    )
    if not added.rowcount:
        status = find(db, custom_user_id, session_id).status
        raise Refused(400, f"Cannot add message to session with status {status}")


def messages(db: sqlite3.Connection, session: Session, offset: int, limit: int) -> Page:
    """A session's messages, oldest first."""
    (total,) = db.execute("SELECT count(*) FROM messages WHERE session_pk = ?", (session.pk,)).fetchone()
    rows = db.execute(
        "SELECT role, content, created_at FROM messages WHERE session_pk = ? ORDER BY pk LIMIT ? OFFSET ?",
        (session.pk, limit, offset),
    )
    return Page([{"role": row[0], "content": row[1], "timestamp": row[2]} for row in rows], total)


def last_messages(db: sqlite3.Connection, user: User, limit: int) -> list[dict[str, Any]]:
    """The user's last messages over all sessions, oldest first."""
    rows = db.execute(
        "SELECT m.role, m.content, m.created_at, s.session_id FROM messages m"
        " JOIN sessions s ON s.pk = m.session_pk WHERE m.user_pk = ? ORDER BY m.pk DESC LIMIT ?",
        (user.pk, limit),
    ).fetchall()
    return [
        {"role": row[0], "content": row[1], "timestamp": row[2], "session_id": row[3]}
        for row in reversed(rows)
    ]


def all_messages(db: sqlite3.Connection, session: Session, limit: int = -1) -> list[Message]:
    """A session's messages for the memory, oldest first; with `limit`, the last of them only.

    What a message says beyond `MAX_READ_CHARS` is stored and read back, but nothing is made of it: in the
    embedded service the application waits for the interpreter while a long text is looked at.
    """
    rows = db.execute(
        "SELECT role, content, created_at FROM messages WHERE session_pk = ? ORDER BY pk DESC LIMIT ?",
        (session.pk, limit),
    ).fetchall()
    return [
        Message(role, content[:MAX_READ_CHARS], parsed(created)) for role, content, created in reversed(rows)
    ]


def view(db: sqlite3.Connection, session: Session) -> SessionView:
    """A session as recall sees it; its last messages hold the question."""
    recent = all_messages(db, session, limit=200)
    return SessionView(session.session_id, session.status, parsed(session.created_at), recent)

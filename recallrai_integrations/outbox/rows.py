"""Rows of an outbox file, read and written within a transaction of the caller."""

from __future__ import annotations

import json
import sqlite3
import time
from datetime import datetime
from typing import Any, Final

from recallrai_integrations.messages import Message

from .base import ConversationKey, OutboxEntry, Request
from .codec import time_from_text, time_to_text
from .owners import boot

__all__ = [
    "add_id",
    "address_of",
    "count",
    "count_entries",
    "find",
    "find_or_add",
    "has_entries",
    "head",
    "insert",
    "oldest",
    "tail",
    "waiting_conversations",
    "waiting_of",
]

IDS_PER_CONVERSATION: Final = 10_000


def find(db: sqlite3.Connection, project: str, key: ConversationKey) -> Any:
    """The conversation's row, or None."""
    return db.execute(
        "SELECT * FROM conversations"
        " WHERE project = ? AND user_id = ? AND key = ? AND (thread_id IS NULL) = ?",
        (project, key.user_id, key.key, key.thread_id is None),
    ).fetchone()


def find_or_add(db: sqlite3.Connection, project: str, key: ConversationKey) -> int:
    """The conversation's primary key; its metadata are those of `key` then."""
    metadata = json.dumps(dict(key.metadata))
    row = find(db, project, key)
    if row is not None:
        db.execute(
            "UPDATE conversations SET metadata = ?, auto_process_after_seconds = ?, used_at = ? WHERE pk = ?",
            (metadata, key.auto_process_after_seconds, time.time(), row["pk"]),
        )
        return int(row["pk"])
    added = db.execute(
        "INSERT INTO conversations (project, user_id, thread_id, key, metadata, auto_process_after_seconds,"
        " used_at, boot) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            project,
            key.user_id,
            key.thread_id,
            key.key,
            metadata,
            key.auto_process_after_seconds,
            time.time(),
            boot(),
        ),
    )
    return int(added.lastrowid or 0)


def address_of(row: Any) -> ConversationKey:
    """The address of a conversation's row."""
    return ConversationKey(
        row["key"],
        row["user_id"],
        row["thread_id"],
        json.loads(row["metadata"]),
        row["auto_process_after_seconds"],
    )


def add_id(db: sqlite3.Connection, pk: int, message_id: str) -> bool:
    """Notes that a conversation has had a message; False when it was known. The oldest ids are dropped."""
    number = db.execute(
        "SELECT coalesce(max(number), 0) + 1 FROM ids WHERE conversation = ?", (pk,)
    ).fetchone()[0]
    added = db.execute("INSERT OR IGNORE INTO ids VALUES (?, ?, ?)", (pk, message_id, number)).rowcount
    if added:
        db.execute(
            "DELETE FROM ids WHERE conversation = ? AND number <= ?", (pk, number - IDS_PER_CONVERSATION)
        )
    return bool(added)


def insert(db: sqlite3.Connection, pk: int, item: Message | Request, now: datetime) -> OutboxEntry:
    """Puts a message, or a request to process or to clear, at the end of a conversation's queue."""
    said: tuple[str | None, ...] = (None,) * 4
    message = item if isinstance(item, Message) else None
    if message is not None:
        said = (message.role, message.content, message.id, time_to_text(message.created_at))
    kind = "message" if isinstance(item, Message) else item
    added = db.execute(
        "INSERT INTO entries (conversation, kind, role, content, id, said_at, recorded_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (pk, kind, *said, now.isoformat()),
    )
    return OutboxEntry(int(added.lastrowid or 0), message, now, kind)


def head(db: sqlite3.Connection, pk: int) -> OutboxEntry | None:
    """The entry of a conversation that is delivered next."""
    row = db.execute("SELECT * FROM entries WHERE conversation = ? ORDER BY seq LIMIT 1", (pk,)).fetchone()
    return None if row is None else waiting_of(row)


def waiting_of(row: Any) -> OutboxEntry:
    """The value of an entry's row."""
    message = None
    if row["kind"] == "message":
        message = Message(row["role"], row["content"], row["id"], time_from_text(row["said_at"]))
    return OutboxEntry(row["seq"], message, datetime.fromisoformat(row["recorded_at"]), row["kind"])


def tail(db: sqlite3.Connection, pk: int) -> OutboxEntry | None:
    """The newest entry of a conversation."""
    row = db.execute(
        "SELECT * FROM entries WHERE conversation = ? ORDER BY seq DESC LIMIT 1", (pk,)
    ).fetchone()
    return None if row is None else waiting_of(row)


def has_entries(db: sqlite3.Connection, pk: int) -> bool:
    """Whether something waits for a conversation."""
    found = db.execute("SELECT EXISTS (SELECT 1 FROM entries WHERE conversation = ?)", (pk,))
    return bool(found.fetchone()[0])


def count_entries(db: sqlite3.Connection, pk: int) -> int:
    """How many entries wait for a conversation."""
    return int(db.execute("SELECT count(*) FROM entries WHERE conversation = ?", (pk,)).fetchone()[0])


def count(db: sqlite3.Connection, project: str) -> int:
    """How many entries wait for a project, as the file keeps count of them."""
    row = db.execute("SELECT waiting FROM counts WHERE project = ?", (project,)).fetchone()
    return 0 if row is None else int(row["waiting"])


def oldest(db: sqlite3.Connection, project: str) -> datetime | None:
    """When the oldest entry that waits for a project was recorded."""
    row = db.execute(
        "SELECT recorded_at FROM entries JOIN conversations ON pk = conversation"
        " WHERE project = ? ORDER BY seq LIMIT 1",
        (project,),
    ).fetchone()
    return None if row is None else datetime.fromisoformat(row["recorded_at"])


def waiting_conversations(db: sqlite3.Connection, project: str) -> sqlite3.Cursor:
    """The rows of conversations for which something waits, longest waiting first."""
    return db.execute(
        """
        WITH RECURSIVE found (pk) AS (
            SELECT min(conversation) FROM entries
            UNION ALL
            SELECT (SELECT min(conversation) FROM entries WHERE conversation > found.pk)
            FROM found WHERE found.pk IS NOT NULL
        )
        SELECT conversations.*, (SELECT min(seq) FROM entries WHERE conversation = pk) AS oldest
        FROM found JOIN conversations USING (pk) WHERE project = ? ORDER BY oldest
        """,
        (project,),
    )

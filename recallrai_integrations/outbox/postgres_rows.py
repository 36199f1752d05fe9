"""Values of an outbox in PostgreSQL, as they are written and read."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from datetime import timezone
from typing import Any, Final

from recallrai_integrations.errors import OutboxError
from recallrai_integrations.messages import Message

from .base import ConversationKey, OutboxEntry, Request, SessionCursor
from .codec import cursor_from_json, cursor_to_json, escaped, message_from_json, shifted, unescaped

__all__ = [
    "ENTRY",
    "FIGURES",
    "FORGET_IDLE",
    "MATCH",
    "address",
    "cursor_of",
    "cursor_text",
    "entry_of",
    "id_of",
    "key_of",
    "where",
]

MATCH: Final = "project = %s AND user_id = %s AND key = %s AND (thread_id IS NULL) = (%s::text IS NULL)"
ENTRY: Final = "seq, kind, said, recorded_at"
FIGURES: Final = (
    "SELECT (SELECT coalesce(sum(waiting), 0) FROM {0}.counts WHERE project = %s) AS waiting,"
    " (SELECT count(*) FROM {0}.conversations WHERE project = %s AND claim IS NOT NULL"
    " AND lease_until >= clock_timestamp()) AS claims,"
    " (SELECT extract(epoch FROM clock_timestamp() - min(waiting_since))::double precision"
    " FROM {0}.conversations WHERE project = %s AND waiting_since IS NOT NULL) AS oldest"
)
FORGET_IDLE: Final = (
    "DELETE FROM {0}.conversations WHERE pk IN (SELECT pk FROM {0}.conversations c"
    " WHERE project = %s AND used_at < clock_timestamp() - %s::interval AND claim IS NULL"
    " AND waiting_since IS NULL AND NOT EXISTS (SELECT 1 FROM {0}.rejected WHERE conversation = c.pk)"
    " LIMIT 1000 FOR UPDATE SKIP LOCKED) RETURNING pk"
)


def address(project: str, key: ConversationKey) -> tuple[object, ...]:
    """A conversation, as the functions of the schema take it."""
    thread = None if key.thread_id is None else escaped(key.thread_id)
    ids = (project, escaped(key.user_id), thread, escaped(key.key))
    return (*ids, json.dumps(dict(key.metadata)), key.auto_process_after_seconds)


def where(project: str, key: ConversationKey) -> tuple[object, ...]:
    """The values of `MATCH`."""
    thread = None if key.thread_id is None else escaped(key.thread_id)
    return (project, escaped(key.user_id), escaped(key.key), thread)


def key_of(row: dict[str, Any]) -> ConversationKey:
    """The address of a conversation's row."""
    return ConversationKey(
        unescaped(row["key"]),
        unescaped(row["user_id"]),
        None if row["thread_id"] is None else unescaped(row["thread_id"]),
        json.loads(row["metadata"]),
        row["auto_process_after_seconds"],
    )


def id_of(item: Message | Request) -> bytes:
    """The same for the same message id; of what has none random, so that it is taken once."""
    if isinstance(item, Message) and item.id is not None:
        return hashlib.blake2b(item.id.encode("utf-8", "surrogatepass"), digest_size=20).digest()
    return uuid.uuid4().bytes


def cursor_text(cursor: SessionCursor) -> str:
    """A cursor as JSON, its times in seconds from now."""
    return cursor_to_json(shifted(cursor, -time.monotonic()))


def cursor_of(row: dict[str, Any], cursor: SessionCursor, server: str) -> SessionCursor:
    """The cursor of a conversation's row, else the one that is given.

    Raises:
        OutboxError: something else wrote the row.
    """
    if row["cursor"] is None:
        return cursor
    try:
        kept = cursor_from_json(row["cursor"])
    except (ValueError, LookupError, TypeError) as error:
        raise OutboxError(f"{server} holds an outbox of something else.") from error
    return shifted(kept, time.monotonic() - max(0.0, row["age"]))


def entry_of(row: dict[str, Any]) -> OutboxEntry:
    """The value of an entry's row."""
    message = None if row["said"] is None else message_from_json(row["said"])
    return OutboxEntry(row["seq"], message, row["recorded_at"].astimezone(timezone.utc), row["kind"])

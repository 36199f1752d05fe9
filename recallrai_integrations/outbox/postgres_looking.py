# ruff: noqa: S608 - the only part of a statement that is put in is a constant
"""Looking into an outbox in PostgreSQL without using it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

from recallrai_integrations.credentials import Secret

from .codec import message_from_json, time_to_text, unescaped
from .postgres_schema import SCHEMA
from .postgres_server import Server
from .values import ConversationStatus

__all__ = ["export", "status"]

_AT_ONCE = 1000


def status(url: Secret) -> list[ConversationStatus]:
    """See `looking.status`."""
    with closing(Server(url)) as server:
        server.check(writable=False)
        rows = server.run(
            "SELECT project, user_id, thread_id, waiting_since, waiting, rejected"
            f" FROM {SCHEMA}.conversations"
            f", LATERAL (SELECT count(*) AS waiting FROM {SCHEMA}.entries WHERE conversation = pk) AS w"
            f", LATERAL (SELECT count(*) AS rejected FROM {SCHEMA}.rejected WHERE conversation = pk) AS r"
            " WHERE waiting > 0 OR rejected > 0 ORDER BY waiting_since"
        )
    return [
        ConversationStatus(
            row["project"],
            unescaped(row["user_id"]),
            _thread_of(row),
            row["waiting"],
            row["waiting_since"],
            row["rejected"],
        )
        for row in rows
    ]


def export(url: Secret) -> Iterator[dict[str, Any]]:
    """See `looking.export`; what is delivered meanwhile may be missing."""
    with closing(Server(url)) as server:
        server.check(writable=False)
        after = (0, 0)
        while rows := server.run(
            "SELECT conversation, seq, kind, said, recorded_at, reason, project, user_id, thread_id, metadata"
            " FROM (SELECT conversation, seq, kind, said, recorded_at, NULL AS reason"
            f" FROM {SCHEMA}.entries"
            " UNION ALL SELECT conversation, seq, kind, said, recorded_at, reason"
            f" FROM {SCHEMA}.rejected) AS e"
            f" JOIN {SCHEMA}.conversations ON pk = conversation"
            " WHERE (conversation, seq) > (%s, %s) ORDER BY conversation, seq LIMIT %s",
            (*after, _AT_ONCE),
        ):
            for row in rows:
                yield _line(row)
                after = row["conversation"], row["seq"]


def _line(row: dict[str, Any]) -> dict[str, Any]:
    message = None if row["said"] is None else message_from_json(row["said"])
    return {
        "kind": row["kind"],
        "project": row["project"],
        "user_id": unescaped(row["user_id"]),
        "thread_id": _thread_of(row),
        "metadata": row["metadata"],
        "role": message and message.role,
        "content": message and message.content,
        "id": message and message.id,
        "said_at": message and time_to_text(message.created_at),
        "recorded_at": row["recorded_at"].isoformat(),
        "rejected": None if row["reason"] is None else unescaped(row["reason"]),
    }


def _thread_of(row: dict[str, Any]) -> str | None:
    return None if row["thread_id"] is None else unescaped(row["thread_id"])

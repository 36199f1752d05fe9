"""Looking into an outbox file without using it, for the command line and for rescuing messages."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from . import database

__all__ = ["ConversationStatus", "export", "status"]


@dataclass(frozen=True, slots=True)
class ConversationStatus:
    """What waits for one conversation.

    Args:
        project: base URL and project id it is for.
        user_id: the application's id of the user.
        thread_id: the application's id of the thread, or None.
        waiting: messages, and wishes to process, that wait.
        oldest: when the oldest of them was recorded, timezone-aware; None when none waits.
        rejected: messages that the service refused for good.

    Example:
        ```python
        from recallrai_integrations import DeliveryOptions, connect
        from recallrai_integrations.outbox import status

        with connect(local=":memory:", delivery=DeliveryOptions(outbox="outbox.db")) as connection:
            connection.conversation("ada", "thread-1").record(("user", "I moved to Lisbon."))
            for one in status("outbox.db"):  # none: the message has arrived
                print(one.user_id, one.thread_id, one.waiting, one.oldest)
        ```
    """

    project: str
    user_id: str
    thread_id: str | None
    waiting: int
    oldest: datetime | None
    rejected: int


def status(path: str | PathLike[str]) -> list[ConversationStatus]:
    """The conversations of an outbox file for which something waits or was rejected, longest waiting first.

    Args:
        path: of the file; it may be in use.

    Raises:
        OutboxError: there is no such file, or it is not an outbox.

    Example:
        ```python
        from recallrai_integrations import DeliveryOptions, connect
        from recallrai_integrations.local import LocalRecallrAI
        from recallrai_integrations.outbox import status

        delivery = DeliveryOptions(outbox="outbox.db", retries=0)
        with LocalRecallrAI() as service:
            account = {"api_key": service.api_key, "project_id": service.project_id}
            with connect(**account, base_url=service.base_url, delivery=delivery) as connection:
                service.faults.add(status=503)  # an outage
                connection.conversation("ada", "thread-1").record(("user", "I moved to Lisbon."))
                (one,) = status("outbox.db")
                assert (one.user_id, one.waiting) == ("ada", 1)
        ```
    """
    with closing(_open(path)) as db, database.reported(Path(fspath(path))):
        rows = db.execute(
            "SELECT project, user_id, thread_id,"
            " (SELECT count(*) FROM entries WHERE conversation = pk) AS waiting,"
            " (SELECT min(recorded_at) FROM entries WHERE conversation = pk) AS oldest,"
            " (SELECT count(*) FROM rejected WHERE conversation = pk) AS rejected"
            " FROM conversations WHERE waiting OR rejected ORDER BY oldest IS NULL, oldest"
        ).fetchall()
    return [
        ConversationStatus(
            row["project"],
            row["user_id"],
            row["thread_id"],
            row["waiting"],
            None if row["oldest"] is None else datetime.fromisoformat(row["oldest"]),
            row["rejected"],
        )
        for row in rows
    ]


def export(path: str | PathLike[str]) -> Iterator[dict[str, Any]]:
    """All that waits or was rejected, as JSON-able dicts, conversation by conversation in order.

    Args:
        path: of the file; it may be in use.

    Yields:
        `project`, `user_id`, `thread_id`, `metadata` (JSON text), `kind` (`"message"`, `"process"` or
        `"clear"`), `role`, `content`, `id`, `said_at` (as the application gave it, or None), `recorded_at`,
        `rejected` (the reason, or None).

    Raises:
        OutboxError: there is no such file, or it is not an outbox.

    Example:
        ```python
        import json

        from recallrai_integrations import DeliveryOptions, connect
        from recallrai_integrations.outbox import export

        with connect(local=":memory:", delivery=DeliveryOptions(outbox="outbox.db")) as connection:
            connection.conversation("ada", "thread-1").record(("user", "I moved to Lisbon."))
        for line in export("outbox.db"):  # what did not arrive: to be read, or kept elsewhere
            print(json.dumps(line))
        ```
    """
    with closing(_open(path)) as db, database.reported(Path(fspath(path))):
        for row in db.execute(
            "SELECT project, user_id, thread_id, metadata, role, content, id, said_at, recorded_at, rejected"
            " FROM (SELECT seq, conversation, role, content, id, said_at, recorded_at, NULL AS rejected"
            " FROM entries UNION ALL SELECT seq, conversation, role, content, id, said_at, recorded_at,"
            " reason FROM rejected) JOIN conversations ON pk = conversation ORDER BY pk, seq"
        ):
            yield _entry(row)


def _entry(row: sqlite3.Row) -> dict[str, Any]:
    if row["role"] is not None:
        return {"kind": "message", **dict(row)}
    return {"kind": row["content"] or "process", **dict(row), "content": None}


def _open(path: str | PathLike[str]) -> sqlite3.Connection:
    db = database.connect(path, create=False)
    db.row_factory = sqlite3.Row
    return db

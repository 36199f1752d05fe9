"""Looking into an outbox without using it, for the command line and for rescuing messages."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from datetime import datetime
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Final

from recallrai_integrations.credentials import Secret
from recallrai_integrations.options import is_url

from . import database
from .values import ConversationStatus

__all__ = ["ConversationStatus", "export", "status"]

# Every way to a row is gone: where a damaged page bars one, another may lead past it.
_FIND: Final = (
    "SELECT CAST(conversation AS INTEGER), seq, 'entries' FROM entries INDEXED BY entries_by_conversation",
    "SELECT CAST(conversation AS INTEGER), seq, 'entries' FROM entries NOT INDEXED",
    "SELECT CAST(conversation AS INTEGER), seq, 'rejected' FROM rejected",
)
_READ: Final = {
    "entries": "SELECT kind, project, user_id, thread_id, metadata, role, content, id, said_at, recorded_at,"
    " NULL AS rejected FROM entries JOIN conversations ON pk = conversation WHERE seq = ?",
    "rejected": "SELECT kind, project, user_id, thread_id, metadata, role, content, id, said_at, recorded_at,"
    " reason AS rejected FROM rejected JOIN conversations ON pk = conversation WHERE seq = ?",
}


def status(path: str | PathLike[str]) -> list[ConversationStatus]:
    """Returns the conversations with pending or rejected messages, the longest pending first.

    Args:
        path: of the file, or the URL of a database; it may be in use.

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
    if is_url(path):
        from .postgres_looking import status as in_database  # noqa: PLC0415 - an extra

        return in_database(Secret(str(path)))
    with database.look(path) as db:
        db.row_factory = sqlite3.Row
        database.check_pages(db, Path(fspath(path)).absolute())
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
    """Yields all pending and rejected messages as dicts for JSON, by conversation and in order.

    Args:
        path: of the file, or the URL of a database; it may be in use.

    Yields:
        `project`, `user_id`, `thread_id`, `metadata` (JSON text), `kind` (`"message"`, `"process"` or
        `"clear"`), `role`, `content`, `id`, `said_at` (as the application gave it, or None), `recorded_at`,
        `rejected` (the reason, or None).

    Raises:
        OutboxError: there is no such file, or it is not an outbox. Of a damaged one, after all that can be
            read.

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
    if is_url(path):
        from .postgres_looking import export as from_database  # noqa: PLC0415 - an extra

        yield from from_database(Secret(str(path)))
        return
    with database.look(path) as db:
        db.row_factory = sqlite3.Row
        db.execute("BEGIN")  # all of it as it is now, whatever is delivered meanwhile
        damage: list[sqlite3.DatabaseError] = []
        found: dict[int, tuple[int, str]] = {}
        for query in _FIND:
            found.update({row[1]: (row[0], row[2]) for row in _readable(db, query, (), damage)})
        for (_, seq), table in sorted(((pk, seq), table) for seq, (pk, table) in found.items()):
            for row in _readable(db, _READ[table], (seq,), damage):
                yield dict(row)
        if damage:
            raise damage[0]
        database.check_pages(db, Path(fspath(path)).absolute())


def _readable(
    db: sqlite3.Connection, query: str, values: Sequence[object], damage: list[sqlite3.DatabaseError]
) -> Iterator[sqlite3.Row]:
    """The rows up to the first that cannot be read; why it cannot is noted in `damage`."""
    try:
        yield from db.execute(query, values)
    except sqlite3.DatabaseError as error:
        damage.append(error)

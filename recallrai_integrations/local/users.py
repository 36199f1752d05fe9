"""Users: rows of `users`, and their wire form."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from . import memory
from .memory import Page
from .metadata import dump
from .problems import Refused, not_found


@dataclass(frozen=True, slots=True)
class User:
    """A row of `users`; times in stored form."""

    pk: int
    custom_user_id: str
    metadata: str
    merge_conflict_enabled: int | None
    created_at: str
    last_active_at: str

    def wire(self) -> dict[str, Any]:
        """The object U of the API."""
        enabled = self.merge_conflict_enabled
        return {
            "custom_user_id": self.custom_user_id,
            "metadata": json.loads(self.metadata),
            "merge_conflict_enabled": None if enabled is None else bool(enabled),
            "created_at": self.created_at,
            "last_active_at": self.last_active_at,
        }


def stamp(when: datetime) -> str:
    """A time as it is stored and sent."""
    return when.astimezone(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")


def now() -> str:
    """This moment, as it is stored and sent."""
    return stamp(datetime.now(timezone.utc))


def create(
    db: sqlite3.Connection, custom_user_id: str, metadata: Mapping[str, Any], enabled: bool | None
) -> dict[str, Any]:
    """Creates a user.

    Raises:
        Refused: 409, the id is taken.
    """
    moment = now()
    try:
        db.execute(
            "INSERT INTO users (custom_user_id, metadata, merge_conflict_enabled, created_at, last_active_at)"
            " VALUES (?, ?, ?, ?, ?)",
            (custom_user_id, dump(dict(metadata)), enabled, moment, moment),
        )
    except sqlite3.IntegrityError:
        raise _taken(custom_user_id) from None
    return get(db, custom_user_id).wire()


def get(db: sqlite3.Connection, custom_user_id: str) -> User:
    """A user.

    Raises:
        Refused: 404.
    """
    row = db.execute("SELECT * FROM users WHERE custom_user_id = ?", (custom_user_id,)).fetchone()
    if row is None:
        raise not_found("User", custom_user_id)
    return User(*row)


def page(db: sqlite3.Connection, offset: int, limit: int, metadata_filter: str | None) -> Page:
    """Users, newest first."""
    wanted = {"filter": metadata_filter, "offset": offset, "limit": limit}
    (total,) = db.execute(
        "SELECT count(*) FROM users WHERE :filter IS NULL OR metadata_matches(metadata, :filter)", wanted
    ).fetchone()
    rows = db.execute(
        "SELECT * FROM users WHERE :filter IS NULL OR metadata_matches(metadata, :filter)"
        " ORDER BY created_at DESC, pk DESC LIMIT :limit OFFSET :offset",
        wanted,
    )
    return Page([User(*row).wire() for row in rows], total)


def update(db: sqlite3.Connection, custom_user_id: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Change a user; sessions and memories follow a new id.

    Args:
        db: in a write transaction.
        custom_user_id: the present id.
        changes: any of `metadata` (replaces the whole), `custom_user_id`, `merge_conflict_enabled`.

    Raises:
        Refused: 404, or 409 where the new id is taken.
    """
    user = get(db, custom_user_id)
    new_id = changes.get("custom_user_id", user.custom_user_id)
    metadata = dump(changes["metadata"]) if "metadata" in changes else user.metadata
    enabled = changes.get("merge_conflict_enabled", user.merge_conflict_enabled)
    try:
        db.execute(
            "UPDATE users SET custom_user_id = ?, metadata = ?, merge_conflict_enabled = ?,"
            " last_active_at = ? WHERE pk = ?",
            (new_id, metadata, enabled, now(), user.pk),
        )
    except sqlite3.IntegrityError:
        raise _taken(new_id) from None
    return get(db, new_id).wire()


def touch(db: sqlite3.Connection, user_pk: int, moment: str) -> None:
    """Note that something of the user was written."""
    db.execute("UPDATE users SET last_active_at = ? WHERE pk = ?", (moment, user_pk))


def delete(db: sqlite3.Connection, custom_user_id: str) -> None:
    """Deletes a user with everything that is stored of them.

    Raises:
        Refused: 404.
    """
    user = get(db, custom_user_id)
    memory.delete_user(db, user.pk)
    db.execute("DELETE FROM messages WHERE user_pk = ?", (user.pk,))
    db.execute("DELETE FROM sessions WHERE user_pk = ?", (user.pk,))
    db.execute("DELETE FROM users WHERE pk = ?", (user.pk,))


def _taken(custom_user_id: str) -> Refused:
    return Refused(409, f"User {custom_user_id} already exists")

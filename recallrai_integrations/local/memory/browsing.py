"""Memories in wire form: lists, single memories, categories, and what a session came to."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from . import store
from .categories import KNOWN
from .store import COLUMNS, Memory
from .types import Json, Page


def list_memories(
    db: sqlite3.Connection,
    *,
    user_pk: int,
    offset: int = 0,
    limit: int = 20,
    categories: Sequence[str] = (),
    session_ids: Sequence[str] | None = None,
    include_previous_versions: bool = True,
    include_connected_memories: bool = True,
) -> Page:
    """The current version of every memory, newest first, ties by id.

    Args:
        db: the database.
        user_pk: whose memories.
        offset: how many to pass over.
        limit: the most items.
        categories: only memories with at least one of these; empty for all.
        session_ids: only memories told in these sessions; None for all, empty for none.
        include_previous_versions: whether older versions are listed with each.
        include_connected_memories: whether connected memories are listed with each.
    """
    where, values = "user_pk = ? AND expired_at IS NULL", [user_pk, *()]
    arguments: list[int | str] = [*values]
    if session_ids is not None:
        where += " AND session_id IN (SELECT value FROM json_each(?))"
        arguments.append(json.dumps(list(session_ids)))
    if categories:
        where += (
            " AND EXISTS (SELECT 1 FROM json_each(memories.categories) c WHERE c.value IN"
            " (SELECT value FROM json_each(?)))"
        )
        arguments.append(json.dumps(list(categories)))
    (total,) = db.execute(f"SELECT count(*) FROM memories WHERE {where}", arguments).fetchone()  # noqa: S608 - constants only
    rows = db.execute(
        f"SELECT {COLUMNS} FROM memories WHERE {where} ORDER BY created_at DESC, memory_id LIMIT ? OFFSET ?",  # noqa: S608 - constants only
        (*arguments, limit, offset),
    )
    items = [
        wire(db, Memory(*row), include_previous_versions, include_connected_memories)
        for row in rows.fetchall()
    ]
    return Page(items, total)


def get_memory(
    db: sqlite3.Connection,
    user_pk: int,
    memory_id: str,
    *,
    include_previous_versions: bool = True,
    include_connected_memories: bool = True,
) -> Json | None:
    """One memory in any of its versions, or None where the user has no such memory."""
    found = find(db, user_pk, memory_id)
    return None if found is None else wire(db, found, include_previous_versions, include_connected_memories)


def find(db: sqlite3.Connection, user_pk: int, memory_id: str) -> Memory | None:
    """A memory of this user by its public id."""
    row = db.execute(
        f"SELECT {COLUMNS} FROM memories WHERE memory_id = ? AND user_pk = ?",  # noqa: S608 - constants only
        (memory_id, user_pk),
    ).fetchone()
    return Memory(*row) if row else None


def wire(db: sqlite3.Connection, memory: Memory, previous: bool, connected: bool) -> Json:
    """A memory as the API sends it; `previous` and `connected` say which optional lists are filled."""
    chain = store.versions(db, memory.chain_pk)
    older = [m for m in chain if m.version < memory.version]
    numbers = {m.pk: len(chain) - i for i, m in enumerate(chain)}
    conflict = db.execute(
        "SELECT conflict_id FROM merge_conflicts WHERE chain_pk = ? AND status IN ('PENDING', 'IN_QUEUE', "
        "'RESOLVING')"
        " ORDER BY pk LIMIT 1",
        (memory.chain_pk,),
    ).fetchone()
    pending = conflict if memory.expired_at is None else None
    return {
        "memory_id": memory.memory_id,
        "categories": memory.categories,
        "content": memory.content,
        "event_date_start": memory.event_date_start,
        "event_date_end": memory.event_date_end,
        "created_at": memory.created_at,
        "version_number": numbers[memory.pk],
        "total_versions": len(chain),
        "has_previous_versions": bool(older),
        "previous_versions": [
            {
                "memory_id": m.memory_id,
                "version_number": numbers[m.pk],
                "content": m.content,
                "event_date_start": m.event_date_start,
                "event_date_end": m.event_date_end,
                "created_at": m.created_at,
                "expired_at": m.expired_at,
                "expiration_reason": m.expiration_reason,
                "merge_conflict_id": m.merge_conflict_id,
            }
            for m in older
        ]
        if previous
        else None,
        "connected_memories": [
            {"memory_id": m.memory_id, "content": m.content} for m in store.connected(db, memory.chain_pk)
        ]
        if connected
        else None,
        "merge_conflict_in_progress": pending is not None,
        "merge_conflict_id": pending[0] if pending else memory.merge_conflict_id,
        "expired_at": memory.expired_at,
        "expiration_reason": memory.expiration_reason,
        "session_id": memory.session_id,
    }


def known_categories(db: sqlite3.Connection, user_pk: int) -> set[str]:
    """What may be filtered by: the built-in categories, and any other that a memory of the user carries."""
    rows = db.execute(
        "SELECT DISTINCT c.value FROM memories m, json_each(m.categories) c WHERE m.user_pk = ?", (user_pk,)
    )
    return {*KNOWN, *(row[0] for row in rows)}


def session_summary(db: sqlite3.Connection, user_pk: int, session_id: str) -> str | None:
    """The summary of a processed session, or None."""
    row = db.execute(
        "SELECT content FROM summaries WHERE user_pk = ? AND session_id = ?", (user_pk, session_id)
    ).fetchone()
    return row[0] if row else None

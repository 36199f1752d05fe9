"""Forgetting: memories, sessions and users, with everything that hangs on them."""

from __future__ import annotations

import sqlite3
from typing import Final

from . import browsing, conflicts, index, store, summaries
from .store import Memory

_USER_TABLES: Final = (
    "chains",
    "memories",
    "postings",
    "vocabulary",
    "summaries",
    "merge_conflicts",
    "vectors",
)


def delete_memory(
    db: sqlite3.Connection, user_pk: int, memory_id: str, *, delete_previous_versions: bool = False
) -> bool:
    """Delete one version of a memory; with the current one gone, the one before is current again.

    Args:
        db: the database.
        user_pk: whose memory.
        memory_id: the id of any version.
        delete_previous_versions: all older versions too; newer ones stay.

    Returns:
        Whether the user had such a memory.
    """
    found = browsing.find(db, user_pk, memory_id)
    if found is None:
        return False
    chain = store.versions(db, found.chain_pk)
    doomed = [
        m for m in chain if m.pk == found.pk or (delete_previous_versions and m.version < found.version)
    ]
    _delete_versions(db, user_pk, found.chain_pk, doomed)
    return True


def delete_session(db: sqlite3.Connection, user_pk: int, session_id: str) -> None:
    """Delete what was made from a session: its memories, their connections and conflicts, and its summary.

    A fact that was told again in another session stays, as that session's.
    """
    conflicts.delete_of_session(db, user_pk, session_id)
    summaries.delete(db, user_pk, session_id)
    chains = db.execute(
        "SELECT DISTINCT chain_pk FROM memories WHERE user_pk = ? AND session_id = ?", (user_pk, session_id)
    ).fetchall()
    for (chain,) in chains:
        if not store.rehome(db, chain, session_id):
            _delete_versions(
                db, user_pk, chain, [m for m in store.versions(db, chain) if m.session_id == session_id]
            )
    db.execute(
        "DELETE FROM restatements WHERE session_id = ? AND chain_pk IN (SELECT pk FROM chains WHERE user_pk "
        "= ?)",
        (session_id, user_pk),
    )


def delete_user(db: sqlite3.Connection, user_pk: int) -> None:
    """Delete everything that is remembered of a user."""
    for table in ("connections", "restatements"):
        db.execute(
            f"DELETE FROM {table} WHERE chain_pk IN (SELECT pk FROM chains WHERE user_pk = ?)",  # noqa: S608 - constants only
            (user_pk,),
        )
    for table in _USER_TABLES:
        db.execute(f"DELETE FROM {table} WHERE user_pk = ?", (user_pk,))  # noqa: S608 - constants only


def _delete_versions(db: sqlite3.Connection, user_pk: int, chain: int, doomed: list[Memory]) -> None:
    db.executemany("DELETE FROM memories WHERE pk = ?", [(m.pk,) for m in doomed])
    db.executemany(
        "DELETE FROM vectors WHERE user_pk = ? AND memory_pk = ?", [(user_pk, m.pk) for m in doomed]
    )
    for session_id in {m.session_id for m in doomed}:
        summaries.rewrite(db, user_pk, session_id)
    if store.versions(db, chain):
        store.renew(db, user_pk, chain)
        return
    conflicts.release(db, user_pk, chain)
    (stored,) = db.execute("SELECT terms FROM chains WHERE pk = ?", (chain,)).fetchone()
    index.remove(db, user_pk, "memory", chain, stored)
    db.execute("DELETE FROM connections WHERE chain_pk = ? OR other_pk = ?", (chain, chain))
    db.execute("DELETE FROM restatements WHERE chain_pk = ?", (chain,))
    db.execute("DELETE FROM chains WHERE pk = ?", (chain,))

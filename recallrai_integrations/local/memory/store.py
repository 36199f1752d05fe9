"""Memories as they are kept: new chains, new versions, deletion, and what hangs on them."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, NamedTuple, TypeAlias

from . import index, vectors
from .aliases import aliases
from .dates import Span
from .schema import stamp
from .text import document_terms, split_speaker, terms
from .vectors import Vector

Reason: TypeAlias = Literal["ADDITION_TO_EXISTING_MEMORY", "TEMPORAL_CONFLICT", "MERGE_CONFLICT"]

SHOWN_VERSIONS: Final = 5  # of a memory's history, newest first
ASKS: Final = "?"  # begins the key of a chain that is a question or a request
STANDING: Final = "!"  # is the key of an instruction that is meant to last
DIALOGUE: Final = "@"  # and of a line of a dialogue; then comes the first word
_OLD_WEIGHT: Final = 0.8  # of the words of superseded versions
_AROUND_WEIGHT: Final = 0.4  # of the words of the question before


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A memory before it is stored.

    Args:
        content: one line.
        categories: at least one.
        event: the days it is about.
        session_id: where it was told.
        position: its place among the facts of that session.
        created_at: when it was told.
        around: words of its surroundings by which it may be found too.
        asks: whether it is a question or a request.
        standing: whether it is an instruction for the assistant that is meant to last.
        vector: its place in meaning, where embeddings are set.
    """

    content: str
    categories: Sequence[str]
    event: Span
    session_id: str
    position: int
    created_at: datetime
    around: str = ""
    asks: bool = False
    standing: bool = False
    vector: Vector | None = None


class Memory(NamedTuple):
    """One stored version of a fact; times in the form of `schema.stamp`."""

    pk: int
    memory_id: str
    user_pk: int
    chain_pk: int
    version: int
    session_id: str
    content: str
    stored_categories: str
    event_date_start: str
    event_date_end: str
    created_at: str
    expired_at: str | None
    expiration_reason: Reason | None
    merge_conflict_id: str | None

    @property
    def categories(self) -> list[str]:
        """Its categories; at least one."""
        names: list[str] = json.loads(self.stored_categories)
        return names


COLUMNS: Final = (
    "pk, memory_id, user_pk, chain_pk, version, session_id, content, categories, event_date_start, "
    "event_date_end,"
    " created_at, expired_at, expiration_reason, merge_conflict_id"
)


def add(db: sqlite3.Connection, user_pk: int, draft: Draft) -> int:
    """Store a new fact; returns its chain."""
    chain = db.execute(
        "INSERT INTO chains (user_pk, session_id, position, key, terms) VALUES (?, ?, ?, ?, '{}')",
        (user_pk, draft.session_id, draft.position, _key(draft)),
    ).lastrowid
    assert chain is not None
    _insert(db, user_pk, chain, 1, draft)
    reindex(db, user_pk, chain, draft.around)
    return chain


def _key(draft: Draft) -> str:
    """What the ranking needs to know of a chain, in a few letters."""
    if split_speaker(draft.content)[0]:
        return DIALOGUE
    if draft.standing:
        return STANDING
    first = draft.content[:20].replace("\u2019", "'").partition(" ")[0].partition("'")[0].lower()
    return (ASKS if draft.asks else "") + first


def supersede(
    db: sqlite3.Connection,
    user_pk: int,
    chain: int,
    draft: Draft,
    *,
    reason: Reason,
    now: datetime,
    conflict_id: str | None = None,
) -> None:
    """Make `draft` the current version of a chain; `reason` says why the one before expired, at `now`."""
    (version,) = db.execute("SELECT max(version) FROM memories WHERE chain_pk = ?", (chain,)).fetchone()
    _expire(db, chain, version, reason=reason, now=now, conflict_id=conflict_id)
    _insert(db, user_pk, chain, version + 1, draft)
    reindex(db, user_pk, chain, draft.around)


def demote(
    db: sqlite3.Connection, user_pk: int, chain: int, draft: Draft, *, conflict_id: str, now: datetime
) -> None:
    """Keep `draft` as a version before the current one: it lost a merge conflict."""
    (version,) = db.execute("SELECT max(version) FROM memories WHERE chain_pk = ?", (chain,)).fetchone()
    db.execute(
        "UPDATE memories SET version = ? WHERE chain_pk = ? AND version = ?", (version + 1, chain, version)
    )
    _insert(db, user_pk, chain, version, draft)
    _expire(db, chain, version, reason="MERGE_CONFLICT", now=now, conflict_id=conflict_id)
    reindex(db, user_pk, chain)


def _expire(
    db: sqlite3.Connection,
    chain: int,
    version: int,
    *,
    reason: Reason,
    now: datetime,
    conflict_id: str | None,
) -> None:
    db.execute(
        "UPDATE memories SET expired_at = ?, expiration_reason = ?, merge_conflict_id = ?"
        " WHERE chain_pk = ? AND version = ?",
        (stamp(now), reason, conflict_id, chain, version),
    )


def _insert(db: sqlite3.Connection, user_pk: int, chain: int, version: int, draft: Draft) -> None:
    stored = db.execute(
        "INSERT INTO memories (memory_id, user_pk, chain_pk, version, session_id, content, categories,"
        " event_date_start, event_date_end, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            str(uuid.uuid4()), user_pk, chain, version, draft.session_id, draft.content,
            json.dumps(list(draft.categories)), stamp(draft.event.start()), stamp(draft.event.end()),
            stamp(draft.created_at),
        ),
    ).lastrowid  # fmt: skip
    assert stored is not None
    if draft.vector:
        vectors.put(db, user_pk, stored, draft.vector)


def reindex(db: sqlite3.Connection, user_pk: int, chain: int, around: str = "") -> None:
    """Index a chain by all its shown versions, the current one counting most."""
    (stored,) = db.execute("SELECT terms FROM chains WHERE pk = ?", (chain,)).fetchone()
    if stored != "{}":
        index.remove(db, user_pk, "memory", chain, stored)
    found = versions(db, chain)
    weights = index.weigh((document_terms(found[0].content), 1.0), (terms(around), _AROUND_WEIGHT))
    for term, weight in aliases(found[0].content).items():
        weights.setdefault(term, weight)
    for older in found[1:SHOWN_VERSIONS]:
        for term in document_terms(older.content):
            weights.setdefault(term, _OLD_WEIGHT)
    entry = index.put(db, user_pk, "memory", chain, weights)
    db.execute("UPDATE chains SET terms = ? WHERE pk = ?", (entry, chain))


def versions(db: sqlite3.Connection, chain: int) -> list[Memory]:
    """All versions of a chain, the current one first."""
    rows = db.execute(f"SELECT {COLUMNS} FROM memories WHERE chain_pk = ? ORDER BY version DESC", (chain,))  # noqa: S608 - constants only
    return [Memory(*row) for row in rows]


def versions_of(db: sqlite3.Connection, chains: Sequence[int]) -> dict[int, list[Memory]]:
    """All versions of several chains, the current one of each first."""
    rows = db.execute(
        f"SELECT {COLUMNS} FROM memories WHERE chain_pk IN (SELECT value FROM json_each(?))"  # noqa: S608 - constants only
        " ORDER BY version DESC",
        (json.dumps(chains),),
    )
    found: dict[int, list[Memory]] = {}
    for row in rows:
        found.setdefault(row[3], []).append(Memory(*row))
    return found


def connected(db: sqlite3.Connection, chain: int) -> list[Memory]:
    """The current memories connected with a chain, the closest first."""
    rows = db.execute(
        f"SELECT {COLUMNS} FROM memories JOIN"  # noqa: S608 - constants only
        " (SELECT other_pk AS other, strength FROM connections WHERE chain_pk = ?) ON chain_pk = other"
        " WHERE expired_at IS NULL ORDER BY strength DESC, pk",
        (chain,),
    )
    return [Memory(*row) for row in rows]


def connect(db: sqlite3.Connection, chain: int, other: int, strength: float) -> None:
    """Connect two chains, both ways."""
    db.executemany(
        "INSERT OR REPLACE INTO connections (chain_pk, other_pk, strength) VALUES (?, ?, ?)",
        [(chain, other, strength), (other, chain, strength)],
    )


def restate(db: sqlite3.Connection, chain: int, session_id: str, when: datetime) -> None:
    """Note that a session told a known fact again."""
    db.execute("INSERT OR IGNORE INTO restatements VALUES (?, ?, ?)", (chain, session_id, stamp(when)))


def rehome(db: sqlite3.Connection, chain: int, session_id: str) -> bool:
    """Give a chain's current memory of this session to the session that told it again, if there is one."""
    row = db.execute(
        "SELECT session_id, created_at FROM restatements WHERE chain_pk = ? AND session_id <> ? ORDER BY "
        "created_at",
        (chain, session_id),
    ).fetchone()
    current = versions(db, chain)[0]
    if row is None or current.session_id != session_id:
        return False
    db.execute("UPDATE memories SET session_id = ?, created_at = ? WHERE pk = ?", (*row, current.pk))
    db.execute("DELETE FROM restatements WHERE chain_pk = ? AND session_id = ?", (chain, row[0]))
    return True


def renew(db: sqlite3.Connection, user_pk: int, chain: int) -> None:
    """After a version was taken out: number the rest from 1, make the newest current, index afresh."""
    rest = versions(db, chain)
    for number, kept in enumerate(reversed(rest), 1):
        db.execute("UPDATE memories SET version = ? WHERE pk = ?", (number, kept.pk))
    db.execute(
        "UPDATE memories SET expired_at = NULL, expiration_reason = NULL, merge_conflict_id = NULL WHERE pk "
        "= ?",
        (rest[0].pk,),
    )
    reindex(db, user_pk, chain)

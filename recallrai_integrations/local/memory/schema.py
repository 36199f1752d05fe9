"""The tables of the memory, and how times are written in them.

A *chain* is one fact through all its versions; it is what is searched, connected and ranked. A *memory* is
one version of it; the one with the highest number is current. `postings` is an inverted index whose key
begins with the user, so that the cost of a search does not depend on how many other users there are.
"""

from __future__ import annotations

import sqlite3
from datetime import datetime, timezone

_TABLES = """
CREATE TABLE IF NOT EXISTS chains (
    pk INTEGER PRIMARY KEY,
    user_pk INTEGER NOT NULL,
    session_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    key TEXT,
    terms TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS chains_by_session ON chains (user_pk, session_id, position);
CREATE INDEX IF NOT EXISTS chains_standing ON chains (user_pk, pk) WHERE key = '!';
CREATE TABLE IF NOT EXISTS memories (
    pk INTEGER PRIMARY KEY,
    memory_id TEXT NOT NULL UNIQUE,
    user_pk INTEGER NOT NULL,
    chain_pk INTEGER NOT NULL,
    version INTEGER NOT NULL,
    session_id TEXT NOT NULL,
    content TEXT NOT NULL,
    categories TEXT NOT NULL,
    event_date_start TEXT NOT NULL,
    event_date_end TEXT NOT NULL,
    created_at TEXT NOT NULL,
    expired_at TEXT,
    expiration_reason TEXT,
    merge_conflict_id TEXT
);
CREATE UNIQUE INDEX IF NOT EXISTS memories_by_chain ON memories (chain_pk, version);
CREATE INDEX IF NOT EXISTS memories_by_user ON memories (user_pk, expired_at, created_at);
CREATE INDEX IF NOT EXISTS memories_by_session ON memories (user_pk, session_id);
CREATE TABLE IF NOT EXISTS postings (
    user_pk INTEGER NOT NULL,
    kind TEXT NOT NULL,
    term TEXT NOT NULL,
    impact INTEGER NOT NULL,
    doc INTEGER NOT NULL,
    PRIMARY KEY (user_pk, kind, term, impact, doc)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS vocabulary (
    user_pk INTEGER NOT NULL,
    kind TEXT NOT NULL,
    term TEXT NOT NULL,
    docs INTEGER NOT NULL,
    PRIMARY KEY (user_pk, kind, term)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS summaries (
    pk INTEGER PRIMARY KEY,
    user_pk INTEGER NOT NULL,
    session_id TEXT NOT NULL,
    content TEXT NOT NULL,
    session_terms TEXT NOT NULL,
    summary_terms TEXT NOT NULL,
    created_at TEXT NOT NULL,
    UNIQUE (user_pk, session_id)
);
CREATE TABLE IF NOT EXISTS connections (
    chain_pk INTEGER NOT NULL,
    other_pk INTEGER NOT NULL,
    strength REAL NOT NULL,
    PRIMARY KEY (chain_pk, other_pk)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS restatements (
    chain_pk INTEGER NOT NULL,
    session_id TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (chain_pk, session_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS vectors (
    user_pk INTEGER NOT NULL,
    memory_pk INTEGER NOT NULL,
    model TEXT NOT NULL,
    vector BLOB NOT NULL,
    PRIMARY KEY (user_pk, memory_pk)
);
CREATE TABLE IF NOT EXISTS merge_conflicts (
    pk INTEGER PRIMARY KEY,
    conflict_id TEXT NOT NULL UNIQUE,
    user_pk INTEGER NOT NULL,
    session_id TEXT NOT NULL,
    chain_pk INTEGER,
    status TEXT NOT NULL,
    body TEXT NOT NULL,
    created_at TEXT NOT NULL,
    resolved_at TEXT
);
CREATE INDEX IF NOT EXISTS merge_conflicts_by_user ON merge_conflicts (user_pk, status, created_at);
CREATE INDEX IF NOT EXISTS merge_conflicts_by_chain ON merge_conflicts (chain_pk, status);
"""


def create_tables(db: sqlite3.Connection) -> None:
    """Create what is missing. Idempotent; commits nothing (no `executescript`, which would)."""
    for statement in _TABLES.split(";"):
        if statement.strip():
            db.execute(statement)


def stamp(when: datetime) -> str:
    """A time as it is stored and sent: UTC, ISO 8601, of one length so that text order is time order."""
    return when.astimezone(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")


def moment(text: str) -> datetime:
    """The time that `stamp` wrote."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))

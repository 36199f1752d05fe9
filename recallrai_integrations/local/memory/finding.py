"""Which memories answer a question: above the threshold, within the named days, with what is connected."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from . import ranking, store
from .dates import Span
from .question import Question
from .ranking import Ranked
from .render import Entry
from .schema import stamp
from .types import ContextQuery, Json
from .vectors import Vector

_CHILD_STEPS: Final = (1, -1, 2, -2)  # told this close together, memories belong together
_MOST_CHILDREN: Final = 3  # of one memory


@dataclass(frozen=True, slots=True)
class Found:
    """Memories, best first, and the date filters that were in force, in wire form."""

    entries: list[Entry] = field(default_factory=list[Entry])
    filters: list[Json] = field(default_factory=list[Json])


def find(
    db: sqlite3.Connection,
    user_pk: int,
    asked: Question,
    query: ContextQuery,
    *,
    thorough: bool,
    vector: Vector | None = None,
) -> Found:
    """The memories that answer a question.

    Args:
        db: the database.
        user_pk: whose memory.
        asked: the question.
        query: its thresholds and limits.
        thorough: whether surroundings, days and connected memories count (`balanced`), or words alone.
        vector: the question's place in meaning, where embeddings are set.
    """
    if asked.about_everything or (asked.spans and not asked.parts):
        ranked = _newest(db, user_pk, query.max_top_k, asked.spans)
    elif not thorough:
        ranked = ranking.by_words(db, user_pk, asked)
    elif vector is None:
        ranked = ranking.in_context(db, user_pk, asked)
    else:
        ranked = ranking.by_meaning(db, user_pk, asked, vector, 2 * query.max_top_k)
    good = [r for r in ranked if r.similarity >= query.memories_threshold]
    filters: list[Json] = []
    if asked.spans and thorough:
        good, filters = _narrowed(db, good, asked.spans)
    roots = good[: query.max_top_k]
    children = _children(db, roots, ranked) if thorough else {}
    versions = store.versions_of(
        db, [r.chain for r in roots] + [c for listed in children.values() for c in listed]
    )
    entries = [
        Entry(
            versions[root.chain],
            root.similarity,
            [Entry(versions[child], None) for child in children.get(root.chain, ())],
        )
        for root in roots
    ]
    return Found(entries, filters)


def _children(
    db: sqlite3.Connection, roots: Sequence[Ranked], ranked: Sequence[Ranked]
) -> dict[int, list[int]]:
    """The best memories that are no roots, each under the root with which it was told or is connected.

    There are at most half as many as roots.
    """
    placed = {(root.session_id, root.position): root.chain for root in reversed(roots)}
    sessions = {root.session_id: root.chain for root in reversed(roots)}
    parents = _connections(db, [root.chain for root in roots])
    chosen = {root.chain for root in roots}
    children: dict[int, list[int]] = {root.chain: [] for root in roots}
    left = len(roots)
    for candidate in ranked:
        if not left:
            break
        if candidate.chain in chosen:
            continue
        near = (placed.get((candidate.session_id, candidate.position + step)) for step in _CHILD_STEPS)
        for parent in (*near, *parents.get(candidate.chain, ()), sessions.get(candidate.session_id)):
            if parent is not None and len(children[parent]) < _MOST_CHILDREN:
                children[parent].append(candidate.chain)
                chosen.add(candidate.chain)
                left -= 1
                break
    return children


def _connections(db: sqlite3.Connection, chains: Sequence[int]) -> dict[int, list[int]]:
    """Which of these chains each other chain is connected with, the closest first."""
    rows = db.execute(
        "SELECT other_pk, chain_pk FROM connections WHERE chain_pk IN (SELECT value FROM json_each(?))"
        " ORDER BY strength DESC",
        (json.dumps(chains),),
    )
    found: dict[int, list[int]] = {}
    for other, chain in rows:
        found.setdefault(other, []).append(chain)
    return found


def _narrowed(
    db: sqlite3.Connection, ranked: Sequence[Ranked], spans: Sequence[Span]
) -> tuple[list[Ranked], list[Json]]:
    """Only what happened, or else was told, in one of the spans; everything where that leaves nothing."""
    rows = db.execute(
        "SELECT chain_pk, event_date_start, event_date_end, created_at FROM memories"
        " WHERE expired_at IS NULL AND chain_pk IN (SELECT value FROM json_each(?))",
        (json.dumps([r.chain for r in ranked]),),
    )
    times = {chain: (first, last, created) for chain, first, last, created in rows}
    bounds = [(stamp(span.start()), stamp(span.end())) for span in spans]
    for kind in ("event_date", "created_at"):
        inside = [
            r
            for r in ranked
            if any(
                (times[r.chain][0] <= end and start <= times[r.chain][1])
                if kind == "event_date"
                else start <= times[r.chain][2] <= end
                for start, end in bounds
            )
        ]
        if inside:
            return inside, [{"filter_type": kind, "start_date": s, "end_date": e} for s, e in bounds]
    return list(ranked), []


def _newest(db: sqlite3.Connection, user_pk: int, limit: int, spans: Sequence[Span]) -> list[Ranked]:
    """The latest memories; where days are named, those that happened or were told on them."""
    where, values = "", list[str]()
    for span in spans:
        start, end = stamp(span.start()), stamp(span.end())
        where += (" OR " if where else "") + "(m.event_date_start <= ? AND ? <= m.event_date_end)"
        where += " OR m.created_at BETWEEN ? AND ?"
        values += [end, start, start, end]
    rows = db.execute(
        "SELECT c.pk, c.session_id, c.position FROM memories m JOIN chains c ON c.pk = m.chain_pk"  # noqa: S608 - constants only
        f" WHERE m.user_pk = ? AND m.expired_at IS NULL {f'AND ({where})' if where else ''}"
        " ORDER BY m.created_at DESC, m.pk DESC LIMIT ?",
        (user_pk, *values, limit),
    )
    return [Ranked(chain, session_id, position, 1.0) for chain, session_id, position in rows]

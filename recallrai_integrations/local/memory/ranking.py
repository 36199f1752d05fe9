"""The ranking of memories for one question, and of the sessions they come from.

`low_latency` ranks by words alone. `balanced` adds what lies around a memory: the session it belongs to, what
was told right before and after, and the words that the best memories share; with embeddings, nearness in
meaning as well (reciprocal rank fusion). What is added lifts a memory towards 1 and never lowers it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from . import index, vectors
from .facets import Facet
from .index import Hit
from .question import Question
from .vectors import Vector

_CANDIDATES: Final = 120
_CENTRES: Final = 25  # hits whose neighbours become candidates
_FEEDBACK_HITS: Final = 10
_SESSION: Final = 0.3  # how much the session's similarity lifts
_BEFORE: Final = 0.1  # how much the memory told right before lifts
_AFTER: Final = 0.2
_FEEDBACK: Final = 0.4
_HINT: Final = 0.3
_FUSION: Final = 60  # the usual constant of reciprocal rank fusion
_MOST_LIFT: Final = 0.25


@dataclass(frozen=True, slots=True)
class Ranked:
    """A candidate.

    Args:
        chain: the memory's chain.
        session_id: the session of its first version.
        position: its place in that session.
        similarity: 0 to 1.
    """

    chain: int
    session_id: str
    position: int
    similarity: float


def by_words(db: sqlite3.Connection, user_pk: int, question: Question) -> list[Ranked]:
    """Candidates by their words alone, best first."""
    similarity: dict[int, float] = {}
    for part in question.parts or [question.hints]:
        for hit in index.search(db, user_pk, "memory", part, limit=_CANDIDATES, thorough=True):
            similarity[hit.doc] = max(hit.similarity, similarity.get(hit.doc, 0.0))
    places = _places(db, list(similarity))
    ranked = [Ranked(doc, *places[doc], value) for doc, value in similarity.items()]
    return sorted(ranked, key=_order)[:_CANDIDATES]


def in_context(db: sqlite3.Connection, user_pk: int, question: Question) -> list[Ranked]:
    """Candidates by their words and surroundings, best first."""
    words = by_words(db, user_pk, question)
    if not words:
        return []
    own = {ranked.chain: ranked.similarity for ranked in words}
    wanted = question.facets()
    sessions = session_similarities(db, user_pk, wanted)
    top = [Hit(ranked.chain, ranked.similarity) for ranked in words[:_FEEDBACK_HITS]]
    shared = _similarities(db, user_pk, index.feedback(db, user_pk, top, (f.term for f in wanted)))
    hinted = _similarities(db, user_pk, question.hints)
    candidates = {(ranked.session_id, ranked.position): ranked.chain for ranked in words}
    candidates |= _neighbours(db, user_pk, words[:_CENTRES])
    ranked: list[Ranked] = []
    for (session_id, position), chain in candidates.items():
        similarity = own.get(chain, 0.0)
        lift = (
            _SESSION * sessions.get(session_id, 0.0)
            + _BEFORE * own.get(candidates.get((session_id, position - 1), 0), 0.0)
            + _AFTER * own.get(candidates.get((session_id, position + 1), 0), 0.0)
            + _FEEDBACK * shared.get(chain, 0.0)
            + _HINT * hinted.get(chain, 0.0)
        )
        ranked.append(
            Ranked(chain, session_id, position, similarity + (1 - similarity) * min(_MOST_LIFT, lift))
        )
    return sorted(ranked, key=_order)


def by_meaning(
    db: sqlite3.Connection, user_pk: int, question: Question, vector: Vector, limit: int
) -> list[Ranked]:
    """Candidates by words, surroundings and meaning: the best of both lists, fused by their ranks.

    Reciprocal rank fusion decides which are kept; a memory's similarity is the better of its two.
    """
    words = in_context(db, user_pk, question)
    meant = vectors.search(db, user_pk, vector, _CANDIDATES)
    fused: dict[int, float] = {}
    for ranks in ([ranked.chain for ranked in words], [hit.doc for hit in meant]):
        for rank, chain in enumerate(ranks, 1):
            fused[chain] = fused.get(chain, 0.0) + 1 / (_FUSION + rank)
    kept = sorted(fused, key=lambda chain: (-fused[chain], -chain))[:limit]
    similarity = {hit.doc: hit.similarity for hit in meant}
    for ranked in words:
        similarity[ranked.chain] = max(ranked.similarity, similarity.get(ranked.chain, 0.0))
    places = _places(db, kept)
    return sorted((Ranked(chain, *places[chain], similarity[chain]) for chain in kept), key=_order)


def _order(ranked: Ranked) -> tuple[float, int]:
    """Best first, and of equals the newest."""
    return -ranked.similarity, -ranked.chain


def session_similarities(
    db: sqlite3.Connection,
    user_pk: int,
    wanted: Sequence[Facet],
    kind: Literal["session", "summary"] = "session",
) -> dict[str, float]:
    """How much each session, or its summary, is about the question."""
    hits = index.search(db, user_pk, kind, wanted, limit=_CANDIDATES)
    rows = db.execute(
        "SELECT pk, session_id FROM summaries WHERE pk IN (SELECT value FROM json_each(?))",
        (json.dumps([hit.doc for hit in hits]),),
    )
    ids: dict[int, str] = dict(rows.fetchall())
    return {ids[hit.doc]: hit.similarity for hit in hits}


def _similarities(db: sqlite3.Connection, user_pk: int, wanted: Sequence[Facet]) -> dict[int, float]:
    return {
        hit.doc: hit.similarity for hit in index.search(db, user_pk, "memory", wanted, limit=2 * _CANDIDATES)
    }


def _places(db: sqlite3.Connection, chains: Sequence[int]) -> dict[int, tuple[str, int]]:
    rows = db.execute(
        "SELECT pk, session_id, position FROM chains WHERE pk IN (SELECT value FROM json_each(?))",
        (json.dumps(chains),),
    )
    return {pk: (session_id, position) for pk, session_id, position in rows}


def _neighbours(
    db: sqlite3.Connection, user_pk: int, centres: Sequence[Ranked]
) -> dict[tuple[str, int], int]:
    found: dict[tuple[str, int], int] = {}
    for centre in centres:
        rows = db.execute(
            "SELECT position, pk FROM chains WHERE user_pk = ? AND session_id = ? AND position IN (?, ?)",
            (user_pk, centre.session_id, centre.position - 1, centre.position + 1),
        )
        found |= {(centre.session_id, position): pk for position, pk in rows}
    return found

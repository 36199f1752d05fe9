"""The ranking of memories for one question, and of the sessions they come from.

`low_latency` ranks by words alone. `balanced` adds, for the lines of a dialogue, what was said right before
and after and how much their session is about the question; with embeddings, nearness in meaning as well.

A memory's similarity says two things in one number: how sure it is that the user's memory answers the
question at all (how much of the question its best memory covers), and how a memory stands to the best one.
At the default threshold of 0.6 a question that is answered lists all that is worth its space, and one that
is not answered lists next to nothing.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from . import index, store, vectors
from .facets import Facet
from .index import Hit
from .lexicon import FIRST_PERSON
from .question import Question
from .text import speaker_term
from .vectors import Vector

_CANDIDATES: Final = 180
_NEAREST: Final = 300  # the same by meaning
_CENTRES: Final = 60  # hits whose neighbours become candidates
_CHILDREN_OF: Final = 20  # the same of what is no dialogue
_SESSION: Final = 0.4  # of the mean of a session's three best memories
_BEFORE: Final = 0.25  # of the memory told right before
_AFTER: Final = 0.3
_HINT: Final = 0.3
_ASKED: Final = 0.95  # what a question or a request counts beside what was told
_SAME_SUBJECT: Final = (
    1.1  # "Where do I live?" asks for "I live in Lisbon" more than for "My sister lives in Rome"
)
_STRANGER: Final = 0.65
_RIVALS: Final = 6  # the best memories, of which those that answer the same come newest first
_MEANING: Final = 0.6  # of nearness in meaning beside the words
_COVERED: Final = 0.45  # of the question by the best memory, from which an answer is sure
_TOLD: Final = 5.0  # the score of the best memory from which an answer is sure, however much else is asked
_LEAST: Final = 0.55  # the similarity of the weakest memory of a question that is surely answered
_STANDS: Final = 0.9  # the worth of a lasting instruction, as a share of the best memory's
_MOST_STANDING: Final = 5
_ALWAYS_LISTED: Final = 0.62  # its similarity where nothing answers the question
_NEAR: Final = 0.3  # the cosine below which nothing is said


class Ranked(NamedTuple):
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


class _Place(NamedTuple):  # hundreds are made for a question, and tuples take the least time
    session_id: str
    position: int
    key: str | None

    @property
    def asks(self) -> bool:
        return (self.key or "").startswith(store.ASKS)

    @property
    def begins(self) -> str:
        return (self.key or "").lstrip(store.ASKS)


def by_words(db: sqlite3.Connection, user_pk: int, question: Question) -> list[Ranked]:
    """Candidates by their words alone, best first."""
    hits = _hits(db, user_pk, question)
    scores = {chain: hit.similarity for chain, hit in hits.items()}
    return _calibrated(db, user_pk, question, hits, (scores, _places(db, list(hits))))


def in_context(db: sqlite3.Connection, user_pk: int, question: Question) -> list[Ranked]:
    """Candidates by their words and surroundings, best first."""
    hits = _hits(db, user_pk, question)
    return _calibrated(db, user_pk, question, hits, _in_context(db, user_pk, question, hits))


def _hits(
    db: sqlite3.Connection, user_pk: int, question: Question, limit: int = _CANDIDATES
) -> dict[int, Hit]:
    """The best hit of each chain over the parts of a question."""
    found: dict[int, Hit] = {}
    for part in question.parts or [question.hints]:
        for hit in index.search(db, user_pk, "memory", part, limit=limit, thorough=True):
            if hit.doc not in found or hit.similarity > found[hit.doc].similarity:
                found[hit.doc] = hit
    return found


def _in_context(
    db: sqlite3.Connection, user_pk: int, question: Question, hits: dict[int, Hit]
) -> tuple[dict[int, float], dict[int, _Place]]:
    own = {chain: hit.similarity for chain, hit in hits.items()}
    best = sorted(own, key=own.__getitem__, reverse=True)
    places = _places(db, best)
    places = (
        _neighbours(
            db,
            user_pk,
            [
                p
                for n, p in enumerate(map(places.__getitem__, best[:_CENTRES]))
                if p.key == store.DIALOGUE or n < _CHILDREN_OF
            ],
        )
        | places
    )
    hinted = _similarities(db, user_pk, question.hints) if question.hints else {}
    at = {
        (session_id, position): own[chain]
        for chain, (session_id, position, _) in places.items()
        if chain in own
    }
    sessions: dict[str, list[float]] = defaultdict(list)
    for chain in best:
        sessions[places[chain].session_id].append(own[chain])
    about = {session_id: _SESSION * sum(told[:3]) / 3 for session_id, told in sessions.items()}
    scores: dict[int, float] = {}
    for chain, (session_id, position, key) in places.items():
        score = own.get(chain, 0.0) + _HINT * hinted.get(chain, 0.0)
        if key == store.DIALOGUE:
            score += about.get(session_id, 0.0)
            score += _BEFORE * at.get((session_id, position - 1), 0.0)
            score += _AFTER * at.get((session_id, position + 1), 0.0)
        scores[chain] = score
    return scores, places


def _doubt(db: sqlite3.Connection, user_pk: int, question: Question) -> float:
    """What is left of a similarity where a question names only what was never spoken of."""
    forms = [form for term in question.names for form in (term, speaker_term(term))]
    known = index.document_counts(db, user_pk, "memory", forms) if forms else {}
    return _STRANGER if forms and not known and not index.alike(db, user_pk, question.names) else 1.0


def _certain(hits: dict[int, Hit]) -> float:
    """How sure it is that the best of these hits answers the question, 0 to 1."""
    shares = (max(hit.similarity / _COVERED, hit.score / _TOLD) for hit in hits.values())
    return min(1.0, max(shares, default=0.0))


def _calibrated(
    db: sqlite3.Connection,
    user_pk: int,
    question: Question,
    hits: dict[int, Hit],
    scored: tuple[dict[int, float], dict[int, _Place]],
) -> list[Ranked]:
    """Candidates with their similarities, best first, and of those that answer the same the newest first.

    Instructions that are meant to last are among them, whatever the question is.
    """
    scores, places = scored
    standing = _standing(db, user_pk) if question.parts else {}
    if not hits:
        return [Ranked(chain, p.session_id, p.position, _ALWAYS_LISTED) for chain, p in standing.items()]
    sure = _doubt(db, user_pk, question) * _certain(hits)
    valued = {chain: score * _worth(places[chain], question) for chain, score in scores.items()}
    most = max(valued.values())
    valued |= {chain: max(valued.get(chain, 0.0), _STANDS * most) for chain in standing}
    places = places | standing
    similar = {chain: sure * (_LEAST + (1 - _LEAST) * value / most) for chain, value in valued.items()}
    similar |= {chain: max(similar[chain], _ALWAYS_LISTED) for chain in standing}
    order = sorted(similar, key=lambda chain: (-similar[chain], -chain))
    similarities = [similar[chain] for chain in order]
    order[:_RIVALS] = _newest_first(order[:_RIVALS], hits, places)
    order = order[:_NEAREST]
    return [
        Ranked(chain, places[chain].session_id, places[chain].position, similarity)
        for chain, similarity in zip(order, similarities, strict=False)
    ]


def _standing(db: sqlite3.Connection, user_pk: int) -> dict[int, _Place]:
    """The latest instructions for the assistant that are meant to last."""
    rows = db.execute(
        "SELECT pk, session_id, position, key FROM chains WHERE user_pk = ? AND key = '!'"
        " ORDER BY pk DESC LIMIT ?",
        (user_pk, _MOST_STANDING),
    )
    return {pk: _Place(session_id, position, key) for pk, session_id, position, key in rows}


def _worth(place: _Place, question: Question) -> float:
    return (_ASKED if place.asks else 1.0) * (_SAME_SUBJECT if place.begins in question.first_person else 1.0)


def _newest_first(best: Sequence[int], hits: dict[int, Hit], places: dict[int, _Place]) -> list[int]:
    answers = {
        chain: (
            hits[chain].matched if chain in hits else -chain,
            places[chain].asks,
            "i" if places[chain].begins in FIRST_PERSON else places[chain].begins,
        )
        for chain in best
    }
    newest = {
        kind: iter(sorted((c for c in best if answers[c] == kind), reverse=True)) for kind in answers.values()
    }
    return [next(newest[answers[chain]]) for chain in best]


def by_meaning(
    db: sqlite3.Connection, user_pk: int, question: Question, vector: Vector, limit: int
) -> list[Ranked]:
    """Candidates by words, surroundings and meaning, each as a share of its best.

    What both know well comes first; the similarity stays calibrated, by the surer of the two.
    """
    hits = _hits(db, user_pk, question, _NEAREST)
    scores, places = _in_context(db, user_pk, question, hits)
    meant = vectors.search(db, user_pk, vector, _NEAREST)
    near = {hit.doc: hit.similarity for hit in meant if hit.similarity > max(_NEAR, vector.unrelated)}
    fused = dict.fromkeys((*scores, *near), 0.0)
    for values, share in ((scores, _certain(hits)), (near, _MEANING)):
        most = max(values.values(), default=1.0) or 1.0
        least = vector.unrelated if values is near else 0.0
        for chain, value in values.items():
            fused[chain] += share * (value - least) / (most - least)
    places |= _places(db, [chain for chain in fused if chain not in places])
    for chain, cosine in near.items():
        known = hits.get(chain)
        sure = _COVERED * min(1.0, (cosine - vector.unrelated) / (vector.sure - vector.unrelated))
        if known is None or known.similarity < sure:
            hits[chain] = Hit(chain, sure, known.matched if known else -chain)
    return _calibrated(db, user_pk, question, hits, (fused, places))[:limit]


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


def _places(db: sqlite3.Connection, chains: Sequence[int]) -> dict[int, _Place]:
    rows = db.execute(
        "SELECT pk, session_id, position, key FROM chains WHERE pk IN (SELECT value FROM json_each(?))",
        (json.dumps(chains),),
    )
    return {pk: _Place(session_id, position, key) for pk, session_id, position, key in rows}


def _neighbours(db: sqlite3.Connection, user_pk: int, centres: Sequence[_Place]) -> dict[int, _Place]:
    wanted = [[c.session_id, c.position + step] for c in centres for step in (-1, 1)]
    rows = db.execute(
        "SELECT c.pk, c.session_id, c.position, c.key FROM json_each(?) w"
        " CROSS JOIN chains c INDEXED BY chains_by_session ON c.user_pk = ?"
        " AND c.session_id = w.value ->> 0 AND c.position = w.value ->> 1",
        (json.dumps(wanted), user_pk),
    )
    return {pk: _Place(session_id, position, key) for pk, session_id, position, key in rows}

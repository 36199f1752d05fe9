"""The inverted index: which documents of a user hold a term, and how much they are about it.

A document is a chain of memories (`kind` "memory"), all that was told in a session ("session"), or a
session's summary ("summary"). The impact of a term
is its saturated, length-normalised frequency (BM25's term part) as a whole number, 100 for a term said
once in a document of usual length. Lists are read best impact first and newest first, within a budget, so
that a search takes as long for a hundred thousand memories as for some thousands.
"""

from __future__ import annotations

import difflib
import heapq
import json
import math
import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final, Literal, NamedTuple, TypeAlias

from .facets import Facet
from .text import speaker_term

Kind: TypeAlias = Literal["memory", "session", "summary"]

_EVERY: Final = ""  # stands in the vocabulary for "any document"
_SATURATION: Final = 1.2  # BM25's k1
_LENGTH_WEIGHT: Final = 0.3  # BM25's b
_USUAL_LENGTH: Final = {"memory": 15, "session": 250, "summary": 40}
_STORED: Final = {
    "memory": "SELECT pk, terms FROM chains WHERE pk IN (SELECT value FROM json_each(?))",
    "session": "SELECT pk, session_terms FROM summaries WHERE pk IN (SELECT value FROM json_each(?))",
    "summary": "SELECT pk, summary_terms FROM summaries WHERE pk IN (SELECT value FROM json_each(?))",
}
_BUDGET: Final = 1_000  # postings read for the search that decides what is found
_SHARE: Final = 30  # postings read for a term even when the budget is used up
_SMALL_BUDGET: Final = 300  # the same for searches that only add to it
_SMALL_SHARE: Final = 15
_ALIKE: Final = 0.8  # what a word that looks like the one asked for counts
_MENTION: Final = 0.3  # what is said about a person, where that person speaks too
_SPEAKER_WEIGHT: Final = 2.2
_RESCORED: Final = 60  # documents scored exactly when lists were cut short
_ALIKE_LENGTH: Final = 4  # shorter words are not compared
_ALIKE_PREFIX: Final = 2  # letters that have to agree
_ALIKE_COMPARED: Final = 500
_ALIKE_RATIO: Final = 0.75
_VOWELS: Final = re.compile("[aeiouy]")
_DOUBLED: Final = re.compile(r"(.)\1+")
_PRIOR: Final = 20  # documents imagined beside the real ones, so that rarity means little among a handful
_RAREST: Final = 3.5  # the most a single term may count
_UNKNOWN: Final = 0.7  # what a term that the user never said counts against a document
_UNKNOWN_NAME: Final = 3.5  # and a name: the question is about somebody or something else


def impacts(weights: Mapping[str, float], kind: Kind) -> dict[str, int]:
    """The impact of each term of a document from its weighted frequencies."""
    length = 1 - _LENGTH_WEIGHT + _LENGTH_WEIGHT * sum(weights.values()) / _USUAL_LENGTH[kind]
    return {
        term: round(100 * weight * (_SATURATION + 1) / (weight + _SATURATION * length))
        for term, weight in weights.items()
    }


def put(db: sqlite3.Connection, user_pk: int, kind: Kind, doc: int, weights: Mapping[str, float]) -> str:
    """Index a document; returns what `remove` needs to know about it, to be stored with the document."""
    entries = impacts(weights, kind)
    db.executemany(
        "INSERT OR REPLACE INTO postings (user_pk, kind, term, impact, doc) VALUES (?, ?, ?, ?, ?)",
        [(user_pk, kind, term, impact, doc) for term, impact in entries.items()],
    )
    db.executemany(
        "INSERT INTO vocabulary (user_pk, kind, term, docs) VALUES (?, ?, ?, 1)"
        " ON CONFLICT DO UPDATE SET docs = docs + 1",
        [(user_pk, kind, term) for term in (_EVERY, *entries)],
    )
    return json.dumps(entries, ensure_ascii=False, separators=(",", ":"))


def remove(db: sqlite3.Connection, user_pk: int, kind: Kind, doc: int, stored: str) -> None:
    """Take a document out of the index; `stored` is what `put` returned for it."""
    entries: dict[str, int] = json.loads(stored)
    db.executemany(
        "DELETE FROM postings WHERE user_pk = ? AND kind = ? AND term = ? AND impact = ? AND doc = ?",
        [(user_pk, kind, term, impact, doc) for term, impact in entries.items()],
    )
    db.executemany(
        "UPDATE vocabulary SET docs = docs - 1 WHERE user_pk = ? AND kind = ? AND term = ?",
        [(user_pk, kind, term) for term in (_EVERY, *entries)],
    )
    db.executemany(
        "DELETE FROM vocabulary WHERE user_pk = ? AND kind = ? AND term = ? AND docs <= 0",
        [(user_pk, kind, term) for term in (_EVERY, *entries)],
    )


class Hit(NamedTuple):
    """A document found.

    Args:
        doc: its key.
        similarity: 0 to 1: its score as a share of that of a document that says everything asked once.
        matched: a bit for each facet that it answers.
        score: its score itself.
    """

    doc: int
    similarity: float
    matched: int = 0
    score: float = 0.0


def search(
    db: sqlite3.Connection,
    user_pk: int,
    kind: Kind,
    wanted: Iterable[Facet],
    *,
    limit: int,
    thorough: bool = False,
) -> list[Hit]:
    """The documents that answer the facets best, best first, the newest of equals first.

    Args:
        db: the database.
        user_pk: whose documents.
        kind: which documents.
        wanted: what to look for.
        limit: the most documents.
        thorough: whether to read more of long lists, for the search that decides what is found at all.
    """
    counts, total, weights = _weighed(db, user_pk, kind, wanted, thorough=thorough)
    ideal = sum(weight for _, weight in weights)
    if not total or not ideal:
        return []
    budget, share = (_BUDGET, _SHARE) if thorough else (_SMALL_BUDGET, _SMALL_SHARE)
    scores: dict[int, float] = {}
    matched: dict[int, int] = {}
    cut_short = False
    for number, (facet, weight) in enumerate(
        sorted(weights, key=lambda weighed: counts.get(weighed[0].term, 0))
    ):
        best: dict[int, float] = {}
        for term, worth in sorted(facet.variants.items(), key=lambda variant: -variant[1]):
            if term not in counts:
                continue
            rows = _postings(db, user_pk, kind, term, max(share, budget))
            budget -= len(rows)
            cut_short = cut_short or len(rows) < counts[term]
            factor = worth * weight / 100
            if best:
                for doc, impact in rows:
                    if impact * factor > best.get(doc, 0.0):
                        best[doc] = impact * factor
            else:
                best = {doc: impact * factor for doc, impact in rows}
        for doc, value in best.items():
            scores[doc] = scores.get(doc, 0.0) + value
            matched[doc] = matched.get(doc, 0) | 1 << number
    if cut_short and thorough:
        scores |= _exact(db, kind, _top(scores, min(limit, _RESCORED)), weights)
    return [Hit(doc, min(1.0, scores[doc] / ideal), matched[doc], scores[doc]) for doc in _top(scores, limit)]


def _weighed(
    db: sqlite3.Connection, user_pk: int, kind: Kind, wanted: Iterable[Facet], *, thorough: bool
) -> tuple[dict[str, int], int, list[tuple[Facet, float]]]:
    """How often the terms are said, how many documents there are, and the facets with their weights."""
    wanted = list(wanted)
    asked = {term for facet in wanted for term in facet.variants}
    counts = document_counts(
        db, user_pk, kind, asked | {speaker_term(facet.term) for facet in wanted} | {_EVERY}
    )
    total = counts.get(_EVERY, 0)
    weights: list[tuple[Facet, float]] = []
    for facet in wanted:
        known = facet
        if speaker_term(facet.term) in counts:
            known = _about_speaker(facet)
        elif facet.name and kind == "memory" and (heard := _heard(db, user_pk, facet.term)):
            known = _about_speaker(facet, heard)
            counts |= document_counts(db, user_pk, kind, known.variants)
        elif thorough and kind == "memory" and total and not any(term in counts for term in facet.variants):
            known = replace(facet, variants=facet.variants | _alike(db, user_pk, facet.term))
            counts |= document_counts(db, user_pk, kind, known.variants)
        weights.append((known, known.weight * _rarity(known, counts, total)))
    return counts, total, weights


def _top(scores: Mapping[int, float], limit: int) -> list[int]:
    return [doc for _, doc in heapq.nlargest(limit, zip(scores.values(), scores, strict=True))]


def _exact(
    db: sqlite3.Connection, kind: Kind, docs: Sequence[int], weights: Sequence[tuple[Facet, float]]
) -> dict[int, float]:
    """Documents scored by all their terms, where some lists were not read to the end."""
    scored: dict[int, float] = {}
    for doc, entries in stored_terms(db, kind, docs).items():
        score = 0.0
        for facet, weight in weights:
            said = facet.variants.keys() & entries.keys()
            if said:
                score += weight / 100 * max(facet.variants[term] * entries[term] for term in said)
        scored[doc] = score
    return scored


def stored_terms(db: sqlite3.Connection, kind: Kind, docs: Sequence[int]) -> dict[int, dict[str, int]]:
    """The indexed terms of documents with their impacts."""
    rows = db.execute(_STORED[kind], (json.dumps(docs),))
    return {pk: json.loads(terms) for pk, terms in rows}


def _alike(db: sqlite3.Connection, user_pk: int, term: str) -> dict[str, float]:
    """Terms of the user that look like one never said: typing errors, and forms the stemmer does not know."""
    if len(term) < _ALIKE_LENGTH or not term.isalpha():
        return {}
    prefix = term[:_ALIKE_PREFIX]
    rows = db.execute(
        "SELECT term FROM vocabulary WHERE user_pk = ? AND kind = 'memory' AND term >= ? AND term < ?"
        " AND length(term) BETWEEN ? AND ? LIMIT ?",
        (user_pk, prefix, prefix + "\U0010ffff", len(term) - 3, len(term) + 3, _ALIKE_COMPARED),
    )
    close = difflib.get_close_matches(term, [row[0] for row in rows], n=3, cutoff=_ALIKE_RATIO)
    return dict.fromkeys(close, _ALIKE)


def alike(db: sqlite3.Connection, user_pk: int, terms: Iterable[str]) -> bool:
    """Whether the user said something that looks or sounds like one of these terms."""
    return any(_alike(db, user_pk, term) or _heard(db, user_pk, term) for term in terms)


def _heard(db: sqlite3.Connection, user_pk: int, name: str) -> list[str]:
    """Speakers whose names sound like this one: "Mohammed" may be written "Muhamad"."""
    asked = _consonants(name)
    rows = db.execute(
        "SELECT term FROM vocabulary WHERE user_pk = ? AND kind = 'memory' AND term > '@' AND term < 'A'"
        " LIMIT ?",
        (user_pk, _ALIKE_COMPARED),
    )
    return [term for (term,) in rows if len(asked) > _ALIKE_PREFIX and _consonants(term[1:]) == asked]


def _consonants(name: str) -> str:
    """How a name sounds, roughly: its first consonants, doubled ones once."""
    return _DOUBLED.sub(r"\1", _VOWELS.sub("", name))[:3]


def _about_speaker(facet: Facet, heard: Sequence[str] = ()) -> Facet:
    """A question about somebody who speaks in the memories is answered first by what that person said."""
    said = dict.fromkeys(heard or [speaker_term(facet.term)], 1.0)
    return Facet(facet.term, said | {facet.term: _MENTION}, facet.weight * _SPEAKER_WEIGHT)


def _postings(
    db: sqlite3.Connection, user_pk: int, kind: Kind, term: str, limit: int
) -> list[tuple[int, int]]:
    return db.execute(
        "SELECT doc, impact FROM postings WHERE user_pk = ? AND kind = ? AND term = ?"
        " ORDER BY impact DESC, doc DESC LIMIT ?",
        (user_pk, kind, term, limit),
    ).fetchall()


def document_counts(
    db: sqlite3.Connection, user_pk: int, kind: Kind, wanted: Iterable[str]
) -> dict[str, int]:
    """How many of the user's documents hold each term."""
    rows = db.execute(
        "SELECT term, docs FROM vocabulary WHERE user_pk = ? AND kind = ? AND term IN (SELECT value FROM "
        "json_each(?))",
        (user_pk, kind, json.dumps(list(wanted))),
    )
    return dict(rows.fetchall())


def _rarity(facet: Facet, counts: Mapping[str, int], total: int) -> float:
    """BM25's idf, kept within bounds so that one odd word does not decide alone."""
    count = counts.get(facet.term) or max((counts.get(term, 0) for term in facet.variants), default=0)
    rarity = math.log(1 + (total - count + _PRIOR) / (count + _PRIOR / 4))
    return min(_RAREST if count else (_UNKNOWN_NAME if facet.name else _UNKNOWN), rarity)


def weigh(*parts: tuple[Iterable[str], float]) -> dict[str, float]:
    """Weighted term frequencies of a document from its parts."""
    weights: Counter[str] = Counter()
    for found, weight in parts:
        for term in found:
            weights[term] += weight  # type: ignore[assignment]  # Counter adds any number
    return dict(weights)

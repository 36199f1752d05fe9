"""How a new fact stands to what is known: new, told before, more detail, a change, or a contradiction."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, Literal

from . import conflicts, dates, index, statements, store
from .facets import Facet
from .index import Hit
from .lexicon import IRREGULAR_PAST
from .statements import Statement
from .store import Draft, Memory
from .text import split_speaker, stem, terms, words

_RELATED: Final = 0.45  # similarity from which memories are connected
_MOST_CONNECTIONS: Final = 3
_COMPARED: Final = 5
_MOST_TERMS: Final = 8  # of a new fact, the rarest known ones, by which its like are looked for
_QUESTION: Final = "You have told me two things that cannot both be right. Which one is right?"
_NAMING: Final = frozenset(map(stem, ("name", "named", "called")))  # ways to say the same name
_ANY_DAY: Final = date(2000, 1, 1)  # where only it matters whether there is a date phrase
_NEGATION: Final = re.compile(r"\b(?:not|no|never|none|without|\w+n't)\b", re.IGNORECASE)
_TELLING: Final = 3  # terms a fact must have before it can be contained in another

Relation = Literal["new", "restatement", "addition", "change", "contradiction"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a fact relates to a known one; `chain` is None for a new fact."""

    relation: Relation
    chain: int | None = None


def remember(
    db: sqlite3.Connection,
    user_pk: int,
    draft: Draft,
    *,
    conflicts_enabled: bool,
    now: datetime,
    verdict: Verdict | None = None,
    question: str = "",
) -> None:
    """Store a fact as what it is to the facts already known.

    Args:
        db: the database.
        user_pk: whose memory.
        draft: the fact.
        conflicts_enabled: whether a plain contradiction is asked about instead of replacing what was known.
        now: the time at which a replaced version expires.
        verdict: a model's; None to judge by rules.
        question: what to ask the user if it is a contradiction; empty for the usual words.
    """
    near = _near(db, user_pk, draft)
    if verdict is None or (verdict.chain is not None and not store.versions(db, verdict.chain)):
        verdict = _judge(db, user_pk, draft, near)
    chain = verdict.chain
    if chain is None:
        added = store.add(db, user_pk, draft)
        for hit in near[:_MOST_CONNECTIONS]:
            if hit.similarity >= _RELATED:
                store.connect(db, added, hit.doc, hit.similarity)
    elif verdict.relation == "restatement":
        store.restate(db, chain, draft.session_id, draft.created_at)
    elif verdict.relation == "addition":
        store.supersede(db, user_pk, chain, draft, reason="ADDITION_TO_EXISTING_MEMORY", now=now)
    elif verdict.relation == "contradiction" and conflicts_enabled:
        known = store.versions(db, chain)[0]
        options = [known.content, draft.content]
        conflicts.propose(db, user_pk, chain, draft, question=question or _QUESTION, options=options)
    else:
        store.supersede(db, user_pk, chain, draft, reason="TEMPORAL_CONFLICT", now=now)


def _near(db: sqlite3.Connection, user_pk: int, draft: Draft) -> list[Hit]:
    """The known facts closest to a new one."""
    said = dict.fromkeys(terms(split_speaker(draft.content)[1]))
    counts = index.document_counts(db, user_pk, "memory", said)
    rarest = sorted((term for term in said if term in counts), key=lambda term: counts[term])[:_MOST_TERMS]
    unknown = [term for term in said if term not in counts]
    wanted = [Facet(term, {term: 1.0}) for term in rarest + unknown]
    return index.search(db, user_pk, "memory", wanted, limit=_COMPARED)


def _judge(db: sqlite3.Connection, user_pk: int, draft: Draft, near: Sequence[Hit]) -> Verdict:
    """How a fact stands to what is known, by rules: first by what it states, then by its words."""
    stated = statements.read(draft.content, change=draft.change)
    if stated is not None:
        for chain in _same_key(db, user_pk, stated.key):
            known = store.versions(db, chain)[0]
            relation = _compare(statements.read(known.content), stated)
            if relation == "same":
                added = set(terms(draft.content)) - set(terms(known.content)) - _NAMING
                relation = "addition" if added else "restatement"
            if relation != "new":
                return Verdict(relation, chain)
    for hit in near:
        relation = _by_words(store.versions(db, hit.doc)[0], draft)
        if relation != "new":
            return Verdict(relation, hit.doc)
    return Verdict("new")


def _by_words(known: Memory, draft: Draft) -> Relation:
    """How a fact of no known form stands to a known one."""
    lasting = _lasting(draft.content)
    if known.content == draft.content and (lasting or _same_days(known, draft)):
        return "restatement"
    if not (lasting and _lasting(known.content)) or split_speaker(draft.content)[0]:
        return "new"
    before, now = set(terms(known.content)), set(terms(draft.content))
    if before == now and _opposed(known.content, draft.content):
        return "change" if draft.change else "contradiction"
    return _same_thing(known.content, draft.content) if min(len(before), len(now)) >= _TELLING else "new"


def _same_thing(known: str, new: str) -> Relation:
    """How a fact stands to another that it does not oppose: told before, with more detail, or new.

    Only what is said again word for word is let go; everything else is kept, if only as a version.
    """
    if _opposed(known, new):
        return "new"
    if f" {' '.join(words(new))} " in f" {' '.join(words(known))} ":
        return "restatement"
    return "addition" if set(terms(known)) < set(terms(new)) else "new"


def _opposed(one: str, other: str) -> bool:
    return bool(_NEGATION.search(one.replace("\u2019", "'"))) != bool(
        _NEGATION.search(other.replace("\u2019", "'"))
    )


def _same_key(db: sqlite3.Connection, user_pk: int, key: str) -> list[int]:
    rows = db.execute(
        "SELECT pk FROM chains WHERE user_pk = ? AND key = ? ORDER BY pk DESC LIMIT 5", (user_pk, key)
    )
    return [pk for (pk,) in rows]


def _compare(known: Statement | None, new: Statement) -> Relation | Literal["same"]:
    """How a statement stands to an earlier one of the same key."""
    if known is None:
        return "new"
    if new.key.endswith(" diet"):
        return _compare_diets(known, new)
    opposed: Relation = "change" if new.change or new.key.endswith(" age") else "contradiction"
    if known.positive != new.positive:
        # "not in Berlin" contradicts "in Berlin", and says nothing against "in Lisbon".
        return opposed if known.value == new.value or not (known.value and new.value) else "new"
    if new.value <= known.value:
        return "same"
    if not new.positive:
        return "new"
    overlap = len(known.value & new.value)
    return "addition" if 2 * overlap > min(len(known.value), len(new.value)) else opposed


def _compare_diets(known: Statement, new: Statement) -> Relation | Literal["same"]:
    labels = statements.DIETS
    is_label, was_label = bool(new.value & labels), bool(known.value & labels)
    if is_label and was_label:
        same = bool(new.value & known.value & labels)
        if same and new.positive == known.positive:
            return "same"
        differs = new.positive == known.positive or same
        return ("change" if new.change else "contradiction") if differs else "new"
    eats, label = (known, new) if is_label else (new, known)
    if is_label == was_label or not label.positive or not eats.positive:
        return "new"
    if label.value & statements.FISH_EATERS and eats.value & statements.FISH:
        return "new"
    return "change" if new.change else "contradiction"


def _lasting(content: str) -> bool:
    """Whether a fact is a state rather than an event that may happen again on another day."""
    verb = next((word for word in words(content)[1:3]), "")
    past = verb in IRREGULAR_PAST or verb.endswith("ed") or verb in ("was", "were", "had", "did")
    return not past and not dates.find(content, _ANY_DAY)


def _same_days(known: Memory, draft: Draft) -> bool:
    return known.event_date_start[:10] == draft.event.first.isoformat()

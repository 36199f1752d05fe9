"""How a new memory stands to what is known: new, told before, more detail, a change, or a contradiction.

By rules only what the form makes certain: the same words, the same words with more behind them, the same
words with and without a denial, and statements of what there is one of. Everything else stays beside what
is known, and the newer comes first.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, Literal

from . import conflicts, dates, index, store
from .aliases import aliases
from .facets import Facet
from .index import Hit
from .lexicon import IRREGULAR_PAST
from .store import Draft, Memory
from .text import split_speaker, stem, terms, words

_RELATED: Final = 0.45  # similarity from which memories are connected
_MOST_CONNECTIONS: Final = 3
_COMPARED: Final = 8
_MOST_TERMS: Final = 8  # of a new fact, the rarest known ones, by which its like are looked for
_QUESTION: Final = "You have told me two things that cannot both be right. Which one is right?"
_ANY_DAY: Final = date(2000, 1, 1)  # where only it matters whether there is a date phrase
_DETAILED: Final = 3  # words that a memory needs before another can be the same with more detail
_LONGEST: Final = 160  # characters of a memory that states one thing
_CHANGE: Final = re.compile(
    r"\b(?:now|nowadays|no longer|any ?more|any longer|moved|moving|changed|became|instead|stopped|quit"
    r"|gave up|these days"
    r"|from now on|new|got|turned|started|used to|actually|correction|since|lately|current|currently)\b",
    re.IGNORECASE,
)
_DENIALS: Final = frozenset(
    ("not", "never", "no", "longer", "anymore", "any", "more", "do", "does", "don", "doesn", "can", "really")
)
_DENIES: Final = re.compile(r"\b(?:not|never|no longer|\w+n't|cannot)\b", re.IGNORECASE)
_WHO: Final = r"(?P<who>i|my (?:\w+ )?\w+)"
_SOFT: Final = r"(?:(?:now|currently|recently|just|actually|officially|already) )*"
_ATTRIBUTE: Final = r"(?:\w+ )?(?:name|phone number|number|email|email address|address|birthday)"
_BECAME: Final = r"(?:is|(?:has )?changed to)(?: (?:now|currently|actually))?"
_ONE_OF: Final = tuple(
    (re.compile(rf"(?:actually,? |correction: |now,? |recently,? )?{form}(?: (?:now|instead|these days))?[.! ]*\Z", re.IGNORECASE), what)  # noqa: E501 - one form a line
    for form, what in (
        (rf"my (?:(?:current|new) )?(?P<who>favou?rite \w+(?: \w+)?|{_ATTRIBUTE}) {_BECAME} (?P<value>[^.;]+)", "one"),  # noqa: E501 - one form a line
        (rf"{_WHO} {_SOFT}(?:works?|am working|started|started working|joined) (?:at|for) (?P<value>[^,.;]+)", "employer"),  # noqa: E501 - one form a line
        (rf"{_WHO} {_SOFT}(?:lives?|moved|(?:am|'m|is) based)(?: from [\w ]+?)? (?:in|to) (?P<value>[^,.;]+)(?:, [^,.;]+)?", "home"),  # noqa: E501 - one form a line
        (rf"{_WHO}(?: am|'m| is| turned| just turned) {_SOFT}(?P<value>\d{{1,3}})(?: years? old)?(?: today| yesterday)?", "age"),  # noqa: E501 - one form a line
        (rf"{_WHO}(?: am| is| got|'m) {_SOFT}(?P<value>single|married|divorced|engaged|widowed)", "marriage"),
    )
)  # fmt: skip

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
        verdict = _judge(db, draft, near)
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
    said = dict.fromkeys([*terms(split_speaker(draft.content)[1]), *aliases(draft.content)])
    counts = index.document_counts(db, user_pk, "memory", said)
    rarest = sorted((term for term in said if term in counts), key=lambda term: counts[term])[:_MOST_TERMS]
    unknown = [term for term in said if term not in counts]
    wanted = [Facet(term, {term: 1.0}) for term in rarest + unknown]
    return index.search(db, user_pk, "memory", wanted, limit=_COMPARED)


def _judge(db: sqlite3.Connection, draft: Draft, near: Sequence[Hit]) -> Verdict:
    if draft.asks or len(draft.content) > _LONGEST:
        return Verdict("new")
    for hit in near:
        relation = _compare(store.versions(db, hit.doc)[0], draft)
        if relation != "new":
            return Verdict(relation, hit.doc)
    return Verdict("new")


def _compare(known: Memory, draft: Draft) -> Relation:  # noqa: PLR0911 - one for each form
    """How a memory stands to a known one of the same speaker."""
    speaker, said = split_speaker(draft.content.replace("\u2019", "'"))
    who, before = split_speaker(known.content.replace("\u2019", "'"))
    old, new = words(before), words(said)
    if who != speaker or not new:
        return "new"
    relation: Relation = "change" if _CHANGE.search(said) else "contradiction"
    if bool(_DENIES.search(said)) != bool(_DENIES.search(before)):
        return relation if _core(old) == _core(new) and _core(new) else "new"
    if old == new:
        same_day = known.event_date_start[:10] == draft.event.first.isoformat()
        return "restatement" if same_day or _lasting(new, said) else "new"
    if len(old) >= _DETAILED and new[: len(old)] == old and _lasting(new, said):
        return "addition"
    first, second = _one_of(before), _one_of(said)
    if not first or not second or first[:2] != second[:2] or first[2] == second[2]:
        return "new"
    if second[0] == "employer" and relation != "change":
        return "new"  # a second job is not the end of the first
    return "change" if second[0] == "age" else relation


def _core(said: Sequence[str]) -> list[str]:
    return [stem(word) for word in said if word not in _DENIALS]


def _one_of(said: str) -> tuple[str, str, str] | None:
    """What a sentence states that there is one of: the property, whose it is, and its value."""
    for form, what in _ONE_OF:
        if found := form.match(said):
            return what, " ".join(map(stem, words(found["who"]))), " ".join(terms(found["value"]))
    return None


def _lasting(said: Sequence[str], text: str) -> bool:
    """Whether something is a state rather than an event that may happen again on another day."""
    past = any(word in IRREGULAR_PAST or word.endswith("ed") for word in said[1:3])
    return not past and not dates.find(text, _ANY_DAY)

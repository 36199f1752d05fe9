"""What happens to a session when it is processed: first read, which may take a model's time, then kept."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final, Literal, TypeAlias

from pydantic import BaseModel, Field

from . import index, prompts, store, summaries, telling
from .categories import OTHER, categorise
from .dates import Span, event_span
from .engine import Engine
from .facets import Facet
from .reconciling import Verdict, remember
from .store import Draft
from .text import clean, one_line, split_speaker, terms
from .types import Message, ModelError
from .vectors import Vector

Known: TypeAlias = tuple[int, str]

_BACKDATED: Final = timedelta(days=1)  # a session that began longer before its first message was backdated
_AROUND: Final = 400  # characters of a question that help to find its answer
_KNOWN: Final = 30  # memories that a model is shown to compare with
_COMPARED_TERMS: Final = 60


@dataclass(frozen=True, slots=True)
class _Told:
    draft: Draft
    verdict: Verdict | None = None
    question: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a session told, before it is compared with what is known and stored."""

    told: Sequence[_Told]
    summary: str
    warnings: Sequence[str] = ()


class _ExtractedFact(BaseModel):
    """One fact about the user."""

    content: str = Field(min_length=1)
    categories: list[str] = Field(default_factory=list)
    event_date_start: date | None = None
    event_date_end: date | None = None
    relation: Literal["new", "restatement", "addition", "change", "contradiction"] = "new"
    known: int | None = None
    question: str = ""


class _Extraction(BaseModel):
    """Everything that a conversation told about the user."""

    facts: list[_ExtractedFact]
    summary: str = ""


def process_session(
    db: sqlite3.Connection,
    *,
    user_pk: int,
    session_id: str,
    session_created_at: datetime,
    messages: Sequence[Message],
    conflicts_enabled: bool,
    engine: Engine,
    now: datetime,
    reading: Reading | None = None,
) -> None:
    """Turn a session's messages into memories, connections, conflicts and a summary.

    Args:
        db: the database; the caller commits, or rolls back when this raises.
        user_pk: whose session.
        session_id: its public id.
        session_created_at: when it began.
        messages: the whole session, oldest first.
        conflicts_enabled: whether plain contradictions become merge conflicts.
        engine: the models.
        now: the time of processing.
        reading: what `read_session` gave, when a model was asked outside the transaction.
    """
    if reading is None:
        known = known_memories(db, user_pk, messages, engine)
        reading = read_session(session_id, session_created_at, messages, engine, known)
    for told in reading.told:
        remember(
            db,
            user_pk,
            told.draft,
            conflicts_enabled=conflicts_enabled,
            now=now,
            verdict=told.verdict,
            question=told.question,
        )
    created_at = _times(session_created_at, messages, 0)[1] if messages else session_created_at
    contents = [told.draft.content for told in reading.told]
    summaries.put(
        db,
        user_pk,
        session_id,
        created_at=created_at,
        messages=messages,
        contents=contents,
        summary=reading.summary,
    )


def read_session(
    session_id: str,
    session_created_at: datetime,
    messages: Sequence[Message],
    engine: Engine,
    known: Sequence[Known] = (),
) -> Reading:
    """What a session tells. Touches no database, so nothing waits while a model takes its time.

    A model that fails costs nothing but itself: the rules read the session instead, and `warnings` say why.

    Args:
        session_id: the session's public id.
        session_created_at: when it began.
        messages: the whole session, oldest first.
        engine: the models.
        known: what `known_memories` gave.
    """
    reading, warnings = None, list[str]()
    if engine.has_model and any(message.role == "user" for message in messages):
        try:
            reading = _by_model(session_id, session_created_at, messages, engine, known)
        except ModelError as error:
            warnings.append(f"{error} The memories of this session were made by rules.")
    if reading is None:
        reading = Reading(_by_rules(session_id, session_created_at, messages), "")
    told = list(reading.told)
    if engine.has_embeddings and told:
        try:
            vectors = engine.embed([one.draft.content for one in told])
        except ModelError as error:
            warnings.append(f"{error} The memories of this session are found by their words alone.")
        else:
            named = [Vector(engine.embeddings_name, vector) for vector in vectors]
            told = [
                replace(one, draft=replace(one.draft, vector=v)) for one, v in zip(told, named, strict=True)
            ]
    return Reading(told, reading.summary, warnings)


def _by_rules(session_id: str, session_created_at: datetime, messages: Sequence[Message]) -> list[_Told]:
    told: list[_Told] = []
    for position, fact in enumerate(telling.facts(messages)):
        said, created_at = _times(session_created_at, messages, fact.position)
        draft = Draft(
            content=fact.content,
            categories=categorise(terms(fact.content)),
            event=event_span(fact.content, said.date()),
            session_id=session_id,
            position=position,
            created_at=created_at,
            around=_asked_before(messages, fact.position),
            asks=fact.asks,
            standing=fact.standing,
        )
        told.append(_Told(draft))
    return told


def _by_model(
    session_id: str,
    session_created_at: datetime,
    messages: Sequence[Message],
    engine: Engine,
    known: Sequence[Known],
) -> Reading:
    material = "\n".join(
        [
            "# Known memories",
            *(f"{number}. {content}" for number, (_, content) in enumerate(known, 1)),
            "",
            "# Conversation",
            *(
                f"{message.role.upper()} (at {_times(session_created_at, messages, i)[0]:%Y-%m-%d %H:%M}):"
                f" {one_line(message.content)}"
                for i, message in enumerate(messages)
            ),
        ]
    )
    found = engine.structured(_Extraction, prompts.EXTRACTION, material)
    said, created_at = _times(session_created_at, messages, len(messages) - 1)
    told: list[_Told] = []
    for position, fact in enumerate(found.facts):
        content = one_line(fact.content)
        draft = Draft(
            content=content,
            categories=[one_line(name) for name in fact.categories if name.strip()] or [OTHER],
            event=_event(fact, said.date()),
            session_id=session_id,
            position=position,
            created_at=created_at,
        )
        chain = known[fact.known - 1][0] if fact.known and 0 < fact.known <= len(known) else None
        relation = fact.relation if chain is not None else "new"
        verdict = Verdict(relation, None if relation == "new" else chain)
        told.append(_Told(draft, verdict, one_line(fact.question)))
    return Reading(told, found.summary)


def _event(fact: _ExtractedFact, said: date) -> Span:
    first = fact.event_date_start or fact.event_date_end or said
    return Span(first, max(first, fact.event_date_end or first))


def known_memories(
    db: sqlite3.Connection, user_pk: int, messages: Sequence[Message], engine: Engine
) -> list[Known]:
    """The chains and texts that a session most likely speaks of, for a model to compare with."""
    if not engine.has_model:
        return []
    said = dict.fromkeys(term for m in messages if m.role == "user" for term in terms(clean(m.content)))
    counts = index.document_counts(db, user_pk, "memory", said)
    rarest = sorted(counts, key=lambda term: counts[term])[:_COMPARED_TERMS]
    hits = index.search(db, user_pk, "memory", [Facet(term, {term: 1.0}) for term in rarest], limit=_KNOWN)
    return [(hit.doc, store.versions(db, hit.doc)[0].content) for hit in hits]


def _times(
    session_created_at: datetime, messages: Sequence[Message], position: int
) -> tuple[datetime, datetime]:
    """When a message was said, and the time its memories carry.

    The messages of a backdated session are stamped when they arrive. They were said as long after its
    beginning as they arrived after the first one, and its memories carry the session's own time, as the
    service has it.
    """
    said, first = messages[position].created_at, messages[0].created_at
    if abs(first - session_created_at) <= _BACKDATED:
        return said, said
    return session_created_at + (said - first), session_created_at


def _asked_before(messages: Sequence[Message], position: int) -> str:
    """What another speaker of a transcript asked right before."""
    if not position:
        return ""
    speaker, said = split_speaker(messages[position - 1].content)
    if not speaker or "?" not in said or speaker == split_speaker(messages[position].content)[0]:
        return ""
    return one_line(said)[:_AROUND]

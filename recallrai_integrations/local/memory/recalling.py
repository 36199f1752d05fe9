"""Recall: from a session's last question to the context text."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Final, Literal
from zoneinfo import ZoneInfo

from . import agentic, conflicts, conversations, finding, question, ranking, render
from .engine import Engine
from .question import Question
from .render import Clock, Entry, Findings, SummaryEntry
from .store import COLUMNS, Memory
from .types import ContextAnswer, ContextQuery, SessionView

_SEVERAL: Final = 2  # more parts than this are several questions
_MOST_SUMMARIES: Final = 4


def recall(
    db: sqlite3.Connection,
    *,
    user_pk: int,
    session: SessionView,
    query: ContextQuery,
    engine: Engine,
    now: datetime,
) -> ContextAnswer:
    """The context for a session's last user message."""
    answer = None
    for step in recall_steps(db, user_pk=user_pk, session=session, query=query, engine=engine, now=now):
        answer = step
    assert isinstance(answer, ContextAnswer)
    return answer


def recall_steps(
    db: sqlite3.Connection,
    *,
    user_pk: int,
    session: SessionView,
    query: ContextQuery,
    engine: Engine,
    now: datetime,
) -> Iterator[str | ContextAnswer]:
    """What `recall` does, step by step: status texts, then the answer.

    A model that fails costs nothing but itself: words and rules answer instead, and the log says why.
    """
    zone = ZoneInfo(query.timezone)
    asked = question.read(session.messages, now.astimezone(zone).date())
    strategy = _choose(query, asked, engine)
    if strategy == "agentic":
        yield from _agentic_steps(
            db, user_pk, session=session, asked=asked, query=query, engine=engine, now=now
        )
        return
    yield "Searching the user's memories"
    vector = engine.place(asked.text) if strategy == "balanced" and asked.text else None
    found = finding.find(db, user_pk, asked, query, thorough=strategy == "balanced", vector=vector)
    yield "Reading past conversations"
    summaries = _summaries(db, user_pk, asked, query, found.entries)
    findings = replace(
        _surroundings(db, user_pk, query),
        memories=found.entries,
        summaries=summaries,
        heading_without_summaries=strategy != "balanced",
    )
    yield ContextAnswer(
        context=render.render(findings),
        strategy_used=strategy,
        memory_ids=[entry.versions[0].memory_id for entry in found.entries],
        session_ids=[summary.session_id for summary in summaries],
        vector_search_queries=[asked.text] if vector else [],
        keywords=[facet.term for facet in asked.facets()],
        session_summaries_search_queries=[asked.text] if asked.text else [],
        date_range_filters=found.filters,
    )


def _agentic_steps(
    db: sqlite3.Connection,
    user_pk: int,
    *,
    session: SessionView,
    asked: Question,
    query: ContextQuery,
    engine: Engine,
    now: datetime,
) -> Iterator[str | ContextAnswer]:
    clock = Clock(ZoneInfo(query.timezone))
    for step in agentic.analyse(
        db, user_pk, messages=session.messages, asked=asked, query=query, engine=engine, now=now, clock=clock
    ):
        if isinstance(step, str):
            yield step
            continue
        yield ContextAnswer(
            context=render.render(replace(_surroundings(db, user_pk, query), analysis=step.text)),
            strategy_used="agentic",
            memory_ids=[entry.versions[0].memory_id for entry in step.found.entries],
            session_ids=step.session_ids,
            agent_reasoning=step.reasoning,
            vector_search_queries=step.queries if engine.has_embeddings else [],
            keywords=[facet.term for facet in asked.facets()],
            session_summaries_search_queries=step.queries,
            date_range_filters=step.found.filters,
        )


def _choose(
    query: ContextQuery, asked: Question, engine: Engine
) -> Literal["low_latency", "balanced", "agentic"]:
    """What `auto` comes to: the least that the question needs.

    One thing asked for is looked up by its words; several questions at once go to the agent where there is a
    model.
    """
    if query.recall_strategy != "auto":
        return query.recall_strategy
    if engine.has_model and len(asked.parts) > _SEVERAL:
        return "agentic"
    simple = not asked.spans and not asked.hints and len(asked.facets()) <= 1
    return "low_latency" if simple and not engine.has_embeddings else "balanced"


def _surroundings(db: sqlite3.Connection, user_pk: int, query: ContextQuery) -> Findings:
    """What every strategy's text holds beside its findings."""
    messages, summaries = query.last_n_messages, query.last_n_summaries
    zone = ZoneInfo(query.timezone)
    return Findings(
        ongoing=conversations.ongoing(db, user_pk),
        conflicts=conflicts.pending_texts(db, user_pk, zone),
        recent_messages=None if messages is None else conversations.latest_messages(db, user_pk, messages),
        recent_summaries=None if summaries is None else _latest_summaries(db, user_pk, summaries),
        zone=zone,
    )


def _summaries(
    db: sqlite3.Connection, user_pk: int, asked: Question, query: ContextQuery, listed: Sequence[Entry]
) -> list[SummaryEntry]:
    """The summaries that answer the question and add something to the memories that are listed.

    One that only repeats its session's memories adds nothing where one of them is listed.
    """
    similar = ranking.session_similarities(db, user_pk, asked.facets(), "summary")
    best = [s for s in sorted(similar, key=lambda s: -similar[s]) if similar[s] >= query.summaries_threshold]
    told_in = {
        version.session_id for entry in listed for one in (entry, *entry.children) for version in one.versions
    }
    adding = (s for s in best if s not in told_in or not _repeats(db, user_pk, s))
    return [_summary(db, user_pk, session_id) for session_id in islice(adding, _MOST_SUMMARIES)]


def _repeats(db: sqlite3.Connection, user_pk: int, session_id: str) -> bool:
    """Whether a session's summary was written by rules, from its memories."""
    row = db.execute(
        "SELECT instr(s.content, substr(m.content, 1, 40)) FROM summaries s"
        " JOIN memories m USING (user_pk, session_id)"
        " WHERE s.user_pk = ? AND s.session_id = ? ORDER BY m.pk LIMIT 1",
        (user_pk, session_id),
    ).fetchone()
    return row is not None and row[0] == 1


def _summary(db: sqlite3.Connection, user_pk: int, session_id: str) -> SummaryEntry:
    content, created_at = db.execute(
        "SELECT content, created_at FROM summaries WHERE user_pk = ? AND session_id = ?",
        (user_pk, session_id),
    ).fetchone()
    return SummaryEntry(session_id, content, created_at, _memories_of(db, user_pk, session_id))


def _memories_of(db: sqlite3.Connection, user_pk: int, session_id: str) -> list[Memory]:
    rows = db.execute(
        f"SELECT {COLUMNS} FROM memories WHERE user_pk = ? AND session_id = ? ORDER BY pk",  # noqa: S608 - constants only
        (user_pk, session_id),
    )
    return [Memory(*row) for row in rows]


def _latest_summaries(db: sqlite3.Connection, user_pk: int, limit: int) -> list[SummaryEntry]:
    rows = db.execute(
        "SELECT session_id, content, created_at FROM summaries WHERE user_pk = ? ORDER BY created_at DESC, "
        "pk DESC LIMIT ?",
        (user_pk, limit),
    )
    return [SummaryEntry(*row) for row in rows]

"""Recall: from a session's last question to the context text."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal
from zoneinfo import ZoneInfo

from . import conflicts, conversations, question, ranking, render, store
from .dates import Span
from .engine import Engine
from .question import Question
from .ranking import Ranked
from .render import Entry, Findings, SummaryEntry
from .schema import stamp
from .store import COLUMNS, Memory
from .types import ContextAnswer, ContextQuery, Json, SessionView

_CHILD_STEPS: Final = (1, -1, 2, -2)  # told this close together, memories belong together
_MOST_CHILDREN: Final = 3  # of one memory
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
    """The context for a session's last user message.

    Raises:
        ModelError: a configured model failed.
    """
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

    Raises:
        ModelError: a configured model failed.
    """
    zone = ZoneInfo(query.timezone)
    asked = question.read(session.messages, now.astimezone(zone).date())
    strategy = _choose(query, asked)
    yield "Searching the user's memories"
    found = _find(db, user_pk, asked, query, strategy)
    yield "Reading past conversations"
    summaries = _summaries(db, user_pk, asked, query)
    yield "Writing the context"
    text = render.render(
        Findings(
            memories=found.entries,
            summaries=summaries,
            ongoing=conversations.ongoing(db, user_pk),
            conflicts=conflicts.pending_texts(db, user_pk, zone),
            recent_messages=(
                None
                if query.last_n_messages is None
                else conversations.latest_messages(db, user_pk, query.last_n_messages)
            ),
            recent_summaries=(
                None
                if query.last_n_summaries is None
                else _latest_summaries(db, user_pk, query.last_n_summaries)
            ),
            heading_without_summaries=strategy != "balanced",
            zone=zone,
        )
    )
    yield ContextAnswer(
        context=text,
        strategy_used=strategy,
        memory_ids=[entry.versions[0].memory_id for entry in found.entries],
        session_ids=[summary.session_id for summary in summaries],
        vector_search_queries=[],
        keywords=[facet.term for facet in asked.facets()],
        session_summaries_search_queries=[asked.text] if asked.text else [],
        date_range_filters=found.filters,
    )


@dataclass(frozen=True, slots=True)
class _Found:
    entries: list[Entry] = field(default_factory=list[Entry])
    filters: list[Json] = field(default_factory=list[Json])


def _choose(query: ContextQuery, asked: Question) -> Literal["low_latency", "balanced", "agentic"]:
    if query.recall_strategy != "auto":
        return query.recall_strategy
    return "low_latency" if not asked.spans and len(asked.facets()) <= 1 else "balanced"


def _find(
    db: sqlite3.Connection, user_pk: int, asked: Question, query: ContextQuery, strategy: str
) -> _Found:
    if asked.about_everything or (asked.spans and not asked.parts):
        ranked = _newest(db, user_pk, query.max_top_k, asked.spans)
    elif strategy == "low_latency":
        ranked = ranking.by_words(db, user_pk, asked)
    else:
        ranked = ranking.in_context(db, user_pk, asked)
    good = [r for r in ranked if r.similarity >= query.memories_threshold]
    filters: list[Json] = []
    if asked.spans and strategy != "low_latency":
        good, filters = _narrowed(db, good, asked.spans)
    roots = good[: query.max_top_k]
    children = _children(db, roots, ranked) if strategy != "low_latency" else {}
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
    return _Found(entries, filters)


def _children(
    db: sqlite3.Connection, roots: Sequence[Ranked], ranked: Sequence[Ranked]
) -> dict[int, list[int]]:
    """The best memories that are no roots themselves, each under the root with which it was told or is connected.

    There are at most half as many as roots.
    """
    placed = {(root.session_id, root.position): root.chain for root in reversed(roots)}
    parents = _connections(db, [root.chain for root in roots])
    chosen = {root.chain for root in roots}
    children: dict[int, list[int]] = {root.chain: [] for root in roots}
    left = (len(roots) + 1) // 2
    for candidate in ranked:
        if not left:
            break
        if candidate.chain in chosen:
            continue
        near = (placed.get((candidate.session_id, candidate.position + step)) for step in _CHILD_STEPS)
        for parent in (*near, *parents.get(candidate.chain, ())):
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
    """The latest memories, of the named days only where there are any."""
    where, values = "", list[str]()
    for span in spans:
        where += (" OR " if where else "") + "(m.event_date_start <= ? AND ? <= m.event_date_end)"
        values += [stamp(span.end()), stamp(span.start())]
    rows = db.execute(
        "SELECT c.pk, c.session_id, c.position FROM memories m JOIN chains c ON c.pk = m.chain_pk"
        f" WHERE m.user_pk = ? AND m.expired_at IS NULL {f'AND ({where})' if where else ''}"
        " ORDER BY m.created_at DESC, m.pk DESC LIMIT ?",
        (user_pk, *values, limit),
    )
    return [Ranked(chain, session_id, position, 1.0) for chain, session_id, position in rows]


def _summaries(
    db: sqlite3.Connection, user_pk: int, asked: Question, query: ContextQuery
) -> list[SummaryEntry]:
    similar = ranking.session_similarities(db, user_pk, asked.facets(), "summary")
    best = [s for s in sorted(similar, key=lambda s: -similar[s]) if similar[s] >= query.summaries_threshold]
    return [_summary(db, user_pk, session_id) for session_id in best[:_MOST_SUMMARIES]]


def _summary(db: sqlite3.Connection, user_pk: int, session_id: str) -> SummaryEntry:
    content, created_at = db.execute(
        "SELECT content, created_at FROM summaries WHERE user_pk = ? AND session_id = ?",
        (user_pk, session_id),
    ).fetchone()
    return SummaryEntry(session_id, content, created_at, _memories_of(db, user_pk, session_id))


def _memories_of(db: sqlite3.Connection, user_pk: int, session_id: str) -> list[Memory]:
    rows = db.execute(
        f"SELECT {COLUMNS} FROM memories WHERE user_pk = ? AND session_id = ? ORDER BY pk",
        (user_pk, session_id),
    )
    return [Memory(*row) for row in rows]


def _latest_summaries(db: sqlite3.Connection, user_pk: int, limit: int) -> list[SummaryEntry]:
    rows = db.execute(
        "SELECT session_id, content, created_at FROM summaries WHERE user_pk = ? ORDER BY created_at DESC, pk DESC LIMIT ?",
        (user_pk, limit),
    )
    return [SummaryEntry(*row) for row in rows]

"""Recall: from a session's last question to the context text."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

from . import conversations, index, render, store
from .engine import Engine
from .text import terms
from .types import ContextAnswer, ContextQuery, SessionView


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
    for step in recall_steps(db, user_pk=user_pk, session=session, query=query, engine=engine, now=now):
        if isinstance(step, ContextAnswer):
            return step
    raise AssertionError("recall_steps always ends with an answer")


def recall_steps(
    db: sqlite3.Connection,
    *,
    user_pk: int,
    session: SessionView,
    query: ContextQuery,
    engine: Engine,
    now: datetime,
) -> Iterator[str | ContextAnswer]:
    """Status texts, then the answer."""
    yield "Searching memories"
    question = next((m.content for m in reversed(session.messages) if m.role == "user"), "")
    hits = index.search(db, user_pk, "memory", index.facets(terms(question)))
    best = sorted(hits.values(), key=lambda h: (-h.similarity, -h.doc))[: query.max_top_k]
    entries = [
        render.Entry(store.versions(db, hit.doc), hit.similarity)
        for hit in best
        if hit.similarity >= query.memories_threshold
    ]
    used = "balanced" if query.recall_strategy == "auto" else query.recall_strategy
    text = render.render(
        render.Findings(
            memories=entries, ongoing=conversations.ongoing(db, user_pk), zone=ZoneInfo(query.timezone),
            heading_without_summaries=used != "balanced",
        )
    )  # fmt: skip
    yield ContextAnswer(
        context=text, strategy_used=used, memory_ids=[e.versions[0].memory_id for e in entries]
    )

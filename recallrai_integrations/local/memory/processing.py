"""What happens to a session when it is processed."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta

from . import index, store
from .dates import event_span
from .engine import Engine
from .extraction import facts
from .schema import stamp
from .text import document_terms, one_line, terms
from .types import Message


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
) -> None:
    """Turn a session's messages into memories, connections, conflicts and a summary.

    Raises:
        ModelError: a configured model failed; the caller rolls back and marks the session failed.
    """
    contents: list[str] = []
    for position, fact in enumerate(facts(messages)):
        told = _told_at(session_created_at, messages, fact.position)
        event = event_span(fact.content, told.date())
        around = fact.question or _before(messages, fact.position)
        store.add(
            db,
            user_pk,
            store.draft(
                fact.content, session_id=session_id, position=position, told=session_created_at, event=event,
                around=around,
            ),
        )  # fmt: skip
        contents.append(fact.content)
    _summarise(db, user_pk, session_id, session_created_at, contents)


def _summarise(
    db: sqlite3.Connection,
    user_pk: int,
    session_id: str,
    session_created_at: datetime,
    contents: Sequence[str],
) -> None:
    summary = _summary(contents)
    doc = db.execute(
        "INSERT INTO summaries (user_pk, session_id, content, session_terms, summary_terms, created_at)"
        " VALUES (?, ?, ?, '{}', '{}', ?)",
        (user_pk, session_id, summary, stamp(session_created_at)),
    ).lastrowid
    assert doc is not None
    told = index.weigh(*((document_terms(content), 1.0) for content in contents))
    db.execute(
        "UPDATE summaries SET session_terms = ?, summary_terms = ? WHERE pk = ?",
        (
            index.put(db, user_pk, "session", doc, told),
            index.put(db, user_pk, "summary", doc, index.weigh((terms(summary), 1.0))),
            doc,
        ),
    )


def _told_at(session_created_at: datetime, messages: Sequence[Message], position: int) -> datetime:
    """When a message was said; in a backdated session, as far from its beginning as it was stored."""
    said, first = messages[position].created_at, messages[0].created_at
    backdated = first - session_created_at > timedelta(days=1)
    return session_created_at + (said - first) if backdated else said


def _before(messages: Sequence[Message], position: int) -> str:
    return one_line(messages[position - 1].content)[:400] if position else ""


def _summary(contents: Sequence[str]) -> str:
    return " ".join(content if content.endswith((".", "!")) else content + "." for content in contents)[:600]

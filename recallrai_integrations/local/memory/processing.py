"""What happens to a session when it is processed."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from . import index, statements
from .categories import categorise
from .dates import event_span
from .engine import Engine
from .extraction import facts
from .reconciling import remember
from .schema import stamp
from .store import Draft
from .text import document_terms, one_line, split_speaker, terms
from .types import Message

_BACKDATED: Final = timedelta(days=1)  # a session that began longer before its first message was backdated


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
        told, created_at = _times(session_created_at, messages, fact.position)
        stated = statements.read(fact.content, change=fact.change)
        draft = Draft(
            content=fact.content,
            categories=categorise(terms(fact.content)),
            event=event_span(fact.content, told.date()),
            session_id=session_id,
            position=position,
            created_at=created_at,
            around=fact.question or _asked_before(messages, fact.position),
            key=stated.key if stated else None,
            change=fact.change,
        )
        remember(db, user_pk, draft, conflicts_enabled=conflicts_enabled, now=now)
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


def _times(
    session_created_at: datetime, messages: Sequence[Message], position: int
) -> tuple[datetime, datetime]:
    """When a message was said, and the time its memories carry.

    The messages of a backdated session are stamped when they arrive. They were said as long after its beginning
    as they arrived after the first one, and its memories carry the session's own time, as the service has it.
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
    return one_line(said)[:400]


def _summary(contents: Sequence[str]) -> str:
    return " ".join(content if content.endswith((".", "!")) else content + "." for content in contents)[:600]

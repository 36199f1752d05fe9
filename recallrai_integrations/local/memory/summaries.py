"""What a session was about: its summary, and the terms by which the session is found."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from . import index
from .schema import stamp
from .text import clean, document_terms, one_line, terms
from .types import Message

_LONGEST: Final = 600  # characters of a summary by rules
_LONGEST_PART: Final = 200
_ASSISTANT_WEIGHT: Final = 0.3  # of what the assistant said in finding a session
_ASSISTANT_SHARE: Final = 1_500  # characters of each of its messages


def put(
    db: sqlite3.Connection,
    user_pk: int,
    session_id: str,
    *,
    created_at: datetime,
    messages: Sequence[Message],
    contents: Sequence[str],
    summary: str,
) -> None:
    """Store a session's summary and index the session; a session without messages has none.

    Args:
        db: the database.
        user_pk: whose session.
        session_id: its public id.
        created_at: the time the summary carries.
        messages: all of the session.
        contents: the facts that were told in it.
        summary: by a model; empty to write one by rules.
    """
    if messages:
        answers = [clean(m.content)[:_ASSISTANT_SHARE] for m in messages if m.role == "assistant"]
        _insert(
            db,
            user_pk,
            session_id,
            created_at=stamp(created_at),
            contents=contents,
            answers=answers,
            text=one_line(summary) or by_rules(messages, contents),
        )


def rewrite(db: sqlite3.Connection, user_pk: int, session_id: str) -> None:
    """Write a session's summary again after memories of it were deleted, so that it tells them no more."""
    found = db.execute(
        "SELECT created_at FROM summaries WHERE user_pk = ? AND session_id = ?", (user_pk, session_id)
    ).fetchone()
    if found is None:
        return
    rows = db.execute(
        "SELECT content FROM memories WHERE user_pk = ? AND session_id = ? ORDER BY pk", (user_pk, session_id)
    )
    contents = [content for (content,) in rows]
    delete(db, user_pk, session_id)
    text = by_rules((), contents)
    _insert(db, user_pk, session_id, created_at=found[0], contents=contents, answers=(), text=text)


def delete(db: sqlite3.Connection, user_pk: int, session_id: str) -> None:
    """Delete a session's summary, if it has one."""
    for doc, told, summary in db.execute(
        "SELECT pk, session_terms, summary_terms FROM summaries WHERE user_pk = ? AND session_id = ?",
        (user_pk, session_id),
    ).fetchall():
        index.remove(db, user_pk, "session", doc, told)
        index.remove(db, user_pk, "summary", doc, summary)
        db.execute("DELETE FROM summaries WHERE pk = ?", (doc,))


def _insert(
    db: sqlite3.Connection,
    user_pk: int,
    session_id: str,
    *,
    created_at: str,
    contents: Sequence[str],
    answers: Sequence[str],
    text: str,
) -> None:
    doc = db.execute(
        "INSERT INTO summaries (user_pk, session_id, content, session_terms, summary_terms, created_at)"
        " VALUES (?, ?, ?, '{}', '{}', ?)",
        (user_pk, session_id, text, created_at),
    ).lastrowid
    assert doc is not None
    told = index.weigh(
        *((document_terms(content), 1.0) for content in contents),
        *((terms(answer), _ASSISTANT_WEIGHT) for answer in answers),
    )
    db.execute(
        "UPDATE summaries SET session_terms = ?, summary_terms = ? WHERE pk = ?",
        (
            index.put(db, user_pk, "session", doc, told),
            index.put(db, user_pk, "summary", doc, index.weigh((terms(text), 1.0))),
            doc,
        ),
    )


def by_rules(messages: Sequence[Message], contents: Sequence[str]) -> str:
    """The facts in order, as far as there is room; without facts, what was asked."""
    if not contents:
        asked = next((one_line(m.content) for m in messages if m.role == "user"), "")
        return (
            f'User said: "{asked[:_LONGEST_PART]}"'
            if asked
            else "Nothing is remembered of this conversation."
        )
    parts: list[str] = []
    for content in contents:
        part = (
            content if len(content) <= _LONGEST_PART else content[:_LONGEST_PART].rsplit(" ", 1)[0] + " ..."
        )
        if parts and sum(map(len, parts)) + len(part) > _LONGEST:
            parts.append(f"({len(contents) - len(parts)} more.)")
            break
        parts.append(part if part.endswith((".", "!", "?")) else part + ".")
    return " ".join(parts)

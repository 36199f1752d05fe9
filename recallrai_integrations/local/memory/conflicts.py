"""Merge conflicts: two facts that cannot both hold, kept apart until the user says which is right.

While a conflict is pending the known fact stays current and the proposed one is kept here. Resolving makes
the chosen option current and the other a version that expired for `MERGE_CONFLICT`.
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from . import store
from .dates import Span
from .render import Clock
from .schema import moment, stamp
from .store import Draft
from .text import one_line
from .types import ConflictError, Json, Page
from .vectors import Vector

_OPEN: Final = ("PENDING", "IN_QUEUE", "RESOLVING")
_BODIES: Final = (
    "SELECT body FROM merge_conflicts WHERE chain_pk = ? AND status IN ('PENDING', 'IN_QUEUE', 'RESOLVING')"
)
_MOST_SHOWN: Final = 10
_SELECT: Final = "SELECT conflict_id, session_id, status, body, created_at, resolved_at FROM merge_conflicts"


def propose(
    db: sqlite3.Connection, user_pk: int, chain: int, draft: Draft, *, question: str, options: Sequence[str]
) -> None:
    """Keep a fact that contradicts a chain's current memory, with the question that settles it, once."""
    known = store.versions(db, chain)[0]
    for (body,) in db.execute(_BODIES, (chain,)).fetchall():
        if json.loads(body)["proposed_memory_content"] == draft.content:
            return
    conflict_id = str(uuid.uuid4())
    body = {
        "proposed_memory_content": draft.content,
        "new_memories": None,
        "conflicting_memories": [
            {
                "memory_id": known.memory_id,
                "content": known.content,
                "reason": f'It says something else about the same thing as "{draft.content}".',
                "event_date_start": known.event_date_start,
                "event_date_end": known.event_date_end,
                "created_at": known.created_at,
            }
        ],
        "clarifying_questions": [{"question": question, "options": list(options)}],
        "resolution_data": None,
        "draft": {
            "categories": list(draft.categories), "first": draft.event.first.isoformat(),
            "last": draft.event.last.isoformat(), "position": draft.position,
            "vector": draft.vector and [draft.vector.model, list(draft.vector.values)],
        },
    }  # fmt: skip
    db.execute(
        "INSERT INTO merge_conflicts (conflict_id, user_pk, session_id, chain_pk, status, body, created_at)"
        " VALUES (?, ?, ?, ?, 'PENDING', ?, ?)",
        (conflict_id, user_pk, draft.session_id, chain, json.dumps(body), stamp(draft.created_at)),
    )


def list_conflicts(
    db: sqlite3.Connection,
    *,
    user_pk: int,
    offset: int = 0,
    limit: int = 10,
    status: str | None = None,
    sort_by: Literal["created_at", "resolved_at"] = "created_at",
    sort_order: Literal["asc", "desc"] = "desc",
) -> Page:
    """A page of the user's conflicts in wire form."""
    where, arguments = "user_pk = ?", [user_pk, *()]
    values: list[int | str] = [*arguments]
    if status is not None:
        where += " AND status = ?"
        values.append(status)
    (total,) = db.execute(f"SELECT count(*) FROM merge_conflicts WHERE {where}", values).fetchone()  # noqa: S608 - constants only
    column = "resolved_at" if sort_by == "resolved_at" else "created_at"
    order = "ASC" if sort_order == "asc" else "DESC"
    rows = db.execute(
        f"{_SELECT} WHERE {where} ORDER BY {column} {order}, pk {order} LIMIT ? OFFSET ?",
        (*values, limit, offset),
    )
    return Page([_wire(row) for row in rows], total)


def get_conflict(db: sqlite3.Connection, user_pk: int, conflict_id: str) -> Json | None:
    """One conflict in wire form, or None where the user has no such conflict."""
    row = db.execute(f"{_SELECT} WHERE user_pk = ? AND conflict_id = ?", (user_pk, conflict_id)).fetchone()
    return _wire(row) if row else None


def resolve_conflict(
    db: sqlite3.Connection,
    user_pk: int,
    conflict_id: str,
    answers: Sequence[Mapping[str, Any]],
    now: datetime,
) -> Json | None:
    """Settle a conflict by the user's answers.

    Args:
        db: the database.
        user_pk: whose conflict.
        conflict_id: its public id.
        answers: `{"question", "answer", "message"}` each; question and answer must match exactly.
        now: the time of the resolution.

    Returns:
        The resolved conflict in wire form, or None where the user has no such conflict.

    Raises:
        ConflictError: already resolved, unknown or missing questions, or an answer that is no option.
    """
    row = db.execute(
        "SELECT body, chain_pk, session_id, status, created_at FROM merge_conflicts"
        " WHERE user_pk = ? AND conflict_id = ?",
        (user_pk, conflict_id),
    ).fetchone()
    if row is None:
        return None
    body: Json = json.loads(row[0])
    chain, session_id, status, created_at = row[1:]
    if status not in _OPEN:
        raise ConflictError(f"Merge conflict {conflict_id} is already resolved")
    _check(body["clarifying_questions"], answers)
    chosen = answers[0]["answer"]
    proposed = _draft(body, session_id, moment(created_at))
    if chosen == body["clarifying_questions"][0]["options"][0]:
        store.demote(db, user_pk, chain, proposed, conflict_id=conflict_id, now=now)
    else:
        store.supersede(
            db, user_pk, chain, proposed, reason="MERGE_CONFLICT", now=now, conflict_id=conflict_id
        )
    current = store.versions(db, chain)[0]
    body["new_memories"] = [
        {
            "memory_id": current.memory_id,
            "content": current.content,
            "event_date_start": current.event_date_start,
            "event_date_end": current.event_date_end,
            "created_at": current.created_at,
        }
    ]
    body["resolution_data"] = {
        "question_answers": [
            {"question": a["question"], "answer": a["answer"], "message": a.get("message")} for a in answers
        ]
    }
    db.execute(
        "UPDATE merge_conflicts SET status = 'RESOLVED', body = ?, resolved_at = ? WHERE conflict_id = ?",
        (json.dumps(body), stamp(now), conflict_id),
    )
    return get_conflict(db, user_pk, conflict_id)


def pending_texts(db: sqlite3.Connection, user_pk: int, zone: ZoneInfo) -> list[str]:
    """The user's open conflicts as blocks of the context text, oldest first."""
    clock = Clock(zone)
    rows = db.execute(
        f"{_SELECT} WHERE user_pk = ? AND status = 'PENDING' ORDER BY pk LIMIT ?", (user_pk, _MOST_SHOWN)
    )
    return [_text(number, _wire(row), clock) for number, row in enumerate(rows.fetchall(), 1)]


def _text(number: int, conflict: Json, clock: Clock) -> str:
    lines = [
        f"## Merge Conflict {number} (Created at: {clock.stored(conflict['created_at'])})",
        f"Conflict ID: {conflict['id']}",
        f"Proposed memory: {one_line(conflict['proposed_memory_content'])}",
        "Conflicting memories:",
        *(
            f"- {one_line(known['content'])} (Reason: {one_line(known['reason'])},"
            f" Created at: {clock.stored(known['created_at'])})"
            for known in conflict["conflicting_memories"]
        ),
        "Questions:",
        *(
            f"- {one_line(question['question'])} Options: {' | '.join(map(one_line, question['options']))}"
            for question in conflict["clarifying_questions"]
        ),
    ]
    return "\n".join(lines) + "\n"


def _check(questions: Sequence[Json], answers: Sequence[Mapping[str, Any]]) -> None:
    options = {q["question"]: q["options"] for q in questions}
    unknown = [a["question"] for a in answers if a["question"] not in options]
    if unknown:
        raise ConflictError(f"Invalid questions provided: {unknown}")
    missing = [q for q in options if q not in {a["question"] for a in answers}]
    if missing:
        raise ConflictError(f"Missing answers for the following questions: {missing}")
    for answer in answers:
        if answer["answer"] not in options[answer["question"]]:
            raise ConflictError(
                f"Invalid answer '{answer['answer']}' for question '{answer['question']}'."
                f" Valid options: {options[answer['question']]}"
            )


def _draft(body: Json, session_id: str, created_at: datetime) -> Draft:
    kept: Json = body["draft"]
    return Draft(
        content=body["proposed_memory_content"], categories=kept["categories"],
        event=Span(date.fromisoformat(kept["first"]), date.fromisoformat(kept["last"])),
        session_id=session_id,
        position=kept["position"], created_at=created_at,
        vector=Vector(*kept["vector"]) if kept["vector"] else None,
    )  # fmt: skip


def delete_of_session(db: sqlite3.Connection, user_pk: int, session_id: str) -> None:
    """Delete the conflicts that a session proposed."""
    db.execute("DELETE FROM merge_conflicts WHERE user_pk = ? AND session_id = ?", (user_pk, session_id))


def release(db: sqlite3.Connection, user_pk: int, chain: int) -> None:
    """The known fact of a conflict is gone: what was proposed against it is now simply a fact."""
    rows = db.execute(
        "SELECT pk, body, session_id, status, created_at FROM merge_conflicts WHERE chain_pk = ?", (chain,)
    ).fetchall()
    for pk, body, session_id, status, created_at in rows:
        if status in _OPEN:
            store.add(db, user_pk, _draft(json.loads(body), session_id, moment(created_at)))
            db.execute("DELETE FROM merge_conflicts WHERE pk = ?", (pk,))
        else:
            db.execute("UPDATE merge_conflicts SET chain_pk = NULL WHERE pk = ?", (pk,))


def _wire(row: Sequence[Any]) -> Json:
    body: Json = json.loads(row[3])
    del body["draft"]
    return {
        "id": row[0],
        "conflict_id": row[0],
        "project_user_session_id": row[1],
        "status": row[2],
        **body,
        "created_at": row[4],
        "resolved_at": row[5],
    }

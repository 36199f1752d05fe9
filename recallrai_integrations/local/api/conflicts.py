"""`/api/v1/users/{custom_user_id}/merge-conflicts`."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response

from recallrai_integrations.local import memory, users
from recallrai_integrations.local.problems import not_found
from recallrai_integrations.local.wire import (
    Answers,
    ConflictAnswer,
    ConflictsAnswer,
    ConflictStatus,
    WrappedAnswers,
)

from .common import Caller, Json, Offset, UserIdInPath, errors, page

router = APIRouter(prefix="/api/v1/users/{custom_user_id}/merge-conflicts", tags=["merge conflicts"])

ConflictIdInPath = Annotated[UUID, Path()]


@router.get("", response_model=ConflictsAnswer, responses=errors(404))
async def list_conflicts(
    caller: Caller,
    custom_user_id: UserIdInPath,
    *,
    offset: Offset = 0,
    limit: Annotated[int, Query(ge=1, le=100)] = 10,
    status: ConflictStatus | None = None,
    sort_by: Literal["created_at", "resolved_at"] = "created_at",
    sort_order: Literal["desc", "asc"] = "desc",
) -> Response:
    """A user's merge conflicts."""
    found = await caller.database.read(
        lambda db: memory.list_conflicts(
            db,
            user_pk=users.get(db, custom_user_id).pk,
            offset=offset,
            limit=limit,
            status=status,
            sort_by=sort_by,
            sort_order=sort_order,
        )
    )
    return page("conflicts", found, offset)


@router.get("/{conflict_id}", response_model=ConflictAnswer, responses=errors(404))
async def get_conflict(
    caller: Caller, custom_user_id: UserIdInPath, conflict_id: ConflictIdInPath
) -> Response:
    """One merge conflict."""
    key = str(conflict_id)
    found = await caller.database.read(
        lambda db: memory.get_conflict(db, users.get(db, custom_user_id).pk, key)
    )
    if found is None:
        raise not_found("Merge conflict", key)
    return Json({"conflict": found})


@router.post("/{conflict_id}/resolve", response_model=ConflictAnswer, responses=errors(400, 404))
async def resolve_conflict(
    caller: Caller,
    custom_user_id: UserIdInPath,
    conflict_id: ConflictIdInPath,
    body: WrappedAnswers | Answers,
) -> Response:
    """Settle a merge conflict; the answers may be wrapped in `answers` or bare."""
    key = str(conflict_id)
    answers = (body.answers if isinstance(body, WrappedAnswers) else body).question_answers
    found = await caller.database.write(
        lambda db: memory.resolve_conflict(
            db,
            users.get(db, custom_user_id).pk,
            key,
            [answer.model_dump() for answer in answers],
            datetime.now(timezone.utc),
        )
    )
    if found is None:
        raise not_found("Merge conflict", key)
    return Json({"conflict": found})

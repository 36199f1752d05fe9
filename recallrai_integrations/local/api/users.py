"""`/api/v1/users`."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from recallrai_integrations.local import sessions, users
from recallrai_integrations.local.wire import (
    UserAnswer,
    UserChanges,
    UserMessagesAnswer,
    UsersAnswer,
    UserToCreate,
)

from .common import Caller, Json, MetadataFilter, Offset, UserIdInPath, errors, page, parsed_filter

router = APIRouter(prefix="/api/v1/users", tags=["users"])


@router.post("", status_code=201, response_model=UserAnswer, responses=errors(400, 409))
async def create_user(caller: Caller, body: UserToCreate) -> Response:
    """Creates a user."""
    made = await caller.database.write(
        lambda db: users.create(db, body.custom_user_id, body.metadata or {}, body.merge_conflict_enabled)
    )
    return Json({"user": made}, 201)


@router.get("", response_model=UsersAnswer, responses=errors())
async def list_users(
    caller: Caller,
    offset: Offset = 0,
    limit: Annotated[int, Query(ge=1, le=100)] = 10,
    metadata_filter: MetadataFilter = None,
) -> Response:
    """Users, newest first."""
    wanted = parsed_filter(metadata_filter)
    return page("users", await caller.database.read(lambda db: users.page(db, offset, limit, wanted)), offset)


@router.get("/{custom_user_id}", response_model=UserAnswer, responses=errors(404))
async def get_user(caller: Caller, custom_user_id: UserIdInPath) -> Response:
    """One user."""
    return Json({"user": await caller.database.read(lambda db: users.get(db, custom_user_id).wire())})


@router.put("/{custom_user_id}", response_model=UserAnswer, responses=errors(400, 404, 409))
async def update_user(caller: Caller, custom_user_id: UserIdInPath, body: UserChanges) -> Response:
    """Change a user. Metadata is replaced as a whole; sessions and memories follow a new id."""
    changes: dict[str, Any] = {}
    if body.new_metadata is not None:
        changes["metadata"] = body.new_metadata
    if body.new_custom_user_id is not None:
        changes["custom_user_id"] = body.new_custom_user_id
    if "merge_conflict_enabled" in body.model_fields_set:  # null: as the project has it
        changes["merge_conflict_enabled"] = body.merge_conflict_enabled
    changed = await caller.database.write(lambda db: users.update(db, custom_user_id, changes))
    return Json({"user": changed})


@router.delete("/{custom_user_id}", status_code=204, response_class=Response, responses=errors(404))
async def delete_user(caller: Caller, custom_user_id: UserIdInPath) -> Response:
    """Deletes a user with all sessions, messages and memories."""
    await caller.database.write(lambda db: users.delete(db, custom_user_id), erases=True)
    return Response(status_code=204)


@router.get("/{custom_user_id}/messages", response_model=UserMessagesAnswer, responses=errors(404))
async def last_messages(
    caller: Caller, custom_user_id: UserIdInPath, limit: Annotated[int, Query(ge=1, le=100)]
) -> Response:
    """The last messages over all sessions, oldest first."""
    found = await caller.database.read(
        lambda db: sessions.last_messages(db, users.get(db, custom_user_id), limit)
    )
    return Json({"messages": found})

"""`/api/v1/users/{custom_user_id}/sessions`, but for the context."""

from __future__ import annotations

import sqlite3
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Response

from recallrai_integrations.local import jobs, memory, sessions, users
from recallrai_integrations.local.wire import (
    Detail,
    MessagesAnswer,
    MessageToAdd,
    SessionAnswer,
    SessionChanges,
    SessionsAnswer,
    SessionToCreate,
    Status,
)

from .common import (
    Caller,
    Json,
    MetadataFilter,
    Offset,
    SessionIdInPath,
    UserIdInPath,
    errors,
    invalid,
    page,
    parsed_filter,
)

router = APIRouter(prefix="/api/v1/users/{custom_user_id}/sessions", tags=["sessions"])

_ALL: Final = 1_000_000  # memories of one session


# The first route is the first that is tried, and this is the one that is called most.
@router.post("/{session_id}/add-message", response_model=Detail, responses=errors(400, 404))
async def add_message(
    caller: Caller, custom_user_id: UserIdInPath, session_id: SessionIdInPath, body: MessageToAdd
) -> Response:
    """Append a message to a pending session."""
    await caller.database.write(
        lambda db: sessions.add_message(db, custom_user_id, str(session_id), body.role, body.message),
        one_statement=True,
    )
    return Json({"detail": "Message added successfully"})


@router.post("", status_code=201, response_model=SessionAnswer, responses=errors(400, 404))
async def create_session(caller: Caller, custom_user_id: UserIdInPath, body: SessionToCreate) -> Response:
    """Opens a session. `custom_created_at_utc` backdates it and what is remembered from it."""
    least = caller.settings.min_auto_process_seconds
    if body.auto_process_after_seconds < least:
        invalid(("body", "auto_process_after_seconds"), f"Input should be greater than or equal to {least:g}")
    made = await caller.database.write(
        lambda db: sessions.create(
            db,
            custom_user_id,
            metadata=body.metadata or {},
            auto_process_after_seconds=body.auto_process_after_seconds,
            created_at=body.custom_created_at_utc,
        )
    )
    return Json({"session": made}, 201)


@router.get("", response_model=SessionsAnswer, responses=errors(404))
async def list_sessions(
    caller: Caller,
    custom_user_id: UserIdInPath,
    *,
    offset: Offset = 0,
    limit: Annotated[int, Query(ge=1, le=100)] = 10,
    metadata_filter: MetadataFilter = None,
    status_filter: Annotated[list[Status] | None, Query()] = None,
    node_status_filter: Annotated[list[Status] | None, Query(alias="status_filter[]")] = None,
) -> Response:
    """A user's sessions, newest first."""
    wanted = parsed_filter(metadata_filter)
    statuses = [*(status_filter or ()), *(node_status_filter or ())]
    found = await caller.database.read(
        lambda db: sessions.page(
            db,
            users.get(db, custom_user_id),
            offset=offset,
            limit=limit,
            statuses=statuses,
            metadata_filter=wanted,
        )
    )
    return page("sessions", found, offset)


@router.get("/{session_id}", response_model=SessionAnswer, responses=errors(404))
async def get_session(
    caller: Caller,
    custom_user_id: UserIdInPath,
    session_id: SessionIdInPath,
    include_summary: bool = False,
    include_memories: bool = False,
) -> Response:
    """One session; on request with its summary and the memories made from it."""

    def found(db: sqlite3.Connection) -> dict[str, Any]:
        session = sessions.find(db, custom_user_id, str(session_id))
        wire = session.wire()
        if include_summary:
            wire["session_summary"] = memory.session_summary(db, session.user_pk, session.session_id)
        if include_memories:
            wire["memories"] = memory.list_memories(
                db, user_pk=session.user_pk, limit=_ALL, session_ids=[session.session_id]
            ).items
        return wire

    return Json({"session": await caller.database.read(found)})


@router.put("/{session_id}", response_model=SessionAnswer, responses=errors(400, 404))
async def update_session(
    caller: Caller, custom_user_id: UserIdInPath, session_id: SessionIdInPath, body: SessionChanges
) -> Response:
    """Replace the metadata as a whole; without `new_metadata` they stay."""

    def changed(db: sqlite3.Connection) -> dict[str, Any]:
        sessions.update(db, sessions.find(db, custom_user_id, str(session_id)), body.new_metadata)
        return sessions.find(db, custom_user_id, str(session_id)).wire()

    return Json({"session": await caller.database.write(changed)})


@router.delete("/{session_id}", status_code=204, response_class=Response, responses=errors(404))
async def delete_session(
    caller: Caller, custom_user_id: UserIdInPath, session_id: SessionIdInPath
) -> Response:
    """Deletes a session with its messages and what was remembered from it."""
    await caller.database.write(
        lambda db: sessions.delete(db, sessions.find(db, custom_user_id, str(session_id))), erases=True
    )
    return Response(status_code=204)


@router.post("/{session_id}/process", response_model=Detail, responses=errors(400, 404))
async def process_session(
    caller: Caller, custom_user_id: UserIdInPath, session_id: SessionIdInPath
) -> Response:
    """Starts turning a session into memories; poll its status for the end."""
    await caller.database.write(lambda db: jobs.start(db, custom_user_id, str(session_id)))
    caller.jobs.wake()
    return Json({"detail": "Session processing started"})


@router.get("/{session_id}/messages", response_model=MessagesAnswer, responses=errors(404))
async def list_messages(
    caller: Caller,
    custom_user_id: UserIdInPath,
    session_id: SessionIdInPath,
    offset: Offset = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Response:
    """A session's messages, oldest first."""
    found = await caller.database.read(
        lambda db: sessions.messages(db, sessions.find(db, custom_user_id, str(session_id)), offset, limit)
    )
    return page("messages", found, offset)

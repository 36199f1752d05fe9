"""`/api/v1/users/{custom_user_id}/memories` and, in the singular, `/memory/{memory_id}`."""

from __future__ import annotations

import sqlite3
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response

from recallrai_integrations.local import memory, sessions, users
from recallrai_integrations.local.memory import Page
from recallrai_integrations.local.problems import Refused, not_found
from recallrai_integrations.local.wire import MemoriesAnswer, MemoryOut, UnknownCategoriesDetail

from .common import Caller, Json, MetadataFilter, Offset, UserIdInPath, errors, page, parsed_filter

router = APIRouter(prefix="/api/v1/users/{custom_user_id}", tags=["memories"])

Strings = Annotated[list[str] | None, Query()]
_UNKNOWN: Final[dict[int | str, dict[str, Any]]] = {
    400: {"model": UnknownCategoriesDetail, "description": "Categories that there are not"}
}
MemoryIdInPath = Annotated[UUID, Path()]


@router.get("/memories", response_model=MemoriesAnswer, responses=errors(404) | _UNKNOWN)
async def list_memories(
    caller: Caller,
    custom_user_id: UserIdInPath,
    *,
    offset: Offset = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
    categories: Strings = None,
    session_id_filter: Strings = None,
    session_metadata_filter: MetadataFilter = None,
    include_previous_versions: bool = True,
    include_connected_memories: bool = True,
    node_categories: Annotated[list[str] | None, Query(alias="categories[]")] = None,
    node_session_id_filter: Annotated[list[str] | None, Query(alias="session_id_filter[]")] = None,
) -> Response:
    """The latest version of each memory, newest first."""
    wanted = parsed_filter(session_metadata_filter, "session_metadata_filter")
    chosen = [*(categories or ()), *(node_categories or ())]
    named = [*(session_id_filter or ()), *(node_session_id_filter or ())]

    def found(db: sqlite3.Connection) -> Page:
        user = users.get(db, custom_user_id)
        unknown = sorted(set(chosen) - memory.known_categories(db, user.pk)) if chosen else []
        if unknown:
            raise Refused(
                400,
                {"message": f"Unknown categories: {', '.join(unknown)}", "invalid_categories": unknown},
            )
        session_ids = named or None
        if wanted is not None:
            with_metadata = sessions.ids_with_metadata(db, user, wanted)
            session_ids = [i for i in with_metadata if not named or i in named]
        return memory.list_memories(
            db,
            user_pk=user.pk,
            offset=offset,
            limit=limit,
            categories=chosen,
            session_ids=session_ids,
            include_previous_versions=include_previous_versions,
            include_connected_memories=include_connected_memories,
        )

    return page("items", await caller.database.read(found), offset)


@router.get("/memory/{memory_id}", response_model=MemoryOut, responses=errors(404))
async def get_memory(
    caller: Caller,
    custom_user_id: UserIdInPath,
    memory_id: MemoryIdInPath,
    include_previous_versions: bool = True,
    include_connected_memories: bool = True,
) -> Response:
    """One version of a memory, by its id; the answer is the bare object."""
    key = str(memory_id)
    found = await caller.database.read(
        lambda db: memory.get_memory(
            db,
            users.get(db, custom_user_id).pk,
            key,
            include_previous_versions=include_previous_versions,
            include_connected_memories=include_connected_memories,
        )
    )
    if found is None:
        raise not_found("Memory", key)
    return Json(found)


@router.delete("/memory/{memory_id}", status_code=204, response_class=Response, responses=errors(404))
async def delete_memory(
    caller: Caller,
    custom_user_id: UserIdInPath,
    memory_id: MemoryIdInPath,
    delete_previous_versions: bool = False,
) -> Response:
    """Deletes one version; on request all older ones too."""
    key = str(memory_id)
    existed = await caller.database.write(
        lambda db: memory.delete_memory(
            db,
            users.get(db, custom_user_id).pk,
            key,
            delete_previous_versions=delete_previous_versions,
        ),
        erases=True,
    )
    if not existed:
        raise not_found("Memory", key)
    return Response(status_code=204)

"""Recall: the context of a session, plain or streamed, and the instruction prompt."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import asdict
from datetime import datetime
from datetime import timezone as _timezone
from functools import lru_cache
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import StreamingResponse

from recallrai_integrations.local import memory, sessions, users
from recallrai_integrations.local.memory import ContextAnswer, ContextQuery, ModelError, SessionView
from recallrai_integrations.local.service import Service
from recallrai_integrations.local.wire import ContextOut, SystemPromptAnswer

from .common import Caller, Json, SessionIdInPath, UserIdInPath, errors, invalid

router = APIRouter(prefix="/api/v1", tags=["context"])

Strategy = Literal["low_latency", "balanced", "agentic", "auto"]


@lru_cache(maxsize=256)
def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):  # unknown, or a path in disguise
        return False
    return True


async def _query(  # async: a plain function would be sent to a thread
    *,
    recall_strategy: Strategy = "balanced",
    min_top_k: Annotated[int, Query(ge=5, le=50)] = 15,
    max_top_k: Annotated[int, Query(ge=10, le=100)] = 50,
    memories_threshold: Annotated[float, Query(ge=0.2, le=0.8)] = 0.6,
    summaries_threshold: Annotated[float, Query(ge=0.2, le=0.8)] = 0.5,
    last_n_messages: Annotated[int | None, Query(ge=1, le=100)] = None,
    last_n_summaries: Annotated[int | None, Query(ge=1, le=20)] = None,
    timezone: Annotated[str, Query(description="IANA name, such as Europe/Lisbon")] = "UTC",
) -> ContextQuery:
    if min_top_k > max_top_k:
        invalid(("query", "min_top_k"), "Input should be less than or equal to max_top_k")
    return ContextQuery(
        recall_strategy=recall_strategy,
        min_top_k=min_top_k,
        max_top_k=max_top_k,
        memories_threshold=memories_threshold,
        summaries_threshold=summaries_threshold,
        last_n_messages=last_n_messages,
        last_n_summaries=last_n_summaries,
        timezone=timezone,
    )


@router.get("/system-prompt", response_model=SystemPromptAnswer, responses=errors())
async def system_prompt(caller: Caller, recall_strategy: Strategy = "balanced") -> Response:
    """How a model should use the context; our own text, one for `agentic` and one for all others."""
    del caller
    return Json({"system_prompt": memory.system_prompt(recall_strategy)})


@router.get(
    "/users/{custom_user_id}/sessions/{session_id}/context",
    response_model=ContextOut,
    responses=errors(404) | {200: {"content": {"text/event-stream": {}}}},
)
async def get_context(
    caller: Caller,
    custom_user_id: UserIdInPath,
    session_id: SessionIdInPath,
    *,
    query: Annotated[ContextQuery, Depends(_query)],
    include_system_prompt: bool = True,
    include_metadata_ids: bool = False,
    stream: bool = False,
) -> Response:
    """What is remembered about the last user message of a session.

    With `stream=true` an event stream: status updates, then one event with `is_final` and the context.
    """

    def asked(db: sqlite3.Connection) -> tuple[int, SessionView]:
        if not _is_zone(query.timezone):  # here, off the loop: the first look at a zone reads its file
            invalid(("query", "timezone"), "Input should be the name of an IANA zone, such as Europe/Lisbon")
        user = users.get(db, custom_user_id)
        return user.pk, sessions.view(db, sessions.get(db, user, str(session_id)))

    def wire(answer: ContextAnswer) -> dict[str, Any]:
        return _final(answer, with_prompt=include_system_prompt, with_details=include_metadata_ids)

    if stream:
        user_pk, session = await caller.database.read(asked)

        def event(step: str | ContextAnswer | ModelError | sqlite3.Error) -> bytes:
            if isinstance(step, str):
                return _event(_wire(is_final=False, status_update_message=step))
            if isinstance(step, ContextAnswer):
                return _event(wire(step))
            return _event(_wire(is_final=True, error_message=f"The recall failed: {step}"))

        events = (event(step) async for step in _steps(caller, user_pk, session, query))
        return StreamingResponse(
            events, media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )

    def answer(db: sqlite3.Connection) -> ContextAnswer:
        user_pk, session = asked(db)
        return memory.recall(
            db, user_pk=user_pk, session=session, query=query, engine=caller.engine, now=_now()
        )

    return Json(wire(await caller.database.read(answer)))


async def _steps(
    caller: Service, user_pk: int, session: SessionView, query: ContextQuery
) -> AsyncIterator[str | ContextAnswer | ModelError | sqlite3.Error]:
    """The steps of a recall as they happen, from a thread of the pool; a failure is the last one.

    The recall runs to its end at its own pace: a client that reads slowly holds no snapshot of the database.
    """
    loop = asyncio.get_running_loop()
    happened: asyncio.Queue[str | ContextAnswer | ModelError | sqlite3.Error | None] = asyncio.Queue()

    def tell(step: str | ContextAnswer | ModelError | sqlite3.Error | None) -> None:
        loop.call_soon_threadsafe(happened.put_nowait, step)

    def work(db: sqlite3.Connection) -> None:
        try:
            for step in memory.recall_steps(
                db, user_pk=user_pk, session=session, query=query, engine=caller.engine, now=_now()
            ):
                tell(step)
        except (ModelError, sqlite3.Error) as error:
            tell(error)
        finally:
            tell(None)

    caller.database.submit_read(work)
    while (step := await happened.get()) is not None:
        yield step


def _now() -> datetime:
    return datetime.now(_timezone.utc)


def _wire(*, is_final: bool, **values: Any) -> dict[str, Any]:
    blank = {"status_update_message": None, "error_message": None, "context": None, "metadata": None}
    return {"is_final": is_final, **blank, **values}


def _final(answer: ContextAnswer, *, with_prompt: bool, with_details: bool) -> dict[str, Any]:
    """The answer in wire form.

    The SDKs need `metadata.recall_strategy_used` in every response; the rest is added when it is asked for.
    """
    context = answer.context
    if with_prompt:
        context = f"{memory.system_prompt(answer.strategy_used)}\n\n\n{context}"
    details: dict[str, Any] = {"recall_strategy_used": answer.strategy_used}
    if with_details:
        found = asdict(answer)
        details |= {key: found[key] for key in found if key not in ("context", "strategy_used")}
    return _wire(is_final=True, context=context, metadata=details)


def _event(content: dict[str, Any]) -> bytes:
    """One event is one line of ASCII: the SDKs take U+2028 and its like for ends of lines."""
    return f"data: {json.dumps(content)}\n\n".encode()

"""What the hosted service does not have: the page to look inside, recall by a free question, health."""

from __future__ import annotations

import base64
import hashlib
import sqlite3
from datetime import datetime, timezone
from functools import lru_cache
from importlib.resources import files
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse

from recallrai_integrations._version import __version__
from recallrai_integrations.local import memory, users
from recallrai_integrations.local.memory import ContextAnswer, ContextQuery, Message, SessionView

from .common import Caller, Json, UserIdInPath, errors, service_of

router = APIRouter(tags=["this service"])


@lru_cache(maxsize=1)
def page() -> tuple[str, dict[str, str]]:
    """The page, and headers that let it run its own script and talk to this service, and nothing else."""
    text = files(__name__.rpartition(".")[0]).joinpath("page.html").read_text(encoding="utf-8")
    script = text[text.index("<script>") + len("<script>") : text.index("</script>")]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; connect-src 'self';"
        " img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return text, {"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer"}


@router.get("/health")
async def health(request: Request) -> Response:
    """Whether the service answers and can read its database, and what went wrong lately; needs no key."""
    waiting = await service_of(request).database.read(
        lambda db: db.execute("SELECT count(*) FROM sessions WHERE status = 'processing'").fetchone()[0]
    )
    warnings = list(service_of(request).jobs.warnings)
    told = {"status": "ok", "version": __version__, "sessions_in_processing": waiting, "warnings": warnings}
    return Json(told)


@router.get("/", include_in_schema=False)
async def look_inside() -> Response:
    """The page. It holds no data and no key; it asks the API like any client."""
    text, headers = page()
    return HTMLResponse(text, headers=headers)


@router.get("/api/local/users/{custom_user_id}/recall", responses=errors(404))
async def recall_for(
    caller: Caller,
    custom_user_id: UserIdInPath,
    question: Annotated[str, Query(max_length=10_000)],
    memories_threshold: Annotated[float, Query(ge=0.2, le=0.8)] = 0.6,
) -> Response:
    """What would be recalled for a question, without storing it."""

    def answer(db: sqlite3.Connection) -> ContextAnswer:
        now = datetime.now(timezone.utc)
        asked = SessionView("", "pending", now, [Message("user", question, now)])
        return memory.recall(
            db,
            user_pk=users.get(db, custom_user_id).pk,
            session=asked,
            query=ContextQuery(memories_threshold=memories_threshold),
            engine=caller.engine,
            now=now,
        )

    found = await caller.database.read(answer)
    told: dict[str, Any] = {"context": found.context, "memory_ids": found.memory_ids}
    return Json(told)

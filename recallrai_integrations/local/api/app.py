"""The FastAPI application."""

from __future__ import annotations

import mimetypes
import sqlite3

import anyio
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi_offline import FastAPIOffline

from recallrai_integrations._version import __version__
from recallrai_integrations.errors import LocalServiceError
from recallrai_integrations.local import logs, schema
from recallrai_integrations.local.memory import ConflictError, ModelError
from recallrai_integrations.local.problems import Refused
from recallrai_integrations.local.service import Service

from . import conflicts, context, inspect, memories, sessions, users
from .common import Json

logger = logs.events


def get_ready() -> None:
    """Reads and imports, where no event loop waits, what the first requests would on the loop."""
    mimetypes.init()
    inspect.page()
    anyio.run(anyio.Path(__file__).stat)  # what streams and files want of anyio


def create_app(service: Service) -> FastAPI:
    """The API over a running service."""
    app = FastAPIOffline(  # its page of documentation needs no network
        title="RecallrAI local service",
        version=__version__,
        description="A local stand-in for the RecallrAI API: the same paths, bodies and answers.",
        redoc_url=None,
        redirect_slashes=False,  # the SDKs follow no redirects
    )
    app.state.service = service
    for part in (sessions, context, users, memories, conflicts, inspect):
        app.include_router(part.router)

    @app.exception_handler(Refused)
    async def refused(_request: Request, error: Refused) -> Json:
        return Json({"detail": error.detail}, error.status)

    @app.exception_handler(ConflictError)
    async def not_resolvable(_request: Request, error: ConflictError) -> Json:
        return Json({"detail": error.detail}, 400)

    @app.exception_handler(RequestValidationError)
    async def not_valid(_request: Request, error: RequestValidationError) -> Json:
        # Without `input` and `ctx`: they repeat what was sent, which may be neither printable nor for logs.
        return Json({"detail": [{k: e[k] for k in ("loc", "msg", "type")} for e in error.errors()]}, 422)

    @app.exception_handler(sqlite3.Error)
    async def database_failed(_request: Request, error: sqlite3.Error) -> Json:
        logger.error("database failed", extra={"error": type(error).__name__})
        return Json({"detail": schema.reason(service.database.path, error)}, 503)

    @app.exception_handler(LocalServiceError)
    async def stopped(_request: Request, error: LocalServiceError) -> Json:
        return Json({"detail": str(error)}, 503)

    @app.exception_handler(ModelError)
    async def model_failed(_request: Request, error: ModelError) -> Json:
        logger.error("model failed", extra={"error": type(error).__name__})
        return Json({"detail": f"The model of the local service failed: {error}"}, 503)

    @app.exception_handler(Exception)
    async def failed(_request: Request, _error: Exception) -> Json:  # the front logs it, without its texts
        return Json({"detail": "Internal error of the local service; its log names the kind"}, 500)

    return app

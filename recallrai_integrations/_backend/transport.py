"""What only the transport sees: the path as sent, the status behind an unreadable body, `Retry-After`."""

from __future__ import annotations

import time
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from email.utils import mktime_tz, parsedate_tz
from http import HTTPStatus
from math import inf
from typing import Any

import httpx

from recallrai_integrations._flows.ops import ServiceOp
from recallrai_integrations.errors import InvalidInputError

from .bounds import bound, measured

__all__ = ["answered", "json_seen", "sending", "status_seen", "watch"]


@dataclass(frozen=True, slots=True)
class Answered:
    status: int
    retry_after: float | None
    response: httpx.Response = field(repr=False)


answered: ContextVar[Answered | None] = ContextVar("recallrai_answered", default=None)
sending: ContextVar[ServiceOp[Any] | None] = ContextVar("recallrai_sending", default=None)
"""The op whose request the SDK makes now; a request with another path is not sent."""


def _check(request: httpx.Request) -> None:
    """Every second segment is an id of the op: `users/{id}/sessions/{id}/context`. httpx has resolved dots.

    Raises:
        InvalidInputError: another path.
    """
    op = sending.get()
    if op is None:  # not of this package: the client may be the application's
        return
    path = request.url.raw_path.partition(b"?")[0].decode("ascii")
    segments = path.rpartition("/api/v1/")[2].split("/")
    creates_user = request.method == "POST" and segments == ["users"]
    if not (creates_user or (all(segments) and tuple(segments[1::2]) == op.path_ids)):
        raise InvalidInputError(
            f"{type(op).__name__} holds an id that leads to another path; the request was not sent."
        )


async def _acheck(request: httpx.Request) -> None:
    _check(request)


def _note(response: httpx.Response) -> None:
    asked = response.headers.get("Retry-After", "") if not response.is_success else ""
    answered.set(Answered(response.status_code, _seconds(asked) if asked else None, response))
    measured(response)


def _seconds(asked: str) -> float | None:
    """What `Retry-After` asks for, a number or a date, in seconds from now; None when it cannot be read."""
    with suppress(ValueError):
        seconds = float(asked)
        return seconds if 0 <= seconds < inf else None
    with suppress(ValueError, OverflowError):
        parts = parsedate_tz(asked)
        return None if parts is None else max(0.0, mktime_tz(parts) - time.time())
    return None


async def _anote(response: httpx.Response) -> None:
    _note(response)


def status_seen(*, success: bool = True) -> int | None:
    """The HTTP status of the latest answer in this context; None without one.

    Args:
        success: also statuses below 400.
    """
    seen = answered.get()
    return None if seen is None or (not success and seen.status < HTTPStatus.BAD_REQUEST) else seen.status


def json_seen() -> object:
    """The body of the latest answer in this context, which the SDK has read and dropped; None without one.

    Raises:
        ValueError: it is no JSON.
    """
    seen = answered.get()
    return None if seen is None else seen.response.json()


def watch(client: httpx.Client | httpx.AsyncClient) -> None:
    """Has a client check what it sends, note what it sees, and keep to the bounds."""
    is_async = isinstance(client, httpx.AsyncClient)
    bound(client)
    hooks = client.event_hooks
    for event, hook in (
        ("request", _acheck if is_async else _check),
        ("response", _anote if is_async else _note),
    ):
        if hook not in hooks[event]:
            hooks[event].append(hook)
    client.event_hooks = hooks

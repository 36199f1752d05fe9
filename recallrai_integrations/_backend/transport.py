"""What the transport sees and the SDK does not tell: the status behind an unreadable body, `Retry-After`."""

from __future__ import annotations

import time
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from email.utils import mktime_tz, parsedate_tz
from http import HTTPStatus
from math import inf

import httpx

from .bounds import bound, measured

__all__ = ["answered", "status_seen", "watch"]


@dataclass(frozen=True, slots=True)
class Answered:
    status: int
    retry_after: float | None


answered: ContextVar[Answered | None] = ContextVar("recallrai_answered", default=None)


def _note(response: httpx.Response) -> None:
    asked = response.headers.get("Retry-After", "") if not response.is_success else ""
    answered.set(Answered(response.status_code, _seconds(asked) if asked else None))
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


def watch(client: httpx.Client | httpx.AsyncClient) -> None:
    """Has a client note what it sees, and keep to the bounds."""
    note = _anote if isinstance(client, httpx.AsyncClient) else _note
    bound(client)
    hooks = client.event_hooks
    if note not in hooks["response"]:
        client.event_hooks = {**hooks, "response": [*hooks["response"], note]}

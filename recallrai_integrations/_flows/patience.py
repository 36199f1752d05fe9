"""How long a flow retries, and waits until a request without an answer can no longer take effect."""

from __future__ import annotations

import random
import time
from math import inf
from typing import Final

from recallrai_integrations.errors import ServiceUnavailableError
from recallrai_integrations.options import DeliveryOptions

from .ops import Flow, Sleep

__all__ = ["Patience", "after_failure", "bounded"]

_FIRST_PAUSE: Final = 0.2
_AFTER_AN_ANSWER: Final = 3.0
"""Seconds in which a request may still take effect after an error response: a gateway has given up on its
handler, which is about to end (our estimate)."""


class Patience:
    """The pauses of one operation: at most `retries`, growing, all within the `retry_budget`.

    Waiting for a request that can no longer take effect within the budget uses no retry.

    Args:
        delivery: retries and budget.
    """

    def __init__(self, delivery: DeliveryOptions) -> None:
        self._ends = time.monotonic() + delivery.retry_budget
        self._left = delivery.retries
        self._pause = _FIRST_PAUSE

    def wait(self, error: ServiceUnavailableError, *, until: float = inf) -> Flow[None]:
        """Pauses before the next try.

        Args:
            error: the reason for the next try.
            until: monotonic time from which the request can no longer take effect.

        Raises:
            ServiceUnavailableError: `error`, if there is no further try.
        """
        now = time.monotonic()
        pause = error.retry_after or self._pause * random.uniform(0.75, 1.25)  # noqa: S311 - spreads retries
        if until <= self._ends:
            pause = min(pause, max(0.0, until - now))
        elif self._left:
            self._left -= 1
        else:
            raise error
        if now + pause > self._ends:
            raise error
        self._pause *= 2
        yield from Sleep(pause)


def bounded(settled_at: float, settling_time: float) -> float:
    """Returns a time no later than `settling_time` from now, because the clock may have started anew."""
    return min(settled_at, time.monotonic() + settling_time)


def after_failure(error: ServiceUnavailableError, settled_at: float, settling_time: float) -> float:
    """Returns the monotonic time from which a failed request can no longer take effect.

    Args:
        error: how it failed.
        settled_at: that time as expected when the request left.
        settling_time: seconds that a request without an answer may take.
    """
    soon = time.monotonic() + min(settling_time, _AFTER_AN_ANSWER)
    return max(soon, settled_at) if error.status is None else soon

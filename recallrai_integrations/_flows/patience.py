"""How long a flow tries again, and waits until a request without an answer can no longer take effect."""

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
"""Seconds in which a request may take effect after an error was answered to it: a gateway has given up on
its handler, which is about to end (ours)."""


class Patience:
    """The pauses of one operation: `retries` of them, growing, all within the `retry_budget`.

    Waiting for what settles within the budget uses up no retry: the pauses end when it has settled.

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
            error: why there is a next one.
            until: when what is waited for has settled, by the monotonic clock.

        Raises:
            ServiceUnavailableError: `error`, when nothing is tried any more.
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
    """No later than `settling_time` seconds from now: a clock that started anew says nothing else."""
    return min(settled_at, time.monotonic() + settling_time)


def after_failure(error: ServiceUnavailableError, settled_at: float, settling_time: float) -> float:
    """From when on a request that failed can no longer take effect, by the monotonic clock.

    Args:
        error: how it failed.
        settled_at: the same as it was expected when the request left.
        settling_time: seconds that a request without an answer may take.
    """
    soon = time.monotonic() + min(settling_time, _AFTER_AN_ANSWER)
    return max(soon, settled_at) if error.status is None else soon

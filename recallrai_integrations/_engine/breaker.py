"""When a service that fails is left alone, and when it is tried again.

The circuit breakers of libraries serve either threads or event loops, and their pause is fixed.
"""

from __future__ import annotations

import threading
import time
from typing import Final

from recallrai_integrations.errors import ServiceUnavailableError

__all__ = ["CircuitBreaker", "CircuitOpenError", "Pauses"]

_FIRST_PAUSE: Final = 1.0


class CircuitOpenError(ServiceUnavailableError):
    """Refused without a request; waiting a moment would not help."""

    def __init__(self) -> None:
        super().__init__(
            "RecallrAI failed several times in a row and is not asked for a while.",
            may_have_taken_effect=False,
        )


class Pauses:
    """Pauses between tries that fail: one second, then twice the pause before, up to the longest.

    Args:
        longest: seconds, above 0; the first pause is not longer either.
    """

    def __init__(self, longest: float) -> None:
        self.longest = longest
        self._next = min(_FIRST_PAUSE, longest)

    def next(self) -> float:
        """Returns the seconds until the next try."""
        pause, self._next = self._next, min(2 * self._next, self.longest)
        return pause

    def reset(self) -> None:
        """Begins anew: a try succeeded."""
        self._next = min(_FIRST_PAUSE, self.longest)


class CircuitBreaker:
    """Lets requests through until several failed in a row; then a single one at a time, as a probe.

    A probe may begin after a pause that grows while probes fail. One that takes longer than the longest pause
    counts as failed. Whatever succeeds, a probe or a request that insisted, lets all requests through again.

    Args:
        threshold: failures in a row after which requests are refused, at least 1.
        longest_pause: seconds between two probes at most, above 0.
    """

    def __init__(self, threshold: int, longest_pause: float) -> None:
        self._threshold = threshold
        self._pauses = Pauses(longest_pause)
        self._lock = threading.Lock()
        self._failures = 0
        self._open_until: float | None = None  # by the monotonic clock; None while all requests pass
        self._probe: object | None = None
        self._probe_lapses = 0.0

    def enter(self, *, insist: bool = False) -> object | None:
        """Begins a request.

        Args:
            insist: send it although others are refused.

        Returns:
            The token of a probe, which belongs to its outcome; None for any other request.

        Raises:
            CircuitOpenError: it may not be sent now.
        """
        with self._lock:
            if self._open_until is None:
                return None
            if self._is_refusing():
                if insist:
                    return None
                raise CircuitOpenError
            self._probe, self._probe_lapses = object(), time.monotonic() + self._pauses.longest
            return self._probe

    def check(self) -> None:
        """Raises `CircuitOpenError` when a request could not begin now; begins none."""
        with self._lock:
            if self._open_until is not None and self._is_refusing():
                raise CircuitOpenError

    def succeed(self) -> None:
        """A request was answered."""
        with self._lock:
            self._failures = 0
            self._open_until = self._probe = None
            self._pauses.reset()

    def fail(self, probe: object | None = None) -> None:
        """A request failed; while others are refused only the probe's failure counts.

        Args:
            probe: the token that `enter` returned.
        """
        with self._lock:
            self._failures += 1
            is_closed = self._open_until is None
            if (is_closed and self._failures >= self._threshold) or (probe and probe is self._probe):
                self._open()

    def miss(self) -> None:
        """A request was not answered in the time that its caller had; it may still be."""
        with self._lock:
            self._failures += 1
            if self._failures >= self._threshold and self.seconds_left() == 0.0:
                self._open()

    def abandon(self, probe: object | None) -> None:
        """A request ended without an outcome, such as by cancellation: another may probe."""
        with self._lock:
            if probe is self._probe:
                self._probe = None

    def seconds_left(self) -> float:
        """Returns the seconds until a probe may begin; 0 when requests may be sent."""
        opens = self._open_until
        return 0.0 if opens is None else max(0.0, opens - time.monotonic())

    def _open(self) -> None:
        self._probe = None
        self._open_until = time.monotonic() + self._pauses.next()

    def _is_refusing(self) -> bool:
        return self.seconds_left() > 0.0 or (
            self._probe is not None and time.monotonic() < self._probe_lapses
        )

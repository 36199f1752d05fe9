"""The service's instruction prompts: fetched beside a turn, never before it, and kept by the connection."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Final

__all__ = ["Instructions"]

_KEEP_SECONDS: Final = 3600.0
"""How long a prompt is kept; the SDK keeps it as long."""
_SETTLE_SECONDS: Final = 1.0
"""How long closing waits for a fetch."""
_RETRY_SECONDS: Final = 60.0
"""How long a failed fetch is not tried again."""


class Instructions:
    """Caches one text for each strategy; concurrent first turns share one fetch.

    Args:
        fetch: gets the text of a strategy from the service, on any thread.
    """

    def __init__(self, fetch: Callable[[str], str]) -> None:
        self._fetch = fetch
        self._lock = threading.Lock()
        self._texts: dict[str, tuple[Future[str], float]] = {}

    def start(self, strategy: str) -> Future[str]:
        """The text, or the promise of it; never blocks. A text that cannot be had is ""."""
        with self._lock:
            known = self._texts.get(strategy)
            if known is not None and time.monotonic() < known[1]:
                return known[0]
            future: Future[str] = Future()
            self._texts[strategy] = (future, time.monotonic() + _KEEP_SECONDS)
        threading.Thread(
            target=self._run, args=(strategy, future), name="recallrai-instructions", daemon=True
        ).start()
        return future

    def join(self, timeout: float) -> None:
        """Waits a moment for fetches under way: a client that is closed beneath one leaks its socket.

        Args:
            timeout: seconds to wait at most, at least 0.
        """
        with self._lock:
            under_way = [future for future, _ in self._texts.values()]
        wait(under_way, timeout=min(timeout, _SETTLE_SECONDS))

    def _run(self, strategy: str, future: Future[str]) -> None:
        text = ""
        try:
            text = self._fetch(strategy)
        except Exception:  # noqa: BLE001 - instructions that can't be had don't keep memories from the model
            with self._lock:
                self._texts[strategy] = (future, time.monotonic() + _RETRY_SECONDS)
        future.set_result(text)

"""Log lines for applications; warnings that every turn would repeat are logged once."""

from __future__ import annotations

import logging
import threading

from typing_extensions import override

from recallrai_integrations.errors import RecallrAIIntegrationError

__all__ = ["Once", "tell_not_stored"]

logger = logging.getLogger("recallrai_integrations")


class Once:
    """A warning that an object logs once, however often its cause occurs.

    Args:
        text: what is lost, and the remedy.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._told: set[tuple[object, ...]] = set()
        self._lock = threading.Lock()

    def warn(self, *details: object) -> None:
        """Warns, unless it has done so for these details of the text."""
        with self._lock:
            if details in self._told:
                return
            self._told.add(details)
        logger.warning(self._text, *details)

    @override
    def __reduce__(self) -> tuple[type[Once], tuple[str]]:
        return (Once, (self._text,))


def tell_not_stored(error: RecallrAIIntegrationError) -> None:
    """Logs that an answer was given but could not be stored."""
    logger.error("The answer was given but could not be stored in RecallrAI: %s", error)

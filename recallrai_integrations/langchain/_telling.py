"""What applications are told in the log: once where it would come again with every turn."""

from __future__ import annotations

import logging
import threading

from typing_extensions import override

from recallrai_integrations.errors import RecallrAIIntegrationError

__all__ = ["Once", "tell_not_stored"]

logger = logging.getLogger("recallrai_integrations")


class Once:
    """A warning that an object gives once, however often its cause comes up.

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
    """Tells that an answer which the caller has is not in the memory."""
    logger.error("The answer was given but could not be stored in RecallrAI: %s", error)

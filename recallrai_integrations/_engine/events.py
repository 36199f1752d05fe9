"""What is told of a connection: one logger, the `on_event` hook, the count of events."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from recallrai_integrations.hooks import Event
from recallrai_integrations.outbox import ConversationKey

from .telemetry import Telemetry

__all__ = ["Observer", "logger"]

logger = logging.getLogger("recallrai_integrations")


class Observer:
    """Tells what happens. One warning for each outage, and none of the texts that are on their way.

    Args:
        hook: the application's `on_event`.
        telemetry: counts events.
        when_degraded: called whenever an operation went on without the service, or left messages behind.
        when_recovered: called when the service works again after an outage.
    """

    def __init__(
        self,
        hook: Callable[[Event], object] | None,
        telemetry: Telemetry,
        *,
        when_degraded: Callable[[], object],
        when_recovered: Callable[[], object],
    ) -> None:
        self._hook = hook
        self._telemetry = telemetry
        self._when_degraded = when_degraded
        self._when_recovered = when_recovered
        self._warned = False

    def engine(self, kind: str, detail: dict[str, Any]) -> None:
        """Something that concerns the connection as a whole: `"retried"`, `"recovered"`."""
        if kind == "recovered":
            if not self._warned:
                return
            self._warned = False
            logger.info("RecallrAI is available again.")
            self._when_recovered()
        self.tell(kind, detail)

    def conversation(self, key: ConversationKey, kind: str, detail: dict[str, Any]) -> None:
        """Something that concerns one conversation."""
        if kind == "degraded":
            self._when_degraded()
            if not self._warned and not detail.get("of_outbox"):
                self._warned = True
                logger.warning(
                    "RecallrAI is not available (%s) Going on without fresh memories; messages wait.",
                    detail["error"],
                )
        elif kind == "left_to_another":
            self._when_degraded()  # it may die, or have looked for the last time already
        elif kind == "refused":
            logger.error("RecallrAI: %s", detail["error"])
        elif kind == "rejected":
            logger.error(
                "RecallrAI refused a message for good (HTTP %s); later ones go on.", detail["status"]
            )
        elif kind == "session_gone":
            logger.warning("A RecallrAI session was deleted on the server; going on in a new one.")
        self.tell(kind, detail, user_id=key.user_id, thread_id=key.thread_id)

    def tell(
        self, kind: str, detail: dict[str, Any], *, user_id: str | None = None, thread_id: str | None = None
    ) -> None:
        """Counts an event and hands it to the hook, whose errors are logged and go no further."""
        self._telemetry.count(kind)
        if self._hook is None:
            return
        try:
            self._hook(Event(kind=kind, user_id=user_id, thread_id=thread_id, detail=detail))
        except Exception:
            logger.exception("An on_event hook failed; it is not asked to handle its own error.")

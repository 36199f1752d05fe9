"""How a connection reports events: the logger, the `on_event` hook and the counters."""

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
    """Reports events, with one warning for each outage. No report contains message texts.

    Args:
        hook: the application's `on_event`.
        telemetry: counts events.
        when_degraded: called whenever an operation continued without the service or left messages
            pending.
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
        """Reports an event of the whole connection: `"retried"`, `"recovered"`."""
        if kind == "recovered":
            if not self._warned:
                return
            self._warned = False
            logger.info("RecallrAI is available again.")
            self._when_recovered()
        self.emit(kind, detail)

    def conversation(self, key: ConversationKey, kind: str, detail: dict[str, Any]) -> None:
        """Reports an event of one conversation."""
        if kind == "degraded":
            self._when_degraded()
            if not self._warned and not detail.get("of_outbox"):
                self._warned = True
                logger.warning(
                    "RecallrAI is not available; turns go on without fresh memories, messages are queued: %s",
                    detail["error"],
                )
        elif kind == "left_to_another":
            self._when_degraded()  # the other process may die, or may not look into the outbox again
        elif kind == "refused":
            logger.error("A message was not accepted: %s", detail["error"])
        elif kind == "rejected":
            logger.error(
                "RecallrAI rejected a message (HTTP %s). It is not sent again; later messages are.",
                detail["status"],
            )
        elif kind == "session_gone":
            logger.warning("A RecallrAI session was deleted on the server; a new session replaces it.")
        self.emit(kind, detail, user_id=key.user_id, thread_id=key.thread_id)

    def emit(
        self, kind: str, detail: dict[str, Any], *, user_id: str | None = None, thread_id: str | None = None
    ) -> None:
        """Counts an event and passes it to the hook. Errors of the hook are logged and not raised."""
        self._telemetry.count(kind)
        if self._hook is None:
            return
        try:
            self._hook(Event(kind=kind, user_id=user_id, thread_id=thread_id, detail=detail))
        except Exception:
            logger.exception("The on_event hook failed.")

"""The arguments of your hooks: one object each, so that later releases can add fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .messages import Role

__all__ = ["Event", "Redaction"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Redaction:
    """What is about to leave the process; a `redact` hook returns what may leave instead.

    Args:
        kind: `"message"` (return text) or `"metadata"` (return a dict).
        text: the message text; "" for metadata.
        metadata: the session's metadata as the application gave it, or in an import the user's; empty for
            messages.
        role: who said it; None for metadata.
        user_id: the application's id of the user.
        thread_id: the application's id of the thread, or None.

    Example:
        ```python
        import re

        from recallrai_integrations import DeliveryOptions, Redaction, connect

        def without_numbers(given: Redaction) -> str | dict:
            return re.sub("[0-9]", "*", given.text) if given.kind == "message" else dict(given.metadata)

        with connect(local=":memory:", delivery=DeliveryOptions(redact=without_numbers)) as connection:
            conversation = connection.conversation("ada", "thread-1")
            conversation.record(("user", "My card is 4711."))
            assert conversation.history()[0].content == "My card is ****."
        ```
    """

    kind: Literal["message", "metadata"]
    user_id: str
    thread_id: str | None
    text: str = field(default="", repr=False)
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    role: Role | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """Something that happened, passed to an `on_event` hook. It never contains message text or memories.

    Args:
        kind: `"stored"`, `"recalled"`, `"session_opened"`, `"session_rolled_over"`, `"session_gone"` (deleted
            on the server), `"processed"`, `"retried"`, `"late"` (past the recall deadline), `"degraded"`,
            `"recovered"`, `"rejected"`, `"refused"` (the outbox was full), `"left_to_another"` (process that
            delivers the conversation), `"forgotten"`.
        user_id: the application's id of the user, if the event concerns one.
        thread_id: the application's id of the thread, if the event concerns one.
        detail: figures and names, such as `{"status": 503}` or `{"memories": 3, "elapsed": 0.31}`.

    Example:
        ```python
        from recallrai_integrations import DeliveryOptions, Event, connect

        events: list[Event] = []
        with connect(local=":memory:", delivery=DeliveryOptions(on_event=events.append)) as connection:
            connection.conversation("ada", "thread-1").record(("user", "I moved to Lisbon."))
        assert {"session_opened", "stored"} <= {event.kind for event in events}
        ```
    """

    kind: str
    user_id: str | None = None
    thread_id: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict[str, Any])

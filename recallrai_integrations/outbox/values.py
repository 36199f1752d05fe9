"""What is told of an outbox to those who look into it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

__all__ = ["ConversationStatus"]


@dataclass(frozen=True, slots=True)
class ConversationStatus:
    """What waits for one conversation.

    Args:
        project: base URL and project id it is for.
        user_id: the application's id of the user.
        thread_id: the application's id of the thread, or None.
        waiting: messages, and requests to process or to clear, that wait.
        oldest: when the oldest of them was recorded, timezone-aware; None when none waits.
        rejected: messages that the service refused for good.

    Example:
        ```python
        from recallrai_integrations import DeliveryOptions, connect
        from recallrai_integrations.outbox import status

        with connect(local=":memory:", delivery=DeliveryOptions(outbox="outbox.db")) as connection:
            connection.conversation("ada", "thread-1").record(("user", "I moved to Lisbon."))
            for one in status("outbox.db"):  # none: the message has arrived
                print(one.user_id, one.thread_id, one.waiting, one.oldest)
        ```
    """

    project: str
    user_id: str
    thread_id: str | None
    waiting: int
    oldest: datetime | None
    rejected: int

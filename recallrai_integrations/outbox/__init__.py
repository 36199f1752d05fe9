"""What is waiting to be sent: in memory (`memory`), or in a file that outlives the process (`file`).

What is guaranteed, for everything that `record` took without raising:

- **Nothing is lost.** A message stays in the outbox until the service has acknowledged it. In memory that
  holds as long as the process lives; in a file it also holds after a crash, SIGKILL or loss of power, since
  `record` returns when the file is synced to disk.
- **Nothing is sent out of order** within a conversation, by however many threads and processes that share
  the outbox: one of them at a time holds the conversation's claim. On one machine the process decides,
  and no clock: the claim of a dead process is free at once, that of a living one stays. Only in another
  container, whose processes cannot be looked at, a claim ends after ten minutes without a sign of life.
- **Nothing is stored twice.** The API has no idempotency keys, so that a message is sent, and from when
  on it can no longer take effect, is written down before its request leaves. When no answer comes, the
  session is read from where its length was known, and nothing else is sent to it: the message is sent
  again only when it can no longer take effect (`DeliveryOptions.settling_time`) and is not there.
  Position and text decide, and no clock. Equal texts are told apart by counting: "ok", "ok" stays twice.
  A message with an id is taken once.

The same holds for requests that open a session: it is looked for by its thread, without a thread by a
mark of its own, before another one is opened.

Windows that the API leaves open, because a write cannot be recognised by the service:

- *Two writers without a common outbox* in one thread. Both counts are right unless the other writer
  stored the very same text, by the same role, while an answer of ours was lost: then ours counts as
  stored.
- *A request that takes effect later than `settling_time`* after it was sent: a service, or a gateway
  before it, that works on a request longer than clients wait for it. The message is stored twice then.
- *Without a file*, a process that is killed takes what it knew with it: whoever sends the same message
  again does not know of the first request.
- *A thread opened by two writers at the same time*: both settle on the oldest session, what the younger
  one held moves there and is stamped anew. In between a reader may see the thread in two parts.
"""

from __future__ import annotations

from recallrai_integrations.options import DeliveryOptions

from .base import ConversationKey, Outbox, OutboxEntry, Request, SessionCursor, Unconfirmed
from .looking import ConversationStatus, export, status
from .memory import MemoryOutbox

__all__ = [
    "ConversationKey",
    "ConversationStatus",
    "MemoryOutbox",
    "Outbox",
    "OutboxEntry",
    "Request",
    "SessionCursor",
    "Unconfirmed",
    "export",
    "open_outbox",
    "status",
]


def open_outbox(delivery: DeliveryOptions, *, project: str) -> Outbox:
    """The outbox that the options ask for.

    Args:
        delivery: `outbox` and `outbox_limit`.
        project: which service and project the messages are for; a file may hold several.

    Raises:
        OutboxError: the file cannot be used.
    """
    if delivery.outbox is None:
        return MemoryOutbox(limit=delivery.outbox_limit)
    from .file import FileOutbox  # noqa: PLC0415 - sqlite3 and psutil are not loaded for nothing

    return FileOutbox(delivery.outbox, project=project, limit=delivery.outbox_limit)

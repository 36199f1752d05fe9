"""What is waiting to be sent: in memory (`memory`), or in a file that outlives the process (`file`).

What is guaranteed, for everything that `record` took without raising:

- **Nothing is lost.** A message stays in the outbox until the service has acknowledged it. In memory that
  holds as long as the process lives; in a file it also holds after a crash, SIGKILL or loss of power, since
  `record` returns when the file is synced to disk.
- **Nothing is sent out of order** within a conversation, by however many threads and processes that share
  the outbox: one of them at a time holds the conversation's claim. The claim of a dead process is free at
  once on the same machine, and after ten minutes elsewhere.
- **Nothing is stored twice.** The API has no idempotency keys, so after a request whose answer was lost the
  session is read from where its length was known last, and the message is sent again only if it is not
  there. Equal texts are told apart by counting: "ok", "ok" stays twice. A message with an id is taken once,
  as long as its id is among the latest 10,000 of its conversation. Ids are kept in memory for the 10,000
  conversations that took one last, and in a file until 30 days after a conversation's last use.

Windows that the API leaves open, because a write cannot be recognised by the service:

- *Two writers without a common outbox* in one thread. Both counts are right unless the other writer stored
  the very same text, by the same role, while an answer of ours was lost: then ours counts as stored.
- *A request that takes effect late*: the connection breaks, the session is read, and only then a gateway
  delivers the first request. The message is stored twice then.
- *A thread opened by two writers at the same time*: both settle on the oldest session, what the younger one
  held moves there and is stamped anew. In between a reader may see the thread in two parts.
- *A session found, not opened, by this process*, whose very first write loses its answer: its length was not
  known, so equal texts stamped since the message was recorded (less 30 seconds, for clocks) count as it.
"""

from __future__ import annotations

from recallrai_integrations.options import DeliveryOptions

from .base import ConversationKey, Outbox, OutboxEntry, SessionCursor
from .looking import ConversationStatus, export, status
from .memory import MemoryOutbox

__all__ = [
    "ConversationKey",
    "ConversationStatus",
    "MemoryOutbox",
    "Outbox",
    "OutboxEntry",
    "SessionCursor",
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

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

from collections.abc import Sequence

from recallrai_integrations.credentials import Secret
from recallrai_integrations.options import DeliveryOptions, is_url

from .base import (
    ClaimLostError,
    ConversationKey,
    Figures,
    Outbox,
    OutboxEntry,
    Request,
    SessionCursor,
    Unconfirmed,
)
from .looking import export, status
from .memory import MemoryOutbox
from .values import ConversationStatus

__all__ = [
    "ClaimLostError",
    "ConversationKey",
    "ConversationStatus",
    "Figures",
    "MemoryOutbox",
    "Outbox",
    "OutboxEntry",
    "Request",
    "SessionCursor",
    "Unconfirmed",
    "export",
    "init",
    "open_outbox",
    "status",
]


def open_outbox(delivery: DeliveryOptions, *, project: str) -> Outbox:
    """The outbox that the options ask for.

    Args:
        delivery: `outbox` and `outbox_limit`.
        project: which service and project the messages are for; a file may hold several.

    Raises:
        OutboxError: the file or the database cannot be used.
        MissingDependencyError: a URL without the extra `postgres`.
    """
    if delivery.outbox is None:
        return MemoryOutbox(limit=delivery.outbox_limit)
    if is_url(delivery.outbox):
        from .postgres import PostgresOutbox  # noqa: PLC0415 - an extra

        hold = delivery.on_error == "degrade"
        url = Secret(str(delivery.outbox))
        return PostgresOutbox(url, project=project, limit=delivery.outbox_limit, hold=hold)
    from .file import FileOutbox  # noqa: PLC0415 - sqlite3 and psutil are not loaded for nothing

    return FileOutbox(delivery.outbox, project=project, limit=delivery.outbox_limit)


def init(url: str, *, grant: Sequence[str] = ()) -> None:
    """Makes or migrates the schema `recallrai_integrations` of an outbox in PostgreSQL; may be run again.

    The role needs the right to create schemas in the database, or owns the schema; it is no superuser.

    Args:
        url: `postgresql://user@host/database`; what is left out, such as the password, is found where libpq
            looks for it (`PGPASSWORD`, `~/.pgpass`, `PGSERVICE`).
        grant: roles that are to use the outbox; they can change nothing of its schema.

    Raises:
        OutboxError: the server cannot be reached, or the role may not do it.
        MissingDependencyError: the extra `postgres` is not installed.

    Example:
        ```python
        from recallrai_integrations.outbox import init

        def deploy() -> None:  # once, before the processes that use the outbox
            init("postgresql://owner@db.internal/app", grant=["web", "worker"])
        ```
    """
    from .postgres_server import make_schema  # noqa: PLC0415 - an extra

    make_schema(Secret(url), grant=grant)

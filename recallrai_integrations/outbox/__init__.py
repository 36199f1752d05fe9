"""What is waiting to be sent: in memory (`memory`), or in a file that outlives the process (`file`)."""

from __future__ import annotations

from recallrai_integrations.options import DeliveryOptions

from .base import Address, Outbox, Place, Waiting
from .memory import MemoryOutbox

__all__ = ["Address", "MemoryOutbox", "Outbox", "Place", "Waiting", "open_outbox"]


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
    raise NotImplementedError(project)

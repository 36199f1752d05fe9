"""How all of our ways are connected."""

from __future__ import annotations

from dataclasses import dataclass

from bench.service import StandIn
from recallrai_integrations import Connection, ContextOptions, DeliveryOptions, RecallOptions, connect


@dataclass(frozen=True)
class Setting:
    """The service, and the options that are measured beside each other."""

    service: StandIn
    context: ContextOptions
    delivery: DeliveryOptions

    def connect(self) -> Connection:
        """A connection that recalls by the fastest strategy."""
        return connect(
            **self.service.credentials,
            recall=RecallOptions(strategy="low_latency"),
            context=self.context,
            delivery=self.delivery,
        )

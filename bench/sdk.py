"""The official SDK and raw HTTP, as the comparison uses them."""

from __future__ import annotations

from typing import Any

from recallrai import AsyncRecallrAI, RecallrAI
from recallrai.models import RecallStrategy

from bench.service import API_KEY, PROJECT_ID, StandIn

HEADERS = {"X-Recallr-Api-Key": API_KEY, "X-Recallr-Project-Id": PROJECT_ID}
CONTEXT: dict[str, Any] = {
    "recall_strategy": RecallStrategy.LOW_LATENCY,
    "include_system_prompt": False,
    "include_metadata_ids": True,
}
"""What our core asks for, so that both do the same."""


def client(service: StandIn) -> RecallrAI:
    """The official client."""
    return RecallrAI(**service.credentials, timeout=60)


def async_client(service: StandIn) -> AsyncRecallrAI:
    """The async twin of `client`."""
    return AsyncRecallrAI(**service.credentials, timeout=60)

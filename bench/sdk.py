"""The official SDK and raw HTTP, as the comparison uses them."""

from __future__ import annotations

from typing import Any

import httpx
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
    """The official client, without the proxies that it would use even for this machine."""
    made = RecallrAI(**service.credentials)
    http = made._http  # noqa: SLF001 - the SDK has no setting for this
    http.client = httpx.Client(headers=http.client.headers, limits=_LIMITS, timeout=60, trust_env=False)
    return made


def async_client(service: StandIn) -> AsyncRecallrAI:
    """The async twin of `client`."""
    made = AsyncRecallrAI(**service.credentials)
    headers = client(service)._http.client.headers  # noqa: SLF001 - as above
    made._http._client = httpx.AsyncClient(  # noqa: SLF001 - as above
        headers=headers, limits=_LIMITS, timeout=60, trust_env=False
    )
    return made


_LIMITS = httpx.Limits(max_connections=500, max_keepalive_connections=100)

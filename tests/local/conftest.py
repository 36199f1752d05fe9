"""The unmodified official SDK in both colours, and plain HTTP, against one local service per module."""

from __future__ import annotations

import asyncio
import inspect
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import httpx
import pytest
from recallrai import AsyncRecallrAI, RecallrAI

from recallrai_integrations.local import LocalRecallrAI

Do = Callable[[Any], Awaitable[Any]]


@pytest.fixture(scope="module")
def shared() -> Iterator[LocalRecallrAI]:
    """A service for all tests of a module, which keep apart by their users."""
    with LocalRecallrAI(min_auto_process_seconds=0.2) as server:
        yield server


@pytest.fixture(params=["sync", "async"])
async def sdk(request: pytest.FixtureRequest, shared: LocalRecallrAI) -> AsyncIterator[Any]:
    """A client of the official SDK in the colour of this run; its calls go through `do`."""
    options = {"api_key": shared.api_key, "project_id": shared.project_id, "base_url": shared.base_url}
    if request.param == "sync":
        client = RecallrAI(**options)
        yield client
        client._http.client.close()
    else:
        async with AsyncRecallrAI(**options) as client:
            yield client


async def _do(result: Any) -> Any:
    if inspect.isasyncgen(result):
        return [item async for item in result]
    if inspect.isgenerator(result):
        return list(result)
    return await result if inspect.isawaitable(result) else result


@pytest.fixture
def do() -> Do:
    """Brings a call of the SDK to its end: `await do(client.get_user("ada"))`; streams become lists."""
    return _do


@pytest.fixture
def user_id() -> str:
    """An id that no other test has."""
    return f"user-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def http(shared: LocalRecallrAI) -> Iterator[httpx.Client]:
    """Plain HTTP with the right headers, for what the SDK would never send."""
    headers = {"X-Recallr-Api-Key": shared.api_key, "X-Recallr-Project-Id": shared.project_id}
    with httpx.Client(base_url=shared.base_url, headers=headers, trust_env=False, timeout=30) as client:
        yield client


@pytest.fixture
def processed() -> Callable[[Any], Awaitable[Any]]:
    """Waits until a session is neither pending nor being processed."""

    async def wait(session: Any) -> Any:
        end = time.monotonic() + 20
        while session.status.value in ("pending", "processing"):
            assert time.monotonic() < end, f"still {session.status}"
            await asyncio.sleep(0.01)
            await _do(session.refresh())
        return session

    return wait

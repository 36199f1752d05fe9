"""What all tests share: a connection to a local service, and both colours of every call."""

from __future__ import annotations

import inspect
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from recallrai_integrations import Connection, DeliveryOptions, connect
from recallrai_integrations.local import LocalRecallrAI

Call = Callable[..., Awaitable[Any]]


@pytest.fixture(autouse=True)
def _no_credentials_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test talks to a real account by accident, and no proxy gets in the way."""
    if os.environ.get("RECALLRAI_LIVE") == "1":
        return
    for name in ("RECALLRAI_API_KEY", "RECALLRAI_PROJECT_ID", "RECALLRAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[LocalRecallrAI]:
    """A local service of its own for one test, with a request log and faults."""
    with LocalRecallrAI() as local:
        yield local


@pytest.fixture
def make_connection(server: LocalRecallrAI) -> Iterator[Callable[..., Connection]]:
    """Connections to the test's service; closed at the end."""
    made: list[Connection] = []

    def make(**options: Any) -> Connection:
        delivery = options.pop("delivery", None) or DeliveryOptions(**options.pop("deliver", {}))
        connection = connect(
            api_key=server.api_key,
            project_id=server.project_id,
            base_url=server.base_url,
            delivery=delivery,
            **options,
        )
        made.append(connection)
        return connection

    yield make
    for connection in made:
        connection.close()


@pytest.fixture
def connection(make_connection: Callable[..., Connection]) -> Connection:
    """A connection to the test's service."""
    return make_connection()


@pytest.fixture(params=["sync", "async"])
async def call(request: pytest.FixtureRequest) -> AsyncIterator[Call]:
    """Calls a method in the colour of this run: `await call(conversation.record, …)`.

    In the async run the twin of the same object with the prefix `a` is awaited.
    """

    async def in_colour(method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if request.param == "sync":
            return method(*args, **kwargs)
        owner, name = method.__self__, method.__name__  # type: ignore[attr-defined]
        result = getattr(owner, f"a{name}")(*args, **kwargs)
        return await result if inspect.isawaitable(result) else result

    yield in_colour  # noqa: PT022 - async generator fixtures keep one loop for the whole test

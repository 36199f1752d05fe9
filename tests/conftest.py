"""What all tests share: a connection to a service, and both colours of every call.

With `RECALLRAI_LIVE=1` and credentials in the environment the contract tests run against the real service,
each with users of its own that are deleted afterwards; tests that need the local service's request log or
its faults are skipped then.
"""

from __future__ import annotations

import inspect
import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from blockbuster import BlockBuster

import recallrai_integrations
from recallrai_integrations import Connection, DeliveryOptions, connect
from recallrai_integrations._backend import requests as raw_requests
from recallrai_integrations._backend import sdk
from recallrai_integrations._flows import ops
from recallrai_integrations.identity import encode_id
from recallrai_integrations.local import LocalRecallrAI

Call = Callable[..., Awaitable[Any]]
LIVE = os.environ.get("RECALLRAI_LIVE") == "1"


@pytest.fixture(autouse=True)
def _no_credentials_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test talks to a real account by accident."""
    if not LIVE:
        for name in ("RECALLRAI_API_KEY", "RECALLRAI_PROJECT_ID", "RECALLRAI_BASE_URL"):
            monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[LocalRecallrAI]:
    """A local service of its own for one test, with a request log and faults."""
    if LIVE:
        pytest.skip("needs the local service's request log or faults, which the real service has not")
    with LocalRecallrAI() as local:
        yield local


@pytest.fixture
def service(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """How to reach the service of this run: arguments for `connect`."""
    if LIVE:
        yield {}
        return
    server: LocalRecallrAI = request.getfixturevalue("server")
    yield {"api_key": server.api_key, "project_id": server.project_id, "base_url": server.base_url}


@pytest.fixture
def _own_users(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """On the real service, users of this test alone; deleted afterwards."""
    if not LIVE:
        yield
        return
    prefix, used = f"test-{uuid.uuid4().hex[:12]}-", set[str]()

    def encode(user_id: str) -> str:
        used.add(user_id)
        return prefix + encode_id(user_id)

    for module in (ops, raw_requests, sdk):
        monkeypatch.setattr(module, "encode_id", encode)
    yield
    with connect() as connection:
        for user_id in used.copy():
            with suppress(Exception):
                connection.forget(user_id)


@pytest.fixture
def make_connection(service: dict[str, str], _own_users: None) -> Iterator[Callable[..., Connection]]:
    """Connections to the test's service; closed at the end."""
    made: list[Connection] = []

    def make(**options: Any) -> Connection:
        delivery = options.pop("delivery", None) or DeliveryOptions(**options.pop("deliver", {}))
        connection = connect(**service, delivery=delivery, **options)  # type: ignore[arg-type]
        made.append(connection)
        return connection

    yield make
    for connection in made:
        connection.close()


@pytest.fixture
def connection(make_connection: Callable[..., Connection]) -> Connection:
    """A connection to the test's service."""
    return make_connection()


@pytest.fixture
def stored(make_connection: Callable[..., Connection]) -> Callable[..., list[tuple[str, str]]]:
    """What a process that knows nothing yet reads of a thread."""

    def stored(user_id: str = "ada", thread_id: str = "t") -> list[tuple[str, str]]:
        history = make_connection().conversation(user_id, thread_id).history()
        return [(one.role, one.content) for one in history]

    return stored


@pytest.fixture
def requests(server: LocalRecallrAI) -> Callable[[], list[str]]:
    """Method and last part of the path of the requests since the last call, instructions left out."""

    def requests() -> list[str]:
        made = [
            f"{one.method} {one.path.rsplit('/', 1)[-1]}"
            for one in server.requests
            if not one.path.endswith("system-prompt")
        ]
        server.requests.clear()
        return made

    return requests


def _coroutine_of_ours_runs() -> bool:
    frame = inspect.currentframe()
    while frame is not None:
        code = frame.f_code
        if code.co_flags & _ASYNC and code.co_filename.startswith(_PACKAGE):
            return True
        frame = frame.f_back
    return False


def _only_within_coroutines(excused: Callable[..., bool]) -> Callable[..., bool]:
    return lambda *args, **kwargs: not _coroutine_of_ours_runs() or excused(*args, **kwargs)


_ASYNC = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
_PACKAGE = str(Path(recallrai_integrations.__file__).parent)
_detector = BlockBuster("recallrai_integrations")
for _watched in _detector.functions.values():
    _watched.can_block_predicate = _only_within_coroutines(_watched.can_block_predicate)


@pytest.fixture(autouse=True)
def _nothing_blocks_an_event_loop() -> Iterator[None]:
    """A coroutine of this package that blocks its event loop, the embedded service's too, is an error.

    A test may call the sync form of something on its own loop.
    """
    _detector.activate()
    yield
    _detector.deactivate()


@contextmanager
def may_block() -> Iterator[None]:
    """What a test does inside a call of this package, in a hook say, may block its loop."""
    _detector.deactivate()
    try:
        yield
    finally:
        _detector.activate()


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

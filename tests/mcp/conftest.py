"""A client of the SDK before our server, over every transport and in both versions of the protocol."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
import uvicorn
from mcp import Client, StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.server.auth.provider import AccessToken, TokenVerifier
from mcp.server.auth.settings import AuthSettings
from mcp.types import ElicitResult

from recallrai_integrations import Connection, DeliveryOptions, connect
from recallrai_integrations.local import LocalRecallrAI
from recallrai_integrations.mcp import MemoryServer, create_server

VERSIONS = {"auto": "2026-07-28", "legacy": "2025-11-25"}
TRANSPORTS = ("process", "http")
ISSUER = "https://id.example.com"


class Tokens(TokenVerifier):
    """Takes `user:ada` for a token of ada's; the others are as they are called."""

    async def verify_token(self, token: str) -> AccessToken | None:
        kind, _, name = token.partition(":")
        if kind not in ("user", "old", "nobody", "mail"):
            return None
        return AccessToken(
            token=token,
            client_id="desk",
            scopes=[],
            subject=name if kind in ("user", "old") else None,
            claims={"email": name} if kind == "mail" else None,
            expires_at=int(time.time()) - 60 if kind == "old" else None,
        )


def guarded(connection: Connection, **options: Any) -> MemoryServer:
    """A server for many users."""
    auth = AuthSettings.model_validate({"issuer_url": ISSUER, "resource_server_url": None})
    return create_server(connection, token_verifier=Tokens(), auth=auth, **options)


@asynccontextmanager
async def listening(server: MemoryServer) -> AsyncIterator[str]:
    """The server on HTTP; its address."""
    config = uvicorn.Config(
        server.streamable_http_app(), port=0, log_level="error", timeout_graceful_shutdown=1
    )
    http = uvicorn.Server(config)
    serving = asyncio.create_task(http.serve())
    while not http.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    port = http.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        http.should_exit = True
        await serving


@asynccontextmanager
async def opened(client: Client) -> AsyncIterator[Client]:
    """A client whose block raises what was raised in it, not a group of groups with that inside."""
    failure: Exception | None = None
    async with client:
        try:
            yield client
        except Exception as error:  # noqa: BLE001 - carried out of the client's task groups
            failure = error
    if failure is not None:
        raise failure


@asynccontextmanager
async def calling(url: str, token: str | None, **options: Any) -> AsyncIterator[Client]:
    """A client with a token."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30) as http,
        opened(Client(streamable_http_client(url, http_client=http), **options)) as client,
    ):
        yield client


def environment(local: LocalRecallrAI, user_id: str | None = "ada") -> dict[str, str]:
    """What a client's configuration sets for the process."""
    given = {
        "RECALLRAI_API_KEY": local.api_key,
        "RECALLRAI_PROJECT_ID": local.project_id,
        "RECALLRAI_BASE_URL": local.base_url,
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
    }
    return given if user_id is None else {**given, "RECALLRAI_USER_ID": user_id}


class Desk:
    """An application that speaks MCP, on behalf of ada."""

    def __init__(self, local: LocalRecallrAI, connection: Connection, transport: str, mode: str) -> None:
        self.local, self.connection, self.transport, self.mode = local, connection, transport, mode

    @asynccontextmanager
    async def client(self, answer: ElicitResult | None = None) -> AsyncIterator[Client]:
        """A client whose user answers each form so; None for a client that has no forms."""
        self.asked: list[Any] = []

        async def fill_in(_context: Any, form: Any) -> ElicitResult:
            self.asked.append(form)
            return answer

        options = {"mode": self.mode, "elicitation_callback": fill_in if answer else None}
        if self.transport == "process":
            server = create_server(self.connection, user_id="ada")
            async with opened(Client(server, **options)) as client:
                yield client
        elif self.transport == "stdio":
            command = StdioServerParameters(
                command=sys.executable, args=["-m", "recallrai_integrations.mcp"], env=environment(self.local)
            )
            async with opened(Client(stdio_client(command), **options)) as client:
                yield client
        else:
            async with (
                listening(guarded(self.connection)) as url,
                calling(url, "user:ada", **options) as client,
            ):
                yield client

    def teach(self, *facts: str, user_id: str = "ada") -> None:
        """An earlier conversation each."""
        for fact in facts:
            with self.connection.conversation(user_id) as earlier:
                earlier.record(("user", fact))
                earlier.finish(wait=30)
        self.local.requests.clear()

    def requests(self) -> list[str]:
        """What the service was asked so far, without what opens a session."""
        return [f"{one.method} {one.path.rsplit('/', 1)[-1]}" for one in self.local.requests]


@pytest.fixture
def local() -> Iterator[LocalRecallrAI]:
    with LocalRecallrAI(merge_conflict_enabled=True) as service:
        yield service


@pytest.fixture
def connection(local: LocalRecallrAI) -> Iterator[Connection]:
    once = DeliveryOptions(retries=0)
    with connect(
        api_key=local.api_key, project_id=local.project_id, base_url=local.base_url, delivery=once
    ) as made:
        yield made


@pytest.fixture(params=VERSIONS)
def mode(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=TRANSPORTS)
def everywhere(
    request: pytest.FixtureRequest, local: LocalRecallrAI, connection: Connection, mode: str
) -> Desk:
    """With and without HTTP; on stdio all of it is one test, since a process takes seconds to begin."""
    return Desk(local, connection, request.param, mode)


@pytest.fixture
def desk(local: LocalRecallrAI, connection: Connection, mode: str) -> Desk:
    """In one process, where the transport makes no difference."""
    return Desk(local, connection, "process", mode)

"""Services that fail on demand, and counting of what they hold."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator

import pytest

from bench.postgres import PostgresServer, programs
from recallrai_integrations import Connection
from recallrai_integrations.local import LocalRecallrAI
from recallrai_integrations.outbox import init

Texts = Callable[..., list[str]]
Conversations = Callable[..., list[list[str]]]


@pytest.fixture
def conversations(server: LocalRecallrAI) -> Iterator[Conversations]:
    """What the service holds for a user, session by session, asked by a client of its own."""
    from recallrai import RecallrAI
    from recallrai.exceptions import UserNotFoundError

    sdk = RecallrAI(api_key=server.api_key, project_id=server.project_id, base_url=server.base_url)

    def read(user: str = "ada") -> list[list[str]]:
        try:
            sessions = sdk.get_user(user).list_sessions(limit=100).sessions
        except UserNotFoundError:
            return []
        ordered = sorted(sessions, key=lambda one: one.created_at)
        return [[one.content for one in session.get_messages(limit=500).messages] for session in ordered]

    yield read
    sdk._http.client.close()


@pytest.fixture
def texts(conversations: Conversations) -> Texts:
    """What the service holds for a user, all sessions in order, asked by a client of its own."""
    return lambda user="ada": [text for said in conversations(user) for text in said]


def eventually(happened: Callable[[], object], seconds: float = 20.0) -> None:
    """Waits until something is so."""
    ends = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < ends, "it did not happen"
        time.sleep(0.01)


def forget_what_is_known(connection: Connection) -> None:
    """As if the process were new: of all conversations, nothing is known but what the outbox holds."""
    connection.runtime.conversations._held.clear()
    connection.runtime.conversations._latest.clear()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real server, from the system's packages."""
    pytest.importorskip("psycopg", reason='the extra "postgres" is not installed')
    if programs() is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    with PostgresServer() as server:
        yield server


@pytest.fixture
def database(postgres: PostgresServer) -> str:
    """The URL of a database of its own, with an outbox."""
    url = new_database(postgres)
    init(url)
    return url


def new_database(server: PostgresServer) -> str:
    import psycopg

    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return server.url(name)

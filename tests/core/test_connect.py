"""The ways to connect, and what is said when one cannot."""

from __future__ import annotations

import asyncio
import copy
import logging
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from recallrai import AsyncRecallrAI, RecallrAI

from recallrai_integrations import (
    ConfigurationError,
    Connection,
    ConnectionClosedError,
    CredentialsError,
    InvalidInputError,
    LocalServiceError,
    MissingIdentityError,
    RecallrAIIntegrationError,
    connect,
)
from recallrai_integrations.adapter import ConnectionSource
from recallrai_integrations.local import LocalRecallrAI
from tests.conftest import Call

SECRET = "rai_" + "s3cr3t" * 4


@pytest.fixture
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RECALLRAI_API_KEY", "RECALLRAI_PROJECT_ID", "RECALLRAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("given", "remedy"),
    [
        ({}, "RECALLRAI_API_KEY"),
        ({"api_key": ""}, "RECALLRAI_API_KEY"),
        ({"api_key": "sk-123", "project_id": "p"}, "start with 'rai_'"),
        ({"api_key": "rai_a b", "project_id": "p"}, "white space"),
        ({"api_key": "rai_a\n", "project_id": "p"}, "white space"),
        ({"api_key": "rai_ä", "project_id": "p"}, "malformed"),
        ({"api_key": "rai_a"}, "RECALLRAI_PROJECT_ID"),
        ({"api_key": "rai_a", "project_id": "p\n"}, "project id is malformed"),
    ],
)
@pytest.mark.usefixtures("no_environment")
def test_missing_or_malformed_credentials_are_an_error_with_the_remedy(
    given: dict[str, str], remedy: str
) -> None:
    with pytest.raises(CredentialsError, match=remedy) as caught:
        connect(**given)  # type: ignore[arg-type]
    assert given.get("api_key", "-") not in str(caught.value) or not given.get("api_key")


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://host", "http://", "nonsense"])
def test_a_base_url_that_is_none_is_an_error(url: str) -> None:
    with pytest.raises(ConfigurationError, match="RECALLRAI_BASE_URL"):
        connect(api_key="rai_a", project_id="p", base_url=url)


def test_a_password_in_the_base_url_is_refused_and_not_shown() -> None:
    with pytest.raises(ConfigurationError, match="password") as caught:
        connect(api_key="rai_a", project_id="p", base_url="https://ada:hunter2@example.com")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), True, "5", None])
def test_a_timeout_that_is_none_is_an_error(timeout: Any) -> None:
    with pytest.raises(ConfigurationError, match="timeout"):
        connect(api_key="rai_a", project_id="p", timeout=timeout)


def test_forms_of_connecting_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="not several"):
        connect(api_key="rai_a", project_id="p", local=tmp_path / "memory.db")


async def test_credentials_come_from_the_environment(
    server: LocalRecallrAI, monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    monkeypatch.setenv("RECALLRAI_API_KEY", server.api_key)
    monkeypatch.setenv("RECALLRAI_PROJECT_ID", server.project_id)
    monkeypatch.setenv("RECALLRAI_BASE_URL", server.base_url + "/")
    connection = ConnectionSource().get()
    await call(connection.conversation("ada").record, ("user", "hi"))
    assert len(server.requests) == 4
    await call(connection.close)


async def test_a_key_that_the_service_refuses_is_an_error_and_never_an_outage(
    server: LocalRecallrAI, call: Call
) -> None:
    with connect(api_key="rai_wrong", project_id="local", base_url=server.base_url) as connection:
        with pytest.raises(CredentialsError, match="RECALLRAI_PROJECT_ID") as caught:
            await call(connection.conversation("ada").record, ("user", "hi"))
        assert "rai_wrong" not in str(caught.value)


async def test_your_own_clients_are_used_and_stay_open(server: LocalRecallrAI, call: Call) -> None:
    arguments = {"api_key": server.api_key, "project_id": server.project_id, "base_url": server.base_url}
    sync, asynchronous = RecallrAI(**arguments), AsyncRecallrAI(**arguments)
    connection = connect(client=sync, async_client=asynchronous)
    await call(connection.conversation("ada").record, ("user", "hi"))
    await call(connection.close)
    assert sync.get_user("ada").user_id == "ada"
    assert (await asynchronous.get_user("ada")).user_id == "ada"
    sync._http.client.close()
    await asynchronous.close()


async def test_one_client_is_enough_for_both_colours(server: LocalRecallrAI) -> None:
    sync = RecallrAI(api_key=server.api_key, project_id=server.project_id, base_url=server.base_url)
    async with connect(client=sync) as connection:
        await connection.conversation("ada").arecord(("user", "hi"))
        connection.conversation("ada").record(("user", "hi"))
    sync._http.client.close()


def test_the_local_service_in_this_process_keeps_what_a_file_holds(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    with connect(local=path) as connection:
        connection.conversation("ada", "t").record(("user", "hi"))
    with connect(local=str(path)) as connection:
        assert [one.content for one in connection.conversation("ada", "t").history()] == ["hi"]


def test_a_file_that_is_no_database_is_an_error_and_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "letter.db"
    path.write_text("Dear Ada, this is not a database at all. " * 50)
    before = path.read_bytes()
    with pytest.raises(LocalServiceError, match=r"letter\.db"):
        connect(local=path)
    assert path.read_bytes() == before


def test_a_proxy_in_the_environment_does_not_catch_loopback_traffic(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with connect(local=":memory:") as connection:
        connection.conversation("ada").record(("user", "hi"))


def test_one_connection_serves_threads_and_several_event_loops(connection: Connection) -> None:
    async def turn(n: int) -> int:
        conversation = connection.conversation("ada", f"t{n}")
        await conversation.arecord(("user", "hi"))
        conversation.record(("assistant", "hello"))
        return len(await conversation.ahistory())

    assert [asyncio.run(turn(n)) for n in range(3)] == [2, 2, 2]


def test_an_event_loop_that_ends_takes_its_client_along(tmp_path: Path) -> None:
    program = """
import asyncio
from recallrai_integrations import connect
connection = connect(local=":memory:")
async def main():
    await connection.conversation("ada", "t").arecord(("user", "hi"))
asyncio.run(main())
asyncio.run(main())
connection.close()
"""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error::ResourceWarning", "-c", program],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "ResourceWarning" not in done.stderr


def test_a_closed_connection_says_so(make_connection: Callable[..., Connection]) -> None:
    connection = make_connection()
    connection.close()
    connection.close()
    with pytest.raises(ConnectionClosedError, match="closed"):
        connection.conversation("ada")


@pytest.mark.parametrize(
    "wrong",
    [
        {"user_id": ""},
        {"user_id": None},
        {"user_id": "x" * 10_000},
        {"user_id": "ada", "thread_id": ""},
        {"user_id": "ada", "process": "sometimes"},
        {"user_id": "ada", "process_every": 0},
        {"user_id": "ada", "process_every": "2"},
        {"user_id": "ada", "auto_process_after_seconds": None},
        {"user_id": "ada", "auto_process_after_seconds": 0},
    ],
)
def test_a_conversation_with_wrong_arguments_is_refused_before_any_request(
    connection: Connection, server: LocalRecallrAI, wrong: dict[str, Any]
) -> None:
    with pytest.raises((InvalidInputError, MissingIdentityError)):
        connection.conversation(**wrong)
    assert len(server.requests) == 0


@pytest.mark.parametrize(
    "user", ["../bob", "a/b?c#d", "..", "a b", "ada@example.com", "🙂", "%2F", "enc-bob"]
)
async def test_hostile_user_ids_work_and_reach_nobody_else(
    connection: Connection, server: LocalRecallrAI, call: Call, user: str
) -> None:
    conversation = connection.conversation(user, "t/../1 🙂")
    await call(conversation.record, ("user", "mine"))
    assert [one.content for one in await call(conversation.history)] == ["mine"]
    info = await call(conversation.info)
    assert (info.user_id, info.metadata["thread_id"]) == (user, "t/../1 🙂")
    assert all(one.status < 400 or one.status == 404 for one in server.requests)


async def test_the_key_is_in_no_repr_log_error_or_pickle(
    caplog: pytest.LogCaptureFixture, call: Call, unused_tcp_port: int
) -> None:
    caplog.set_level(logging.DEBUG)
    connection = connect(
        api_key=SECRET, project_id="p", base_url=f"http://127.0.0.1:{unused_tcp_port}", timeout=1.0
    )
    conversation = connection.conversation("ada", "t")
    shown = [repr(connection), repr(conversation), repr(connection.user("ada")), repr(vars(connection))]
    source = ConnectionSource(connection)
    shown.append(repr(pickle.dumps(source)))
    assert copy.deepcopy(source) is source
    try:
        await call(connection.user("ada").info)
    except RecallrAIIntegrationError as error:
        chain: BaseException | None = error
        while chain is not None:
            shown.append(repr(chain))
            chain = chain.__cause__ or chain.__context__
    await call(conversation.record, ("user", "hi"))
    shown.append(repr(await call(conversation.recall)))
    await call(connection.close)
    shown.append(caplog.text)
    assert not any(SECRET in text for text in shown)


def test_importing_the_package_imports_no_framework_and_does_nothing() -> None:
    program = """
import sys, threading
import recallrai_integrations
heavy = {"recallrai", "httpx", "pydantic", "langchain", "langchain_core", "langgraph", "llama_index", "fastapi", "uvicorn"}
print(sorted(heavy & set(sys.modules)), threading.active_count())
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "[] 1"


@pytest.mark.usefixtures("no_environment")
def test_the_services_shortest_inactivity_is_checked_before_any_request() -> None:
    with connect(local=":memory:") as local, connect(api_key="rai_a", project_id="p") as hosted:
        for connection in (local, hosted):
            with pytest.raises(InvalidInputError, match="at least 600"):
                connection.conversation("ada", auto_process_after_seconds=599)


@pytest.fixture
def broken_outbox(make_connection: Callable[..., Connection], tmp_path: Path) -> Connection:
    """A connection whose outbox file was spoilt after it was opened."""
    connection = make_connection(deliver={"outbox": tmp_path / "waiting.db"})
    for file in tmp_path.iterdir():
        file.write_bytes(b"no database" * 1000)
    return connection


async def test_a_sync_close_closes_the_client_of_the_loop_too(
    make_connection: Callable[..., Connection],
) -> None:
    connection = make_connection()
    await connection.conversation("ada", "t1").arecord(("user", "hi"))
    backend: Any = vars(connection.runtime)["_backend"]
    (ours,) = backend._loops.values()
    client = ours._sdk.http._client
    connection.close()
    turns = 0
    while not client.is_closed and (turns := turns + 1) < 1000:  # noqa: ASYNC110 - of the loop, not time
        await asyncio.sleep(0)
    assert client.is_closed


async def test_with_a_broken_outbox_file_a_connection_still_closes(
    broken_outbox: Connection, call: Call
) -> None:
    await call(broken_outbox.close)
    assert broken_outbox.closed


FORKS = """
import os, sys
from recallrai_integrations import DeliveryOptions, connect

connection = connect(base_url=sys.argv[1], api_key="rai_local", project_id="local",
                     delivery=DeliveryOptions(mode="background"))
connection.conversation("parent", "t").record(("user", "before"))
connection.flush()
connection.conversation("parent", "t").history()  # leaves an open socket and a worker behind
connection.conversation("parent", "t").record(("user", "waits"))
children = []
for n in range(3):
    child = os.fork()
    if child == 0:
        for turn in range(10):
            conversation = connection.conversation(f"child-{n}", "t")
            conversation.record(("user", f"{n} {turn}"))
            assert not conversation.recall().degraded
            assert [one.content for one in conversation.history()] == [f"{n} {one}" for one in range(turn + 1)]
        conversation.record(("user", "last"))
        sys.exit()  # delivered by the child's own exit
    children.append(child)
assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_after_a_fork_each_process_has_sockets_workers_and_messages_of_its_own(
    server: LocalRecallrAI,
) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKS, server.base_url],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with connect(
        api_key=server.api_key, project_id=server.project_id, base_url=server.base_url
    ) as connection:
        for user, said in (
            ("parent", ["before", "waits"]),
            ("child-1", [f"1 {n}" for n in range(10)] + ["last"]),
        ):
            history = connection.conversation(user, "t").history()
            assert [one.content for one in history] == said

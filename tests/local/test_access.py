"""The local service on a machine that others use too: names, pages of other sites, keys, files, sizes."""

from __future__ import annotations

import os
import re
import socket
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from recallrai_integrations import ConfigurationError, DeliveryOptions, LocalServiceError, connect
from recallrai_integrations.local import LocalRecallrAI
from recallrai_integrations.local.front import MAX_BODY_BYTES
from recallrai_integrations.local.origins import Names
from tests.conftest import Call

posix = pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")


def asked(server: LocalRecallrAI, **headers: str) -> int:
    own = {"X-Recallr-Api-Key": server.api_key, "X-Recallr-Project-Id": server.project_id}
    return httpx.get(
        f"{server.base_url}/api/v1/users", headers={**own, **headers}, trust_env=False
    ).status_code


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 200),
        ("127.0.0.2", 200),
        ("localhost:3000", 200),
        ("LocalHost", 200),
        ("[::1]:8000", 200),
        ("evil.example", 421),
        ("evil.example:8000", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("192.168.1.5:8000", 421),
        ("evil.example@127.0.0.1", 421),
        ("", 421),
    ],
)
def test_a_page_that_rebinds_its_name_to_this_machine_gets_no_answer(server, host, status):
    assert asked(server, Host=host) == status


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://127.0.0.1:1", 200),
        ("http://localhost:3000", 200),
        ("http://[::1]:5000", 200),
        ("https://evil.example", 403),
        ("http://192.168.1.5", 403),
        ("null", 403),
        ("file://", 403),
    ],
)
def test_a_page_of_another_site_gets_no_answer(server, origin, status):
    assert asked(server, Origin=origin) == status


@pytest.mark.parametrize("path", ["/", "/health", "/docs", "/openapi.json", "/api/v1/users", "/nothing"])
def test_every_path_is_kept_from_other_names(server, path):
    server.faults.add(status=200, body={"a": "fault"})
    answer = httpx.get(server.base_url + path, headers={"Host": "evil.example"}, trust_env=False)
    assert answer.status_code == 421
    assert "--allow-host" in answer.json()["detail"]
    assert server.requests[-1].status == 421


def refused(names: Names, host: str, origin: str | None = None) -> bool:
    headers = [(b"host", host.encode())] + ([(b"origin", origin.encode())] if origin else [])
    return names.refusal(headers) is not None


def test_a_service_answers_under_the_names_that_it_was_started_with():
    named = Names("memory.internal", ["Memory"])
    assert not refused(named, "memory.internal:8000")
    assert not refused(named, "memory:8000", "http://memory:8000")
    assert not refused(named, "127.0.0.1")
    assert refused(named, "192.168.1.5")


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_a_service_on_all_addresses_answers_under_addresses_and_not_under_foreign_names(host):
    everywhere = Names(host)
    assert not refused(everywhere, "192.168.1.5:8000", "http://192.168.1.5:8000")
    assert not refused(everywhere, "[fe80::1]:8000")
    assert not refused(everywhere, f"{socket.gethostname()}:8000")
    assert refused(everywhere, "evil.example:8000")
    assert refused(everywhere, "192.168.1.5:8000", "http://192.168.1.6")


def test_two_names_in_one_request_are_refused():
    assert Names("127.0.0.1").refusal([(b"host", b"127.0.0.1"), (b"host", b"evil.example")]) is not None
    assert Names("127.0.0.1").refusal([]) is not None


def test_one_name_in_place_of_a_list_of_names_is_told():
    with pytest.raises(ConfigurationError, match=r"\['memory'\]"):
        LocalRecallrAI(allowed_hosts="memory")


@contextmanager
def embedded(path: Path | str) -> Iterator[tuple[Any, Any]]:
    with connect(local=path) as connection:
        yield connection, connection._credentials


def test_an_embedded_service_has_a_key_of_its_own(tmp_path):
    with embedded(":memory:") as (_, one), embedded(tmp_path / "m.db") as (shown, other):
        keys = {one.api_key.reveal(), other.api_key.reveal()}
        assert len(keys) == 2
        assert all(re.fullmatch(r"rai_[\w-]{40,}", key) for key in keys)
        headers = {"X-Recallr-Api-Key": "rai_local", "X-Recallr-Project-Id": "local"}
        url = f"{one.base_url}/api/v1/users"
        assert httpx.get(url, headers=headers, trust_env=False).status_code == 401
        assert other.api_key.reveal() not in repr(shown) + repr(other)


async def test_connections_to_one_file_share_the_service_whatever_its_key(tmp_path, call: Call):
    file = tmp_path / "m.db"
    with connect(local=file) as one, connect(local=file) as other:
        await call(one.conversation("ada", "t").record, ("user", "hello"))
        assert [m.content for m in await call(other.conversation("ada", "t").history)] == ["hello"]
        with (
            pytest.raises(LocalServiceError, match="api_key=None takes the key as it is"),
            LocalRecallrAI(file),
        ):
            pass
        with LocalRecallrAI(file, api_key=None) as server:
            assert asked(server) == 200
    with LocalRecallrAI(file) as server, connect(local=file) as third:
        assert server.api_key == "rai_local"
        assert [m.content for m in await call(third.conversation("ada", "t").history)] == ["hello"]


@posix
async def test_what_is_remembered_and_what_waits_is_for_its_owner_alone(tmp_path, call: Call):
    before = os.umask(0)
    try:
        delivery = DeliveryOptions(outbox=tmp_path / "outbox.db")
        with connect(local=tmp_path / "m.db", delivery=delivery) as connection:
            await call(connection.conversation("ada", "t").record, ("user", "hello"))
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    finally:
        os.umask(before)
    beside = ("", "-wal", "-shm")
    assert {f"{name}{end}" for name in ("m.db", "outbox.db") for end in beside} | {"m.db-lock"} <= set(modes)
    assert set(modes.values()) == {0o600}


def sent(server: LocalRecallrAI, head: str, pieces: int) -> bytes:
    """The answer to a chunked body of so many mebibytes."""
    piece = b" " * 1024**2
    where = urlsplit(server.base_url)
    with closing(socket.create_connection((where.hostname, where.port), timeout=30)) as client:
        lines = [
            "POST /api/v1/users HTTP/1.1",
            f"Host: {where.netloc}",
            f"X-Recallr-Api-Key: {server.api_key}",
            f"X-Recallr-Project-Id: {server.project_id}",
            head,
        ]
        client.sendall("\r\n".join([*lines, "", ""]).encode())
        try:
            for _ in range(pieces):
                client.sendall(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            client.sendall(b"0\r\n\r\n")
        except OSError:
            pass  # it has heard enough
        return client.recv(65_536)


@pytest.mark.parametrize("delayed", [False, True], ids=["plain", "with a delay"])
@pytest.mark.parametrize(
    "head",
    ["Transfer-Encoding: chunked", "Content-Length: 2\r\nTransfer-Encoding: chunked"],
    ids=["chunked", "chunked beside a small length"],
)
def test_a_body_is_refused_by_what_arrives_of_it(server, head, delayed):
    if delayed:
        server.faults.add(delay=0.01)
    assert sent(server, head, MAX_BODY_BYTES // 1024**2 + 1).startswith(b"HTTP/1.1 413")


async def test_an_answer_of_two_million_characters_is_stored_and_ends_no_turn(connection, call: Call):
    conversation = connection.conversation("ada", "t")
    long = "word " * 400_000
    await call(conversation.record, [("user", "Say it often."), ("assistant", long)])
    assert [m.content for m in await call(conversation.history)] == ["Say it often.", long]
    assert not (await call(conversation.recall)).degraded

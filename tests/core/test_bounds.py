"""A service that drips, or never stops sending: what a request costs at most, in both colours."""

from __future__ import annotations

import gzip
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any

import pytest

from recallrai_integrations import RecallOptions, ServiceUnavailableError
from recallrai_integrations._backend import Backend, bounds
from recallrai_integrations._flows.ops import GetContext, GetUser
from recallrai_integrations.credentials import Credentials, Secret
from tests.conftest import Call

Answer = Callable[[socket.socket, threading.Event], None]
DRIP = 0.05
"""Seconds between two bytes: far below any timeout, so that no single read is late."""


@pytest.fixture
def sending() -> Iterator[Callable[..., Backend]]:
    """What sends requests to a service that answers each in a given way."""
    ended = threading.Event()
    listening = socket.create_server(("127.0.0.1", 0))
    made: list[Backend] = []

    def serve(answer: Answer) -> None:
        with suppress(OSError):  # the test is over
            while True:
                client, _ = listening.accept()
                with closing(client), suppress(OSError):
                    client.recv(65_536)
                    answer(client, ended)

    def start(answer: Answer, timeout: float = 60) -> Backend:
        threading.Thread(target=serve, args=(answer,), daemon=True).start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        made.append(Backend(Credentials(Secret("rai_test"), "test", url), timeout=timeout))
        return made[-1]

    yield start
    ended.set()
    listening.close()
    for backend in made:
        backend.close()


def head(**headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", "Content-Type: application/json"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def dripping(first: bytes, drops: bytes) -> Answer:
    """Sends some bytes at once, and then one byte after the other, for ever."""

    def answer(client: socket.socket, ended: threading.Event) -> None:
        client.sendall(first)
        while not ended.wait(DRIP):
            for drop in drops:
                client.sendall(bytes([drop]))
                if ended.wait(DRIP):
                    return

    return answer


def flooding(piece: bytes, **headers: str) -> Answer:
    """Sends the same bytes again and again."""

    def answer(client: socket.socket, ended: threading.Event) -> None:
        client.sendall(head(Connection="close", **headers))
        while not ended.is_set():
            client.sendall(piece)

    return answer


def whole(body: bytes, **headers: str) -> Answer:
    def answer(client: socket.socket, _: threading.Event) -> None:
        client.sendall(head(Content_Length=str(len(body)), Connection="close", **headers) + body)

    return answer


class Asked:
    """One request through the backend, in both colours: `run` and `arun`."""

    def __init__(self, backend: Backend, *, streamed: bool) -> None:
        self._backend = backend
        self._op: Any = GetUser("ada")
        if streamed:
            self._op = GetContext("ada", "7f1d3c3e-0000-4000-8000-000000000000", RecallOptions(), print)

    def run(self) -> Any:
        return self._backend.send(self._op)

    async def arun(self) -> Any:
        return await self._backend.asend(self._op)


STREAMED = pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])


@STREAMED
@pytest.mark.parametrize(
    "answer",
    [
        dripping(b"", head(Content_Length="1000000")),
        dripping(b"HTTP/1.1 200 OK\r\n", b"X-More: and more\r\n"),
        dripping(head(Content_Length="1000000"), b" "),
        dripping(head(Transfer_Encoding="chunked"), b"1\r\n\n\r\n"),
    ],
    ids=["status line", "headers", "body", "chunks"],
)
async def test_an_answer_that_drips_is_over_when_the_timeout_is(sending, call: Call, answer, streamed):
    backend = sending(answer, timeout=0.4)
    with pytest.raises(ServiceUnavailableError, match="did not answer in time") as caught:
        await call(Asked(backend, streamed=streamed).run)
    assert caught.value.may_have_taken_effect


@STREAMED
@pytest.mark.parametrize("packed", [False, True], ids=["as it is", "compressed"])
async def test_an_answer_larger_than_the_bound_is_not_read_on(
    sending, call: Call, monkeypatch, packed, streamed
):
    monkeypatch.setattr(bounds, "MAX_ANSWER_BYTES", 1024**2)
    bomb = gzip.compress(b" " * 64 * 1024**2)
    answer = whole(bomb, Content_Encoding="gzip") if packed else flooding(b" " * 65_536)
    assert len(bomb) < 1024**2
    with pytest.raises(ServiceUnavailableError, match="larger than 1 MiB"):
        await call(Asked(sending(answer), streamed=streamed).run)


async def test_a_compressed_answer_is_read(sending, call: Call):
    user = {"custom_user_id": "ada", "metadata": {}, "merge_conflict_enabled": None}
    times = {"created_at": "2026-01-01T00:00:00Z", "last_active_at": "2026-01-01T00:00:00Z"}
    body = gzip.compress(json.dumps({"user": user | times}).encode())
    found = await call(Asked(sending(whole(body, Content_Encoding="gzip")), streamed=False).run)
    assert found.user_id == "ada"


@pytest.mark.parametrize(
    ("coding", "why"),
    [("br", "not asked for"), ("gzip", "cannot be decompressed")],
    ids=["brotli", "damaged"],
)
async def test_a_compression_that_cannot_be_read_is_told(sending, call: Call, coding, why):
    with pytest.raises(ServiceUnavailableError, match=why):
        await call(Asked(sending(whole(b"\x8b\x02\x80hello", Content_Encoding=coding)), streamed=False).run)

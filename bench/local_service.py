"""Speed and size of the local service: `python -m bench --only local`.

Ratios are taken in one run on one machine: each server runs in a process of its own and is asked by the same
64 connections, which send prepared bytes so that the client is not what is measured.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import httpx

from recallrai_integrations.local import LocalRecallrAI

CONNECTIONS = 64
SECONDS = 4.0
KEY = {"X-Recallr-Api-Key": "rai_local", "X-Recallr-Project-Id": "local"}

BARE = """
import sys, socket, uvicorn
from fastapi import FastAPI
app = FastAPI()
@app.post("/nothing")
async def nothing() -> dict[str, str]:
    return {"detail": "done"}
listening = socket.socket(); listening.bind(("127.0.0.1", 0)); listening.listen(512)
sys.stderr.write('{"event": "listening", "url": "http://127.0.0.1:%d"}\\n' % listening.getsockname()[1])
sys.stderr.flush()
config = uvicorn.Config(app, http="h11", loop="asyncio", log_level="warning", access_log=False)
uvicorn.Server(config).run(sockets=[listening])
"""
SERVE = "import logging, sys; from recallrai_integrations.local import serve; serve(sys.argv[1], port=0)"


@dataclass(frozen=True)
class Server:
    """A server in a process of its own."""

    url: str
    pid: int

    def megabytes(self) -> float:
        """The most memory that it has held so far."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024


@contextmanager
def serving(code: str, *arguments: str) -> Iterator[Server]:
    """A server, ready when it has said where it listens."""
    with (
        tempfile.NamedTemporaryFile("w+", suffix=".log") as log,
        subprocess.Popen([sys.executable, "-c", code, *arguments], stderr=log) as process,
    ):
        try:
            while "listening" not in (said := Path(log.name).read_text()):
                if process.poll() is not None:
                    raise RuntimeError(said)
                time.sleep(0.002)
            url = json.loads(next(line for line in said.splitlines() if "listening" in line))["url"]
            yield Server(url, process.pid)
        finally:
            process.terminate()


def new_session(http: httpx.Client, user: str) -> str:
    http.post("/api/v1/users", json={"custom_user_id": user})
    session = http.post(f"/api/v1/users/{user}/sessions", json={}).json()["session"]
    return f"/api/v1/users/{user}/sessions/{session['session_id']}"


def raw(path: str, body: object) -> bytes:
    content = json.dumps(body).encode()
    headers = {"Host": "localhost", "Content-Type": "application/json", "Content-Length": len(content), **KEY}
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode() + content


async def throughput(url: str, requests: list[bytes]) -> float:
    """Answers per second over all connections; each sends its own request again and again."""
    host, port = url.removeprefix("http://").split(":")
    end = time.perf_counter() + SECONDS

    async def send(request: bytes) -> int:
        reader, writer = await asyncio.open_connection(host, int(port))
        done = 0
        while time.perf_counter() < end:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(head.decode())
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            done += 1
        writer.close()
        return done

    return sum(await asyncio.gather(*map(send, requests))) / SECONDS


def add_message(folder: Path) -> list[tuple[str, str]]:
    with serving(BARE) as bare:
        nothing = asyncio.run(
            throughput(bare.url, [raw("/nothing", {"message": "m", "role": "user"})] * CONNECTIONS)
        )
    with serving(SERVE, str(folder / "add.db")) as ours:
        with httpx.Client(base_url=ours.url, headers=KEY) as http:
            sessions = [new_session(http, f"user-{n}") for n in range(CONNECTIONS)]
        body = {"message": "I moved to Lisbon last year and still miss the sea.", "role": "user"}
        adding = asyncio.run(throughput(ours.url, [raw(f"{s}/add-message", body) for s in sessions]))
        size = ours.megabytes()
    return [
        ("bare FastAPI route, 64 connections", f"{nothing:,.0f}/s"),
        ("add-message, 64 connections", f"{adding:,.0f}/s"),
        ("add-message to bare route (goal at least 0.5)", f"{adding / nothing:.2f}"),
        ("most resident memory while adding (goal under 250 MB)", f"{size:.0f} MB"),
    ]


def opening(folder: Path, messages: int = 1_000_000) -> list[tuple[str, str]]:
    """A database of a million messages, written by the service's own tables, opened by a fresh process."""
    path = folder / "large.db"
    with (
        serving(SERVE, str(path)) as ours,
        httpx.Client(base_url=ours.url, headers=KEY) as http,
    ):
        sessions = [new_session(http, f"user-{n}") for n in range(100)]
    db = sqlite3.connect(path)
    moment = datetime.now(timezone.utc).isoformat()
    with db:
        pks = db.execute("SELECT pk, user_pk FROM sessions").fetchall()
        db.executemany(
            "INSERT INTO messages (session_pk, user_pk, role, content, created_at)"
            " VALUES (?, ?, 'user', ?, ?)",
            (
                (*pks[n % len(pks)], f"Message number {n} about nothing in particular.", moment)
                for n in range(messages)
            ),
        )
    db.close()
    started = time.perf_counter()
    with LocalRecallrAI(path):
        opened = time.perf_counter() - started
    with serving(SERVE, str(path)) as ours:
        with httpx.Client(base_url=ours.url, headers=KEY, timeout=60) as http:
            started = time.perf_counter()
            page = http.get(f"{sessions[0]}/messages", params={"limit": 500, "offset": 5000}).json()
            reading = time.perf_counter() - started
        size = ours.megabytes()
    return [
        (
            f"opening {page['total'] * 100:,} messages, up to the first request (goal under 1 s)",
            f"{opened:.2f} s",
        ),
        ("a page of 500 messages from the middle of a session", f"{reading * 1000:.1f} ms"),
        ("most resident memory with them (goal under 250 MB)", f"{size:.0f} MB"),
    ]


def recall(folder: Path, others: int = 0) -> float:
    """p95 in seconds of a context over HTTP, for a user with some sessions, beside other users."""
    with (
        serving(SERVE, str(folder / f"recall-{others}.db")) as ours,
        httpx.Client(base_url=ours.url, headers=KEY, timeout=600) as http,
    ):
        for number in range(others + 1):
            session = new_session(http, f"user-{number}")
            for fact in range(40):
                text = f"My {uuid.uuid4().hex[:6]} number {fact} is in drawer {fact * 7}, near the blue lamp."
                http.post(f"{session}/add-message", json={"message": text, "role": "user"})
            http.post(f"{session}/process")
            while http.get(session).json()["session"]["status"] == "processing":
                time.sleep(0.01)
        asking = new_session(http, "user-0")
        http.post(f"{asking}/add-message", json={"message": "What is in drawer 77?", "role": "user"})
        seconds: list[float] = []
        for _ in range(100):
            started = time.perf_counter()
            http.get(f"{asking}/context").raise_for_status()
            seconds.append(time.perf_counter() - started)
    return statistics.quantiles(seconds, n=20)[-1]


def run() -> list[tuple[str, str]]:
    """Rows of name and value."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
        folder = Path(name)
        alone, crowded = recall(folder), recall(folder, others=50)
        return [
            *add_message(folder),
            *opening(folder),
            ("recall over HTTP, p95, one user", f"{alone * 1000:.1f} ms"),
            ("the same beside 50 other users", f"{crowded * 1000:.1f} ms"),
        ]

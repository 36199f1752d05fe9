"""A stand-in for the hosted service: the same HTTP API, as slow as the published figures, or at once.

It runs in a process of its own, so that its processor time is nobody else's, keeps conversations in memory,
answers with the contexts of `dialogue`, and logs each request with its time on the clock that all processes
of a machine share. The routes of other services (see `peer_services`), equally slow, are there too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs

import httpx
from typing_extensions import Self

from bench import dialogue, peer_services

API_KEY, PROJECT_ID = "rai_bench", "bench"
STORED_SESSION, STORED_MESSAGES = "stored", 5000
"""A session that has that many messages from the start."""

_RECALL_SECONDS = {"low_latency": 0.3, "balanced": 1.2, "agentic": 7.0, "auto": 0.3}
_OTHER_SECONDS = 0.03

Json = dict[str, Any]
Send = Callable[[Json], Awaitable[None]]


@dataclass(frozen=True)
class Request:
    """A request that the service got."""

    at: float
    method: str
    path: str


class StandIn:
    """The service in a process of its own; a context manager.

    Args:
        latency: as slow as published, or at once.
    """

    def __init__(self, *, latency: bool) -> None:
        self._latency = latency

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "bench.service"] + ["--latency"] * self._latency
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.base_url = self._process.stdout.readline().strip()
        if not self.base_url:
            raise RuntimeError("The stand-in for the service did not start; its error is above.")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait()

    @property
    def credentials(self) -> dict[str, str]:
        return {"api_key": API_KEY, "project_id": PROJECT_ID, "base_url": self.base_url}

    def requests(self, since: float = 0.0) -> list[Request]:
        """The requests since a moment of `time.monotonic()`."""
        answer = httpx.get(f"{self.base_url}/log").json()
        return [Request(*entry) for entry in answer if entry[0] >= since]

    def stored(self) -> list[tuple[str, str]]:
        """Role and text of everything that it was given to remember, in order."""
        return [(role, text) for role, text in httpx.get(f"{self.base_url}/stored").json()]


@dataclass
class _Session:
    user: str
    metadata: Json
    session_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    messages: list[Json] = field(default_factory=list)

    def json(self) -> Json:
        return {
            "session_id": self.session_id,
            "status": "pending",
            "created_at": _now(),
            "metadata": self.metadata,
        }


class _Service:
    def __init__(self, *, latency: bool) -> None:
        self._latency = latency
        self._log: list[tuple[float, str, str]] = []
        self._stored: list[tuple[str, str]] = []
        self._users: set[str] = set()
        self._sessions: dict[str, _Session] = {}
        self._instructions = dialogue.instructions()

    async def __call__(self, scope: Json, receive: Callable[[], Awaitable[Json]], send: Send) -> None:
        if scope["type"] != "http":
            return
        at, path, method = time.monotonic(), scope["path"], scope["method"]
        body, more = b"", True
        while more:
            part = await receive()
            body, more = body + part.get("body", b""), part.get("more_body", False)
        kept = {"/log": self._log, "/stored": self._stored}.get(path)
        if kept is not None:
            await _respond(send, 200, kept)
            return
        self._log.append((at, method, path))
        query = {key: values[0] for key, values in parse_qs(scope["query_string"].decode()).items()}
        values = json.loads(body or b"{}")
        answer = self._route(method, path.strip("/").split("/"), query, values)
        if self._latency:
            recalls = path.endswith(("/context", "/search/", "/recall")) or values.get("return_context")
            seconds = (
                _RECALL_SECONDS[query.get("recall_strategy", "low_latency")] if recalls else _OTHER_SECONDS
            )
            await asyncio.sleep(seconds)
        await _respond(send, *answer)

    def _route(self, method: str, path: list[str], query: dict[str, str], body: Json) -> tuple[int, Any]:
        if path[0] != "api":
            return peer_services.route(method, path, body, self._stored)
        match method, *path:
            case "POST", "api", "v1", "users":
                self._users.add(body["custom_user_id"])
                return 201, {"user": _user(body["custom_user_id"])}
            case "GET", "api", "v1", "system-prompt":
                return 200, {"system_prompt": self._instructions}
            case method, "api", "v1", "users", user, *rest:
                if user not in self._users:
                    return 404, {"detail": f"User {user} not found"}
                return self._route_user(method, user, rest, query, body)
        return 404, {"detail": "Not Found"}

    def _route_user(
        self, method: str, user: str, path: list[str], query: dict[str, str], body: Json
    ) -> tuple[int, Any]:
        match method, *path:
            case ("GET",):
                return 200, {"user": _user(user)}
            case "POST", "sessions":
                session = _Session(user, body.get("metadata") or {})
                self._sessions[session.session_id] = session
                return 201, {"session": session.json()}
            case "GET", "sessions":
                return 200, self._list(user, query)
            case method, "sessions", session_id, *rest if session_id in self._sessions:
                return self._route_session(method, self._sessions[session_id], rest, query, body)
        return 404, {"detail": "Session not found"}

    def _route_session(
        self, method: str, session: _Session, path: list[str], query: dict[str, str], body: Json
    ) -> tuple[int, Any]:
        match method, *path:
            case ("GET",):
                return 200, {"session": session.json()}
            case "POST", "add-message":
                self._stored.append((body["role"], body["message"]))
                session.messages.append(
                    {"role": body["role"], "content": body["message"], "timestamp": _now()}
                )
                return 200, {"detail": "Message added"}
            case "POST", "process":
                return 200, {"detail": "Processing"}
            case "GET", "messages":
                offset, limit = int(query.get("offset", 0)), int(query.get("limit", 50))
                total = len(session.messages)
                page = session.messages[offset : offset + limit]
                return 200, {"messages": page, "total": total, "has_more": offset + len(page) < total}
            case "GET", "context":
                return 200, _context(session, query)
        return 404, {"detail": "Not Found"}

    def _list(self, user: str, query: dict[str, str]) -> Json:
        wanted = json.loads(query.get("metadata_filter", "{}"))
        if wanted.get("thread_id") == STORED_SESSION and STORED_SESSION not in self._sessions:
            self._sessions[STORED_SESSION] = _stored(user)
        found = [
            one.json()
            for one in self._sessions.values()
            if one.user == user and all(one.metadata.get(key) == value for key, value in wanted.items())
        ]
        return {"sessions": found, "total": len(found), "has_more": False}


def _context(session: _Session, query: dict[str, str]) -> Json:
    turn = max(sum(one["role"] == "user" for one in session.messages) - 1, 0)
    lines = [dialogue.Line(one["role"], one["content"], n) for n, one in enumerate(session.messages)]
    strategy = query.get("recall_strategy", "balanced")
    used = "low_latency" if strategy == "auto" else strategy
    return {
        "is_final": True,
        "status_update_message": None,
        "error_message": None,
        "context": dialogue.context(turn, lines),
        "metadata": {"recall_strategy_used": used},
    }


def _stored(user: str) -> _Session:
    messages = [
        {"role": role, "content": f"{n}: {text(n % dialogue.TURNS)}", "timestamp": _now()}
        for n in range(STORED_MESSAGES // 2)
        for role, text in (("user", dialogue.question), ("assistant", dialogue.answer))
    ]
    return _Session(user, {"thread_id": STORED_SESSION}, STORED_SESSION, messages)


def _user(user: str) -> Json:
    return {
        "custom_user_id": user,
        "metadata": {},
        "merge_conflict_enabled": None,
        "created_at": _now(),
        "last_active_at": _now(),
    }


def _now() -> str:
    return datetime.now(timezone.utc).isoformat()


async def _respond(send: Send, status: int, answer: object) -> None:
    body = json.dumps(answer).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _serve(*, latency: bool) -> None:
    import socket

    import uvicorn

    # The protocol is named because asyncio sets TCP_NODELAY only then; without it each answer takes 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(_Service(latency=latency), log_level="error", lifespan="off")
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", action="store_true")
    _serve(latency=parser.parse_args().latency)

"""What stands before the application: who may ask, faults, the limit on bodies, the log."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from starlette.exceptions import HTTPException
from typing_extensions import override
from uvicorn.protocols.http.h11_impl import H11Protocol

from . import logs
from .faults import Fault
from .origins import Names
from .service import Service

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logs.events

MAX_BODY_BYTES: Final = 16 * 1024 * 1024
_REMEMBERED: Final = 10_000  # requests


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request that the service received.

    Args:
        method: `GET`, `POST` …
        path: decoded, without the query.
        query: the raw query string.
        status: the HTTP status that was sent, or None where the connection was dropped or is still open.
        seconds: how long the answer took.
        at: when it arrived, in seconds since 1970.

    Example:
        ```python
        from recallrai_integrations import connect
        from recallrai_integrations.local import LocalRecallrAI

        with LocalRecallrAI() as server:
            with connect(
                api_key=server.api_key, project_id=server.project_id, base_url=server.base_url
            ) as connection:
                connection.conversation("ada", "thread-1").record(("user", "I moved to Lisbon."))
            for request in server.requests:
                print(request.method, request.path, request.status)
        ```
    """

    method: str
    path: str
    query: str
    status: int | None
    seconds: float
    at: float


class _Closable(Protocol):
    def close(self) -> None: ...


class Connections:
    """The open connections by the client's address, so that a fault can cut the right one."""

    def __init__(self) -> None:
        self.transports: dict[tuple[str, int], _Closable] = {}
        self._hanging: set[tuple[asyncio.AbstractEventLoop, _Closable]] = set()

    async def never_answer(self, client: tuple[str, int], receive: Receive, *, drop: bool) -> None:
        """Leaves a client waiting until it goes, or cuts it off."""
        transport = self.transports.get(client)
        if transport is None:  # it has left already
            return
        if drop:
            transport.close()
        waiting = (asyncio.get_running_loop(), transport)
        self._hanging.add(waiting)
        try:
            while (await receive())["type"] != "http.disconnect":
                pass
        finally:
            self._hanging.discard(waiting)

    def let_go(self) -> None:
        """Cuts those off that wait for ever, which nobody can finish; any thread."""
        for loop, transport in list(self._hanging):
            with suppress(RuntimeError):  # the loop has ended, and its connections with it
                loop.call_soon_threadsafe(transport.close)

    def protocol(self) -> type[H11Protocol]:
        """The class that uvicorn makes for each connection."""
        transports = self.transports

        class Protocol(H11Protocol):
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, **kwargs)
                self.access_log = False  # it would write query strings, user metadata among them

            @override
            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                super().connection_made(transport)
                if self.client is not None:
                    transports[self.client] = transport

            @override
            def connection_lost(self, exc: Exception | None) -> None:
                if self.client is not None:
                    transports.pop(self.client, None)
                super().connection_lost(exc)

        return Protocol


class _Watch:
    """Looks at an answer as it is sent, and notes it once."""

    def __init__(self, scope: Scope, send: Send, requests: deque[RequestRecord]) -> None:
        self.status: int | None = None
        self._scope = scope
        self._send = send
        self._requests = requests
        self._at, self._started = time.time(), time.perf_counter()
        self._noted = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif not message.get("more_body"):
            self.note()  # before the last byte leaves: who has the answer finds the request in the log
        await self._send(message)

    def note(self) -> None:
        if self._noted:
            return
        self._noted = True
        method, path = self._scope["method"], self._scope["path"]
        query = self._scope["query_string"].decode("latin-1")
        seconds = round(time.perf_counter() - self._started, 6)
        self._requests.append(RequestRecord(method, path, query, self.status, seconds, self._at))
        if logger.isEnabledFor(logging.INFO):
            told = {"method": method, "path": path, "status": self.status, "seconds": seconds}
            logger.info("request", extra=told)


class Front:
    """The ASGI application that uvicorn runs, around the real one."""

    def __init__(self, app: ASGIApp, service: Service, connections: Connections, names: Names) -> None:
        self._app = app
        self._service = service
        self._connections = connections
        self._names = names
        self.requests: deque[RequestRecord] = deque(maxlen=_REMEMBERED)
        self._landing: set[asyncio.Task[None]] = set()  # requests whose effect is late, by a fault
        self._first_answers: dict[tuple[str, str, bytes], list[Message]] = {}  # of stale faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method, path = scope["method"], scope["path"]
        watch = _Watch(scope, send, self.requests)
        try:
            refusal = self._names.refusal(scope["headers"])
            fault = None if refusal else self._service.faults.strike(method, path)
            if refusal:
                await refusal(scope, receive, watch.send)
            elif fault is None:
                await self._app(scope, _limited(receive), watch.send)
            else:
                await self._strike(fault, scope, receive, watch.send)
        except Exception as error:
            if watch.status is None:
                raise
            # The client has its 500; the trace may quote what was sent, so only the kind of error is logged.
            logger.error("request failed", extra={"path": path, "error": type(error).__name__})  # noqa: TRY400
        finally:
            watch.note()

    async def _strike(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        if fault.delay and fault.when == "before":
            await asyncio.sleep(fault.delay)
        carried_out = fault.when == "after" or (fault.stale and fault.when == "before")
        only_delayed = fault.status is None and not (fault.drop or fault.hang or fault.stale)
        if only_delayed and fault.when == "before":
            await self._app(scope, _limited(receive), send)
            return
        held: list[Message] = []
        if carried_out:

            async def hold(message: Message) -> None:
                held.append(message)

            await self._app(scope, _limited(receive), hold)
            if fault.when == "after":
                await asyncio.sleep(fault.delay)
        else:
            body = await _read(receive)
            if fault.when == "late":
                self._carry_out_later(scope, body, fault.delay)
        if fault.drop or fault.hang:
            await self._connections.never_answer(scope["client"], receive, drop=fault.drop)
        elif only_delayed or fault.stale:
            for message in self._first_answers.setdefault(_request_of(scope), held) if fault.stale else held:
                await send(message)
        else:
            status, headers, content = fault.answer()
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": content})

    def _carry_out_later(self, scope: Scope, body: list[Message], delay: float) -> None:
        """The effect that comes when the client has gone: nobody gets its answer."""
        parts = iter([*body, {"type": "http.disconnect"}])

        async def replay() -> Message:
            return next(parts)

        async def drop(_: Message) -> None:
            pass

        async def land() -> None:
            await asyncio.sleep(delay)
            await self._app(dict(scope), replay, drop)

        landing = asyncio.get_running_loop().create_task(land())
        self._landing.add(landing)  # a loop holds its tasks weakly
        landing.add_done_callback(self._landing.discard)


def _request_of(scope: Scope) -> tuple[str, str, bytes]:
    return scope["method"], scope["path"], scope["query_string"]


async def _read(receive: Receive) -> list[Message]:
    """Takes in the body, as a service that fails later would."""
    parts = [await receive()]
    while parts[-1].get("more_body"):
        parts.append(await receive())
    return parts


def _limited(receive: Receive) -> Receive:
    """The same body, refused with a 413 when it grows over the limit, whatever its headers say."""
    size = 0

    async def counted() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > MAX_BODY_BYTES:
            raise HTTPException(413, f"The body is larger than {MAX_BODY_BYTES:,} bytes")
        return message

    return counted

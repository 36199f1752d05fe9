"""`Backend`: sends ops through the SDK, with one async client for each event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, closing, suppress
from typing import Any, Final, TypeVar, cast
from weakref import WeakKeyDictionary

import httpx
from recallrai import (
    AsyncMergeConflict,
    AsyncRecallrAI,
    AsyncSession,
    AsyncUser,
    MergeConflict,
    RecallrAI,
    Session,
    User,
)
from recallrai.exceptions import UserAlreadyExistsError

from recallrai_integrations._flows import ops
from recallrai_integrations._flows.ops import ServiceOp
from recallrai_integrations.credentials import Credentials
from recallrai_integrations.models import ContextAnswer

from .answers import final, read
from .bounds import within
from .errors import Translating
from .opening import LoopbackRecallrAI, Opening, loopback_client
from .requests import send, stream
from .sdk import Sdk, http_of
from .transport import answered, watch

__all__ = ["Backend"]

T = TypeVar("T")


class Backend:
    """Sends ops through the SDK, in both colours.

    The async client of the SDK is bound to the event loop that it is first used in, so there is one for
    each loop; it is closed with its loop by `asyncio.run`, or by `aclose`.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        timeout: float,
        client: RecallrAI | None = None,
        async_client: AsyncRecallrAI | None = None,
    ) -> None:
        self._credentials = credentials
        self._timeout = timeout
        self._owns_client = client is None
        self._given_async = async_client
        self._sync = Sdk(client or self._new_client(), User, Session, MergeConflict)
        watch(self._sync.http.client)
        self._in_use = _InUse(self._close_sync)
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _AsyncClient] = WeakKeyDictionary()
        self._lifetimes: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncGenerator[None, None]] = (
            WeakKeyDictionary()
        )

    def send(self, op: ServiceOp[T]) -> T:
        """One request, without retries; errors are ours.

        Raises:
            CredentialsError, RequestRejectedError, NotFoundError, ServiceUnavailableError: see `errors`.
            InvalidInputError: the path would not be that of the op; nothing was sent.
        """
        answered.set(None)
        with self._in_use, within(self._sync.seconds):
            if isinstance(op, ops.GetContext) and op.on_progress is not None:
                return cast("T", self._streamed(op, op.on_progress))
            answer: T | None = None
            with Translating(op), suppress(UserAlreadyExistsError):  # `CreateUser` wants no more
                answer = read(op, send(op, self._sync))
            return cast("T", answer)

    async def asend(self, op: ServiceOp[T]) -> T:
        """The async twin of `send`."""
        answered.set(None)
        with Translating(op):
            client = await self._async_client()
        async with client as sdk:
            return await self._asend(op, sdk)

    async def _asend(self, op: ServiceOp[T], sdk: Sdk) -> T:
        with within(sdk.seconds):
            if isinstance(op, ops.GetContext) and op.on_progress is not None:
                return cast("T", await self._astreamed(op, op.on_progress, sdk))
            answer: T | None = None
            with Translating(op), suppress(UserAlreadyExistsError):  # `CreateUser` wants no more
                answer = read(op, await cast("Awaitable[Any]", send(op, sdk)))
            return cast("T", answer)

    def _streamed(self, op: ops.GetContext, tell: Callable[[str], object]) -> ContextAnswer:
        """A recall that hands on the service's status texts; what `tell` raises is the caller's."""
        last = None
        with closing(stream(op, self._sync)) as events:
            while True:
                with Translating(op):
                    event = next(events, None)
                if event is None:
                    break
                if event.status_update_message:
                    tell(event.status_update_message)
                if event.is_final or event.error_message:
                    last = event
        with Translating(op):
            return final(op, last)

    async def _astreamed(self, op: ops.GetContext, tell: Callable[[str], object], sdk: Sdk) -> ContextAnswer:
        """The async twin of `_streamed`."""
        last = None
        async with aclosing(stream(op, sdk)) as events:
            while True:
                with Translating(op):
                    event = await anext(events, None)
                if event is None:
                    break
                if event.status_update_message:
                    tell(event.status_update_message)
                if event.is_final or event.error_message:
                    last = event
        with Translating(op):
            return final(op, last)

    def system_prompt(self, strategy: str) -> str:
        """The service's instructions for texts of this strategy; "" when it has none.

        Sync only: it is fetched from a worker thread beside a turn.

        Raises:
            ServiceError: see `send`.
        """
        with self._in_use, within(self._sync.seconds), Translating():
            answer = self._sync.http.get("/api/v1/system-prompt", params={"recall_strategy": strategy})
            return answer.json().get("system_prompt") or ""

    def close(self) -> None:
        """Closes the sync client, if it is ours, now or after the last request that is under way.

        A loop closes its async client itself, at its next turn or after the last request of that.
        """
        self._in_use.close()
        for loop, lifetime in list(self._lifetimes.items()):
            with suppress(RuntimeError):  # a loop that was closed has closed its client
                loop.call_soon_threadsafe(_end, loop, lifetime)
        self._lifetimes.clear()

    async def aclose(self) -> None:
        """Closes the sync client and the async one of the running loop; see `close`."""
        lifetime = self._lifetimes.pop(asyncio.get_running_loop(), None)
        self.close()
        if lifetime is not None:
            await lifetime.aclose()

    def _close_sync(self) -> None:
        if self._owns_client:
            self._sync.http.client.close()

    async def _async_client(self) -> _AsyncClient:
        loop = asyncio.get_running_loop()
        client = self._loops.get(loop)
        if client is None:
            given, self._given_async = self._given_async, None
            made = given or self._new_async_client()
            sdk = Sdk(made, AsyncUser, AsyncSession, AsyncMergeConflict)
            client = self._loops[loop] = _AsyncClient(sdk)
            if given is None:
                # A loop closes its async generators before it ends: that is the one moment at which a client
                # of this loop can be closed for callers who never say aclose().
                lifetime = self._lifetimes[loop] = _lifetime(self._loops, loop, client)
                await anext(lifetime)
            with Opening():
                await sdk.http._ensure_client()  # noqa: SLF001 - the SDK makes it on first use; the hook needs it
            watch(sdk.http._client)  # noqa: SLF001 - the SDK has no public hook
        return client

    def _new_client(self) -> RecallrAI:
        if self._credentials.is_loopback:
            return LoopbackRecallrAI(self._credentials, self._timeout)
        with Opening():
            return RecallrAI(**self._arguments())

    def _new_async_client(self) -> AsyncRecallrAI:
        client = AsyncRecallrAI(**self._arguments())
        if self._credentials.is_loopback:
            # The SDK makes its own where there is none at the first use.
            http_of(client)._client = loopback_client(  # noqa: SLF001 - the SDK has no public way
                httpx.AsyncClient, self._credentials, self._timeout
            )
        return client

    def _arguments(self) -> dict[str, Any]:
        return {
            "api_key": self._credentials.api_key.reveal(),
            "project_id": self._credentials.project_id,
            "base_url": self._credentials.base_url,
            "timeout": self._timeout,
        }


class _InUse:
    """How many requests are under way: a client that is closed beneath one leaks its socket."""

    def __init__(self, close: Callable[[], None]) -> None:
        self._close = close
        self._lock = threading.Lock()
        self._requests = 0
        self._closing = False

    def __enter__(self) -> None:
        with self._lock:
            self._requests += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._requests -= 1
            was_last = self._closing and not self._requests
        if was_last:
            self._close()

    def close(self) -> None:
        """Closes, now or after the last request."""
        with self:
            self._closing = True


class _AsyncClient:
    """The client of one event loop, with its requests under way counted; the twin of `_InUse`."""

    def __init__(self, sdk: Sdk) -> None:
        self._sdk = sdk
        self._requests = 0
        self._closing = False

    async def __aenter__(self) -> Sdk:
        self._requests += 1
        return self._sdk

    async def __aexit__(self, *_: object) -> None:
        self._requests -= 1
        if self._closing and not self._requests:
            await self._sdk.client.close()

    async def close(self) -> None:
        """Closes, now or after the last request."""
        async with self:
            self._closing = True


async def _lifetime(
    loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _AsyncClient],
    loop: asyncio.AbstractEventLoop,
    client: _AsyncClient,
) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        loops.pop(loop, None)
        await client.close()


def _end(loop: asyncio.AbstractEventLoop, lifetime: AsyncGenerator[None, None]) -> None:
    ending = loop.create_task(lifetime.aclose())
    _ending.add(ending)  # a loop holds its tasks weakly
    ending.add_done_callback(_ending.discard)


_ending: Final[set[asyncio.Task[None]]] = set()

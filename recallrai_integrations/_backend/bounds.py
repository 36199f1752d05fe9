"""What a request may cost at most: seconds until the last byte of its answer, and bytes once decompressed.

A timeout of httpx begins anew with every byte that arrives. Here the time that is left goes down to each
single read and write of the network, so that a service that drips holds nobody.
"""

from __future__ import annotations

import ssl
import zlib
from collections.abc import AsyncIterator, Generator, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic
from typing import Any, Final, TypeAlias, cast

import httpcore
import httpx
from typing_extensions import override

from recallrai_integrations.errors import ServiceUnavailableError

__all__ = ["MAX_ANSWER_BYTES", "bound", "measured", "within"]

MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024

_SocketOptions: TypeAlias = "Iterable[httpcore.SOCKET_OPTION] | None"

_ends: ContextVar[float | None] = ContextVar("recallrai_request_ends", default=None)


@contextmanager
def within(seconds: float | None) -> Generator[None]:
    """A block whose requests are over after so many seconds: what is not, times out. None sets no bound."""
    token = _ends.set(None if seconds is None else monotonic() + seconds)
    try:
        yield
    finally:
        _ends.reset(token)


def _left(timeout: float | None, late: type[httpcore.TimeoutException]) -> float | None:
    """How long the next step on the network may take."""
    ends = _ends.get()
    if ends is None:
        return timeout
    left = ends - monotonic()
    if left <= 0:
        raise late("the request took too long as a whole")
    return left if timeout is None else min(left, timeout)


def bound(client: httpx.Client | httpx.AsyncClient) -> None:
    """Has a client's connections keep to `within`, and asks for the one compression that is measured."""
    client.headers["Accept-Encoding"] = "gzip"
    inside = cast("Any", client)  # httpx has no way to hand httpcore the network that it documents
    for transport in (inside._transport, *inside._mounts.values()):  # noqa: SLF001 - see above
        pool: Any = getattr(transport, "_pool", None)
        network: Any = getattr(pool, "_network_backend", None)
        if isinstance(network, httpcore.NetworkBackend) and not isinstance(network, _Network):
            pool._network_backend = _Network(network)  # noqa: SLF001 - see above
        elif isinstance(network, httpcore.AsyncNetworkBackend) and not isinstance(network, _AsyncNetwork):
            pool._network_backend = _AsyncNetwork(network)  # noqa: SLF001 - see above


def measured(response: httpx.Response) -> None:
    """Has the body of an answer end with an error of ours where it grows over `MAX_ANSWER_BYTES`."""
    if isinstance(response.stream, httpx.SyncByteStream):
        response.stream = _Body(response.stream, _Measure(response))
    else:
        response.stream = _AsyncBody(response.stream, _Measure(response))


class _Measure:
    """Decompresses an answer piece by piece, and never much more than is allowed."""

    def __init__(self, response: httpx.Response) -> None:
        self._status = response.status_code
        self._left = MAX_ANSWER_BYTES
        coding = response.headers.pop("Content-Encoding", "identity").lower()  # httpx is not to do it again
        if coding not in ("identity", "gzip"):
            raise self._unreadable(f"is compressed in a way that was not asked for ({coding})")
        self._gzip = zlib.decompressobj(16 + zlib.MAX_WBITS) if coding == "gzip" else None

    def __call__(self, piece: bytes) -> bytes:
        if self._gzip is not None:
            try:
                piece = self._gzip.decompress(piece, self._left + 1)
            except zlib.error as error:
                raise self._unreadable("is damaged: it cannot be decompressed") from error
        self._left -= len(piece)
        if self._left < 0:
            raise self._unreadable(f"is larger than {MAX_ANSWER_BYTES // 1024**2} MiB; it was not read on")
        return piece

    def _unreadable(self, why: str) -> ServiceUnavailableError:
        return ServiceUnavailableError(f"The service's answer {why}.", status=self._status)


class _Body(httpx.SyncByteStream):
    def __init__(self, raw: httpx.SyncByteStream, measure: _Measure) -> None:
        self._raw = raw
        self._measure = measure

    @override
    def __iter__(self) -> Iterator[bytes]:
        return map(self._measure, self._raw)

    @override
    def close(self) -> None:
        self._raw.close()


class _AsyncBody(httpx.AsyncByteStream):
    def __init__(self, raw: httpx.AsyncByteStream, measure: _Measure) -> None:
        self._raw = raw
        self._measure = measure

    @override
    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._raw:
            yield self._measure(piece)

    @override
    async def aclose(self) -> None:
        await self._raw.aclose()


class _Stream(httpcore.NetworkStream):
    def __init__(self, raw: httpcore.NetworkStream) -> None:
        self._raw = raw

    @override
    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._raw.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    @override
    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._raw.write(buffer, _left(timeout, httpcore.WriteTimeout))

    @override
    def close(self) -> None:
        self._raw.close()

    @override
    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._raw.start_tls(ssl_context, server_hostname, left))

    @override
    def get_extra_info(self, info: str) -> Any:
        return self._raw.get_extra_info(info)


class _AsyncStream(httpcore.AsyncNetworkStream):
    def __init__(self, raw: httpcore.AsyncNetworkStream) -> None:
        self._raw = raw

    @override
    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self._raw.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    @override
    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._raw.write(buffer, _left(timeout, httpcore.WriteTimeout))

    @override
    async def aclose(self) -> None:
        await self._raw.aclose()

    @override
    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        return _AsyncStream(await self._raw.start_tls(ssl_context, server_hostname, left))

    @override
    def get_extra_info(self, info: str) -> Any:
        return self._raw.get_extra_info(info)


class _Network(httpcore.NetworkBackend):
    def __init__(self, raw: httpcore.NetworkBackend) -> None:
        self._raw = raw

    @override
    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: _SocketOptions = None,
    ) -> httpcore.NetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._raw.connect_tcp(host, port, left, local_address, socket_options))

    @override
    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: _SocketOptions = None
    ) -> httpcore.NetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._raw.connect_unix_socket(path, left, socket_options))

    @override
    def sleep(self, seconds: float) -> None:
        self._raw.sleep(seconds)


class _AsyncNetwork(httpcore.AsyncNetworkBackend):
    def __init__(self, raw: httpcore.AsyncNetworkBackend) -> None:
        self._raw = raw

    @override
    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: _SocketOptions = None,
    ) -> httpcore.AsyncNetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        return _AsyncStream(await self._raw.connect_tcp(host, port, left, local_address, socket_options))

    @override
    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: _SocketOptions = None
    ) -> httpcore.AsyncNetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        return _AsyncStream(await self._raw.connect_unix_socket(path, left, socket_options))

    @override
    async def sleep(self, seconds: float) -> None:
        await self._raw.sleep(seconds)

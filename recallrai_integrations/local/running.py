"""One server for all that open a database file in this process, on a thread of its own."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final, cast

import uvicorn

from recallrai_integrations.errors import LocalServiceError

from .api import create_app, get_ready
from .faults import Faults
from .front import Connections, Front
from .listening import Address, listen, reachable
from .origins import Names
from .schema import MEMORY
from .service import Service, Settings

if TYPE_CHECKING:
    import socket

__all__ = ["Server"]

_START_SECONDS: Final = 30
_KEEP_ALIVE_SECONDS: Final = 75  # longer than clients keep idle connections, so that they close first
_GRACE_SECONDS: Final = 5  # for requests in hand when the service is stopped


class Server:
    """One service on one port; counted by those who use it."""

    _by_path: Final[dict[str, Server]] = {}
    _lock: Final = threading.RLock()

    def __init__(self, path: str, address: Address, settings: Settings, faults: Faults | None) -> None:
        self.path = path
        self.users = 1
        listening = listen(address)
        try:
            self.service = Service(path, settings, faults or Faults())
        except BaseException:
            listening.close()
            raise
        self._connections = connections = Connections()
        names = Names(address.host, address.more)
        self.front = Front(create_app(self.service), self.service, connections, names)
        config = uvicorn.Config(
            self.front,
            http=connections.protocol(),
            ws="none",
            lifespan="off",
            loop="asyncio",
            log_config=None,  # logging belongs to the process we are a guest in
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=_GRACE_SECONDS,
            server_header=False,
            proxy_headers=False,  # no one else may say from where a request comes
        )
        self._uvicorn = uvicorn.Server(config)
        host, port = cast("tuple[str, int]", listening.getsockname()[:2])
        self.base_url = f"http://{reachable(host)}:{port}"
        self._thread = threading.Thread(
            target=self._run, args=(listening,), name="recallrai-serve", daemon=True
        )
        self._thread.start()
        self._wait_until_started()

    def _run(self, listening: socket.socket) -> None:
        try:
            get_ready()
            self._uvicorn.run(sockets=[listening])
        finally:
            self.service.close()
            if self._by_path.get(self.path) is self:
                del self._by_path[self.path]

    @classmethod
    def shared(
        cls, path: str, address: Address, settings: Settings, faults: Faults | None, *, any_key: bool
    ) -> Server:
        """The server of this file in this process, started if there is none."""
        while True:
            with cls._lock:
                server = cls._by_path.get(path)
                if server is None:
                    server = cls(path, address, settings, faults)
                    if path != MEMORY:
                        cls._by_path[path] = server
                    return server
                if server.users:
                    server.join(settings, faults, any_key=any_key)
                    return server
            server.wait_until_closed()

    def join(self, settings: Settings, faults: Faults | None, *, any_key: bool) -> None:
        """One user more."""
        if any_key:
            settings = replace(settings, api_key=self.service.settings.api_key)
        if self.service.settings != settings:
            raise LocalServiceError(
                f"{self.path} is already open in this process with other settings (key, project, model …)."
                " Use the same settings (api_key=None takes the key as it is), or stop the other first."
            )
        if faults is not None:
            self.service.faults = faults
        self.users += 1

    def wait_until_closed(self) -> None:
        """Waits for a server that was stopped to let go of its file."""
        self._thread.join(_START_SECONDS)
        if self._thread.is_alive():
            raise LocalServiceError(
                f"The service that was stopped on {self.path} has not ended yet: it processes a session."
                " Try again later."
            )

    def release(self, timeout: float | None) -> None:
        """One user less; the last one stops the server, and waits for its end for so many seconds."""
        with self._lock:
            self.users -= 1
            if self.users > 0:
                return
        self._uvicorn.should_exit = True
        self._connections.let_go()
        self._thread.join(timeout)

    def _wait_until_started(self) -> None:
        end = time.monotonic() + _START_SECONDS
        while not self._uvicorn.started:
            if not self._thread.is_alive() or time.monotonic() > end:
                self._uvicorn.should_exit = True
                raise LocalServiceError(f"The local service did not start on {self.base_url}; see the log.")
            time.sleep(0.001)

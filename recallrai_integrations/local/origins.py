"""Who may ask: the names under which the service answers, and the web pages that may speak to it.

A web page can let a name of its own point to 127.0.0.1 and then read what answers there as its own site (DNS
rebinding). It cannot keep the browser from saying that name in `Host`, nor its own address in `Origin`.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from typing import Final

from starlette.responses import JSONResponse

from .listening import is_address, is_loopback

__all__ = ["Names"]

_HOST: Final = re.compile(r"(?:[a-z]+://)?(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?")
"""What `Host` or, with a scheme, `Origin` says, in lower case."""
_EVERYWHERE: Final = ("0.0.0.0", "::")  # noqa: S104 - compared, not bound


class Names:
    """The names of a service.

    Args:
        host: the address or name that it listens on. Where that is all of them, each address of this machine
            and the machine's own name are good: a page cannot rebind an address.
        more: further names under which clients reach it, such as one of a container network.
    """

    def __init__(self, host: str, more: Iterable[str] = ()) -> None:
        everywhere = host in _EVERYWHERE
        self._any_address = everywhere
        self._names = {host.lower(), *(name.lower() for name in more)}
        if everywhere:
            self._names.add(socket.gethostname().lower())

    def refusal(self, headers: Iterable[tuple[bytes, bytes]]) -> JSONResponse | None:
        """The answer to a request under a wrong name or from a foreign page; None for a good request."""
        told = {b"host": list[str](), b"origin": list[str]()}
        for name, value in headers:
            if name in told:
                told[name].append(value.decode("latin-1").lower())
        hosts, origins = ({_name(value) for value in values} for values in told.values())
        if len(hosts) != 1 or not all(self._is_ours(host, any_address=self._any_address) for host in hosts):
            return JSONResponse(
                {
                    "detail": "The local service does not answer under the name in the request's Host. Use "
                    "its address, or start it with that name: serve --allow-host NAME, or allowed_hosts=[…]"
                },
                421,
            )
        if not all(origin in hosts or self._is_ours(origin, any_address=False) for origin in origins):
            return JSONResponse({"detail": "The local service does not answer web pages of other sites"}, 403)
        return None

    def _is_ours(self, name: str | None, *, any_address: bool) -> bool:
        if name is None or name in self._names:
            return name is not None
        return is_loopback(name) or (any_address and is_address(name))


def _name(told: str) -> str | None:
    """The host of a `Host` or an `Origin`, without brackets; None of what is neither."""
    found = _HOST.fullmatch(told)
    return None if found is None else found[1].strip("[]")

"""Where the service listens."""

from __future__ import annotations

import errno
import os
import socket
from ipaddress import ip_address
from typing import NamedTuple

from recallrai_integrations.errors import LocalServiceError

__all__ = ["Address", "is_address", "is_loopback", "listen", "reachable"]


class Address(NamedTuple):
    """Where a service listens, and the names it answers to beside."""

    host: str
    port: int
    more: tuple[str, ...]


def is_address(host: str) -> bool:
    """Whether a host is given as an address, not as a name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether a host is this machine and nobody else can mean it."""
    return host == "localhost" or (is_address(host) and ip_address(host).is_loopback)


def listen(address: Address) -> socket.socket:
    """A socket that accepts connections.

    Raises:
        LocalServiceError: the port is taken, or the address does not belong to this machine.
    """
    host, port, _ = address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio turns Nagle's algorithm off only for sockets that name it;
    # without that each answer, written in two parts, waits 40 ms for the client's delayed ACK.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # elsewhere the option would let two services share a port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(512)
    except OSError as error:
        listening.close()
        foreign = isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL
        remedy = (
            "Choose an address of this machine, such as 127.0.0.1."
            if foreign
            else "Choose another port; port 0 takes a free one."
        )
        raise LocalServiceError(
            f"Cannot listen on {host} port {port}: {error.strerror or error}. {remedy}"
        ) from error
    return listening


def reachable(host: str) -> str:
    """The address that clients on this machine use."""
    if host == "0.0.0.0":  # noqa: S104 - compared, not bound
        return "127.0.0.1"
    if ":" in host:
        return "[::1]" if host == "::" else f"[{host}]"
    return host

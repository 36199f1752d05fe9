"""Making HTTP clients: past proxies on this machine, with errors that name what the environment has wrong."""

from __future__ import annotations

import os
import ssl
import urllib.request
from types import TracebackType
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

import httpx
from recallrai import RecallrAI
from recallrai.utils import AsyncHTTPClient, HTTPClient

from recallrai_integrations.credentials import Credentials
from recallrai_integrations.errors import ConfigurationError, MissingDependencyError

__all__ = ["LoopbackRecallrAI", "Opening", "loopback_client"]

C = TypeVar("C", httpx.Client, httpx.AsyncClient)

_BUNDLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


class Opening:
    """A block that makes a client for the network; errors of its set-up leave it as ours.

    httpx reads proxies and certificate authorities from the environment when a client is made.
    """

    def __enter__(self) -> None:
        return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, ImportError):
            raise MissingDependencyError(
                f"The proxy {_proxies()} is a SOCKS proxy, which needs a package that is not installed. "
                'Run: pip install "httpx[socks]", or unset ALL_PROXY.'
            ) from error
        if isinstance(error, OSError):
            bundle = next((name for name in _BUNDLES if os.environ.get(name)), "")
            reason = "does not exist" if isinstance(error, FileNotFoundError) else "cannot be read"
            named = f"The CA bundle {os.environ[bundle]} ({bundle})" if bundle else "httpx's own CA bundle"
            raise ConfigurationError(
                f"{named} {reason}, so TLS certificates cannot be checked. "
                f"Correct or unset {bundle or 'SSL_CERT_FILE'}; it names a file of certificates in PEM form."
            ) from error
        if isinstance(error, (ValueError, httpx.InvalidURL)):
            raise ConfigurationError(
                f"The proxy {_proxies()} has an invalid URL. "
                "Correct or unset HTTP_PROXY, HTTPS_PROXY and ALL_PROXY; they look like http://host:port."
            ) from None  # the error shows the address, which may hold a password


def _proxies() -> str:
    """The proxies of the environment, without what may be a password."""
    found = {f"{url.scheme}://{url.hostname}" for url in map(urlsplit, urllib.request.getproxies().values())}
    return " or ".join(sorted(found)) or "of the environment"


def loopback_client(kind: type[C], credentials: Credentials, timeout: float) -> C:
    """A client for this machine: httpx sends even loopback traffic to HTTP_PROXY otherwise."""
    client = kind(**_loopback_settings(credentials, timeout))
    client.headers["X-Recallr-Api-Key"] = credentials.api_key.reveal()  # and in no variable
    return client


def _loopback_settings(credentials: Credentials, timeout: float) -> dict[str, Any]:
    is_tls = urlsplit(credentials.base_url).scheme == "https"
    with Opening():
        # Without TLS a context that trusts nobody does, and costs no reading of the system's certificates.
        context = httpx.create_ssl_context() if is_tls else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return {
        "headers": {
            "X-Recallr-Project-Id": credentials.project_id,
            "Content-Type": "application/json",
            "Accept": "application/json",
        },
        "timeout": timeout,
        "limits": httpx.Limits(max_connections=500, max_keepalive_connections=100),
        "trust_env": False,
        "verify": context,
    }


class LoopbackRecallrAI(RecallrAI):
    """The SDK's client with an HTTP client of ours: its own would be made for the proxies first."""

    def __init__(self, credentials: Credentials, timeout: float) -> None:
        self._http = _LoopbackHTTP(credentials, timeout)


class _LoopbackHTTP(HTTPClient):
    def __init__(self, credentials: Credentials, timeout: float) -> None:
        # The SDK's async twin has the same state, and makes no client before its first use.
        twin = AsyncHTTPClient(
            api_key=credentials.api_key.reveal(),
            project_id=credentials.project_id,
            base_url=credentials.base_url,
            timeout=cast("int", timeout),  # the SDK takes any number
        )
        vars(self).update(vars(twin))
        self.client = loopback_client(httpx.Client, credentials, timeout)

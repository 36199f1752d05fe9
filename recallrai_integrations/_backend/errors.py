"""Translates errors of the SDK into ours: an outage, a refusal, or a request that may have taken effect."""

from __future__ import annotations

import json
import ssl
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final

import httpx
from recallrai.exceptions import AuthenticationError, RecallrAIError, ValidationError
from recallrai.exceptions import ConnectionError as SdkConnectionError
from recallrai.exceptions import TimeoutError as SdkTimeoutError

from recallrai_integrations._flows.ops import (
    DeleteMemory,
    DeleteSession,
    GetConflict,
    GetMemory,
    GetSession,
    ServiceOp,
)
from recallrai_integrations.errors import (
    CredentialsError,
    NotFoundError,
    RecallrAIIntegrationError,
    RequestRejectedError,
    ServiceUnavailableError,
)

from .transport import answered, sending, status_seen

__all__ = ["Translating", "tls_error"]

_BUGS: Final = (NameError, ImportError, RecursionError, MemoryError)
"""Errors that no service and no answer can cause: they must not pass for an outage."""

_NOT_SENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)

_ONLY_IDS: Final = (GetSession, DeleteSession, GetMemory, DeleteMemory, GetConflict)
"""Requests of which nothing but the ids can be refused: one of another form names nothing."""


class Translating:
    """A block in which the SDK carries out an op: no other path is asked for, and errors leave as ours.

    Of a bad answer the SDK raises whatever its code ran into. Only the SDK runs inside, no framework and no
    hook of the application: no interrupt of a graph can be taken for an outage. What is no `Exception`, such
    as a cancellation, goes on as it is.

    Args:
        op: what was asked for.
    """

    def __init__(self, op: ServiceOp[Any] | None = None) -> None:
        self._op = op

    def __enter__(self) -> None:
        sending.set(self._op)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sending.set(None)  # never `reset`: an abandoned coroutine ends in another context
        if isinstance(error, Exception) and not isinstance(error, _BUGS):
            raise translate(error, self._op) from error


def translate(error: Exception, op: ServiceOp[Any] | None = None) -> RecallrAIIntegrationError:
    """Translates any error of the SDK; keeps the text of the service's `detail`, and no headers."""
    if isinstance(error, RecallrAIIntegrationError):
        return error
    what = "The request" if op is None else type(op).__name__
    status = getattr(error, "http_status", None) or status_seen()
    if isinstance(error, AuthenticationError) or status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return CredentialsError(
            f"RecallrAI refused the API key or the project id (HTTP {status}). Check RECALLRAI_API_KEY and "
            "RECALLRAI_PROJECT_ID, and that they belong to the same project."
        )
    if isinstance(error, UnicodeEncodeError):
        return RequestRejectedError(f"{what}: the text holds characters that have no UTF-8 form.")
    outage = (
        status is None
        or status < HTTPStatus.BAD_REQUEST
        or status in {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
        or status >= HTTPStatus.INTERNAL_SERVER_ERROR
        # A 404 of a gateway or of another server is no answer of the API: nothing is known to be gone.
        or (status == HTTPStatus.NOT_FOUND and not _is_api_error(error))
    )
    if not outage:
        assert status is not None
        detail = getattr(error, "message", "") or type(error).__name__
        only_ids = isinstance(error, ValidationError) and isinstance(op, _ONLY_IDS)
        if status == HTTPStatus.NOT_FOUND or only_ids:
            detail = "the service has nothing with this id" if only_ids else detail
            return NotFoundError(f"{what}: {detail}", status=status)
        if isinstance(error, ValidationError):
            detail = "the service found a value that it does not accept (its answer is dropped by the SDK)"
        return RequestRejectedError(f"{what} was refused (HTTP {status}): {detail}", status=status)
    seen = answered.get()
    return ServiceUnavailableError(
        f"{what} failed: {_plain_cause(error, status)}.",
        status=status,
        may_have_taken_effect=not (status == HTTPStatus.TOO_MANY_REQUESTS or _never_sent(error)),
        retry_after=None if seen is None else seen.retry_after,
    )


def _is_api_error(error: Exception) -> bool:
    return isinstance(error, RecallrAIError) and not isinstance(error, SdkConnectionError)


def _never_sent(error: Exception) -> bool:
    return isinstance(error, _NOT_SENT) or isinstance(error.__cause__, _NOT_SENT)


def _plain_cause(error: Exception, status: int | None) -> str:
    cause = error if isinstance(error, httpx.HTTPError) else error.__cause__ or error
    if status is not None and status >= HTTPStatus.BAD_REQUEST:
        return f"the service answered HTTP {status}"
    if isinstance(error, SdkTimeoutError | httpx.TimeoutException):
        return "the service did not answer in time"
    if isinstance(cause, httpx.TransportError):
        return _plain_transport(cause)
    if isinstance(cause, json.JSONDecodeError | UnicodeDecodeError | LookupError | TypeError | ValueError):
        return "the service's answer could not be read" + (f" (HTTP {status})" if status else "")
    return type(cause).__name__


def _plain_transport(error: httpx.TransportError) -> str:
    tls = tls_error(error)
    if isinstance(tls, ssl.SSLCertVerificationError):
        return (
            f"the TLS certificate of the service is not trusted ({tls.verify_message.rstrip('.')}); behind a "
            "proxy that inspects TLS, set SSL_CERT_FILE to a file with its CA certificate"
        )
    if tls is not None:
        return f"TLS failed ({tls.reason or 'no reason given'}); check that https is right for this address"
    if isinstance(error, httpx.ProxyError):
        return f"the proxy refused the connection ({error}); check HTTPS_PROXY and ALL_PROXY"
    if isinstance(error, httpx.ConnectError):
        return "no connection to the service"
    return f"the connection broke ({type(error).__name__})"


def tls_error(error: BaseException) -> ssl.SSLError | None:
    """Returns the TLS failure that caused this error, at any depth; None for other causes."""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, ssl.SSLError):
        seen = seen.__cause__ or seen.__context__
    return seen

"""Errors out of the SDK as ours: what is an outage, what was refused, what may have taken effect."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any, Final

import httpx
from recallrai.exceptions import AuthenticationError, RecallrAIError, UserAlreadyExistsError, ValidationError
from recallrai.exceptions import ConnectionError as SdkConnectionError
from recallrai.exceptions import TimeoutError as SdkTimeoutError

from recallrai_integrations import ops
from recallrai_integrations.errors import (
    CredentialsError,
    NotFoundError,
    RecallrAIIntegrationError,
    RequestRejectedError,
    ServiceUnavailableError,
)
from recallrai_integrations.ops import ServiceOp

from .transport import answered, status_seen

__all__ = ["harmless", "translate"]

_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


def harmless(op: ServiceOp[Any], error: Exception) -> bool | None:
    """Not None for an error that says that what was wanted is so already."""
    return True if isinstance(op, ops.CreateUser) and isinstance(error, UserAlreadyExistsError) else None


def translate(error: Exception, op: ServiceOp[Any] | None = None) -> RecallrAIIntegrationError:
    """Any error out of the SDK as one of ours; the text of the service's `detail` is kept, no header is."""
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
        if status == HTTPStatus.NOT_FOUND:
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
    cause = error.__cause__ or error
    if status is not None and status >= HTTPStatus.BAD_REQUEST:
        return f"the service answered HTTP {status}"
    if isinstance(error, SdkTimeoutError | httpx.TimeoutException):
        return "the service did not answer in time"
    if isinstance(cause, httpx.ConnectError):
        return "no connection to the service"
    if isinstance(cause, httpx.TransportError):
        return f"the connection broke ({type(cause).__name__})"
    if isinstance(cause, json.JSONDecodeError | UnicodeDecodeError | LookupError | TypeError | ValueError):
        return "the service's answer could not be read" + (f" (HTTP {status})" if status else "")
    return type(cause).__name__

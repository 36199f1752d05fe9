"""Every error this package raises.

```text
RecallrAIIntegrationError
├── ConfigurationError            what you passed or set up is wrong; always raised
│   ├── CredentialsError              key or project missing, malformed, or refused by the service (401, 403)
│   ├── MissingDependencyError        an extra is not installed (also an ImportError)
│   ├── ConnectionClosedError         the connection was closed; make another with connect()
│   └── DeadlockError                 a sync call would wait for an async one that it stops itself
├── InvalidInputError             an id, option or message is wrong; always raised (also a ValueError)
│   └── MissingIdentityError          no user id was given
├── RedactionError                your `redact` hook failed; the text has not left the process
├── ServiceError                  the service answered, or did not; `.status` is the HTTP status or None
│   ├── RequestRejectedError          400, 409, 422 …: the request itself was refused; always raised
│   ├── NotFoundError                 404: the user, session, memory or conflict does not exist
│   └── ServiceUnavailableError       an outage: no connection, timeout, 429, 5xx, unreadable answer;
│                                     raised with `on_error="raise"`, degraded otherwise
├── OutboxError                   the outbox cannot be used; what is in it stays as it was
│   ├── OutboxFullError               the outbox holds as many messages as it may
│   └── OutboxUnavailableError        the outbox's server cannot be reached; an outage too (also a
│                                     ServiceUnavailableError)
├── ForgetIncompleteError         something that was to be deleted is still there
└── LocalServiceError             the embedded service cannot start: port in use, not a database …
```

Errors of the SDK and of httpx never leave this package: they are translated in one place (`_backend.errors`)
and kept as `__cause__`. No error message contains the API key.
"""

from __future__ import annotations

__all__ = [
    "ConfigurationError",
    "ConnectionClosedError",
    "CredentialsError",
    "DeadlockError",
    "ForgetIncompleteError",
    "InvalidInputError",
    "LocalServiceError",
    "MissingDependencyError",
    "MissingIdentityError",
    "NotFoundError",
    "OutboxError",
    "OutboxFullError",
    "OutboxUnavailableError",
    "RecallrAIIntegrationError",
    "RedactionError",
    "RequestRejectedError",
    "ServiceError",
    "ServiceUnavailableError",
]


class RecallrAIIntegrationError(Exception):
    """Root of all errors raised by this package."""


class ConfigurationError(RecallrAIIntegrationError):
    """The set-up is wrong; the message names the remedy."""


class CredentialsError(ConfigurationError):
    """The API key or the project id is missing, malformed or refused (401, 403) by the service."""


class MissingDependencyError(ConfigurationError, ImportError):
    """An optional dependency is not installed; the message contains the command that installs it."""

    @classmethod
    def for_extra(cls, extra: str, module: str) -> MissingDependencyError:
        """Returns the error for a missing `module` that the extra `extra` installs."""
        return cls(f'{module} is not installed. Run: pip install "recallrai-integrations[{extra}]"')


class ConnectionClosedError(ConfigurationError):
    """The connection is closed and can no longer store or recall. `connect` makes a new one."""


class DeadlockError(ConfigurationError):
    """A sync call on an event loop's thread would wait for an async call that the loop has to finish."""


class InvalidInputError(RecallrAIIntegrationError, ValueError):
    """An id, an option or a message is invalid; nothing was sent."""


class MissingIdentityError(InvalidInputError):
    """No user id was given. There is no shared default: one user's memory never reaches another."""


class RedactionError(RecallrAIIntegrationError):
    """The `redact` hook raised an error or returned an unusable value; the text was neither sent nor kept."""


class ServiceError(RecallrAIIntegrationError):
    """The service refused a request or could not be reached.

    Attributes:
        status: the HTTP status, 400 to 599, or None if there was no answer.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class RequestRejectedError(ServiceError):
    """The service refused the request as it stands (400, 409, 422 …); repeating it cannot help."""


class NotFoundError(ServiceError):
    """The user, session, memory or merge conflict does not exist (404; 422 for an id of another form)."""


class ServiceUnavailableError(ServiceError):
    """An outage: connection, timeout, 429, 5xx, a dropped connection, an unreadable answer.

    Attributes:
        may_have_taken_effect: True if the request may have been carried out although no valid answer
            came back; a message must then be looked up before it is sent again.
        retry_after: seconds the service asked to wait (`Retry-After`), or None.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        may_have_taken_effect: bool = True,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, status=status)
        self.may_have_taken_effect = may_have_taken_effect
        self.retry_after = retry_after


class OutboxError(RecallrAIIntegrationError):
    """The outbox is corrupt, read-only, on a full disk or of another version; it was left as it was."""


class OutboxFullError(OutboxError):
    """The outbox already holds `outbox_limit` messages; the new one was not accepted."""


class OutboxUnavailableError(OutboxError, ServiceUnavailableError):
    """The outbox's database server cannot be reached, or cannot write; nothing was sent or taken.

    An outage: with `on_error="degrade"` messages are kept in the process until the server is back.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message, may_have_taken_effect=False)


class ForgetIncompleteError(RecallrAIIntegrationError):
    """Something could still be read after its deletion; the message names it."""


class LocalServiceError(RecallrAIIntegrationError):
    """The embedded local service cannot start or run; the message names the file or port and the remedy."""

"""Whose memories a request is about, and what a client sees of errors."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass

from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import AccessToken

from recallrai_integrations.adapter import Binding, ToolRefusal
from recallrai_integrations.errors import RecallrAIIntegrationError

__all__ = ["WHERE", "Caller", "subject", "telling"]

WHERE = (
    "RECALLRAI_USER_ID or --user-id for a server on stdio, the subject of the verified token for one on HTTP"
)
"""Where the user's id is kept, for the error when there is none."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Finds the user of the request in hand.

    Args:
        anybody: the adapter's binding, without a user.
        user_id: of this process; None when only tokens say.
        identify: the user's id in a verified token.
    """

    anybody: Binding
    user_id: object
    identify: Callable[[AccessToken], object]

    def binding(self) -> Binding:
        """The binding for the user of this request.

        The token decides where there is one, also when it names nobody: the user of the process is another.

        Raises:
            MissingIdentityError: nobody says who the user is.
            InvalidInputError: an id that cannot be sent.
        """
        token = get_access_token()
        return self.anybody.with_user(self.user_id if token is None else self.identify(token))


def subject(token: AccessToken) -> str | None:
    """The subject of a token, or nobody."""
    return token.subject


@contextmanager
def telling(error: Callable[[str], Exception]) -> Generator[None]:
    """Turns our errors into those whose text the client sees; all others are told without their text.

    Args:
        error: makes MCP's error from the text.
    """
    try:
        yield
    except (RecallrAIIntegrationError, ToolRefusal) as refusal:
        raise error(" ".join(str(refusal).split())) from refusal

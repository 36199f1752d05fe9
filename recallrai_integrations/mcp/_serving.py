"""A server as a process: on stdio for the user who started it, or on HTTP for whoever holds the token."""

from __future__ import annotations

import hmac
import os
from typing import Final

from mcp.server.auth.provider import AccessToken, TokenVerifier
from mcp.server.auth.settings import AuthSettings
from pydantic import AnyHttpUrl
from typing_extensions import override

from recallrai_integrations.connecting import connect
from recallrai_integrations.errors import ConfigurationError

from .server import create_server

__all__ = ["TOKEN", "USER", "serve"]

USER: Final = "RECALLRAI_USER_ID"
TOKEN: Final = "RECALLRAI_MCP_TOKEN"  # noqa: S105 - the variable's name
_SHORTEST: Final = 16


class _OneToken(TokenVerifier):
    """Knows one token, which is one user's."""

    def __init__(self, token: str, user_id: str) -> None:
        self._token = token.encode()
        self._user_id = user_id

    @override
    async def verify_token(self, token: str) -> AccessToken | None:
        if not hmac.compare_digest(token.encode(), self._token):
            return None
        return AccessToken(token=token, client_id="recallrai-integrations", scopes=[], subject=self._user_id)


def serve(
    user_id: str, *, local: str | None = None, http: bool = False, host: str = "127.0.0.1", port: int = 8765
) -> None:
    """Serves one user's memories until the input ends (stdio) or the process is stopped (HTTP).

    What waits for delivery is delivered at the end. Standard output carries nothing but the protocol.

    Args:
        user_id: whose memories.
        local: database of the embedded service; None for the service of the environment.
        http: on `http://host:port/mcp` instead of stdio, for clients that send the token of
            `RECALLRAI_MCP_TOKEN`.
        host: address to listen on.
        port: 1 to 65535.

    Raises:
        MissingIdentityError: an empty user id.
        ConfigurationError: HTTP without a token, or no credentials.
    """
    with connect(local=local) as connection:
        server = create_server(connection, user_id=user_id)
        if not http:
            server.run("stdio")
            return
        token = os.environ.get(TOKEN, "")
        if len(token) < _SHORTEST:
            raise ConfigurationError(
                f"Over HTTP clients must send a token: set {TOKEN} to a secret of at least {_SHORTEST} "
                "characters, which they send as 'Authorization: Bearer …'."
            )
        create_server(
            connection, user_id=user_id
        )  # an id that cannot be one is an error before anybody calls
        server = create_server(
            connection,
            token_verifier=_OneToken(token, user_id),
            # The token comes from whoever set the variable; there is nobody to ask for another one.
            auth=AuthSettings(issuer_url=AnyHttpUrl(f"http://{host}:{port}"), resource_server_url=None),
        )
        server.run("streamable-http", host=host, port=port)

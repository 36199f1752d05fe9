"""What users write with MCP, for the type checkers; never run. See `use_core`."""

from __future__ import annotations

from mcp import Client
from mcp.server.auth.provider import AccessToken, TokenVerifier
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer
from starlette.applications import Starlette
from typing_extensions import assert_type

from recallrai_integrations import Connection
from recallrai_integrations.mcp import MemoryServer, create_server


def mail(token: AccessToken) -> str | None:
    return (token.claims or {}).get("email")


def servers(connection: Connection, verifier: TokenVerifier, auth: AuthSettings) -> MCPServer:
    create_server()
    create_server(connection, user_id=17, log_level="ERROR").run("stdio")
    server = create_server(connection, identify=mail, token_verifier=verifier, auth=auth)
    assert_type(server, MemoryServer)
    assert_type(server.streamable_http_app(), Starlette)
    return server


async def clients(connection: Connection) -> None:
    async with Client(create_server(connection, user_id="ada")) as client:
        await client.call_tool("recall", {"message": "hi"})


def wrong(connection: Connection) -> None:
    create_server("memory.db")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    create_server(connection, "ada")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    create_server(connection, identify="email")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    create_server(connection, identify=lambda: "ada")  # type: ignore[arg-type, misc]  # pyright: ignore[reportArgumentType]
    create_server(connection).run("telnet")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]

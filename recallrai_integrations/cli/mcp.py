"""`recallrai-integrations mcp`: one user's memories for an MCP client."""

from __future__ import annotations

from typing import Annotated

import typer

from ._common import LocalOption, credentials, database_path

__all__ = ["mcp_command"]


def mcp_command(
    *,
    user: Annotated[
        str,
        typer.Option(
            "--user",
            "--user-id",
            metavar="ID",
            envvar="RECALLRAI_USER_ID",
            help="The application's id of the user, whose memories these are.",
        ),
    ] = "",
    local: LocalOption = None,
    http: Annotated[
        bool, typer.Option("--http", help="Use HTTP. Clients must send the token in RECALLRAI_MCP_TOKEN.")
    ] = False,
    host: Annotated[str, typer.Option(help="Address to listen on, with --http.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on, with --http; the path is /mcp.")] = 8765,
) -> None:
    """Serve one user's memories to an MCP client, on stdio or HTTP.

    A desktop assistant or an editor starts this command and talks to it over standard input and output. It
    ends when its input ends, with exit code 0. With --http it runs until Ctrl-C.
    """
    from recallrai_integrations.mcp._serving import serve  # noqa: PLC0415 - an extra

    where = database_path(local)
    if where is None:
        credentials()
    serve(user, local=where, http=http, host=host, port=port)

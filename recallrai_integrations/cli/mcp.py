"""`recallrai-integrations mcp`: one user's memories for an MCP client."""

from __future__ import annotations

from typing import Annotated

import typer

from ._common import LocalOption, credentials, place

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
        bool, typer.Option("--http", help="On HTTP, for clients that send the token of RECALLRAI_MCP_TOKEN.")
    ] = False,
    host: Annotated[str, typer.Option(help="Address to listen on, with --http.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on, with --http; the path is /mcp.")] = 8765,
) -> None:
    """Serve one user's memories to an MCP client, on stdio or HTTP.

    For the configuration of a desktop assistant or an editor, which starts this command and talks to it over
    standard input and output: it ends with its input, with exit code 0. With --http it runs until Ctrl-C.
    """
    from recallrai_integrations.mcp._serving import serve  # noqa: PLC0415 - an extra

    where = place(local)
    if where is None:
        credentials()
    serve(user, local=where, http=http, host=host, port=port)

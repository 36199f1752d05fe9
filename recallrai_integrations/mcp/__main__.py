"""`python -m recallrai_integrations.mcp`: one user's memories for an MCP client.

The same as `recallrai-integrations mcp`, for installations without the extra `cli`.
"""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser

from recallrai_integrations.errors import RecallrAIIntegrationError

from ._serving import TOKEN, USER, serve


def main(arguments: list[str] | None = None) -> int:
    """Serves until the input ends; 2 for wrong use, with one line on standard error."""
    parser = ArgumentParser(prog="python -m recallrai_integrations.mcp", description=__doc__)
    parser.add_argument(
        "--user-id",
        "--user",
        metavar="ID",
        default=os.environ.get(USER, ""),
        help=f"The application's id of the user; by default {USER}.",
    )
    parser.add_argument("--local", metavar="PATH", help="The embedded service on this database file.")
    parser.add_argument(
        "--http", action="store_true", help=f"On HTTP, for clients with the token of {TOKEN}."
    )
    parser.add_argument("--host", default="127.0.0.1", help="Address to listen on.")
    parser.add_argument("--port", type=int, default=8765, help="Port to listen on; the path is /mcp.")
    given = parser.parse_args(arguments)
    try:
        serve(given.user_id, local=given.local, http=given.http, host=given.host, port=given.port)
    except RecallrAIIntegrationError as error:
        print(f"Error: {error}", file=sys.stderr)  # noqa: T201 - standard output is the protocol's
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

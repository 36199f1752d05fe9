"""All commands of `recallrai-integrations`, put together."""

from __future__ import annotations

from typing import Annotated

import typer

from recallrai_integrations import __version__

from ._common import Group
from .chat import chat_command
from .conflicts import conflicts_app
from .demo import demo_command
from .doctor import doctor_command
from .exporting import export_command
from .forgetting import forget_command
from .importing import import_command
from .mcp import mcp_command
from .memories import memories_app
from .outbox import outbox_app
from .serve import serve_command

__all__ = ["app"]

app = typer.Typer(
    cls=Group,
    rich_markup_mode="markdown",
    help="Long-term memory by RecallrAI, from the command line.",
    epilog="Exit codes: 0 success; 1 the work is incomplete (a file could not be read, an answer lacked its "
    "memory, doctor found a problem, the service was down); 2 wrong use or set-up (bad input, unknown user, "
    "missing credentials); 130 stopped with Ctrl-C (0 for serve).",
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"recallrai-integrations {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


app.command("demo")(demo_command)
app.command("chat")(chat_command)
app.command("serve")(serve_command)
app.command("mcp")(mcp_command)
app.command("doctor")(doctor_command)
app.command("import")(import_command)
app.command("export")(export_command)
app.command("forget")(forget_command)
app.add_typer(memories_app, name="memories")
app.add_typer(conflicts_app, name="conflicts")
app.add_typer(outbox_app, name="outbox")

"""`recallrai-integrations outbox`: pending messages in an outbox file or database."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from http import HTTPStatus
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from recallrai_integrations import Connection, Event, RequestRejectedError
from recallrai_integrations.options import is_url
from recallrai_integrations.outbox import export, init, status

from ._common import ExitCode, Group, JsonOption, LocalOption, WrongUseError, connected
from ._output import counted, json_line, json_out, out, print_error, progress_bars

__all__ = ["outbox_app"]

outbox_app = typer.Typer(cls=Group, help="Make, show, deliver or export an outbox: a file or a database.")

_FileArgument = Annotated[
    str, typer.Argument(metavar="FILE|URL", help="What DeliveryOptions(outbox=…) was given.")
]


@outbox_app.command("init")
def init_command(
    url: Annotated[
        str, typer.Argument(metavar="URL", help="postgresql://user@host/database; password in PGPASSWORD.")
    ],
    *,
    grant: Annotated[
        list[str] | None, typer.Option(metavar="ROLE", help="A role that is to use it; may be repeated.")
    ] = None,
) -> None:
    """Make or migrate an outbox in PostgreSQL: the schema recallrai_integrations; may be run again.

    Needs the right to create schemas in the database, and no superuser.
    """
    if not is_url(url):
        raise WrongUseError(
            "Only an outbox in PostgreSQL is made beforehand: pass postgresql://user@host/db."
        )
    init(url, grant=grant or ())
    out.print("The outbox is ready.")


@outbox_app.command("status")
def status_command(outbox: _FileArgument, *, as_json: JsonOption = False) -> None:
    """Show how many messages of which user are pending, and since when; changes nothing."""
    found = status(_there(outbox))
    if as_json:
        json_out([asdict(one) for one in found])
        return
    if not found:
        out.print("No messages are pending.")
        return
    table = Table("user", "thread", "waiting", "oldest", "rejected", "project")
    for one in found:
        oldest = "" if one.oldest is None else f"{one.oldest:%Y-%m-%d %H:%M:%S} UTC"
        table.add_row(
            one.user_id, one.thread_id or "", str(one.waiting), oldest, str(one.rejected), one.project
        )
    out.print(table, markup=False)


@outbox_app.command("flush")
def flush_command(outbox: _FileArgument, local: LocalOption = None) -> None:
    """Deliver the pending messages of the project you are connected to.

    The exit code is 1 if messages remain in the file, also for another project or service. After exit code
    0 the file is empty and can be deleted.
    """
    bars = progress_bars("Delivering")
    bar = bars.add_task("", total=sum(one.waiting for one in status(_there(outbox))))

    def stored(event: Event) -> None:
        if event.kind in {"stored", "processed"}:
            bars.advance(bar)

    with bars, connected(local, on_error="degrade", outbox=outbox, on_event=stored) as connection:
        rejected = 0
        while (left := _flush(connection)) is None:
            rejected += 1
    if left:
        print_error(
            f"{counted(left, 'message was', 'messages were')} not delivered: the service refused them. "
            "See recallrai-integrations doctor."
        )
        raise typer.Exit(ExitCode.NOT_COMPLETE)
    others = Counter[str]()
    for one in status(outbox):
        others[one.project] += one.waiting
    delivered = "Everything else" if rejected else "Everything"
    if others.total():
        waiting = ", ".join(f"{count} for {project}" for project, count in others.items() if count)
        print_error(
            f"Messages for other projects remain in the outbox: {waiting}. Connect to each and flush again."
        )
        out.print(f"{delivered} for this project is delivered.")
    else:
        out.print(f"{delivered} is delivered.")
    if others.total() or rejected:
        raise typer.Exit(ExitCode.NOT_COMPLETE)


@outbox_app.command("export")
def export_command(outbox: _FileArgument) -> None:
    """Print pending and rejected messages as JSON lines; changes nothing."""
    for entry in export(_there(outbox)):
        json_line(entry)


def _flush(connection: Connection) -> int | None:
    """Returns how many are still pending; None when the service rejected a message, and others may follow."""
    try:
        return connection.flush()
    except RequestRejectedError as error:
        if error.status == HTTPStatus.PAYMENT_REQUIRED:  # no balance: kept until the account is topped up
            print_error(f"{str(error).rstrip('.')}. The messages stay in the outbox.")
            raise typer.Exit(ExitCode.NOT_COMPLETE) from None
        print_error(f"The service rejected a message, which is set aside: {error}")
        return None


def _there(file: str) -> str:
    if not is_url(file) and not Path(file).is_file():
        raise WrongUseError(f"There is no outbox file {file}: pass the path in DeliveryOptions(outbox=…).")
    return file

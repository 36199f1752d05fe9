"""`recallrai-integrations outbox`: messages that wait for the service in a file."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from http import HTTPStatus
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from recallrai_integrations import Connection, Event, RequestRejectedError
from recallrai_integrations.outbox import export, status

from ._common import (
    ExitCode,
    Group,
    JsonOption,
    LocalOption,
    WrongUseError,
    connected,
    json_line,
    json_out,
    out,
    problem,
    progress_bars,
)

__all__ = ["outbox_app"]

outbox_app = typer.Typer(cls=Group, help="Look at, deliver or export what waits in an outbox file.")

_FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="The file of DeliveryOptions(outbox=FILE).")
]


@outbox_app.command("status")
def status_command(file: _FileArgument, *, as_json: JsonOption = False) -> None:
    """Show how much waits for whom, and since when; touches nothing."""
    found = status(_there(file))
    if as_json:
        json_out([asdict(one) for one in found])
        return
    if not found:
        out.print("Nothing waits.")
        return
    table = Table("user", "thread", "waiting", "oldest", "rejected", "project")
    for one in found:
        oldest = "" if one.oldest is None else f"{one.oldest:%Y-%m-%d %H:%M:%S} UTC"
        table.add_row(
            one.user_id, one.thread_id or "", str(one.waiting), oldest, str(one.rejected), one.project
        )
    out.print(table, markup=False)


@outbox_app.command("flush")
def flush_command(file: _FileArgument, local: LocalOption = None) -> None:
    """Deliver what waits for the project you are connected to.

    Exit code 1 when something still waits in the file, also for another project or service: after 0 nobody
    needs the file.
    """
    bars = progress_bars("Delivering")
    bar = bars.add_task("", total=sum(one.waiting for one in status(_there(file))))

    def stored(event: Event) -> None:
        if event.kind in {"stored", "processed"}:
            bars.advance(bar)

    with bars, connected(local, on_error="degrade", outbox=file, on_event=stored) as connection:
        rejected = 0
        while (left := _flush(connection)) is None:
            rejected += 1
    if left:
        problem(
            f"{left} messages still wait: the service could not take them. See recallrai-integrations doctor."
        )
        raise typer.Exit(ExitCode.NOT_COMPLETE)
    others = Counter[str]()
    for one in status(file):
        others[one.project] += one.waiting
    delivered = "Everything else" if rejected else "Everything"
    if others.total():
        waiting = ", ".join(f"{count} for {project}" for project, count in others.items() if count)
        problem(f"Messages still wait in {file} for others: {waiting}. Connect to each and flush again.")
        out.print(f"{delivered} for this project is delivered.")
    else:
        out.print(f"{delivered} is delivered.")
    if others.total() or rejected:
        raise typer.Exit(ExitCode.NOT_COMPLETE)


@outbox_app.command("export")
def export_command(file: _FileArgument) -> None:
    """Print what waits or was rejected as JSON lines; touches nothing."""
    for entry in export(_there(file)):
        json_line(entry)


def _flush(connection: Connection) -> int | None:
    """How many still wait; None when one was refused for good, and the others may have been delivered."""
    try:
        return connection.flush()
    except RequestRejectedError as error:
        if error.status == HTTPStatus.PAYMENT_REQUIRED:  # the account's trouble: what waits goes on waiting
            problem(f"{str(error).rstrip('.')}. What waits stays in the file.")
            raise typer.Exit(ExitCode.NOT_COMPLETE) from None
        problem(f"A message was refused for good and set aside: {error}")
        return None


def _there(file: Path) -> Path:
    if not file.is_file():
        raise WrongUseError(
            f"There is no outbox file {file}: pass the path that DeliveryOptions(outbox=…) was given."
        )
    return file

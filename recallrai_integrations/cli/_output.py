"""What commands print: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

__all__ = [
    "counted",
    "json_line",
    "json_out",
    "notice",
    "one_line",
    "out",
    "print_error",
    "progress_bars",
    "status_line",
]

out = Console(highlight=False)
"""Results."""
status_line = Console(stderr=True, highlight=False)
"""Progress bars and notices, which must not get into a pipe."""


def counted(count: int, one: str, many: str | None = None) -> str:
    """Returns a number with what it counts, such as "1 message" and "2 messages".

    Args:
        count: how many.
        one: the words for one.
        many: the words for any other number; None adds an s to `one`.
    """
    return f"{count} {one if count == 1 else many or one + 's'}"


def one_line(text: str) -> str:
    """Returns a text on one line."""
    return " ".join(text.split())


def print_error(text: str) -> None:
    """Prints one line on stderr."""
    typer.echo(f"Error: {one_line(text)}", err=True)


def notice(text: str) -> None:
    """Prints a remark on stderr, so that it does not get into a pipe."""
    typer.echo(one_line(text), err=True)


def progress_bars(what: str) -> Progress:
    """Returns progress bars on stderr, shown on terminals only."""
    return Progress(
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=status_line,
        disable=not status_line.is_terminal,
    )


def json_out(value: Any) -> None:
    """Prints a value as JSON on stdout; times become ISO 8601 with a time zone."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, default=datetime.isoformat))


def json_line(value: Any) -> None:
    """Prints a value as one line of JSON on stdout; times as in `json_out`."""
    typer.echo(json.dumps(value, ensure_ascii=False, default=datetime.isoformat))

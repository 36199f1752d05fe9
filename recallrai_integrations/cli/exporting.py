"""`recallrai-integrations export`: everything of one user as JSON lines."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable
from os.path import realpath
from pathlib import Path
from typing import Annotated, Any, Final, TextIO

import typer

from ._common import LocalOption, UserOption, WrongUseError, connected
from ._output import counted, json_line, notice, progress_bars

__all__ = ["export_command"]

_DATABASE_BEGINS: Final = b"SQLite format 3\0"
_BESIDE_DATABASE: Final = ("", "-wal", "-shm", "-journal", "-lock")


def export_command(
    user: UserOption,
    local: LocalOption = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write to this file, completely or not at all; default stdout.",
        ),
    ] = None,
) -> None:
    """Export a user with their conversations and memories as JSON lines, which import reads."""
    if output is not None:
        _check_output(output)
    with connected(local, user=user) as connection:
        lines = connection.export(user)
        if output is None:
            for line in lines:
                json_line(line)
        else:
            with progress_bars("Exporting lines") as bars:
                count = _write(output, bars.track(lines))
            notice(f"{counted(count, 'line')} in {output}.")


def _check_output(path: Path) -> None:
    """Refuses files that an export must not replace.

    Call it before connecting: a process that closes a file gives up all its locks on that file, including
    those of an embedded service.
    """
    target = realpath(path)
    if path.is_dir() or Path(target).is_symlink() or not Path(target).parent.is_dir():
        raise WrongUseError(f"{path} is not a file that can be written: check --output.")
    if any(_is_database(Path(target.removesuffix(end))) for end in _BESIDE_DATABASE):
        raise WrongUseError(f"{path} is a database, or belongs to one: pass another file to --output.")


def _is_database(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_DATABASE_BEGINS)) == _DATABASE_BEGINS


def _write(path: Path, lines: Iterable[dict[str, Any]]) -> int:
    """Writes the lines to a file, and returns their number."""
    if path.exists() and not path.is_file():  # a pipe or a device cannot be replaced, only written to
        with path.open("w", encoding="utf-8") as file:
            return _write_lines(file, lines)
    return _write_whole(Path(realpath(path)), lines)


def _write_whole(path: Path, lines: Iterable[dict[str, Any]]) -> int:
    """Writes a temporary file and renames it when it is complete, so that no half-written file remains."""
    handle, unfinished = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            count = _write_lines(file, lines)
        Path(unfinished).replace(path)
    finally:
        Path(unfinished).unlink(missing_ok=True)  # gone already, unless something came between
    return count


def _write_lines(file: TextIO, lines: Iterable[dict[str, Any]]) -> int:
    count = 0
    for line in lines:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")
        count += 1
    return count

"""`recallrai-integrations export`: everything of one user as JSON lines."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from ._common import LocalOption, UserOption, WrongUseError, connected, json_line, note, require_user

__all__ = ["export_command"]


def export_command(
    user: UserOption,
    local: LocalOption = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write here, whole or not at all; default stdout."
        ),
    ] = None,
) -> None:
    """Export the user, their conversations and their memories; import reads it again."""
    with connected(local) as connection:
        require_user(connection, user)
        lines = connection.export(user)
        if output is None:
            for line in lines:
                json_line(line)
        else:
            count = _write_whole(output, lines)
            note(f"{count} lines in {output}.")


def _write_whole(path: Path, lines: Iterable[dict[str, Any]]) -> int:
    """Writes beside the file and puts it in place when it is complete, so that no half ever has its name."""
    folder = path.absolute().parent
    if path.is_dir() or not folder.is_dir():
        raise WrongUseError(f"{path} is not a file that can be written: check --output.")
    count = 0
    handle, unfinished = tempfile.mkstemp(dir=folder, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            for line in lines:
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
                count += 1
        Path(unfinished).replace(path)
    except BaseException:
        Path(unfinished).unlink(missing_ok=True)
        raise
    return count

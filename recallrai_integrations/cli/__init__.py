"""The command line: `recallrai-integrations`. One module for each command or family of commands.

`app` puts them together, `_common` holds what they share: connecting, errors and exit codes.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(args: Sequence[str] | None = None) -> None:
    """Runs the command line and exits: 0 fine, 1 not complete, 2 wrong use or set-up, 130 stopped.

    Args:
        args: used instead of the process's arguments.
    """
    try:
        from .app import app  # noqa: PLC0415 - typer and rich are an extra
    except KeyboardInterrupt:
        sys.stderr.write("Error: Stopped.\n")
        raise SystemExit(130) from None
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in {"typer", "rich"}:
            raise
        sys.stderr.write(f'{missing} is not installed. Run: pip install "recallrai-integrations[cli]"\n')
        raise SystemExit(2) from None
    app(args)

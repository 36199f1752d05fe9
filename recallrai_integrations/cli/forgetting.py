"""`recallrai-integrations forget`: deletes what is remembered about a user, and checks that it is gone."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from recallrai_integrations import NotFoundError
from recallrai_integrations.models import remaining_until

from ._common import ExitCode, JsonOption, LocalOption, UserOption, WrongUseError, connected, thread_given
from ._output import counted, json_out, out, print_error, status_line

__all__ = ["forget_command"]


def forget_command(
    user: UserOption,
    local: LocalOption = None,
    thread: Annotated[
        str | None,
        typer.Option(
            "--thread", metavar="ID", callback=thread_given, help="Only this thread's conversations."
        ),
    ] = None,
    session: Annotated[
        str | None, typer.Option("--session", metavar="ID", help="Only this session, by the service's id.")
    ] = None,
    memory: Annotated[
        str | None, typer.Option("--memory", metavar="ID", help="Only this memory, with all its versions.")
    ] = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Delete everything of a user, or one thread, session or memory, and check that it is gone.

    This cannot be undone: export first.
    """
    parts = {"thread": thread, "session": session, "memory": memory}
    chosen = [f"{what} {one!r} of user {user!r}" for what, one in parts.items() if one is not None]
    if len(chosen) > 1:
        raise WrongUseError("Pass one of --thread, --session and --memory, not several.")
    [what] = chosen or [f"everything of user {user!r}"]
    with connected(local, user=user) as connection:
        if not yes:
            _confirm(what)
        try:
            with status_line.status("Deleting …"):
                forgotten = connection.forget(user, thread_id=thread, session_id=session, memory_id=memory)
        except NotFoundError:
            raise WrongUseError(f"There is no {what}: nothing was deleted.") from None
        except KeyboardInterrupt:
            print_error("Stopped before everything was deleted. Run the command again to delete the rest.")
            raise typer.Exit(ExitCode.STOPPED) from None
    if as_json:
        json_out(asdict(forgotten))
    else:
        sessions = counted(len(forgotten.sessions), "session")
        counts = f"{sessions}, {counted(len(forgotten.memories), 'memory', 'memories')}"
        out.print(f"Deleted {what}, and checked that it is gone: {counts}.", markup=False, soft_wrap=True)
    for file in forgotten.remains_in:
        print_error(f"Deleted text remains in {remaining_until(file)}.")


def _confirm(what: str) -> None:
    if not sys.stdin.isatty():
        raise WrongUseError(f"To delete {what} without a question, pass --yes.")
    if not typer.confirm(f"Delete {what}? This cannot be undone", err=True):
        print_error("Nothing was deleted.")
        raise typer.Exit(ExitCode.STOPPED)

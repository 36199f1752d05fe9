"""`recallrai-integrations forget`: deletes what is remembered of a user, and makes sure that it is gone."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from recallrai_integrations import NotFoundError
from recallrai_integrations.models import remaining_until

from ._common import (
    ExitCode,
    JsonOption,
    LocalOption,
    UserOption,
    WrongUseError,
    connected,
    counted,
    json_out,
    out,
    problem,
    require_user,
    status_line,
    thread_given,
)

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
        str | None, typer.Option("--session", metavar="ID", help="Only this session of the service.")
    ] = None,
    memory: Annotated[
        str | None, typer.Option("--memory", metavar="ID", help="Only this memory, with all its versions.")
    ] = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Delete everything of a user, or one thread, session or memory; read back that it is gone.

    Cannot be undone: export first.
    """
    parts = {"thread": thread, "session": session, "memory": memory}
    chosen = [f"{what} {one!r} of user {user!r}" for what, one in parts.items() if one is not None]
    if len(chosen) > 1:
        raise WrongUseError("Pass one of --thread, --session and --memory, not several.")
    [what] = chosen or [f"everything of user {user!r}"]
    with connected(local) as connection:
        require_user(connection, user)
        if not yes:
            _confirm(what)
        try:
            with status_line.status("Deleting …"):
                forgotten = connection.forget(user, thread_id=thread, session_id=session, memory_id=memory)
        except NotFoundError:
            raise WrongUseError(f"There is no {what}: nothing was deleted.") from None
        except KeyboardInterrupt:
            problem("Stopped, perhaps half-way: the same command deletes the rest.")
            raise typer.Exit(ExitCode.STOPPED) from None
    if as_json:
        json_out(asdict(forgotten))
    else:
        sessions = counted(len(forgotten.sessions), "session")
        counts = f"{sessions}, {counted(len(forgotten.memories), 'memory', 'memories')}"
        out.print(f"Deleted {what}, and read back that it is gone: {counts}.", markup=False, soft_wrap=True)
    for file in forgotten.remains_in:
        problem(f"Text of it remains in {remaining_until(file)}.")


def _confirm(what: str) -> None:
    if not sys.stdin.isatty():
        raise WrongUseError(f"To delete {what} without being asked, pass --yes.")
    if not typer.confirm(f"Delete {what}? This cannot be undone", err=True):
        problem("Nothing was deleted.")
        raise typer.Exit(ExitCode.STOPPED)

"""`recallrai-integrations memories`: shows what is remembered about a user."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated

import typer
from rich.text import Text

from recallrai_integrations import InvalidInputError, Memory, NotFoundError, RequestRejectedError

from ._common import Group, JsonOption, LocalOption, UserOption, WrongUseError, connected
from ._output import json_out, out

__all__ = ["memories_app"]

memories_app = typer.Typer(cls=Group, help="List a user's memories, or show one with its versions.")


@memories_app.command("list")
def list_command(
    user: UserOption,
    local: LocalOption = None,
    category: Annotated[
        list[str] | None, typer.Option("--category", help="Only memories of this category; may be repeated.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Show at most this many.")] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """List current memories, newest first."""
    with connected(local, user=user) as connection:
        try:
            found = connection.user(user).memories(categories=category or (), limit=limit)
        except RequestRejectedError as error:
            if not category:
                raise
            # Categories differ from user to user: the service refuses unknown ones.
            raise WrongUseError(
                f"--category {', '.join(category)}: {error} "
                f"For the categories of this user, run: memories list --json --user {user}."
            ) from None
    if as_json:
        json_out([asdict(one) for one in found])
        return
    if not found:
        out.print("No memories.")
        return
    for one in found:
        out.print(Text(one.content), soft_wrap=True)
        day = _day(one.event_start or one.created_at)
        out.print(Text(f"  {one.memory_id} · {day} · version {one.version}", style="dim"), soft_wrap=True)


@memories_app.command("show")
def show_command(
    memory_id: Annotated[str, typer.Argument(metavar="ID", help="The id of any version of the memory.")],
    user: UserOption,
    local: LocalOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Show one memory with its versions and connections."""
    with connected(local, user=user) as connection:
        try:
            memory = connection.user(user).memory(memory_id)
        except (InvalidInputError, NotFoundError):
            raise WrongUseError(
                f"{user!r} has no memory {memory_id!r}: see memories list --user {user}."
            ) from None
    if as_json:
        json_out(asdict(memory))
        return
    _show(memory)


def _show(memory: Memory) -> None:
    out.print(Text(memory.content, style="bold"), soft_wrap=True)
    facts = [f"version {memory.version}", f"happened {_day(memory.event_start)} to {_day(memory.event_end)}"]
    facts += [f"stored {_day(memory.created_at)}"]
    facts += [f"categories {', '.join(memory.categories)}"] if memory.categories else []
    facts += ["in a merge conflict"] if memory.in_conflict else []
    out.print(Text("; ".join(facts), style="dim"), soft_wrap=True)
    for version in memory.previous_versions:
        why = f"{version.reason or 'superseded'}, {_day(version.created_at)} to {_day(version.expired_at)}"
        out.print(Text(f"version {version.version}: {version.content} ({why})"), soft_wrap=True)
    for memory_id, content in memory.connected:
        out.print(Text(f"connected: {content} ({memory_id})"), soft_wrap=True)


def _day(when: datetime | None) -> str:
    return "…" if when is None else f"{when:%Y-%m-%d}"

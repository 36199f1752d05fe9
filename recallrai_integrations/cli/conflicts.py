"""`recallrai-integrations conflicts`: contradictions that the user has to settle."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Literal

import typer
from rich.text import Text

from recallrai_integrations import InvalidInputError, MergeConflict, NotFoundError
from recallrai_integrations.models import Question

from ._common import ExitCode, Group, JsonOption, LocalOption, UserOption, WrongUseError, connected
from ._output import counted, json_out, out, print_error

__all__ = ["conflicts_app"]

conflicts_app = typer.Typer(cls=Group, help="List merge conflicts of a user, or answer one.")

_Status = Literal["pending", "in_queue", "resolving", "resolved", "failed", "all"]


@conflicts_app.command("list")
def list_command(
    user: UserOption,
    local: LocalOption = None,
    status: Annotated[_Status, typer.Option(help="Only conflicts in this state.")] = "pending",
    *,
    as_json: JsonOption = False,
) -> None:
    """List merge conflicts, oldest first."""
    with connected(local, user=user) as connection:
        found = connection.user(user).conflicts(None if status == "all" else status.upper())
    if as_json:
        json_out([asdict(one) for one in found])
    elif not found:
        out.print("No merge conflicts.")
    for conflict in [] if as_json else found:
        _show(conflict)


@conflicts_app.command("answer")
def answer_command(
    conflict_id: Annotated[str, typer.Argument(metavar="CONFLICT_ID")],
    user: UserOption,
    local: LocalOption = None,
    answer: Annotated[
        list[str] | None,
        typer.Option(
            "--answer",
            metavar="OPTION",
            help="The text or number of an option. Repeat it for each question, in their order. Without "
            "--answer the command asks.",
        ),
    ] = None,
) -> None:
    """Answer all questions of a merge conflict."""
    with connected(local, user=user) as connection:
        memories = connection.user(user)
        try:
            conflict = memories.conflict(conflict_id)
        except (InvalidInputError, NotFoundError):
            raise WrongUseError(
                f"{user!r} has no merge conflict {conflict_id!r}: see conflicts list --user {user}."
            ) from None
        if conflict.status != "PENDING":
            raise WrongUseError(f"The merge conflict is {conflict.status} and can no longer be answered.")
        answers = _answers(conflict, answer or [])
        resolved = memories.resolve(conflict, answers)
    if not resolved:
        print_error("Nothing was resolved: somebody else has answered the conflict.")
        raise typer.Exit(ExitCode.NOT_COMPLETE)
    out.print("Answered. The service is updating the memories.")


def _answers(conflict: MergeConflict, given: Sequence[str]) -> dict[str, str]:
    if not given and sys.stdin.isatty():
        _show(conflict)
        return {one.question: _ask(one) for one in conflict.questions}
    if len(given) != len(conflict.questions):
        raise WrongUseError(
            f"The conflict has {counted(len(conflict.questions), 'question')}, but --answer was passed "
            f"{counted(len(given), 'time')}: pass it once for each question, in order (see conflicts list)."
        )
    return {one.question: _option(one, text) for one, text in zip(conflict.questions, given, strict=True)}


def _ask(question: Question) -> str:
    while True:
        text: str = typer.prompt(f"{question.question} (number)")
        try:
            return _option(question, text)
        except WrongUseError as error:
            print_error(str(error))


def _option(question: Question, text: str) -> str:
    """Returns the option with this number, or with this text in upper or lower case."""
    wanted = text.strip().lower()
    for number, option in enumerate(question.options, 1):
        if wanted in {str(number), option.strip().lower()}:
            return option
    choices = ", ".join(f"{number} {option!r}" for number, option in enumerate(question.options, 1))
    raise WrongUseError(f"{text!r} is not an option of {question.question!r}; choose from {choices}.")


def _show(conflict: MergeConflict) -> None:
    out.print(Text(f"{conflict.conflict_id} ({conflict.status})", style="bold"))
    out.print(Text(f"  new: {conflict.proposed}"), soft_wrap=True)
    for memory in conflict.conflicting:
        out.print(Text(f"  known: {memory.content} ({memory.reason})"), soft_wrap=True)
    for question in conflict.questions:
        out.print(Text(f"  {question.question}"), soft_wrap=True)
        for number, option in enumerate(question.options, 1):
            out.print(Text(f"    {number} {option}"), soft_wrap=True)

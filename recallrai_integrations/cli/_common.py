"""What all commands share: options, connecting, output, and how an error becomes a line and an exit code."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import datetime
from enum import IntEnum
from io import TextIOWrapper
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, cast

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from typer.core import TyperGroup
from typing_extensions import override

from recallrai_integrations import (
    Connection,
    CredentialsError,
    DeliveryOptions,
    ForgetIncompleteError,
    NotFoundError,
    RecallrAIIntegrationError,
    ServiceUnavailableError,
    connect,
)
from recallrai_integrations.credentials import Credentials
from recallrai_integrations.identity import thread_id_text, user_id_text

__all__ = [
    "CREDENTIALS",
    "DEFAULT_DATABASE",
    "ExitCode",
    "Group",
    "JsonOption",
    "LocalOption",
    "UserOption",
    "WrongUseError",
    "connected",
    "counted",
    "credentials",
    "exit_code_of",
    "json_line",
    "json_out",
    "note",
    "one_line",
    "out",
    "place",
    "problem",
    "progress_bars",
    "require_user",
    "status_line",
    "thread_given",
    "with_remedy",
]

DEFAULT_DATABASE = "recallrai.db"
"""The local memory when nothing else is said, in the working directory."""

CREDENTIALS = ("RECALLRAI_API_KEY", "RECALLRAI_PROJECT_ID", "RECALLRAI_BASE_URL")

TIMEOUT = 15.0
"""Seconds for each phase of a request: somebody sits and waits."""

_untold = logging.NullHandler()  # what happens is told by the command, in words that fit one

out = Console(highlight=False)
"""Results."""
status_line = Console(stderr=True, highlight=False)
"""Progress bars and notes, out of the way of a pipe."""


class ExitCode(IntEnum):
    """What the process ends with; told in `--help`."""

    FINE = 0
    NOT_COMPLETE = 1
    WRONG_USE = 2
    STOPPED = 130


class WrongUseError(RecallrAIIntegrationError):
    """The command was used in a way that cannot work; the message holds the remedy."""


def _user(value: str) -> str:
    if not value:
        raise WrongUseError("--user is empty: pass the application's id of the user.")
    return user_id_text(value)


def thread_given(value: str | None) -> str | None:
    """The callback of `--thread`."""
    if value == "":
        raise WrongUseError("--thread is empty: pass the application's id of the thread, or leave it out.")
    return thread_id_text(value)


UserOption = Annotated[
    str,
    typer.Option("--user", metavar="ID", callback=_user, help="The application's id of the user."),
]
LocalOption = Annotated[
    str | None,
    typer.Option(
        "--local",
        metavar="PATH",
        help="The embedded service on this database file, in place of RECALLRAI_API_KEY, "
        "RECALLRAI_PROJECT_ID and RECALLRAI_BASE_URL; without any of these, "
        f"{DEFAULT_DATABASE} in the working directory.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]

# Newer releases of typer bring their own copy of click, older ones use the installed one: the class of usage
# errors is found through what both export.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]


class Group(TyperGroup):
    """A group of commands whose errors are one line on stderr and an exit code, never a traceback."""

    @override
    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        for stream in (sys.stdout, sys.stderr):  # a memory may hold what an old terminal cannot show
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="replace")
        logging.getLogger("recallrai_integrations").addHandler(_untold)
        args = list(sys.argv[1:] if args is None else args)
        try:
            with _stoppable():
                code = super().main(
                    args=args or ["--help"],
                    prog_name="recallrai-integrations",
                    complete_var=complete_var,
                    standalone_mode=False,
                    windows_expand_args=windows_expand_args,
                    **extra,
                )
        except _UsageError as error:
            problem(f"{_usage(error)} See {_command(error)} --help.")
            code = ExitCode.WRONG_USE
        except typer.Abort:
            problem("Stopped.")
            code = ExitCode.STOPPED
        except OSError as error:  # a pipe that was closed early is none: that has ended the process quietly
            code = _os_error(error)
        if standalone_mode:
            sys.exit(code)
        return code

    @override
    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except RecallrAIIntegrationError as error:
            problem(with_remedy(error))
            raise typer.Exit(exit_code_of(error)) from None
        except KeyboardInterrupt:
            raise typer.Abort from None


@contextmanager
def _stoppable() -> Generator[None]:
    """The first Ctrl-C ends a command in order, the second at once; neither shows anything of Python."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        raise KeyboardInterrupt

    in_charge = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT)
    if not in_charge or before is not signal.default_int_handler:  # a shell may have it ignored
        yield
        return
    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is stop:  # else it is on its way out
            signal.signal(signal.SIGINT, before)


def exit_code_of(error: RecallrAIIntegrationError) -> ExitCode:
    """1 for work that the service left undone, 2 for what the caller has to set right."""
    undone = isinstance(error, ServiceUnavailableError | ForgetIncompleteError)
    return ExitCode.NOT_COMPLETE if undone else ExitCode.WRONG_USE


def with_remedy(error: RecallrAIIntegrationError) -> str:
    """What an error says, with what can be done about it on a command line."""
    remedy = " Try again, or see recallrai-integrations doctor."
    return f"{error}{remedy if isinstance(error, ServiceUnavailableError) else ''}"


def _os_error(error: OSError) -> ExitCode:
    if error.filename is not None:
        problem(f"{error.filename}: {error.strerror}.")
        return ExitCode.WRONG_USE
    problem(f"{error.strerror or error}: the output is not complete.")
    # What could not be written still waits in the stream, and would fail once more when the process ends.
    sys.stdout = None
    return ExitCode.NOT_COMPLETE


def _usage(error: Exception) -> str:
    # Recent releases of typer check values with pydantic, which puts this before what is wrong.
    text = str(cast("Any", error).format_message()).replace(": Value error, ", ": ")
    return text if text.endswith((".", "?")) else f"{text}."


def _command(error: Exception) -> str:
    context: Any = getattr(error, "ctx", None)
    return "recallrai-integrations" if context is None else str(context.command_path)


def counted(count: int, one: str, many: str | None = None) -> str:
    """A number with what it counts, such as "1 message" and "2 messages".

    Args:
        count: how many.
        one: the words for one.
        many: the words for any other number; None adds an s to the former.
    """
    return f"{count} {one if count == 1 else many or one + 's'}"


def one_line(text: str) -> str:
    """Text on one line."""
    return " ".join(text.split())


def problem(text: str) -> None:
    """One line on stderr."""
    typer.echo(f"Error: {one_line(text)}", err=True)


def note(text: str) -> None:
    """A remark on stderr, so that it does not get into a pipe."""
    typer.echo(one_line(text), err=True)


def progress_bars(what: str) -> Progress:
    """Bars on stderr, on terminals only."""
    return Progress(
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=status_line,
        disable=not status_line.is_terminal,
    )


def json_out(value: Any) -> None:
    """A value as JSON on stdout; times become ISO 8601 with zone."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, default=datetime.isoformat))


def json_line(value: Any) -> None:
    """A value as one line of JSON on stdout; times as in `json_out`."""
    typer.echo(json.dumps(value, ensure_ascii=False, default=datetime.isoformat))


def credentials() -> Credentials:
    """The credentials of the environment.

    Raises:
        CredentialsError: missing or malformed.
        ConfigurationError: a base URL that is none.
    """
    missing = [name for name in CREDENTIALS[:2] if not os.environ.get(name)]
    if missing:
        raise CredentialsError(
            f"No RecallrAI credentials: set {' and '.join(missing)}, or pass --local PATH for the embedded "
            f"service (such as --local {DEFAULT_DATABASE})."
        )
    return Credentials.find()


def place(local: str | None, *, must_exist: bool = True) -> str | None:
    """The database that is meant; None for the service of the environment.

    Args:
        local: `--local`.
        must_exist: do not choose `recallrai.db` where there is none.
    """
    if local is not None or any(os.environ.get(name) for name in CREDENTIALS):
        return local
    if must_exist and not Path(DEFAULT_DATABASE).is_file():
        return None
    note(f"No RECALLRAI_API_KEY: using {Path(DEFAULT_DATABASE).absolute()} (--local for another memory).")
    return DEFAULT_DATABASE


@contextmanager
def connected(
    local: str | None,
    *,
    must_exist: bool = True,
    timeout: float | None = None,
    **delivery: Any,
) -> Generator[Connection]:
    """A connection by `--local`, else by the environment, else to `recallrai.db` here.

    Args:
        local: path of a database.
        must_exist: a database that is not there is an error, not an empty one.
        timeout: see `connect`; default `TIMEOUT`.
        **delivery: options of `DeliveryOptions`; an outage is an error unless they say otherwise.

    Raises:
        WrongUseError: no such database.
        ConfigurationError: neither is given.
    """
    local = place(local, must_exist=must_exist)
    if local is None:
        credentials()
    if local is not None and must_exist and local != ":memory:" and not Path(local).is_file():
        raise WrongUseError(f"There is no database at {local}: check the path, or import into it first.")
    options: dict[str, Any] = {"on_error": "raise", **delivery}
    with connect(local=local, timeout=timeout or TIMEOUT, delivery=DeliveryOptions(**options)) as connection:
        yield connection


def require_user(connection: Connection, user_id: str) -> None:
    """Makes sure that the service knows the user.

    Raises:
        WrongUseError: it does not.
    """
    try:
        connection.user(user_id).info()
    except NotFoundError:
        raise WrongUseError(
            f"There is no user {user_id!r} here. Check --user and where you are connected to; "
            "a user comes into being with the first message (import, chat)."
        ) from None

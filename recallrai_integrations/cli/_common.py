"""What all commands share: options, the connection, and how an error becomes a line and an exit code."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from io import TextIOWrapper
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, cast

import typer
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

from ._output import notice, print_error

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
    "credentials",
    "database_path",
    "exit_code_of",
    "thread_given",
    "with_remedy",
]

DEFAULT_DATABASE = "recallrai.db"
"""The database in the working directory that is used by default."""

CREDENTIALS = ("RECALLRAI_API_KEY", "RECALLRAI_PROJECT_ID", "RECALLRAI_BASE_URL")

TIMEOUT = 15.0
"""Seconds that a request may take: a person is waiting."""

_silent = logging.NullHandler()  # the command reports in its own words; log lines would repeat it


class ExitCode(IntEnum):
    """Exit codes of the process; `--help` lists them."""

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
        help="Use the embedded service with this database file, instead of RECALLRAI_API_KEY, "
        "RECALLRAI_PROJECT_ID and RECALLRAI_BASE_URL. If neither is set, the database is "
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
        for stream in (sys.stdout, sys.stderr):  # old terminals cannot print every character
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="replace")
        logging.getLogger("recallrai_integrations").addHandler(_silent)
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
            print_error(f"{_usage(error)} See {_command(error)} --help.")
            code = ExitCode.WRONG_USE
        except typer.Abort:
            print_error("Stopped.")
            code = ExitCode.STOPPED
        except OSError as error:  # not for a pipe closed early: that has ended the process quietly
            code = _os_error(error)
        if standalone_mode:
            sys.exit(code)
        return code

    @override
    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except RecallrAIIntegrationError as error:
            print_error(with_remedy(error))
            raise typer.Exit(exit_code_of(error)) from None
        except KeyboardInterrupt:
            raise typer.Abort from None


@contextmanager
def _stoppable() -> Generator[None]:
    """Makes the first Ctrl-C end a command in an orderly way and the second at once, without a traceback."""

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
    """Returns 1 for work that the service did not complete, 2 for what the user has to correct."""
    undone = isinstance(error, ServiceUnavailableError | ForgetIncompleteError)
    return ExitCode.NOT_COMPLETE if undone else ExitCode.WRONG_USE


def with_remedy(error: RecallrAIIntegrationError) -> str:
    """Returns the text of an error, with what to do about it on a command line."""
    remedy = " Try again, or see recallrai-integrations doctor."
    return f"{error}{remedy if isinstance(error, ServiceUnavailableError) else ''}"


def _os_error(error: OSError) -> ExitCode:
    if error.filename is not None:
        print_error(f"{error.filename}: {error.strerror}.")
        return ExitCode.WRONG_USE
    print_error(f"{error.strerror or error}: the output is not complete.")
    # The unwritten rest is still in the stream's buffer, and would fail again when the process ends.
    sys.stdout = None
    return ExitCode.NOT_COMPLETE


def _usage(error: Exception) -> str:
    # Recent releases of typer check values with pydantic, which puts this before what is wrong.
    text = str(cast("Any", error).format_message()).replace(": Value error, ", ": ")
    return text if text.endswith((".", "?")) else f"{text}."


def _command(error: Exception) -> str:
    context: Any = getattr(error, "ctx", None)
    return "recallrai-integrations" if context is None else str(context.command_path)


def credentials() -> Credentials:
    """Returns the credentials of the environment.

    Raises:
        CredentialsError: missing or malformed.
        ConfigurationError: an invalid base URL.
    """
    missing = [name for name in CREDENTIALS[:2] if not os.environ.get(name)]
    if missing:
        raise CredentialsError(
            f"No RecallrAI credentials: set {' and '.join(missing)}, or pass --local PATH for the embedded "
            f"service (such as --local {DEFAULT_DATABASE})."
        )
    return Credentials.find()


def database_path(local: str | None, *, must_exist: bool = True) -> str | None:
    """Returns the path of the local database; None for the service of the environment.

    Args:
        local: `--local`.
        must_exist: do not choose `recallrai.db` if it does not exist.
    """
    if local is not None or any(os.environ.get(name) for name in CREDENTIALS):
        return local
    if must_exist and not Path(DEFAULT_DATABASE).is_file():
        return None
    notice(f"No RECALLRAI_API_KEY: using {Path(DEFAULT_DATABASE).absolute()} (or pass --local PATH).")
    return DEFAULT_DATABASE


@contextmanager
def connected(
    local: str | None,
    *,
    user: str | None = None,
    must_exist: bool = True,
    timeout: float | None = None,
    **delivery: Any,
) -> Generator[Connection]:
    """Connects to `--local`, else to the service of the environment, else to `recallrai.db` here.

    Args:
        local: path of a database.
        user: a user whom the service must know.
        must_exist: a missing database is an error; otherwise it is created.
        timeout: see `connect`; default `TIMEOUT`.
        **delivery: options of `DeliveryOptions`; an outage is an error unless they say otherwise.

    Raises:
        WrongUseError: no such database, or no such user.
        ConfigurationError: neither is given.
    """
    local = database_path(local, must_exist=must_exist)
    if local is None:
        credentials()
    if local is not None and must_exist and local != ":memory:" and not Path(local).is_file():
        raise WrongUseError(f"There is no database at {local}: check the path, or import into it first.")
    options: dict[str, Any] = {"on_error": "raise", **delivery}
    with connect(local=local, timeout=timeout or TIMEOUT, delivery=DeliveryOptions(**options)) as connection:
        if user is not None:
            _require(connection, user)
        yield connection


def _require(connection: Connection, user_id: str) -> None:
    try:
        connection.user(user_id).info()
    except NotFoundError:
        raise WrongUseError(
            f"There is no user {user_id!r} here. Check --user and the database or project you use; "
            "the first message creates a user (import, chat)."
        ) from None

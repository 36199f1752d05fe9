"""`recallrai-integrations doctor`: what is wrong with the set-up, and what to do about it."""

from __future__ import annotations

import platform
import shutil
import tempfile
import time
import urllib.request
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from importlib import metadata
from os.path import realpath
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import httpx
import typer
from packaging.requirements import Requirement
from rich.text import Text

from recallrai_integrations import (
    ConfigurationError,
    Connection,
    CredentialsError,
    NotFoundError,
    RecallrAIIntegrationError,
    ServiceError,
    __version__,
    connect,
)
from recallrai_integrations._flows.ops import GetUser
from recallrai_integrations.credentials import Credentials
from recallrai_integrations.options import is_url
from recallrai_integrations.outbox import ConversationStatus, status

from ._common import ExitCode, JsonOption, LocalOption, credentials, database_path
from ._output import counted, json_out, out

__all__ = ["doctor_command"]

_State = Literal["fine", "note", "problem"]
_MARKS: Final[dict[_State, tuple[str, str]]] = {
    "fine": ("ok  ", "green"),
    "note": ("note", "yellow"),
    "problem": ("BAD ", "bold red"),
}
_FRAMEWORKS: Final = frozenset(
    {
        "recallrai",
        "httpx",
        "langchain",
        "langchain-core",
        "langgraph",
        "langchain-classic",
        "llama-index-core",
    }
)
_NOBODY: Final = "recallrai-integrations-doctor"
_SECONDS: Final = 10.0
_SLOW: Final = 2.0
_CLOCK_TOLERANCE: Final = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check; only a problem makes the exit code 1.

    Args:
        about: `versions`, `credentials`, `service`, `clock`, `proxy` or `outbox`.
        state: the result.
        text: what was found.
        remedy: what to do; "" if nothing.
    """

    about: str
    state: _State
    text: str
    remedy: str = ""


def doctor_command(
    local: LocalOption = None,
    outbox: Annotated[str | None, typer.Option(metavar="FILE|URL", help="Also look at this outbox.")] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Check credentials, reachability, versions, clock, proxies and the outbox; changes nothing.

    Each finding comes with its remedy. Exit code 1 when there is a problem.
    """
    findings: list[Finding] = []
    for finding in _findings(local, outbox):
        findings.append(finding)
        if not as_json:
            mark, style = _MARKS[finding.state]
            out.print(Text(mark, style=style), Text(f"{finding.about}: {finding.text}"), soft_wrap=True)
            if finding.remedy:
                out.print(Text(f"     {finding.remedy}"), soft_wrap=True)
    if as_json:
        json_out([asdict(one) for one in findings])
    if any(one.state == "problem" for one in findings):
        raise typer.Exit(ExitCode.NOT_COMPLETE)


def _findings(local: str | None, outbox: str | None) -> Iterator[Finding]:
    yield from _versions()
    local = database_path(local)
    if local is None:
        try:
            found = credentials()
        except RecallrAIIntegrationError as error:
            text, _, remedy = str(error).partition(", or pass ")  # said once, as the remedy
            yield Finding("credentials", "problem", text, f"Or pass {remedy or '--local PATH.'}")
        else:
            project = f"project {found.project_id} at {found.base_url}"
            yield Finding("credentials", "fine", f"well-formed, for {project}")
            yield from _proxies(found)
            yield from _reached(found, project)
    elif local != ":memory:" and not Path(local).is_file():
        yield Finding("service", "problem", f"there is no database at {local}", "Check the path of --local.")
    else:
        yield from _local_service(local)
    if outbox is not None:
        yield from _outbox(outbox)


def _reached(credentials: Credentials, project: str) -> Iterator[Finding]:
    try:
        connection = connect(timeout=_SECONDS)
    except ConfigurationError as error:  # a proxy or a CA bundle, before any request
        text, _, remedy = str(error).partition(". ")
        yield Finding("service", "problem", text, remedy)
        return
    with connection:
        yield from _clock(credentials)
        yield from _service(connection, project)


def _versions() -> Iterator[Finding]:
    yield Finding(
        "versions", "fine", f"recallrai-integrations {__version__}, Python {platform.python_version()}"
    )
    # Extras that include others name the same requirement several times.
    supported = {str(one): one for one in map(_bare, metadata.requires("recallrai-integrations") or ())}
    for requirement in supported.values():
        name = requirement.name
        if name not in _FRAMEWORKS:
            continue
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            install = f'If you want it, run: pip install "{requirement}"'
            yield Finding("versions", "note", f"{name} is not installed", install)
            continue
        if requirement.specifier.contains(version, prereleases=True):
            yield Finding("versions", "fine", f"{name} {version}")
        else:
            remedy = f'Run: pip install "{requirement}"'
            yield Finding("versions", "problem", f"{name} {version} is not supported", remedy)


def _bare(text: str) -> Requirement:
    """A requirement without the extra that asks for it."""
    requirement = Requirement(text)
    requirement.marker = None
    return requirement


def _service(connection: Connection, project: str) -> Iterator[Finding]:
    started = time.monotonic()
    try:
        connection.runtime.run(iter(GetUser(_NOBODY)), insist=True)
    except NotFoundError as error:
        # The answer to a question about nobody names nobody; any other service says less.
        if _NOBODY not in str(error):
            text = "another service than RecallrAI answers there"
            yield Finding("service", "problem", text, "Check RECALLRAI_BASE_URL: the host, without a path.")
            return
    except CredentialsError as error:
        remedy = f"Compare key and project with your dashboard: {project}."
        yield Finding("credentials", "problem", str(error), remedy)
        return
    except ServiceError as error:
        text, _, remedy = str(error).partition("; ")  # a proxy or TLS
        remedy = (
            f"{remedy[0].upper()}{remedy[1:]}" if remedy else "Check RECALLRAI_BASE_URL and your network."
        )
        yield Finding("service", "problem", text, remedy)
        return
    seconds = time.monotonic() - started
    slow = seconds > _SLOW
    yield Finding(
        "service",
        "note" if slow else "fine",
        f"answers in {seconds * 1000:.0f} ms and takes the credentials of {project}",
        "Consider DeliveryOptions(recall_deadline=…), so that turns do not wait for it." if slow else "",
    )


def _local_service(path: str) -> Iterator[Finding]:
    with _left_alone(path) as database:
        try:
            with connect(local=database, timeout=_SECONDS) as connection:
                yield from _service(connection, f"the local service on {path}")
        except RecallrAIIntegrationError as error:
            yield Finding("service", "problem", str(error).replace(database, path), "Check --local.")


@contextmanager
def _left_alone(path: str) -> Generator[str]:
    """Returns a copy of the database to check, because a service would change the original.

    If there is a lock file, a service may be running; then the original is checked, to find that out.
    """
    if path == ":memory:" or Path(f"{path}-lock").exists():
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="recallrai-doctor-") as folder:
        copy = Path(folder) / Path(path).name
        for end in ("", "-wal"):
            if Path(f"{path}{end}").is_file():
                shutil.copyfile(f"{path}{end}", f"{copy}{end}")
        yield realpath(copy)


def _clock(credentials: Credentials) -> Iterator[Finding]:
    try:
        answer = httpx.head(
            credentials.base_url,
            timeout=_SECONDS,
            trust_env=not credentials.is_loopback,
            verify=httpx.create_ssl_context(),  # with SSL_CERT_FILE for loopback too
        )
        apart = abs(datetime.now(timezone.utc) - parsedate_to_datetime(answer.headers["Date"]))
    except (httpx.HTTPError, KeyError, ValueError, TypeError):
        return  # the next check reports a missing answer; a date without a zone is useless
    if apart < _CLOCK_TOLERANCE:
        yield Finding("clock", "fine", f"within {_CLOCK_TOLERANCE.seconds} s of the service's")
    else:
        yield Finding(
            "clock",
            "problem",
            f"{apart.total_seconds():.0f} s apart from the service's, more than the "
            f"{_CLOCK_TOLERANCE.seconds} s that dates of imported conversations and logs bear",
            "Set the clock, for instance with NTP.",
        )


def _proxies(credentials: Credentials) -> Iterator[Finding]:
    address = urlsplit(credentials.base_url)
    proxies = urllib.request.getproxies()
    proxy = proxies.get(address.scheme) or proxies.get("all")
    host = address.hostname or ""
    if not proxy or urllib.request.proxy_bypass(host):
        return
    name = urlsplit(proxy).hostname or "a proxy"  # never the whole: it may hold a password
    if credentials.is_loopback:
        yield Finding(
            "proxy",
            "note",
            f"{name} would take even requests to {host}; this package goes past it, other programs do not",
            f"Set NO_PROXY={host}",
        )
    else:
        yield Finding("proxy", "note", f"requests go through {name}", "Set NO_PROXY if that is not wanted.")


def _outbox(file: str) -> Iterator[Finding]:
    try:
        conversations = status(file)
    except RecallrAIIntegrationError as error:
        yield Finding("outbox", "problem", str(error), "Check --outbox.")
        return
    if not conversations:
        yield Finding("outbox", "fine", "no messages are pending")
    for project in dict.fromkeys(one.project for one in conversations):
        yield from _outbox_of(
            project, [one for one in conversations if one.project == project], "URL" if is_url(file) else file
        )


def _outbox_of(project: str, conversations: Sequence[ConversationStatus], file: str) -> Iterator[Finding]:
    waiting = [one for one in conversations if one.oldest is not None]
    rejected = sum(one.rejected for one in conversations)
    if waiting:
        entries = sum(one.waiting for one in waiting)
        oldest = min(one.oldest for one in waiting if one.oldest is not None)
        yield Finding(
            "outbox",
            "note",
            f"{counted(entries, 'entry', 'entries')} of {counted(len(waiting), 'conversation')} pending for "
            f"{project}, the oldest since "
            f"{oldest:%Y-%m-%d %H:%M} UTC",
            f"Connected to that project, run: recallrai-integrations outbox flush {file}",
        )
    if rejected:
        yield Finding(
            "outbox",
            "problem",
            f"{counted(rejected, 'message was', 'messages were')} rejected by {project}",
            f"Look at them: recallrai-integrations outbox export {file}",
        )

"""`recallrai-integrations import`: conversations from files."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from recallrai_integrations import (
    Connection,
    InvalidInputError,
    RequestRejectedError,
    ServiceUnavailableError,
)
from recallrai_integrations._flows import Transcript, import_transcript
from recallrai_integrations._flows.ops import ListSessions
from recallrai_integrations.models import Page

from ._common import ExitCode, JsonOption, LocalOption, UserOption, WrongUseError, connected
from ._output import counted, json_out, notice, out, print_error, progress_bars
from .reading import UnreadableError, by_day, read_transcripts

__all__ = ["import_command"]

_SUFFIXES = frozenset({".json", ".jsonl", ".ndjson"})
_FIRST_POLL, _LAST_POLL = 0.05, 2.0
_PATIENCE_SECONDS = 1800.0
_END_OF_TIME = datetime.max.replace(tzinfo=timezone.utc)


@dataclass
class _Outcome:
    """What the command did; `--json` prints it."""

    user_id: str
    files: int = 0
    imported: int = 0
    sessions: int = 0
    messages: int = 0
    already_there: int = 0
    undated: int = 0
    left_out: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    unreadable: dict[str, str] = field(default_factory=dict[str, str])
    not_processed: list[str] = field(default_factory=list[str])


class _Part(NamedTuple):
    """One day of a conversation: a session to be."""

    path: Path
    conversation: int
    transcript: Transcript


def import_command(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files, or folders of files.")],
    user: UserOption,
    local: LocalOption = None,
    *,
    process: Annotated[
        bool, typer.Option(help="Make memories now; otherwise the service makes them after ten minutes.")
    ] = True,
    wait: Annotated[bool, typer.Option(help="Wait until the memories are made.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Import conversations of one user from JSON files; conversations imported before are skipped.

    It reads RecallrAI's format (timestamp_utc and messages); exports of ChatGPT, Claude, Google AI Studio and
    Gemini (Takeout); messages of OpenAI, its Responses and threads, Gemini, LangChain, LlamaIndex, ShareGPT
    and Zep; memories of mem0 and facts of Zep; JSON lines; and the files that export writes.

    The service keeps a time for each session but not for each message: a conversation of several days becomes
    one session for each day (UTC), stored with its time. After an interruption, run the command again: it
    continues where it stopped.
    """
    outcome = _Outcome(user)
    found = list(_read_all(list(_files(paths)), outcome))
    _warn(outcome)
    # Facts change: an older conversation must be turned into memories before a newer one.
    found.sort(key=lambda one: one.transcript.started_at or _END_OF_TIME)
    if found:
        try:
            with connected(local, must_exist=False) as connection:
                session_ids = _store(connection, user, found, outcome, process=process)
                if process and wait:
                    _wait(connection, user, session_ids, outcome)
        except KeyboardInterrupt:
            print_error(f"Stopped. {_progress(outcome, found)}; run the command again to continue.")
            raise typer.Exit(ExitCode.STOPPED) from None
    _tell(outcome, as_json=as_json)
    if outcome.unreadable or outcome.not_processed:
        raise typer.Exit(ExitCode.NOT_COMPLETE)


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            inside = [
                one
                for one in path.rglob("*")
                if one.suffix.lower() in _SUFFIXES and one.is_file() and not _is_hidden(one.relative_to(path))
            ]
            if not inside:
                raise WrongUseError(f"{path} contains no .json or .jsonl file.")
            yield from sorted(inside, key=_as_people_count)
        elif path.exists():
            yield path
        else:
            raise WrongUseError(f"There is no file or folder {path}: check the path.")


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _as_people_count(path: Path) -> list[tuple[int, str]]:
    """Sorts session_2 before session_10."""
    return [
        (int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", str(path)) if part
    ]


def _read_all(files: Sequence[Path], outcome: _Outcome) -> Iterator[_Part]:
    conversation = 0
    for path in dict.fromkeys(files):
        outcome.files += 1
        try:
            left_out: Counter[str] = Counter()
            transcripts = read_transcripts(path, left_out)
            if not transcripts:
                raise UnreadableError("no message of a user or an assistant", line=1)  # noqa: TRY301 - told alike
        except UnreadableError as error:
            _set_aside(outcome, path, str(error))
        except OSError as error:
            _set_aside(outcome, path, error.strerror or str(error))
        else:
            if left_out:
                outcome.left_out[str(path)] = dict(left_out)
            for transcript in transcripts:
                conversation += 1
                parts = [*by_day(transcript)]
                outcome.undated += parts[0].started_at is None
                yield from (_Part(path, conversation, part) for part in parts)


def _warn(outcome: _Outcome) -> None:
    """Reports what was left out of the files."""
    for path, kinds in outcome.left_out.items():
        for kind, times in kinds.items():
            notice(f"{path}: left out {kind}{f', {times} times' if times > 1 else ''}.")


def _progress(outcome: _Outcome, found: Sequence[_Part]) -> str:
    total = len({part.conversation for part in found})
    return f"{outcome.imported + outcome.already_there} of {total} conversations are imported"


def _set_aside(outcome: _Outcome, path: Path, reason: str) -> None:
    outcome.unreadable[str(path)] = reason
    print_error(f"{path}: {reason}.")


def _store(
    connection: Connection,
    user_id: str,
    found: Sequence[_Part],
    outcome: _Outcome,
    *,
    process: bool,
) -> list[str]:
    session_ids: list[str] = []
    waiting = Counter(part.conversation for part in found)
    begun: set[int] = set()
    with progress_bars("Importing messages") as bars:
        bar = bars.add_task("", total=sum(len(part.transcript.messages) for part in found))
        for path, conversation, transcript in found:
            flow = import_transcript(
                connection.runtime.conversations.alone(user_id),
                transcript,
                process=process,
                on_stored=lambda: bars.advance(bar),
            )
            try:
                imported = connection.runtime.run(flow, insist=True)
            except (RequestRejectedError, InvalidInputError) as error:
                _set_aside(outcome, path, str(error).rstrip("."))
                continue
            except ServiceUnavailableError as error:
                raise ServiceUnavailableError(
                    f"{str(error).rstrip('.')}. {_progress(outcome, found)}; run the command again "
                    "to continue.",
                    status=error.status,
                ) from error
            bars.advance(bar, imported.already)
            outcome.messages += imported.stored
            outcome.sessions += bool(imported.stored)
            if imported.stored:
                begun.add(conversation)
            waiting[conversation] -= 1
            if not waiting[conversation]:
                outcome.imported += conversation in begun
                outcome.already_there += conversation not in begun
            session_ids += imported.session_ids
    return session_ids


def _wait(connection: Connection, user_id: str, session_ids: Sequence[str], outcome: _Outcome) -> None:
    """Waits until no imported session is being processed, and records the sessions that failed."""
    patience, pause = time.monotonic() + _PATIENCE_SECONDS, _FIRST_POLL
    with progress_bars("Making memories") as bars:
        bar = bars.add_task("", total=len(session_ids))
        while running := _ids(connection, user_id, "processing") & set(session_ids):
            if time.monotonic() > patience:
                outcome.not_processed += sorted(running)
                print_error(
                    f"{counted(len(running), 'session is', 'sessions are')} still being processed after "
                    "half an hour."
                )
                return
            bars.update(bar, completed=len(session_ids) - len(running))
            time.sleep(pause)
            pause = min(2 * pause, _LAST_POLL)
        bars.update(bar, completed=len(session_ids))
    failed = _ids(connection, user_id, "failed", "insufficient_balance") & set(session_ids)
    outcome.not_processed += sorted(failed)
    if failed:
        print_error(
            f"The service could not make memories of {counted(len(failed), 'session')} (failed or no "
            "balance): "
            f"{', '.join(sorted(failed))}."
        )


def _ids(connection: Connection, user_id: str, *statuses: str) -> set[str]:
    """Returns the ids of a user's sessions that are in one of these states."""
    ids: set[str] = set()
    while True:
        page: Page = connection.runtime.run(iter(ListSessions(user_id, statuses=statuses, offset=len(ids))))
        ids.update(session.session_id for session in page.items)
        if not page.has_more or not page.items:
            return ids


def _tell(outcome: _Outcome, *, as_json: bool) -> None:
    if as_json:
        json_out(vars(outcome))
        return
    imported, messages = counted(outcome.imported, "conversation"), counted(outcome.messages, "message")
    days = f" in {outcome.sessions} sessions" if outcome.sessions > outcome.imported else ""
    parts = [f"{imported} imported ({messages}{days})"]
    if outcome.already_there:
        parts.append(counted(outcome.already_there, "was there already", "were there already"))
    if outcome.unreadable:
        parts.append(f"{counted(len(outcome.unreadable), 'file')} could not be read")
    out.print(", ".join(parts) + ".", markup=False, soft_wrap=True)
    if outcome.undated:
        out.print(
            f"{counted(outcome.undated, 'conversation has', 'conversations have')} no time in the file and "
            'counted as held today: "yesterday" became the day before this import. To import a conversation '
            "with its time, add timestamp_utc beside its messages.",
            markup=False,
            soft_wrap=True,
        )

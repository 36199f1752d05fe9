"""The context text, in the structure that the hosted service was recorded to answer with.

Everything that a user said is put on one line of its entry, so that nothing in it can pass for a heading,
a tag on a line of its own or another speaker.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from .schema import moment
from .store import SHOWN_VERSIONS, Memory
from .text import one_line
from .types import Message

MEMORIES: Final = "# Here are the relevant memories that will help you to answer the user's query:"
SUMMARIES: Final = (
    "# Here are some summaries of the previous relevant conversations with their respective memories:"
)
ONGOING: Final = "# Here are some ongoing conversations with the user:"
CONFLICTS: Final = "# Here are some pending merge conflicts:"
RECENT_MESSAGES: Final = "# Here are some recent conversations you had with the user:"
RECENT_SUMMARIES: Final = "# Here are the summaries of some recent conversations you had with the user:"


@dataclass(frozen=True, slots=True)
class Entry:
    """A memory in the list: its versions, current first, and what is connected with it.

    Contents of memories are one line since they were stored.
    """

    versions: Sequence[Memory]
    similarity: float | None
    children: Sequence[Entry] = ()


@dataclass(frozen=True, slots=True)
class SummaryEntry:
    """A session's summary with the memories made from it."""

    session_id: str
    content: str
    created_at: str
    memories: Sequence[Memory] = ()


@dataclass(frozen=True, slots=True)
class Talk:
    """A session's messages."""

    started: datetime
    messages: Sequence[Message]


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What the text is made of."""

    memories: Sequence[Entry] = ()
    summaries: Sequence[SummaryEntry] = ()
    ongoing: Sequence[Talk] = ()
    conflicts: Sequence[str] = ()
    recent_messages: Sequence[Message] | None = None
    recent_summaries: Sequence[SummaryEntry] | None = None
    analysis: str = ""
    heading_without_summaries: bool = True
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))


def render(found: Findings) -> str:
    """The whole text; it ends with a line feed."""
    clock = Clock(found.zone)
    if found.analysis:
        parts = [found.analysis.rstrip() + "\n"]
    else:
        parts = [MEMORIES, "\n\n", _memories(found.memories, clock), _summaries(found, clock)]
    parts += ["\n\n\n", ONGOING, "\n\n", *_ongoing(found.ongoing, clock)]
    if found.conflicts:
        parts += ["\n", CONFLICTS, "\n\n", *(text + "\n" for text in found.conflicts)]
    parts += ["\n", RECENT_MESSAGES, "\n"]
    if found.recent_messages is None:
        parts.append("No recent user messages requested.\n")
    else:
        parts += [_line(message, clock) for message in found.recent_messages] or [
            "No recent user messages found.\n"
        ]
    parts += ["\n\n", RECENT_SUMMARIES, "\n"]
    if found.recent_summaries is None:
        parts.append("No recent session summaries requested.\n")
    else:
        parts += [_recent(n, s, clock) for n, s in enumerate(found.recent_summaries, 1)] or [
            "No recent session summaries found.\n"
        ]
    return "".join(parts)


class Clock:
    """Times in the zone that was asked for."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._stored: dict[str, str] = {}

    def at(self, when: datetime) -> str:
        """A time as the text shows it, without a mark of its zone."""
        try:
            local = when.astimezone(self._zone)
        except OverflowError:  # at either end of the calendar
            local = when
        return f"{local.year:04d}/{local:%m/%d %I:%M %p}"

    def stored(self, text: str) -> str:
        """The same of a stored time; the memories of a session often share one."""
        shown = self._stored.get(text)
        if shown is None:
            shown = self._stored[text] = self.at(moment(text))
        return shown

    @staticmethod
    def days(memory: Memory) -> str:
        """Event dates are whole days and belong to no zone."""
        first, last = memory.event_date_start[:10], memory.event_date_end[:10]
        return f"{first} 12:00 AM to {last} 11:59 PM".replace("-", "/")

    @staticmethod
    def span(memory: Memory) -> str:
        """The days of a memory, in prose."""
        first, last = memory.event_date_start[:10], memory.event_date_end[:10]
        return (first if first == last else f"{first} to {last}").replace("-", "/")


def _memories(entries: Sequence[Entry], clock: Clock) -> str:
    if not entries:
        return "No memories found.\n"
    return "\n\n".join("\n".join(_entry(entry, str(n), clock)) for n, entry in enumerate(entries, 1))


def _entry(entry: Entry, number: str, clock: Clock) -> Iterator[str]:
    current = entry.versions[0]
    similarity = "" if entry.similarity is None else f" (Similarity: {entry.similarity:.4f})"
    history = "\n".join(
        _version(entry.versions, i, clock) for i in range(min(SHOWN_VERSIONS, len(entry.versions)))
    )
    yield (
        f"{number}. {current.content}{similarity} [Event Date: {clock.days(current)}]"
        f" [Version {len(entry.versions)}]\n<version_history>\n{history}\n</version_history>\n"
    )
    for n, child in enumerate(entry.children, 1):
        yield from _entry(child, f"{number}.{n}", clock)


def _version(versions: Sequence[Memory], i: int, clock: Clock) -> str:
    memory, number = versions[i], len(versions) - i
    reason = "INITIAL_MEMORY" if len(versions) == 1 else memory.expiration_reason or "CURRENT_VERSION"
    expired = clock.stored(memory.expired_at) if memory.expired_at else "none"
    return (
        f"<version_{number}>\nContent: {memory.content}\nReason: {reason}\n"
        f"Event Date: {clock.days(memory)}\nCreated at: {clock.stored(memory.created_at)}\n"
        f"Expired at: {expired}\n</version_{number}>"
    )


def _summaries(found: Findings, clock: Clock) -> str:
    if not found.summaries:
        heading = f"{SUMMARIES}\n\n" if found.heading_without_summaries else ""
        return f"\n{heading}No relevant session summaries found.\n"
    blocks = (_summary(n, entry, clock) for n, entry in enumerate(found.summaries, 1))
    return f"\n{SUMMARIES}\n\n" + "\n\n".join(blocks)


def _summary(number: int, entry: SummaryEntry, clock: Clock) -> str:
    lines = [
        f"## Summary {number} (Created at: {clock.stored(entry.created_at)})",
        one_line(entry.content),
        "",
        "### Memories from this session:",
    ]
    for n, memory in enumerate(entry.memories, 1):
        expired = clock.stored(memory.expired_at) if memory.expired_at else "none"
        lines.append(
            f"{n}. {memory.content} (Event Date: {clock.days(memory)},"
            f" Created at: {clock.stored(memory.created_at)}, Expired at: {expired})"
        )
    if not entry.memories:
        lines.append("No memories found from this session.")
    return "\n".join(lines) + "\n"


def _recent(number: int, entry: SummaryEntry, clock: Clock) -> str:
    return (
        f"## Summary {number} (Created at: {clock.stored(entry.created_at)})\n{one_line(entry.content)}\n\n"
    )


def _ongoing(talks: Sequence[Talk], clock: Clock) -> Iterator[str]:
    for n, talk in enumerate(talks, 1):
        yield f"## Ongoing Conversation {n} (Started: {clock.at(talk.started)})\n"
        for message in talk.messages:
            yield _line(message, clock)
        yield "\n"


def _line(message: Message, clock: Clock) -> str:
    return f"{message.role.upper()} (at {clock.at(message.created_at)}): {one_line(message.content)}\n"

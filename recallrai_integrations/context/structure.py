"""The structure of a context text: sections under known headings, and entries in them.

Entries are slices of the text that tile their section: printing an unchanged parse restores the text,
apart from sections that say that they hold nothing. A text is cut no finer than somebody asks for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import Enum
from typing import Final

__all__ = ["SPEAKER", "ContextEntry", "Group", "Kind", "Section", "parse", "show", "split_instructions"]


class Kind(Enum):
    """The sections of the service, by heading, in its order."""

    MEMORIES = "# Here are the relevant memories that will help you to answer the user's query:"
    SUMMARIES = (
        "# Here are some summaries of the previous relevant conversations with their respective memories:"
    )
    ONGOING = "# Here are some ongoing conversations with the user:"
    CONFLICTS = "# Here are some pending merge conflicts:"
    RECENT_MESSAGES = "# Here are some recent conversations you had with the user:"
    RECENT_SUMMARIES = "# Here are the summaries of some recent conversations you had with the user:"
    FREE = ""
    """Text without a known structure, cut into paragraphs."""


@dataclass(slots=True, eq=False)  # dozens are made in a turn, and a frozen one takes twice as long
class ContextEntry:
    """The smallest piece that is kept or left out: a memory, a summary, a message, a paragraph.

    Args:
        text: what it says.
        history: a memory's versions, which may be left out before the memory.
        space: the blank lines after it.
    """

    text: str
    history: str = ""
    space: str = ""


class Group:
    """Entries that share a heading: the messages of one conversation. Elsewhere `heading` is "".

    Args:
        heading: the line above the entries.
        text: the entries, one behind the other.
        starts: the beginnings of lines at which entries begin.
    """

    def __init__(self, heading: str, text: str, starts: re.Pattern[str]) -> None:
        self.heading = heading
        self.text = text
        self._starts = starts
        self._entries: tuple[ContextEntry, ...] | None = None

    @classmethod
    def of(cls, heading: str, entries: Sequence[ContextEntry]) -> Group:
        """A group of entries that are known already."""
        group = cls(heading, "".join([e.text + e.history + e.space for e in entries]), _NOTHING)
        group._entries = tuple(entries)
        return group

    @property
    def entries(self) -> tuple[ContextEntry, ...]:
        """The same objects each time: entries are compared by identity."""
        if self._entries is None:
            self._entries = tuple(map(ContextEntry, _pieces(self.text, self._starts)))
        return self._entries


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, with the blank lines after it, and its groups; none when it holds nothing."""

    kind: Kind
    heading: str
    groups: tuple[Group, ...]

    @property
    def entries(self) -> Iterator[ContextEntry]:
        """All entries, in order."""
        return (entry for group in self.groups for entry in group.entries)


SPEAKER: Final = re.compile(r"(USER|ASSISTANT) \(at \d{4}/\d\d/\d\d \d\d:\d\d [AP]M\): ")
"""Where a message begins; its text may go on over several lines."""

_HEADINGS: Final = re.compile(
    "(" + "|".join(re.escape(kind.value) for kind in Kind if kind.value) + r")[ \t]*$\n*", re.MULTILINE
)
_STRUCTURES: Final = {
    tuple(kind for kind in Kind if kind not in (Kind.FREE, *absent))
    for absent in ((), (Kind.SUMMARIES,), (Kind.CONFLICTS,), (Kind.SUMMARIES, Kind.CONFLICTS))
}
_TAIL: Final = {
    (Kind.ONGOING, Kind.RECENT_MESSAGES, Kind.RECENT_SUMMARIES),
    (Kind.ONGOING, Kind.CONFLICTS, Kind.RECENT_MESSAGES, Kind.RECENT_SUMMARIES),
}
_NO_SUMMARIES: Final = "No relevant session summaries found."
_PLACEHOLDERS: Final = {
    "",
    "No memories found.",
    _NO_SUMMARIES,
    *(
        f"No recent {what} {why}."
        for what in ("user messages", "session summaries")
        for why in ("requested", "found")
    ),
}
_NOTHING: Final = re.compile(r"(?!)")
# Beginnings of lines, for `_starts`.
_MEMORY: Final = re.compile(r"\n\d+(?:\.\d+)*\. ")
_USUAL_MEMORY: Final = re.compile(
    r"(?P<line>\d+(?:\.\d+)*\. .*\n)"
    r"(?P<history>(?:<version_history>\n(?:<version_(\d+)>\n(?:[^<\n].*\n)*</version_\3>\n)+</version_history>\n)?)"
    r"(?P<space>\n*)"
)
"""A memory on one line, with its history if any."""
_SUMMARY: Final = re.compile(r"\n## Summary \d+ \(Created at: ")
_CONVERSATION: Final = re.compile(r"\n## Ongoing Conversation \d+ \(Started: .*\)$", re.MULTILINE)
_SUBHEADING: Final = re.compile(r"\n## ")
_SPOKEN: Final = re.compile(r"\n" + SPEAKER.pattern)
_PARAGRAPH: Final = re.compile(r"(?<=\n\n)(?!\n)")
_LONG_PARAGRAPH: Final = 1000
"""Characters; a longer one, such as a list or a table, is cut into its items."""
_ITEM: Final = re.compile(r"(?<=\n)(?=[ \t]*(?:[-*+•|]|\d+[.)])[ \t])")
_HISTORY_TAG: Final = re.compile(r"<(/?)version_(history|\d+)>\n?$", re.MULTILINE)
_INSTRUCTIONS: Final = "# Instructions for using the Recallr AI's memory context"


class _Unknown(Exception):  # noqa: N818 - a signal inside this module, never an error of a caller's
    """The text does not have the known structure."""


def parse(text: str, *, free: bool) -> list[Section]:
    """The sections that hold something.

    Args:
        text: a context text with LF line ends.
        free: it was written freely (agentic), so only the sections at its end have a structure.

    Returns:
        One section of kind `FREE` when a heading is missing, repeated, unknown or out of order, or when the
        tags of a version history do not match.
    """
    marks = _line_starts(_HEADINGS, text)
    kinds = [Kind(mark[1]) for mark in marks]
    try:
        if free or not text.lstrip().startswith(Kind.MEMORIES.value):
            found = _written_freely(text, marks, kinds)
        else:
            found = _structured(text, marks, kinds)
    except _Unknown:
        found = [_free(text)]
    return [section for section in found if section.groups]


def show(
    sections: Iterable[Section],
    without: AbstractSet[ContextEntry] = frozenset(),
    bare: AbstractSet[ContextEntry] = frozenset(),
) -> str:
    """The text of sections, without some entries and with some entries bare of their histories."""
    parts: list[str] = []
    for section in sections:
        body: list[str] = []
        for group in section.groups:
            if not without and not bare:
                body += [group.heading, group.text]
                continue
            kept = [entry for entry in group.entries if entry not in without]
            if kept:
                body.append(group.heading)
                body += [e.text + ("" if e in bare else e.history) + e.space for e in kept]
        if body:
            parts.append(section.heading + "".join(body).rstrip("\n"))
    return "\n\n".join(parts)


def split_instructions(text: str, known: str) -> tuple[str, str]:
    """The service's instruction prompt, if the text starts with it, and the rest.

    Args:
        text: a context text.
        known: the prompt, if the caller has it.
    """
    if known.strip() and text.startswith(known.strip()):
        return known, text[len(known.strip()) :]
    if text.startswith(_INSTRUCTIONS):
        starts = [mark.start() for mark in _line_starts(_HEADINGS, text) if mark[1] == Kind.MEMORIES.value]
        if len(starts) == 1 and text[: starts[0]].endswith("\n\n\n"):
            return text[: starts[0]], text[starts[0] :]
    return "", text


def _structured(text: str, marks: list[re.Match[str]], kinds: list[Kind]) -> list[Section]:
    if tuple(kinds) not in _STRUCTURES or text[: marks[0].start()].strip():
        raise _Unknown
    sections: list[Section] = []
    for kind, mark, body in zip(kinds, marks, _bodies(text, marks), strict=True):
        if kind is Kind.MEMORIES and Kind.SUMMARIES not in kinds:  # balanced: the line without its heading
            stripped = body.rstrip()
            if stripped == _NO_SUMMARIES or stripped.endswith("\n" + _NO_SUMMARIES):
                body = stripped.removesuffix(_NO_SUMMARIES)  # noqa: PLW2901 - the body proper
        sections.append(_section(kind, mark[0], body))
    return sections


def _written_freely(text: str, marks: list[re.Match[str]], kinds: list[Kind]) -> list[Section]:
    for tail in _TAIL:
        if tuple(kinds[-len(tail) :]) == tail and all(kinds.count(kind) == 1 for kind in tail):
            marks = marks[-len(tail) :]
            bodies = _bodies(text, marks)
            found = [_section(k, m[0], b) for k, m, b in zip(tail, marks, bodies, strict=True)]
            return [_free(text[: marks[0].start()]), *found]
    raise _Unknown


def _bodies(text: str, marks: list[re.Match[str]]) -> list[str]:
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    return [text[mark.end() : end] for mark, end in zip(marks, ends, strict=True)]


def _section(kind: Kind, heading: str, body: str) -> Section:
    if body.strip() in _PLACEHOLDERS:
        if kind is Kind.CONFLICTS:  # the service leaves an empty one out: somebody said this heading
            raise _Unknown
        return Section(kind, heading, ())
    if kind is Kind.ONGOING:
        groups = tuple(_conversation(piece) for piece in _pieces(body, _CONVERSATION))
        return Section(kind, heading, tuple(group for group in groups if group.text.strip()))
    if kind is Kind.MEMORIES:
        return Section(kind, heading, (Group.of("", _memories(body)),))
    starts = {Kind.RECENT_MESSAGES: _SPOKEN, Kind.CONFLICTS: _SUBHEADING}.get(kind, _SUMMARY)
    return Section(kind, heading, (Group("", body, starts),))


def _free(text: str) -> Section:
    if text.strip() in _PLACEHOLDERS:
        return Section(Kind.FREE, "", ())
    paragraphs = _PARAGRAPH.split(text.strip("\n"))
    pieces = [
        piece
        for paragraph in paragraphs
        for piece in (_ITEM.split(paragraph) if len(paragraph) > _LONG_PARAGRAPH else [paragraph])
    ]
    return Section(Kind.FREE, "", (Group.of("", tuple(map(ContextEntry, pieces))),))


def _conversation(piece: str) -> Group:
    first, _, rest = piece.partition("\n")
    if not _CONVERSATION.match("\n" + first):
        first, rest = "", piece
    return Group(first and first + "\n", rest, _SPOKEN)


def _memories(body: str) -> tuple[ContextEntry, ...]:
    entries: list[ContextEntry] = []
    place = 0
    while place < len(body):
        usual = _USUAL_MEMORY.match(body, place)
        if usual is None:
            return _unusual_memories(body)
        entries.append(ContextEntry(*usual.group("line", "history", "space")))
        place = usual.end()
    return tuple(entries)


def _unusual_memories(body: str) -> tuple[ContextEntry, ...]:
    histories = list(_histories(body))
    inside = iter(histories)
    span = next(inside, None)
    starts: list[int] = []
    for start in _starts(_MEMORY, body):
        while span and span[1] <= start:
            span = next(inside, None)
        if not (span and span[0] <= start):
            starts.append(start)
    entries: list[ContextEntry] = []
    remaining = iter([*histories, (len(body), len(body))])
    begin, end = next(remaining)
    for piece_start, piece in _cut(body, starts):
        if not piece.strip():
            continue
        stop = piece_start + len(piece)
        if begin >= stop:
            entries.append(_spaced(piece))
            continue
        space = body[end:stop]
        if space.strip():  # something follows a history: another history, or text of nobody
            raise _Unknown
        entries.append(ContextEntry(body[piece_start:begin], body[begin:end], space))
        begin, end = next(remaining)
    return tuple(entries)


def _spaced(piece: str) -> ContextEntry:
    text = piece.rstrip("\n")
    return ContextEntry(text + "\n", "", piece[len(text) + 1 :])


def _histories(body: str) -> Iterator[tuple[int, int]]:
    """Where version histories begin and end."""
    opened: list[str] = []
    begin = 0
    for tag in _line_starts(_HISTORY_TAG, body):
        closing, name = tag[1], tag[2]
        if closing:
            if not opened or opened.pop() != name:
                raise _Unknown
            if name == "history":
                yield begin, min(tag.end() + (not tag[0].endswith("\n")), len(body))
        else:
            if (name == "history") == bool(opened) or len(opened) > 1:
                raise _Unknown
            opened.append(name)
            begin = tag.start() if name == "history" else begin
    if opened:
        raise _Unknown


def _starts(pattern: re.Pattern[str], text: str) -> list[int]:
    """Returns where the lines begin that match a pattern, which starts with the line break before them.

    A line break is found many times faster than any of several characters, or than a `^`.
    """
    return [mark.start() for mark in pattern.finditer("\n" + text)]


def _line_starts(pattern: re.Pattern[str], text: str) -> list[re.Match[str]]:
    """The matches that begin a line."""
    return [m for m in pattern.finditer(text) if not m.start() or text[m.start() - 1] == "\n"]


def _pieces(body: str, starts: re.Pattern[str]) -> list[str]:
    """Slices that begin where the pattern matches; text before the first match is a slice too."""
    return [piece for _, piece in _cut(body, _starts(starts, body)) if piece.strip()]


def _cut(body: str, starts: list[int]) -> Iterator[tuple[int, str]]:
    begins = [0, *(start for start in starts if start)]
    for begin, end in zip(begins, [*begins[1:], len(body)], strict=True):
        yield begin, body[begin:end]

"""Compaction: the history of a memory with one version repeats its line, and is left out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from .structure import ContextEntry, Group, Kind, Section

__all__ = ["compact"]

_ONLY_VERSION: Final = re.compile(
    r"<version_history>\n<version_(?P<version>\d+)>\nContent: (?P<content>.*)\nReason: INITIAL_MEMORY\n"
    r"Event Date: (?P<event>.*)\nCreated at: (?P<created>.*)\nExpired at: (?P<expired>.*)\n"
    r"</version_(?P=version)>\n</version_history>\n?"
)
_DAYS: Final = re.compile(r"(?P<first>\d{4}/\d\d/\d\d) 12:00 AM to (?P<last>\d{4}/\d\d/\d\d) 11:59 PM")
_DAY: Final = len("2026/03/01")
_NUMBER: Final = re.compile(r"[\d.]+\. ")
_MARKS: Final = re.compile(
    r"(?: \(Similarity: (?P<similarity>[\d.]+)\))? \[Event Date: (?P<event>[^\]\n]*)\] \[Version (?P<version>\d+)\]\n"  # noqa: E501 - one form a line
)
"""What stands behind a memory in its line."""


def compact(sections: Sequence[Section]) -> list[Section]:
    """Leaves out the histories of single-version memories; their line keeps the details.

    After the memory come its similarity and its days: "(0.91) [2026/03/01]", and the day of the conversation
    if that is another day.

    A history that differs from its line in a single character stays, and so does every other section.
    """
    return [
        Section(section.kind, section.heading, tuple(map(_compact_group, section.groups)))
        if section.kind is Kind.MEMORIES
        else section
        for section in sections
    ]


def _compact_group(group: Group) -> Group:
    return Group.of(group.heading, [_compact(entry) for entry in group.entries])


def _compact(entry: ContextEntry) -> ContextEntry:
    only = _ONLY_VERSION.fullmatch(entry.history)
    number = _NUMBER.match(entry.text)
    if not only or not number or not entry.text.startswith(only["content"], number.end()):
        return ContextEntry(entry.text, entry.history, "\n")
    marks = _MARKS.fullmatch(entry.text, number.end() + len(only["content"]))
    if not marks or marks.group("event", "version") != only.group("event", "version"):
        return ContextEntry(entry.text, entry.history, "\n")
    similarity = f" ({float(marks['similarity']):.2f})" if marks["similarity"] else ""
    content = entry.text[: number.end() + len(only["content"])]
    return ContextEntry(f"{content}{similarity} [{_when(only['event'], only['created'], only['expired'])}]\n")


def _when(event: str, created: str, expired: str) -> str:
    """Returns the days of a memory, and those of its conversation and its expiry if they differ."""
    days, told = _DAYS.fullmatch(event), created[:_DAY]
    first, last = days.group("first", "last") if days else (event, event)
    when = first if first == last else f"{first} to {last}"
    when += "" if first == last == told else f", told {told}"
    return when if expired == "none" else f"{when}, expired {expired[:_DAY]}"

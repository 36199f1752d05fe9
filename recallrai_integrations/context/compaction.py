"""Compaction without loss: a memory with one version says everything in its own line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from .structure import Entry, Kind, Section

__all__ = ["compact"]

_ONLY_VERSION: Final = re.compile(
    r"<version_history>\n<version_\d+>\nContent: (?P<content>.*)\nReason: INITIAL_MEMORY\n"
    r"Event Date: (?P<event>.*)\nCreated at: (?P<created>.*)\nExpired at: (?P<expired>.*)\n"
    r"</version_\d+>\n</version_history>\n?"
)
_MEMORY_LINE: Final = re.compile(
    r"[\d.]+\. (?P<content>.*?)(?: \(Similarity: [\d.]+\))?"
    r" \[Event Date: (?P<event>[^\]\n]*)\] \[Version \d+\]\n"
)


def compact(sections: Sequence[Section]) -> list[Section]:
    """Leave out the histories of single-version memories; what they alone say moves into the memory's line.

    A history that differs from its line in a single character stays, and so does every other section.
    """
    return [
        replace(
            section,
            groups=tuple(
                replace(group, entries=tuple(_compact(entry) for entry in group.entries))
                for group in section.groups
            ),
        )
        if section.kind is Kind.MEMORIES
        else section
        for section in sections
    ]


def _compact(entry: Entry) -> Entry:
    only = _ONLY_VERSION.fullmatch(entry.history)
    line = _MEMORY_LINE.fullmatch(entry.text)
    if not only or not line or (only["content"], only["event"]) != (line["content"], line["event"]):
        return replace(entry, space="\n")
    new = f" [Created at: {only['created']}]"
    if only["expired"] != "none":
        new += f" [Expired at: {only['expired']}]"
    return Entry(entry.text.removesuffix("\n") + new + "\n")

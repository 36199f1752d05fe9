"""The conversation that is going on now: the service repeats it, and the framework sends it anyway."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

from recallrai_integrations.messages import Message

from .fence import plain
from .structure import SPEAKER, Entry, Group, Kind, Section

__all__ = ["without_sent"]

_Said: TypeAlias = tuple[str, str]
"""Role and text with its white space evened out: the service may have put a message on one line."""


def without_sent(sections: Sequence[Section], sent: Sequence[Message]) -> list[Section]:
    """Leave out the lines of the current conversation that are among the messages sent.

    One sent message accounts for one line at most, so that a repeated "ok" that is not sent stays. Other
    ongoing conversations stay whole, whatever they say.
    """
    places: dict[_Said, list[int]] = defaultdict(list)
    for place, message in enumerate(sent):
        places[_said(message.role, message.content)].append(place)
    users = [place for place, message in enumerate(sent) if message.role == "user"]
    last_question = users[-1] if users else len(sent)
    kept: list[Section] = []
    for section in sections:
        if section.kind is Kind.ONGOING and places:
            groups = _without_current(section.groups, places, last_question)
            if groups:
                kept.append(replace(section, groups=groups))
        else:
            kept.append(section)
    return kept


def _without_current(
    groups: tuple[Group, ...], places: dict[_Said, list[int]], last_question: int
) -> tuple[Group, ...]:
    """The current conversation is the one that ends with what is sent and shares most with it."""
    matches = [_matches(group.entries, places) for group in groups]
    found = [
        n
        for n, matched in enumerate(matches)
        if matched
        and groups[n].entries[-1] in matched
        and (len(matched) > 1 or matched[groups[n].entries[-1]] >= last_question)
    ]
    if not found:
        return groups
    current = max(found, key=lambda n: len(matches[n]))  # the latest of equals: the service lists it first
    rest = tuple(entry for entry in groups[current].entries if entry not in matches[current])
    changed = [*groups[:current], replace(groups[current], entries=rest), *groups[current + 1 :]]
    return tuple(group for group in changed if group.entries)


def _matches(entries: Sequence[Entry], places: dict[_Said, list[int]]) -> dict[Entry, int]:
    """Entries that were sent, with their place among the sent; from the end, both in order."""
    matched: dict[Entry, int] = {}
    before = max(found[-1] for found in places.values()) + 1
    for entry in reversed(entries):
        speaker = SPEAKER.match(entry.text)
        if speaker is None:
            continue
        candidates = places.get(_said(speaker[1].lower(), entry.text[speaker.end() :]), ())
        index = bisect_left(candidates, before)
        if index:
            before = candidates[index - 1]
            matched[entry] = before
    return matched


def _said(role: str, text: str) -> _Said:
    text = text.strip()
    if text.isprintable() and "  " not in text:  # nothing to even out; a history is long and mostly like this
        return role, text
    return role, " ".join(plain(text).split())

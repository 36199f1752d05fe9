"""The ongoing conversation, which the service repeats although the framework sends its messages."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from recallrai_integrations.messages import Message

from .fence import plain
from .structure import SPEAKER, ContextEntry, Group, Kind, Section

__all__ = ["without_sent"]

_STAMP: Final = len(" (at 2026/11/29 07:30 PM): ")
"""What `SPEAKER` matches, behind the role."""

_Said: TypeAlias = tuple[str, str]
"""Role and text with its white space evened out: the service may have put a message on one line."""


def without_sent(sections: Sequence[Section], sent: Sequence[Message]) -> list[Section]:
    """Leaves out the lines of the current conversation that are among the sent messages.

    Each sent message removes at most one line, so a repeated "ok" that is not sent stays. Other ongoing
    conversations stay complete.
    """
    kept: list[Section] = []
    for section in sections:
        if section.kind is Kind.ONGOING and sent:
            groups = _without_current(section.groups, sent)
            if groups:
                kept.append(replace(section, groups=groups))
        else:
            kept.append(section)
    return kept


def _without_current(groups: tuple[Group, ...], sent: Sequence[Message]) -> tuple[Group, ...]:
    """Finds the current conversation, which ends with the sent messages and shares most with them."""
    repeated = _repeated(groups, sent)
    if repeated is not None:
        return groups[:repeated] + groups[repeated + 1 :]
    places: dict[_Said, list[int]] = defaultdict(list)
    for place, message in enumerate(sent):
        places[_said(message.role, message.content)].append(place)
    users = [place for place, message in enumerate(sent) if message.role == "user"]
    last_question = users[-1] if users else len(sent)
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
    rest = [entry for entry in groups[current].entries if entry not in matches[current]]
    kept = (Group.of(groups[current].heading, rest),) if rest else ()
    return groups[:current] + kept + groups[current + 1 :]


def _repeated(groups: Sequence[Group], sent: Sequence[Message]) -> int | None:
    """Which conversation says nothing but what is sent; None when it takes a closer look to find the current.

    Nearly always the current one says just that, and the others are too short to share as much.
    """
    shared = [_shared_when_whole(group.text, sent) for group in groups]
    most = max(shared)
    found = shared.index(most)
    others = (group.text for n, group in enumerate(groups) if n != found)
    return found if most > 1 and all(text.count("\n") + 1 < most for text in others) else None


def _shared_when_whole(conversation: str, sent: Sequence[Message]) -> int:
    """Returns the number of messages of a conversation if all of them are sent exactly, else 0."""
    count, end = 0, len(conversation.rstrip())
    for message in reversed(sent):
        text = message.content.strip()
        begin = end - len(text)
        start = begin - len(message.role) - _STAMP
        if start >= 0 and conversation.startswith(text, begin, end):
            speaker = SPEAKER.fullmatch(conversation, start, begin)
            begins_a_line = not start or conversation[start - 1] == "\n"
            if speaker and begins_a_line and speaker[1].lower() == message.role:
                count, end = count + 1, start
                while end and conversation[end - 1].isspace():
                    end -= 1
        if not count or not end:
            break
    return 0 if end else count


def _matches(entries: Sequence[ContextEntry], places: dict[_Said, list[int]]) -> dict[ContextEntry, int]:
    """Returns the sent entries with their positions among the sent messages, aligned from the end."""
    matched: dict[ContextEntry, int] = {}
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

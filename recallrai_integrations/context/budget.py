"""The budget: which entries are left out of a context that is too long."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

from recallrai_integrations.options import ContextOptions

from .fence import fence
from .structure import ContextEntry, Kind, Section, show

__all__ = ["fit"]

_GIVEN_UP_IN_ORDER: Final = (
    Kind.ONGOING,
    Kind.RECENT_MESSAGES,
    Kind.RECENT_SUMMARIES,
    Kind.SUMMARIES,
    Kind.FREE,
    Kind.MEMORIES,
    Kind.CONFLICTS,
)
"""After the version histories. Conflicts come last: they ask the user something."""
_OLDEST_FIRST: Final = (Kind.RECENT_MESSAGES,)
"""Sections whose least valuable entry is the first one; elsewhere the best comes first."""
_NAMES: Final = {
    Kind.ONGOING: ("message of an ongoing conversation", "messages of ongoing conversations"),
    Kind.RECENT_MESSAGES: ("recent message", "recent messages"),
    Kind.RECENT_SUMMARIES: ("recent summary", "recent summaries"),
    Kind.SUMMARIES: ("summary with its memories", "summaries with their memories"),
    Kind.FREE: ("paragraph", "paragraphs"),
    Kind.MEMORIES: ("memory", "memories"),
    Kind.CONFLICTS: ("merge conflict", "merge conflicts"),
}
_Piece: TypeAlias = tuple[tuple[str, str], ContextEntry]
_CHILD: Final = re.compile(r"\d+\.\d")
_HISTORY: Final = ("version history", "version histories")


def fit(sections: Sequence[Section], options: ContextOptions) -> tuple[str, int]:
    """Returns the delimited block within the budget, and the number of omitted entries and version histories.

    Entries are left out completely. If not even the delimiters fit, the block is one line that says what was
    left out.
    """
    block = fence(show(sections))
    if not block or _fits(block, options):
        return block, 0
    pieces = list(_least_valuable_first(sections))
    # Leaving out one piece more makes the block shorter, so the fewest that will do are found by halving.
    low, high = 1, len(pieces)
    while low < high:
        middle = (low + high) // 2
        if _fits(fence(*_without(sections, pieces[:middle])), options):
            high = middle
        else:
            low = middle + 1
    dropped = _refilled(sections, pieces[:high], options)
    text, notice = _without(sections, dropped)
    block = fence(text, notice)
    omitted = len({entry for _, entry in dropped})
    return (block if _fits(block, options) else notice), omitted


def _refilled(sections: Sequence[Section], dropped: list[_Piece], options: ContextOptions) -> list[_Piece]:
    """Fills the remaining room with shorter memories, the best first; returns what is still left out."""
    if options.max_chars is None:
        return dropped
    left = options.max_chars - len(fence(*_without(sections, dropped)))
    for piece in [one for one in reversed(dropped) if one[0] == _NAMES[Kind.MEMORIES]]:
        entry = piece[1]
        fewer = [one for one in dropped if one[1] is not entry or one[0] == _HISTORY]
        if len(entry.text) <= left and _fits(block := fence(*_without(sections, fewer)), options):
            dropped, left = fewer, options.max_chars - len(block)
    return dropped


def _least_valuable_first(sections: Sequence[Section]) -> Iterator[_Piece]:
    by_kind = {section.kind: section for section in sections}
    if Kind.MEMORIES in by_kind:
        for entry in reversed(list(by_kind[Kind.MEMORIES].entries)):
            if entry.history:
                yield _HISTORY, entry
    for kind in _GIVEN_UP_IN_ORDER:
        if kind in by_kind:
            for entry in _entries_least_valuable_first(by_kind[kind]):
                yield _NAMES[kind], entry


def _entries_least_valuable_first(section: Section) -> list[ContextEntry]:
    if section.kind is Kind.ONGOING:  # the latest conversation first, each in the order of speaking
        return [entry for group in reversed(section.groups) for entry in group.entries]
    entries = list(section.entries)
    if section.kind is Kind.MEMORIES:  # what came along with a memory goes before the memories themselves
        entries.sort(key=lambda entry: bool(_CHILD.match(entry.text)))
    return entries if section.kind in _OLDEST_FIRST else entries[::-1]


def _without(sections: Sequence[Section], pieces: Sequence[_Piece]) -> tuple[str, str]:
    """Returns the text without these pieces, and the line that reports them."""
    without = {entry for name, entry in pieces if name != _HISTORY}
    bare = {entry for name, entry in pieces if name == _HISTORY}
    counts = Counter(name for name, entry in pieces if name != _HISTORY or entry not in without)
    told = ", ".join(f"{count} {one if count == 1 else many}" for (one, many), count in counts.items())
    notice = f"[{counts.total()} left out to save space: {told}.]"
    return show(sections, without, bare), notice


def _fits(block: str, options: ContextOptions) -> bool:
    if options.max_chars is not None and len(block) > options.max_chars:
        return False
    if options.max_tokens is None or options.count_tokens is None:
        return True
    try:
        return options.count_tokens(block) <= options.max_tokens
    except Exception:  # noqa: BLE001 - tokenizers refuse texts that a user can say ("<|endoftext|>"): no reason to lose the turn
        return len(block) <= options.max_tokens  # more than any tokenizer would say

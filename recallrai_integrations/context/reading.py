"""Reads the memories back from a rendered prompt."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from .fence import CLOSE, OPEN
from .structure import Kind

__all__ = ["RecalledMemory", "block_in", "recalled_memories"]

_MEMORY: Final = re.compile(
    r"^\d+(?:\.\d+)*\. (?P<content>.*?)(?: \((?:Similarity: )?(?P<similarity>[01]\.\d+)\))?"
    r"(?: \[(?:Event Date: .*|\d{4}/\d\d/\d\d[^\[\]\n]*\]))?$",
    re.MULTILINE,
)
_SUMMARISED: Final = re.compile(
    r"^\d+\. (?P<content>.*) \(Event Date: [^()]*, Expired at: none\)$", re.MULTILINE
)
"""A memory under the summary of its conversation, unless it has been superseded."""
_HEADING: Final = re.compile(
    "^(?:" + "|".join(re.escape(kind.value) for kind in Kind if kind.value) + ")", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class RecalledMemory:
    """A memory in a prompt. `similarity` (0 to 1) is None if the memory came with another one."""

    content: str
    similarity: float | None = None


def block_in(texts: Iterable[str]) -> str:
    """Returns the block of memories in the texts of a request, without delimiters; "" if there is none."""
    for text in texts:
        start = text.find(OPEN)
        end = text.rfind(CLOSE)
        if start != -1 and end > start:
            return text[start + len(OPEN) : end]
    return ""


def recalled_memories(block: str) -> list[RecalledMemory]:
    """The memories of a block: the recalled ones in the service's order, then those that came with summaries.

    For a block in free form, the paragraphs.
    """
    headings = list(_HEADING.finditer(block))
    ends = [*(one.start() for one in headings), len(block)][1:]
    parts = {one[0]: block[one.end() : end] for one, end in zip(headings, ends, strict=False)}
    if Kind.MEMORIES.value not in parts and Kind.SUMMARIES.value not in parts:
        free = block[: headings[0].start()] if headings else block
        # The first paragraph is what the fence says about the rest.
        return [RecalledMemory(" ".join(text.split())) for text in free.split("\n\n")[1:] if text.strip()]
    recalled = _MEMORY.finditer(parts.get(Kind.MEMORIES.value, ""))
    found = {one["content"]: _similarity(one) for one in recalled}
    for one in _SUMMARISED.finditer(parts.get(Kind.SUMMARIES.value, "")):
        found.setdefault(one["content"], None)
    return [RecalledMemory(content, similarity) for content, similarity in found.items()]


def _similarity(found: re.Match[str]) -> float | None:
    similarity = found["similarity"]
    return None if similarity is None else float(similarity)

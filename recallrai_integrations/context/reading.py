"""Reads a rendered prompt back: which memories stand in the very text that a model is sent."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from .fence import CLOSE, OPEN
from .structure import Kind

__all__ = ["RecalledMemory", "block_in", "recalled_memories"]

_MEMORY: Final = re.compile(
    r"^\d+(?:\.\d+)*\. (?P<content>.*?)(?: \(Similarity: (?P<similarity>[\d.]+)\))?(?: \[Event Date: .*)?$",
    re.MULTILINE,
)
_HEADING: Final = re.compile(
    "^(?:" + "|".join(re.escape(kind.value) for kind in Kind if kind.value) + ")", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class RecalledMemory:
    """A memory in a prompt. `similarity` (0 to 1) is None for one that came along with another."""

    content: str
    similarity: float | None = None


def block_in(texts: Iterable[str]) -> str:
    """The memories among the texts of a request, without their delimiters; "" when there are none."""
    for text in texts:
        start = text.find(OPEN)
        end = text.rfind(CLOSE)
        if start != -1 and end > start:
            return text[start + len(OPEN) : end]
    return ""


def recalled_memories(block: str) -> list[RecalledMemory]:
    """The memories of a block, the service's order kept; the paragraphs of a freely written one."""
    headings = list(_HEADING.finditer(block))
    ends = [*(one.start() for one in headings), len(block)][1:]
    for heading, end in zip(headings, ends, strict=False):
        if heading[0] == Kind.MEMORIES.value:
            return [_memory(found) for found in _MEMORY.finditer(block, heading.end(), end)]
    free = block[: headings[0].start()] if headings else block
    # The first paragraph is what the fence says about the rest.
    return [RecalledMemory(" ".join(text.split())) for text in free.split("\n\n")[1:] if text.strip()]


def _memory(found: re.Match[str]) -> RecalledMemory:
    similarity = found["similarity"]
    return RecalledMemory(found["content"], None if similarity is None else float(similarity))

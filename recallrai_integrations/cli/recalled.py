"""Shows what was recalled: the memories as they stand in the very text that a model is sent."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from recallrai_integrations.context.fence import CLOSE, OPEN
from recallrai_integrations.context.structure import Kind

from ._common import one_line

__all__ = ["RecalledMemory", "block_in", "panel", "recalled_memories"]

_SHOWN: Final = 8
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
    return [RecalledMemory(one_line(text)) for text in free.split("\n\n")[1:] if text.strip()]


def panel(memories: list[RecalledMemory], *, title: str) -> Panel:
    """The memories in a box."""
    lines = Table.grid(padding=(0, 2))
    for memory in memories[:_SHOWN]:
        similarity = "" if memory.similarity is None else f"{memory.similarity:.2f}"
        lines.add_row(Text(similarity, style="cyan"), Text(memory.content))
    if len(memories) > _SHOWN:
        lines.add_row("", Text(f"and {len(memories) - _SHOWN} more", style="dim"))
    if not memories:
        lines.add_row(Text("nothing", style="dim"))
    return Panel(lines, title=title, title_align="left", border_style="dim", expand=False)


def _memory(found: re.Match[str]) -> RecalledMemory:
    similarity = found["similarity"]
    return RecalledMemory(found["content"], None if similarity is None else float(similarity))

"""Shows what was recalled."""

from __future__ import annotations

from typing import Final

from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from recallrai_integrations.context.reading import RecalledMemory

__all__ = ["panel"]

_SHOWN: Final = 8


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

"""Figures with their goals, and tables, as Markdown: the same in the terminal and in docs/benchmarks.md."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

START, END = "<!-- bench:start -->", "<!-- bench:end -->"

_PACKAGES = (
    "recallrai-integrations",
    "recallrai",
    "httpx",
    "langchain",
    "langchain-core",
    "langgraph",
    "llama-index-core",
    "pydantic-ai-slim",
    "google-adk",
)


@dataclass(frozen=True)
class Figure:
    """One measured value.

    Args:
        name: what was measured.
        value: the figure.
        goal: the most it may be; None where there is no goal.
        unit: " ms", "" for ratios and counts …
        digits: after the point.
    """

    name: str
    value: float
    goal: float | None = None
    unit: str = ""
    digits: int = 2

    @property
    def met(self) -> bool | None:
        return None if self.goal is None else round(self.value, self.digits) <= self.goal

    def row(self) -> list[str]:
        value = f"{self.value:.{self.digits}f}{self.unit}"
        if self.goal is None:
            return [self.name, value, "", ""]
        goal = f"{self.goal:g}{self.unit}"
        return [self.name, value, f"≤ {goal}", "met" if self.met else "**missed**"]


@dataclass(frozen=True)
class Table:
    """A table with a caption."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""

    def markdown(self) -> str:
        cells = [list(self.columns), *map(list, self.rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in cells]
        lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
        return f"**{self.title}**\n\n" + "\n".join(lines) + (f"\n\n{self.note}" if self.note else "")


def goals(title: str, figures: Sequence[Figure]) -> Table:
    """Figures as a table, each said to be met or missed."""
    return Table(title, ("", "measured", "goal", ""), [figure.row() for figure in figures])


def circumstances() -> str:
    """When, where and with what: without it no figure means anything."""
    versions = [f"{package} {importlib.metadata.version(package)}" for package in _PACKAGES]
    return (
        f"{datetime.now(timezone.utc):%Y-%m-%d}, Python {platform.python_version()}, "
        f"{platform.system()} {platform.machine()} with {os.cpu_count()} cores ({_processor()}); "
        + ", ".join(versions)
        + "."
    )


def rewrite(path: Path, text: str) -> None:
    """Puts the text between the two markers of a file.

    Raises:
        ValueError: the file does not have both markers, once and in order.
    """
    page = path.read_text(encoding="utf-8")
    if page.count(START) != 1 or page.count(END) != 1 or page.index(START) > page.index(END):
        raise ValueError(f"{path.name} needs the line {START} and, after it, the line {END}.")
    head, rest = page.split(START)
    path.write_text(f"{head}{START}\n{text}\n{END}{rest.split(END)[1]}", encoding="utf-8")


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown processor"

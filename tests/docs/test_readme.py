"""Every Python example of the README runs as it stands, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pytest_examples import CodeExample, find_examples

README = Path(__file__).parents[2] / "README.md"
ANSWERS = {
    "A LangChain agent": "Biscuit",
    "A chain": "peanuts",
    "A LlamaIndex chat engine": "Lisbon",
    "A LlamaIndex agent": "nurse",
    "No framework": "Lisbon",
}


def heading(example: CodeExample) -> str:
    before = README.read_text(encoding="utf-8").splitlines()[: example.start_line]
    return next(line.lstrip("# ") for line in reversed(before) if line.startswith("#"))


EXAMPLES = [one for one in find_examples(README) if one.prefix == "python"]


@pytest.mark.parametrize("example", EXAMPLES, ids=heading)
def test_an_example_of_the_readme_runs_and_remembers(example: CodeExample, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", example.source],
        check=False,
        capture_output=True,
        text=True,
        timeout=110,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert ANSWERS.get(heading(example), "") in done.stdout


@pytest.mark.parametrize("example", EXAMPLES, ids=heading)
def test_an_example_of_the_readme_is_a_dozen_lines_at_most(example: CodeExample) -> None:
    assert len([line for line in example.source.splitlines() if line]) <= 12


def test_each_surface_has_its_example() -> None:
    assert {heading(one) for one in EXAMPLES} >= set(ANSWERS)

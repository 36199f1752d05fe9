"""What users write type-checks, and what is wrong does not, by mypy and by pyright.

Every wrong line of the files beside this one carries an ignore for each checker, and both checkers are told to
complain about an ignore that nothing needs.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FILES = [str(path) for path in sorted(HERE.glob("use_*.py"))]
CHECKERS = {
    "mypy": ["mypy", "--strict", "--warn-unused-ignores", "--config-file", str(ROOT / "pyproject.toml")],
    "pyright": ["pyright", "--pythonpath", sys.executable, "--project", str(HERE)],
}


def check(checker: str, files: list[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *CHECKERS[checker], *(files if checker == "mypy" else [])]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("checker", CHECKERS)
def test_right_use_type_checks_and_wrong_use_does_not(checker):
    checked = check(checker, FILES)
    assert checked.returncode == 0, checked.stdout


def test_every_surface_is_used_right_and_wrong():
    for path in map(Path, FILES):
        lines = path.read_text().splitlines()
        wrong = [line for line in lines if "# type: ignore[" in line]
        assert len(wrong) >= 5, path.name
        assert all("# pyright: ignore[" in line for line in wrong), path.name
    surfaces = ("core", "google_adk", "langchain", "llama_index", "mcp", "openai_agents", "pydantic_ai")
    assert [Path(path).stem for path in FILES] == [f"use_{surface}" for surface in surfaces]

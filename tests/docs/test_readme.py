"""Every example of the README runs as it stands: Python in a process of its own, commands in a fresh folder."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_examples import CodeExample, find_examples
from typer.testing import CliRunner

from recallrai_integrations import DeliveryOptions, connect
from recallrai_integrations.cli.app import app

README = Path(__file__).parents[2] / "README.md"
ANSWERS = {
    "A LangChain agent": "Biscuit",
    "A chain": "peanuts",
    "A LlamaIndex chat engine": "Lisbon",
    "A LlamaIndex agent": "nurse",
    "An OpenAI Agents SDK agent": "sesame",
    "Any MCP client": "Biscuit",
    "A Pydantic AI agent": "cello",
    "An app of Google's ADK": "Miso",
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


def _commands(heading: str) -> list[str]:
    """The lines of the command line in a section, without their remarks."""
    section = README.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = section.split("```sh\n")[1].split("```")[0].splitlines()
    return [line.partition(" #")[0].strip().removeprefix("recallrai-integrations ") for line in lines]


STDIN = {"chat": "My favourite colour is blue.\n/finish\nMy favourite colour is red.\n"}


def test_the_command_lines_of_the_readme_work_as_printed_in_a_fresh_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with connect(local=":memory:", delivery=DeliveryOptions(outbox="waiting.db")):
        pass
    *lines, serve = _commands("On the command line")
    assert serve == "serve", "it runs until it is stopped"
    ended = {}
    for line in lines:
        args = [
            *line.split(),
            *(["--yes"] if line.startswith("forget") else []),
        ]  # nobody is there to be asked
        ended[line] = CliRunner().invoke(app, args, input=STDIN.get(args[0], ""))
    refused = {line: one for line, one in ended.items() if one.exit_code}
    assert [line.split()[:2] for line in refused] == [["conflicts", "answer"]], refused
    assert "no merge conflict 'CONFLICT_ID'" in next(iter(refused.values())).stderr
    assert "red" in ended["memories list --user ada"].stdout
    assert "2 conversations imported" in ended["import ada.jsonl --user eve"].stdout


def test_each_link_works_wherever_the_readme_is_shown() -> None:
    root, repository = README.parent, "https://github.com/recallrai/recallrai-integrations/blob/main/"
    links = re.findall(r"\]\(([^)]+)\)", README.read_text(encoding="utf-8"))
    assert links
    assert [one for one in links if not one.startswith("https://")] == []
    paths = [one.removeprefix(repository).partition("#")[0] for one in links if one.startswith(repository)]
    assert [one for one in paths if not (root / one).is_file()] == []

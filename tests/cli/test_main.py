"""The command as a whole: help, version, exit codes, and what is said when a part is not installed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from recallrai_integrations import __version__
from recallrai_integrations.cli import _common
from recallrai_integrations.cli.app import app

COMMANDS = (
    "demo",
    "chat",
    "serve",
    "doctor",
    "import",
    "export",
    "forget",
    "memories",
    "conflicts",
    "outbox",
)


def test_help_lists_all_commands_and_the_exit_codes(run, spawn):
    ended = run("--help")
    assert ended.code == 0
    for command in COMMANDS:
        assert f" {command} " in ended.out
    text = " ".join(ended.out.split())
    for code in ("0 success", "1 the work is incomplete", "2 wrong use", "130 stopped"):
        assert code in text
    assert "--user" not in ended.out
    bare = spawn()
    assert (bare.code, bare.err) == (0, "")
    assert "Commands" in bare.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(run, command):
    ended = run(command, "--help")
    assert ended.code == 0
    assert len(ended.out.split()) > 20


def test_the_documentation_names_the_commands_that_take_json(run):
    page = (Path(__file__).parents[2] / "docs" / "reference" / "command_line.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([^`]+)`", page.split("For scripts, ")[1].split(" take `--json`")[0]))
    groups = {group.name: group.typer_instance for group in app.registered_groups}
    commands = {name: (name,) for name in COMMANDS if name not in groups} | {
        f"{name} {one.name}": (name, one.name)
        for name, inside in groups.items()
        for one in inside.registered_commands
    }
    taking = {name for name, args in commands.items() if "--json" in run(*args, "--help").out}
    assert taking == {name for name in commands if name in named or name.partition(" ")[0] in named}


def test_the_version_is_told(run):
    assert run("--version").out == f"recallrai-integrations {__version__}\n"


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (("remember",), "'remember'"),
        (("improt",), "'import'"),
        (("memories",), "Missing command"),
        (("memories", "shwo"), "'show'"),
        (("--fast",), "--fast"),
    ],
)
def test_wrong_use_is_one_line(run, args, word):
    run(*args).failed(2, word, "--help")


SERVICE_COMMANDS = {
    "memories": ("memories", "list", "--user", "ada"),
    "memory": ("memories", "show", "m", "--user", "ada"),
    "conflicts": ("conflicts", "list", "--user", "ada"),
    "conflict": ("conflicts", "answer", "c", "--user", "ada", "--answer", "1"),
    "export": ("export", "--user", "ada"),
    "forget": ("forget", "--user", "ada", "--yes"),
    "import": ("import", "talk.json", "--user", "ada"),
    "demo": ("demo",),
}
FAILURES = {
    "refuses": {"status": 503},
    "does not answer": {"hang": True},
    "breaks off": {"drop": True},
    "answers something else": {"status": 200, "body": "<html>"},
}


@pytest.mark.parametrize(
    ("command", "failure"),
    [(one, "does not answer") for one in SERVICE_COMMANDS] + [("import", one) for one in FAILURES],
)
def test_a_service_that_fails_is_one_line_with_a_remedy_and_keeps_nobody(
    run, hosted, monkeypatch, command, failure
):
    monkeypatch.setattr(_common, "TIMEOUT", 0.5)
    Path("talk.json").write_text(json.dumps([{"role": "user", "content": "My parrot is called Kiwi."}]))
    hosted.faults.add(**FAILURES[failure])
    ended = run(*SERVICE_COMMANDS[command])
    ended.failed(1, "recallrai-integrations doctor")
    assert "=" not in ended.err, "no advice for programs"


@pytest.mark.parametrize("args", SERVICE_COMMANDS.values(), ids=SERVICE_COMMANDS)
def test_credentials_that_are_missing_are_told_with_a_remedy_for_a_command_line(run, monkeypatch, args):
    Path("talk.json").write_text("[]")
    for name in ("RECALLRAI_API_KEY", "RECALLRAI_PROJECT_ID"):
        monkeypatch.setenv(name, "rai_x")
        if args[0] != "import":
            ended = run(*args)
            ended.failed(2, "RECALLRAI_", "--local")
            assert "=" not in ended.err, "no advice for programs"
        monkeypatch.delenv(name)


def test_a_pipe_that_is_closed_early_is_no_error():
    script = "recallrai_integrations.cli"
    with subprocess.Popen(
        [sys.executable, "-m", script, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        err = process.stderr.read()
    assert b"Traceback" not in err


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="this system has no device that is full")
@pytest.mark.parametrize(
    "args",
    [("--help",), ("doctor", "--json"), ("memories", "list", "--user", "ada"), ("export", "--user", "ada")],
)
def test_a_disk_that_is_full_is_told_in_one_line(run, args):
    run("chat", "--user", "ada", "--local", "m.db", stdin="My parrot is called Kiwi.\n")
    local = () if args == ("--help",) else ("--local", "m.db")
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "recallrai_integrations.cli", *args, *local],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=100,
        )
    assert (ended.returncode, len(ended.stderr.splitlines())) == (1, 1), ended.stderr
    assert ended.stderr.startswith("Error: No space left")


@pytest.mark.parametrize(
    ("absent", "args", "extra"),
    [
        ("typer", ("--help",), "cli"),
        ("rich", ("--help",), "cli"),
        ("fastapi", ("chat", "--user", "ada"), "local"),
        ("uvicorn", ("serve",), "local"),
        ("langchain", ("demo",), "langchain"),
        ("langchain", ("chat", "--user", "ada", "--model", "openai:gpt-5-mini"), "langchain"),
        ("llama_index", ("demo", "--framework", "llama-index"), "llama-index"),
    ],
)
def test_what_is_not_installed_is_named_with_the_command_that_installs_it(tmp_path, absent, args, extra):
    # None in sys.modules is what an absent package looks like to an import
    script = f"import sys; sys.modules[{absent!r}] = None; from recallrai_integrations.cli import main; main({list(args)!r})"
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, input="", check=False, timeout=100
    )
    assert ended.returncode == 2, ended
    assert f'pip install "recallrai-integrations[{extra}]"' in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_command_that_needs_no_framework_imports_none():
    script = (
        "import sys; from recallrai_integrations.cli.app import app\n"
        "print([m for m in ('langchain', 'langchain_core', 'llama_index', 'fastapi', 'recallrai') if m in sys.modules])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=100
    )
    assert ended.stdout == "[]\n"

"""The command line as its users see it: exit code, standard output, standard error."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from recallrai_integrations.cli.app import app
from recallrai_integrations.local import LocalRecallrAI


class Ended:
    """What a command left behind."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    def failed(self, code: int, *words: str) -> None:
        """It ended with one line on stderr that holds these words, and without a traceback."""
        assert self.code == code, (self.code, self.out, self.err)
        errors = [line for line in self.err.splitlines() if not line.startswith("No RECALLRAI_API_KEY")]
        assert len(errors) == 1, self.err
        assert errors[0].startswith("Error: ")
        assert "Traceback" not in self.err
        for word in words:
            assert word in errors[0], (word, errors[0])

    def __repr__(self) -> str:
        return f"exit {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


Run = Callable[..., Ended]


@pytest.fixture(autouse=True, scope="session")
def _commands_can_be_interrupted() -> None:
    """A shell starts what it runs in the background with Ctrl-C ignored, and programs inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")


@pytest.fixture
def run() -> Run:
    """Runs a command in this process."""

    def run_it(*args: Any, stdin: str | bytes = "") -> Ended:
        result = CliRunner().invoke(app, [str(arg) for arg in args], input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ended(result.exit_code, result.stdout, result.stderr)

    return run_it


@pytest.fixture
def spawn() -> Run:
    """Runs a command in a process of its own, the installed way."""

    def run_it(*args: Any, stdin: str = "", env: dict[str, str] | None = None) -> Ended:
        result = subprocess.run(
            [Path(sys.executable).with_name("recallrai-integrations"), *map(str, args)],
            input=stdin,
            capture_output=True,
            text=True,
            encoding="utf-8",
            env={**os.environ, **(env or {})},
            timeout=100,
            check=False,
        )
        return Ended(result.returncode, result.stdout, result.stderr)

    return run_it


@pytest.fixture
def on_a_terminal() -> Run:
    """Runs a command whose standard input and error are a terminal; skips where there is none."""
    if sys.platform == "win32":
        pytest.skip("Windows has no pseudo terminals")

    def run_it(*args: Any, typed: bytes = b"") -> Ended:
        ours, theirs = os.openpty()
        os.write(ours, typed)
        command = [sys.executable, "-m", "recallrai_integrations.cli", *map(str, args)]
        with subprocess.Popen(
            command,
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=theirs,
            text=True,
            env={**os.environ, "TERM": "xterm"},
        ) as process:
            os.close(theirs)
            shown = b""
            with suppress(OSError):  # Linux says so when the other side is closed
                while piece := os.read(ours, 4096):
                    shown += piece
            out, _ = process.communicate(timeout=60)
        os.close(ours)
        return Ended(process.returncode, out, shown.decode())

    return run_it


@pytest.fixture
def hosted(monkeypatch):
    """A service reached by the environment, as the hosted one is."""
    with LocalRecallrAI() as server:
        monkeypatch.setenv("RECALLRAI_API_KEY", server.api_key)
        monkeypatch.setenv("RECALLRAI_PROJECT_ID", server.project_id)
        monkeypatch.setenv("RECALLRAI_BASE_URL", server.base_url)
        yield server

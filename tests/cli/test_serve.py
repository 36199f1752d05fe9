"""`serve`: the local service as a process, for clients that know its address and key."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from recallrai_integrations import CredentialsError, RecallrAIIntegrationError, connect


@contextmanager
def _serving(*args):
    """A running service: its process and its address."""
    command = [sys.executable, "-m", "recallrai_integrations.cli", "serve", "--port", "0", *args]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process, json.loads(process.stderr.readline())["url"]
        finally:
            process.kill()
            process.stderr.close()


@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_stopped_and_keeps_what_it_was_told(signal_):
    options = (
        "--db",
        "s.db",
        "--api-key",
        "rai_mine",
        "--project-id",
        "mine",
        "--min-auto-process-seconds",
        "1",
    )
    with _serving(*options) as (process, url):
        with connect(api_key="rai_mine", project_id="mine", base_url=url) as connection:
            connection.conversation("ada", "t").record(("user", "Hello!"))
            assert [one.content for one in connection.conversation("ada", "t").history()] == ["Hello!"]
        with (
            connect(api_key="rai_local", project_id="local", base_url=url) as stranger,
            pytest.raises(CredentialsError),
        ):
            stranger.user("ada").info()
        process.send_signal(signal_)
        assert process.wait(timeout=60) == 0
    with connect(local="s.db") as connection:
        assert [one.content for one in connection.conversation("ada", "t").history()] == ["Hello!"]


def test_without_options_it_is_the_service_of_the_readme():
    with _serving() as (_, url), connect(api_key="rai_local", project_id="local", base_url=url) as connection:
        connection.conversation("ada", "t").record(("user", "Hello!"))
    assert Path("recallrai.db").is_file()


def test_faults_of_a_file_strike():
    Path("faults.json").write_text(json.dumps({"rules": [{"status": 418, "path": "*/users/*"}]}))
    with (
        _serving("--faults", "faults.json") as (_, url),
        connect(api_key="rai_local", project_id="local", base_url=url) as connection,
        pytest.raises(RecallrAIIntegrationError, match="418"),
    ):
        connection.user("ada").info()


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (("--port", "70000"), "70000"),
        (("--port", "http"), "--port"),
        (("--api-key", "secret"), "rai_"),
        (("--db", "notes.txt"), "notes.txt"),
        (("--db", "no/where.db"), "where.db"),
        (("--min-auto-process-seconds", "0"), "--min-auto-process-seconds"),
        (("--model", "nobody:nothing"), "nobody"),
        (("--host", "192.0.2.1"), "address of this machine"),  # belongs to nobody, as the RFCs say
    ],
)
def test_wrong_use_is_one_line(run, args, word):
    Path("notes.txt").write_text("These are my notes, and no database. " * 100)
    ended = run("serve", "--port", "0", *args) if "--port" not in args else run("serve", *args)
    ended.failed(2, word)
    assert Path("notes.txt").read_text().startswith("These are my notes")


def test_a_port_in_use_is_named(run):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run("serve", "--port", port).failed(2, str(port), "port")


def test_it_answers_under_a_name_that_it_is_given():
    with _serving("--db", ":memory:", "--allow-host", "memory.internal") as (_, url):
        own = {"X-Recallr-Api-Key": "rai_local", "X-Recallr-Project-Id": "local"}
        names = {"memory.internal": 200, "other.internal": 421}
        for name, status in names.items():
            headers = {**own, "Host": name}
            assert httpx.get(f"{url}/api/v1/users", headers=headers, trust_env=False).status_code == status

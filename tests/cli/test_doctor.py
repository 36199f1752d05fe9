"""`doctor`: each thing that can be wrong with a set-up is found and told with its remedy."""

from __future__ import annotations

import json
import re
import ssl
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import metadata
from pathlib import Path

import pytest
import trustme

from recallrai_integrations import DeliveryOptions, connect
from recallrai_integrations.local import LocalRecallrAI


@pytest.fixture
def findings(run):
    """Runs the doctor: (exit code, {about: findings that are not fine})."""

    def look(*args):
        ended = run("doctor", "--json", *args)
        found = json.loads(ended.out)
        assert all(one["remedy"] for one in found if one["state"] != "fine"), "each with its remedy"
        assert ended.code == int(any(one["state"] == "problem" for one in found))
        return ended.code, {one["about"]: one for one in found if one["state"] != "fine"}, found

    return look


def test_a_good_set_up_is_fine(findings, run, hosted):
    code, bad, found = findings()
    assert (code, bad) == (0, {})
    [service] = [one for one in found if one["about"] == "service"]
    assert f"project {hosted.project_id} at {hosted.base_url}" in service["text"]
    assert {one["about"] for one in found} == {"versions", "credentials", "service", "clock"}
    versions = " ".join(one["text"] for one in found if one["about"] == "versions")
    for name in ("Python", "recallrai 0.6", "langchain", "langgraph", "llama-index-core"):
        assert name in versions
    shown = run("doctor")
    assert shown.code == 0
    assert hosted.api_key not in shown.out


def test_the_local_service_is_looked_at(findings, run):
    run("chat", "--user", "ada", "--local", "m.db", stdin="Hello!")
    assert findings("--local", "m.db")[:2] == (0, {})
    with LocalRecallrAI("m.db"):
        [service] = [one for one in findings("--local", "m.db")[2] if one["about"] == "service"]
    assert "the local service on m.db" in service["text"]


def test_looking_leaves_nothing_behind(findings, run):
    run("chat", "--user", "ada", "--local", "m.db", stdin="Hello!")
    Path("m.db-lock").unlink()
    before = {one.name: one.read_bytes() for one in Path().iterdir()}
    assert findings("--local", "m.db")[:2] == (0, {})
    assert {one.name: one.read_bytes() for one in Path().iterdir()} == before


def test_a_database_that_another_process_serves_is_found(findings):
    code = "import sys; from recallrai_integrations.local import LocalRecallrAI\n"
    code += "with LocalRecallrAI('m.db'): print('on', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True) as process:
        process.stdout.readline()
        code, bad, _ = findings("--local", "m.db")
        process.communicate("")
    assert code == 1
    assert "in use by the local service of another process" in bad["service"]["text"]


@pytest.mark.parametrize(
    ("environment", "about", "word"),
    [
        ({}, "credentials", "RECALLRAI_API_KEY"),
        ({"RECALLRAI_API_KEY": "rai_x"}, "credentials", "RECALLRAI_PROJECT_ID"),
        ({"RECALLRAI_API_KEY": "my secret", "RECALLRAI_PROJECT_ID": "p"}, "credentials", "malformed"),
        (
            {"RECALLRAI_API_KEY": "rai_x", "RECALLRAI_PROJECT_ID": "p", "RECALLRAI_BASE_URL": "nowhere"},
            "credentials",
            "nowhere",
        ),
        (
            {
                "RECALLRAI_API_KEY": "rai_x",
                "RECALLRAI_PROJECT_ID": "p",
                "RECALLRAI_BASE_URL": "http://127.0.0.1:9",
            },
            "service",
            "connection",
        ),
    ],
)
def test_credentials_and_addresses_that_cannot_work_are_found(
    findings, monkeypatch, environment, about, word
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    code, bad, _ = findings()
    assert code == 1
    assert word in bad[about]["text"]
    assert (bad[about]["text"] + bad[about]["remedy"]).count("pass --local PATH") == (about == "credentials")
    assert "my secret" not in json.dumps(bad)


def test_refused_credentials_are_found(findings, hosted, monkeypatch):
    monkeypatch.setenv("RECALLRAI_API_KEY", "rai_of_another_project")
    code, bad, _ = findings()
    assert (code, set(bad)) == (1, {"credentials"})
    assert hosted.project_id in bad["credentials"]["remedy"]
    assert "rai_of_another_project" not in json.dumps(bad)


class _OfLastYear(BaseHTTPRequestHandler):
    def date_time_string(self, timestamp=None):
        return super().date_time_string(time.time() - 365 * 24 * 3600)

    def do_GET(self):
        self.send_error(404)

    do_HEAD = do_GET  # noqa: N815 - the name that http.server calls

    def log_message(self, *args):
        pass


def test_an_address_of_something_else_is_found(findings, hosted):
    hosted.faults.add(status=404, body={"detail": "Not Found"}, path="*/users/*")
    code, bad, _ = findings()
    assert (code, set(bad)) == (1, {"service"})
    assert "another service than RecallrAI" in bad["service"]["text"]


def test_a_clock_that_is_wrong_is_found(findings, monkeypatch):
    with HTTPServer(("127.0.0.1", 0), _OfLastYear) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("RECALLRAI_API_KEY", "rai_x")
        monkeypatch.setenv("RECALLRAI_PROJECT_ID", "p")
        monkeypatch.setenv("RECALLRAI_BASE_URL", f"http://127.0.0.1:{server.server_port}")
        code, bad, _ = findings()
        server.shutdown()
    assert code == 1
    assert re.match(r"3153600\d s apart", bad["clock"]["text"])
    assert bad["service"]["state"] == "problem", "and this is no RecallrAI at all"


def test_a_proxy_that_takes_even_loopback_is_found_and_its_password_kept(findings, hosted, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://me:secret@proxy.example:3128")
    monkeypatch.setenv("http_proxy", "http://me:secret@proxy.example:3128")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    code, bad, _ = findings()
    assert (code, set(bad)) == (0, {"proxy"}), "this package goes past it"
    assert "NO_PROXY=127.0.0.1" in bad["proxy"]["remedy"]
    assert "proxy.example" in bad["proxy"]["text"]
    assert "secret" not in json.dumps(bad)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert findings()[:2] == (0, {})


@pytest.mark.parametrize(("version", "state"), [("0.0.1", "problem"), (None, "note")])
def test_a_framework_that_is_too_old_or_absent_is_found(findings, hosted, monkeypatch, version, state):
    real = metadata.version

    def pretended(name):
        if name != "langgraph":
            return real(name)
        if version is None:
            raise metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(metadata, "version", pretended)
    _, bad, _ = findings()
    assert bad["versions"]["state"] == state
    assert 'pip install "langgraph' in bad["versions"]["remedy"]


def test_what_waits_in_an_outbox_is_found(findings, hosted):
    hosted.faults.add(status=503, path="*/users/*")
    with connect(delivery=DeliveryOptions(outbox="outbox.db", retries=0)) as connection:
        connection.conversation("ada", "t").record(("user", "Hello!"))
    hosted.faults.clear()
    code, bad, _ = findings("--outbox", "outbox.db")
    assert (code, set(bad)) == (0, {"outbox"})
    assert "1 entry" in bad["outbox"]["text"]
    assert f"{hosted.base_url} {hosted.project_id}" in bad["outbox"]["text"]
    assert bad["outbox"]["remedy"].endswith("outbox flush outbox.db")
    with connect(delivery=DeliveryOptions(outbox="outbox.db")) as connection:
        connection.flush()
    assert findings("--outbox", "outbox.db")[:2] == (0, {})


@pytest.mark.parametrize(
    "args",
    [
        ("--local", "nowhere.db"),
        ("--local", "notes.txt"),
        ("--outbox", "nowhere.db"),
        ("--outbox", "notes.txt"),
    ],
)
def test_files_that_are_not_what_they_should_be_are_found(findings, hosted, tmp_path, args):
    (tmp_path / "notes.txt").write_text("These are my notes. " * 100)
    code, bad, _ = findings(*args)
    assert code == 1
    assert args[1] in bad["outbox" if args[0] == "--outbox" else "service"]["text"]
    assert not (tmp_path / "nowhere.db").exists()


def test_a_certificate_that_is_not_trusted_is_found(findings, monkeypatch):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with HTTPServer(("127.0.0.1", 0), _OfLastYear) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None
        threading.Thread(target=server.serve_forever, daemon=True).start()
        _is_configured(monkeypatch, f"https://127.0.0.1:{server.server_port}")
        code, bad, _ = findings()
        server.shutdown()
    assert (code, set(bad)) == (1, {"service"})
    assert "certificate of the service is not trusted" in bad["service"]["text"]
    assert "SSL_CERT_FILE" in bad["service"]["remedy"]


def test_a_bundle_of_authorities_that_is_missing_is_found(findings, monkeypatch):
    _is_configured(monkeypatch, "https://memory.example")
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    code, bad, _ = findings()
    assert (code, set(bad)) == (1, {"service"})
    assert "/nowhere/ca.pem (SSL_CERT_FILE) does not exist" in bad["service"]["text"]
    assert "SSL_CERT_FILE" in bad["service"]["remedy"]


def test_a_socks_proxy_without_its_package_is_found(findings, monkeypatch):
    _is_configured(monkeypatch, "https://memory.example")
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setenv("ALL_PROXY", "socks5://me:secret@proxy.example:1080")
    monkeypatch.setenv("all_proxy", "socks5://me:secret@proxy.example:1080")
    code, bad, _ = findings()
    assert code == 1
    assert "SOCKS" in bad["service"]["text"]
    assert 'pip install "httpx[socks]"' in bad["service"]["remedy"]
    assert "secret" not in json.dumps(bad)


def _is_configured(monkeypatch, base_url):
    for name, value in (("API_KEY", "rai_x"), ("PROJECT_ID", "p"), ("BASE_URL", base_url)):
        monkeypatch.setenv(f"RECALLRAI_{name}", value)

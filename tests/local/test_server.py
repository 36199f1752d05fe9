"""The server as a whole: files, ports, sharing, killing, stopping, logs."""

from __future__ import annotations

import json
import logging
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from langchain_core.language_models import FakeListChatModel
from pydantic import Field

from recallrai_integrations import connect, errors
from recallrai_integrations.local import Fault, Faults, LocalRecallrAI, logs, schema
from recallrai_integrations.local.database import Database

KEY = {"X-Recallr-Api-Key": "rai_local", "X-Recallr-Project-Id": "local"}


def client(url: str) -> httpx.Client:
    return httpx.Client(base_url=url, headers=KEY, trust_env=False, timeout=30)


def new_session(http: httpx.Client, user_id: str = "ada") -> str:
    http.post("/api/v1/users", json={"custom_user_id": user_id})
    made = http.post(f"/api/v1/users/{user_id}/sessions", json={}).json()
    return f"/api/v1/users/{user_id}/sessions/{made['session']['session_id']}"


def say(http: httpx.Client, session: str, text: str) -> httpx.Response:
    return http.post(f"{session}/add-message", json={"message": text, "role": "user"})


def said(http: httpx.Client, session: str) -> list[str]:
    return [m["content"] for m in http.get(f"{session}/messages", params={"limit": 500}).json()["messages"]]


class Process:
    """`serve` in a process of its own."""

    def __init__(self, path, *options: str) -> None:
        code = "import sys; from recallrai_integrations.local import serve; serve(sys.argv[1], port=0, %s)"
        self.running = subprocess.Popen(
            [sys.executable, "-c", code % ", ".join(options), str(path)], stderr=subprocess.PIPE, text=True
        )
        self.lines: list[dict] = []
        assert self.running.stderr is not None
        while not self.lines or self.lines[-1]["event"] != "listening":
            line = self.running.stderr.readline()
            assert line, f"ended with {self.running.wait()}"
            self.lines.append(json.loads(line))
        self.url = self.lines[-1]["url"]
        self._reader = threading.Thread(target=self._read_on)
        self._reader.start()

    def _read_on(self) -> None:
        assert self.running.stderr is not None
        self.lines += [json.loads(line) for line in self.running.stderr]

    def end(self, number: signal.Signals) -> int:
        self.running.send_signal(number)
        code = self.running.wait(20)
        self._reader.join()
        self.running.stderr.close()
        return code


def test_what_was_stored_is_there_after_a_restart(tmp_path):
    with LocalRecallrAI(tmp_path / "m.db") as server, client(server.base_url) as http:
        session = new_session(http)
        say(http, session, "hello")
    with LocalRecallrAI(tmp_path / "m.db") as server, client(server.base_url) as http:
        assert said(http, session) == ["hello"]


def test_a_killed_service_loses_no_acknowledged_message_and_doubles_none(tmp_path):
    acknowledged: list[str] = []
    session = None
    for turn in range(20):
        process = Process(tmp_path / "m.db")
        with client(process.url) as http:
            session = session or new_session(http)
            before = len(acknowledged)

            def write(worker, turn=turn, url=process.url, session=session):
                with client(url) as own:
                    for n in range(10_000):
                        text = f"{turn}/{worker}/{n}"
                        try:
                            answer = say(own, session, text)
                        except httpx.TransportError:
                            return
                        assert answer.status_code == 200
                        acknowledged.append(text)

            with ThreadPoolExecutor(4) as writers:
                running = [writers.submit(write, worker) for worker in range(4)]
                while len(acknowledged) < before + 5 + 3 * turn:
                    time.sleep(0.001)
                process.end(signal.SIGKILL)
                for done in running:
                    done.result()
    with LocalRecallrAI(tmp_path / "m.db") as server, client(server.base_url) as http:
        stored, total = [], http.get(f"{session}/messages").json()["total"]
        for offset in range(0, total, 500):
            page = http.get(f"{session}/messages", params={"limit": 500, "offset": offset}).json()
            stored += [m["content"] for m in page["messages"]]
    assert len(stored) == len(set(stored))
    assert not set(acknowledged) - set(stored)


def test_a_session_that_was_being_processed_when_the_service_was_killed_is_taken_up_again(tmp_path):
    process = Process(tmp_path / "m.db")
    with client(process.url) as http:
        session = new_session(http)
        say(http, session, "I live in Lisbon.")
    process.end(signal.SIGKILL)
    db = sqlite3.connect(tmp_path / "m.db")  # as a kill between the answer of process() and the job's commit
    with db:
        db.execute("UPDATE sessions SET status = 'processing'")
    db.close()
    with LocalRecallrAI(tmp_path / "m.db") as server, client(server.base_url) as http:
        while http.get(session).json()["session"]["status"] == "processing":
            time.sleep(0.01)
        assert http.get(session).json()["session"]["status"] == "processed"
        assert http.get("/api/v1/users/ada/memories").json()["total"] == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_service_after_the_requests_in_hand(tmp_path, number):
    faults = tmp_path / "faults.json"
    faults.write_text(json.dumps({"rules": [{"path": "*/add-message", "delay": 1}]}))
    process = Process(tmp_path / "m.db", f"faults={str(faults)!r}")
    with client(process.url) as http, ThreadPoolExecutor(1) as pool:
        session = new_session(http)
        in_hand = pool.submit(say, http, session, "hello, my key is rai_local")
        time.sleep(0.3)
        assert process.end(number) == 0
        assert in_hand.result().status_code == 200
    assert [line["event"] for line in process.lines][-1] == "stopped"
    with LocalRecallrAI(tmp_path / "m.db") as server, client(server.base_url) as http:
        assert said(http, session) == ["hello, my key is rai_local"]


def test_the_log_of_requests_holds_neither_texts_nor_keys(tmp_path):
    process = Process(tmp_path / "m.db")
    with client(process.url) as http:
        session = new_session(http)
        say(http, session, "a very private text")
        http.get("/api/v1/users", params={"metadata_filter": '{"secret": 1}'})
        http.get("/api/v1/users", headers={"X-Recallr-Api-Key": "rai_wrong"})
    assert process.end(signal.SIGTERM) == 0
    requests = [line for line in process.lines if line["event"] == "request"]
    assert {"method", "path", "status", "seconds", "time", "level"} <= requests[0].keys()
    text = json.dumps(process.lines)
    for private in ("private text", "rai_local", "rai_wrong", "secret"):
        assert private not in text


def test_a_second_process_on_the_file_is_told_how_to_share_it(tmp_path):
    process = Process(tmp_path / "m.db")
    try:
        with (
            pytest.raises(errors.LocalServiceError, match=r"m\.db is in use .* base_url"),
            LocalRecallrAI(tmp_path / "m.db"),
        ):
            pass
    finally:
        process.end(signal.SIGKILL)
    with LocalRecallrAI(tmp_path / "m.db"):
        pass


def test_two_openings_in_one_process_share_a_server_until_the_last_one_stops(tmp_path):
    first, second = LocalRecallrAI(tmp_path / "m.db").start(), LocalRecallrAI(tmp_path / "." / "m.db").start()
    assert first.base_url == second.base_url
    first.stop()
    first.stop()
    with client(second.base_url) as http:
        assert http.get("/health").json()["status"] == "ok"
    with pytest.raises(errors.LocalServiceError, match="other settings"):
        LocalRecallrAI(tmp_path / "m.db", project_id="other").start()
    url = second.base_url
    second.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(url, trust_env=False)
    with pytest.raises(errors.LocalServiceError, match="not running"):
        _ = second.base_url


def test_databases_in_memory_are_each_their_own():
    with LocalRecallrAI() as one, LocalRecallrAI() as other:
        assert one.base_url != other.base_url
        with client(one.base_url) as http:
            new_session(http)
            assert http.get("/api/v1/users").json()["total"] == 1
        with client(other.base_url) as http:
            assert http.get("/api/v1/users").json()["total"] == 0


def test_connect_starts_and_stops_the_service(tmp_path):
    with connect(local=tmp_path / "m.db") as one, connect(local=tmp_path / "m.db") as two:
        with one.conversation("ada", "t") as talk:
            talk.record([("user", "I live in Lisbon.")])
        assert two.conversation("ada", "t").history()[0].content == "I live in Lisbon."


def foreign(path):
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE theirs (a)")
    db.close()


def newer(path):
    Database(str(path)).close()
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    db.close()


def damaged(path):
    Database(str(path)).close()
    content = bytearray(path.read_bytes())
    content[100:4096] = b"\xff" * 3996  # the page that lists the tables
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda path: path.write_bytes(b"not a database, but a letter" * 100), "not a SQLite database"),
        (foreign, "another program"),
        (newer, "pip install -U"),
        (damaged, "cannot be used|malformed"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_and_left_as_it_was(tmp_path, make, told):
    path = tmp_path / "m.db"
    make(path)
    before = path.read_bytes()
    with pytest.raises(errors.LocalServiceError, match=told) as caught:
        LocalRecallrAI(path).start()
    assert str(path) in str(caught.value)
    assert path.read_bytes() == before
    assert threading.active_count() < 50


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(errors.LocalServiceError, match="folder exists"):
        LocalRecallrAI(tmp_path / "none" / "m.db").start()


@pytest.fixture
def open_folder():
    """A folder that other accounts can look into."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o555)
        yield folder


def test_a_read_only_database_is_named(open_folder):
    path = open_folder / "m.db"
    Database(str(path)).close()
    path.chmod(0o444)
    path.with_name("m.db-lock").chmod(0o666)  # else it is what cannot be opened
    code = (
        "import os, sys\n"
        "from recallrai_integrations.local import LocalRecallrAI\n"
        "if os.getuid() == 0: os.setuid(65534)\n"  # root may write to anything
        "LocalRecallrAI(sys.argv[1]).start()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False
    )
    assert f"LocalServiceError: The database {path}" in done.stderr
    assert "read-only" in done.stderr


def test_a_port_in_use_is_named_with_the_remedy():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(errors.LocalServiceError, match=f"port {port}.*another port"):
            LocalRecallrAI(port=port).start()


@pytest.mark.parametrize(
    "options",
    [{"port": 70000}, {"port": -1}, {"api_key": "key"}, {"project_id": ""}, {"min_auto_process_seconds": 0}],
)
def test_settings_that_cannot_work_are_refused_at_once(options):
    with pytest.raises(errors.ConfigurationError):
        LocalRecallrAI(**options)


def test_the_key_is_in_no_repr():
    server = LocalRecallrAI(api_key="rai_secret")
    assert "rai_secret" not in repr(server)
    with server:
        assert "rai_secret" not in repr(server) + repr(vars(server)) + repr(server._server.service.settings)


def test_a_full_disk_is_a_clear_answer_and_loses_nothing(tmp_path):
    with LocalRecallrAI(tmp_path / "m.db") as server, client(server.base_url) as http:
        session = new_session(http)
        say(http, session, "kept")
        database = server._server.service.database
        pages = database.submit(lambda db: db.execute("PRAGMA page_count").fetchone()[0]).result()
        database.submit(lambda db: db.execute(f"PRAGMA max_page_count = {pages}")).result()
        answers = [say(http, session, "x" * 100_000) for _ in range(3)]
        assert {a.status_code for a in answers} == {503}
        assert "Free some space" in answers[0].json()["detail"]
        database.submit(lambda db: db.execute("PRAGMA max_page_count = 1000000")).result()
        assert say(http, session, "kept too").status_code == 200
        assert said(http, session) == ["kept", "kept too"]


def test_64_clients_at_once_are_all_served(tmp_path):
    with LocalRecallrAI(tmp_path / "m.db") as server:

        def talk(number):
            with client(server.base_url) as http:
                session = new_session(http, f"user-{number}")
                statuses = [say(http, session, f"I own {n} boats.").status_code for n in range(5)]
                statuses.append(http.get(f"{session}/context").status_code)
                statuses.append(http.post(f"{session}/process").status_code)
                return statuses, len(said(http, session))

        with ThreadPoolExecutor(64) as pool:
            outcomes = list(pool.map(talk, range(64)))
        assert outcomes == [([200] * 7, 5)] * 64


class Broken(FakeListChatModel):
    """A chat model that waits to be let go, and then fails."""

    responses: list[str] = Field(default_factory=list)
    asked: Any
    let_go: Any

    def _generate(self, *args: Any, **kwargs: Any) -> Any:
        self.asked.set()
        self.let_go.wait(20)
        raise RuntimeError("no more tokens, said the provider about a private text")

    def with_structured_output(self, *args: Any, **kwargs: Any) -> Any:
        return self


def test_a_failing_model_leaves_the_rules_memories_holds_up_nobody_and_loses_nothing(tmp_path, caplog):
    caplog.set_level(logging.INFO, logs.LOGGER)
    asked, let_go = threading.Event(), threading.Event()
    model = Broken(asked=asked, let_go=let_go)
    with LocalRecallrAI(tmp_path / "m.db", model=model) as server, client(server.base_url) as http:
        session = new_session(http)
        say(http, session, "I live in Lisbon.")
        http.post(f"{session}/process")
        assert asked.wait(10)
        other = new_session(http, "bob")
        assert say(http, other, "written while the model works").status_code == 200
        assert http.get(session).json()["session"]["status"] == "processing"
        let_go.set()
        while http.get(session).json()["session"]["status"] == "processing":
            time.sleep(0.01)
        assert http.get(session).json()["session"]["status"] == "processed"
        assert said(http, session) == ["I live in Lisbon."]
        assert http.get("/api/v1/users/ada/memories").json()["total"] == 1
    assert "private text" not in caplog.text


def test_a_model_that_cannot_be_loaded_is_told_at_the_start_and_frees_the_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(errors.ConfigurationError, match="nobody:nothing"):
        LocalRecallrAI(port=port, model="nobody:nothing").start()
    with LocalRecallrAI(port=port):
        pass


def test_one_bad_write_in_a_group_takes_no_other_with_it(tmp_path):
    database = Database(str(tmp_path / "m.db"))
    started, go = threading.Event(), threading.Event()

    def hold(_db):
        started.set()
        go.wait()

    first = database.submit(hold)
    started.wait()
    insert = (
        "INSERT INTO users (custom_user_id, metadata, created_at, last_active_at) VALUES (?, '{}', '', '')"
    )

    def add(*user_ids):
        return database.submit(lambda db: [db.execute(insert, (user_id,)) for user_id in user_ids] and None)

    writes = [add("a"), add("b", "a"), add("c"), add("d")]
    go.set()
    first.result()
    assert [type(write.exception()) for write in writes] == [
        type(None),
        sqlite3.IntegrityError,
        type(None),
        type(None),
    ]
    assert database.submit_read(lambda db: db.execute("SELECT count(*) FROM users").fetchone()).result() == (
        3,
    )
    database.close()
    with pytest.raises(errors.LocalServiceError, match="stopped"):
        database.submit(lambda db: None)


def test_importing_without_the_extra_says_what_to_install():
    code = "import sys; sys.modules['fastapi'] = None; import recallrai_integrations.local"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (
        'MissingDependencyError: fastapi is not installed. Run: pip install "recallrai-integrations[local]"'
        in done.stderr
    )


def test_starting_and_stopping_leaves_no_thread_and_no_open_file(tmp_path):
    with LocalRecallrAI(tmp_path / "warm.db"):
        pass
    threads, files = threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))
    for n in range(3):
        with LocalRecallrAI(tmp_path / f"{n}.db", faults=Faults(Fault(hang=True, path="/hang"))):
            pass
    assert (threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))) == (threads, files)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_client_that_is_left_hanging_does_not_hold_up_the_end(when, caplog):
    server = LocalRecallrAI(faults=Faults(Fault(hang=True, path="/hang", when=when))).start()
    with httpx.Client(trust_env=False, timeout=30) as client, ThreadPoolExecutor() as pool:
        waiting = pool.submit(client.get, server.base_url + "/hang")
        while not server._running.front._connections._hanging:
            time.sleep(0.01)
        started = time.monotonic()
        server.stop()
        assert time.monotonic() - started < 2
        with pytest.raises(httpx.RemoteProtocolError):
            waiting.result()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_guest_in_a_process_tells_its_log_what_happened(caplog):
    caplog.set_level(logging.INFO, logs.LOGGER)
    with LocalRecallrAI() as server, httpx.Client(base_url=server.base_url, trust_env=False) as client:
        client.get("/no%0Awhere")
    [record] = [one for one in caplog.records if one.name == logs.LOGGER]
    assert record.getMessage().startswith("request: method GET, path '/no\\nwhere', status 404, seconds ")
    line = json.loads(logs.JsonLines().format(record))
    assert (line["event"], line["path"], line["status"]) == ("request", "/no\nwhere", 404)


def test_log_lines_are_json_whatever_is_in_them():
    record = logging.makeLogRecord({"msg": 'a "b"\n', "levelname": "INFO", "thing": object(), "status": 200})
    line = json.loads(logs.JsonLines().format(record))
    assert (line["event"], line["status"]) == ('a "b"\n', 200)


def test_the_page_of_documentation_needs_no_network() -> None:
    with LocalRecallrAI() as server, httpx.Client(base_url=server.base_url, trust_env=False) as client:
        page = client.get("/docs").text
        assets = re.findall(r'(?:src|href)="([^"]+)"', page)
        assert assets
        for asset in assets:
            assert asset.startswith("/"), asset
            assert client.get(asset).status_code == 200, asset
        paths = client.get("/openapi.json").json()["paths"]
    assert "/api/v1/users/{custom_user_id}/sessions/{session_id}/add-message" in paths

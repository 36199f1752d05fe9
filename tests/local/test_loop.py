"""What the service does on its event loop: no file is opened there and nothing imported, first uses included."""

from __future__ import annotations

import subprocess
import sys

import pytest

WATCHED = """
import sys, threading, traceback
import httpx
from recallrai_integrations import RecallOptions, connect

found = []

def watch(event, arguments):
    if event in ("import", "open", "sqlite3.connect", "time.sleep", "subprocess.Popen"):
        if threading.current_thread().name == "recallrai-serve":
            codes = [frame.f_code for frame, _ in traceback.walk_stack(None)]
            if all(code.co_name != "_extract_endpoint_context" for code in codes):  # of FastAPI's own
                found.append((event, str(arguments[0]), codes[1].co_filename, codes[1].co_name))

with connect(local=sys.argv[1]) as connection:
    sys.addaudithook(watch)
    conversation = connection.conversation("ada", "thread-1")
    for zone in ("UTC", "Asia/Tokyo", "Europe/Lisbon"):
        conversation.record(("user", "I moved to Lisbon."))
        assert not conversation.recall(options=RecallOptions(timezone=zone)).degraded
    conversation.recall(on_progress=lambda step: None)
    conversation.finish(wait=True)
    memories = list(connection.user("ada").memories())
    connection.forget("ada")
    key, project, url = (getattr(connection._credentials, n) for n in ("api_key", "project_id", "base_url"))
    with httpx.Client(base_url=url, trust_env=False) as http:
        for path in ("/", "/health", "/docs", "/static-offline-docs/swagger-ui.css", "/nothing"):
            http.get(path)
        own = {"X-Recallr-Api-Key": key.reveal(), "X-Recallr-Project-Id": project}
        assert http.post("/api/v1/users", headers=own, content=b"{no").status_code == 422
print(found)
"""


@pytest.mark.parametrize("where", ["file", "memory"])
def test_no_request_reads_a_file_or_imports_on_the_loop(tmp_path, where):
    path = ":memory:" if where == "memory" else str(tmp_path / "m.db")
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, path], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"

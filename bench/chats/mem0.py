"""`llama-index-memory-mem0` with its own client, run in a virtual environment of its own.

Its dependencies (a vector store, an LLM vendor's client, telemetry) have no place beside ours. The child
process makes its chats with the same code as all others and hands its records back as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from bench.chats.base import Chat, Record, Recorder, drive

VENV = Path(".venv-mem0")

_PACKAGE = "llama-index-memory-mem0"
_MODULE = "bench.chats.mem0"


def unavailable() -> str:
    """Why mem0 cannot be compared here; "" when it can. Installs it at the first time."""
    if _python().exists() and _runs("-c", "import llama_index.memory.mem0").returncode == 0:
        return ""
    venv.create(VENV, with_pip=True, clear=True)
    done = _runs("-m", "pip", "install", "--quiet", "--disable-pip-version-check", _PACKAGE)
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["pip failed"])[-1]


def _runs(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([_python(), *arguments], check=False, capture_output=True, text=True)


def measure(base_url: str, turns: int, *, what: str) -> Record:
    """The record of a chat that the child process made.

    Args:
        base_url: of the stand-in.
        turns: how many.
        what: "chat engine" or "agent", or the same without mem0: "chat engine alone", "agent alone".
    """
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "MEM0_TELEMETRY": "False", "MEM0_DIR": home}
        command = [_python(), "-W", "ignore", "-m", _MODULE, base_url, str(turns), what]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return Record(**json.loads(done.stdout.splitlines()[-1]))


def _python() -> Path:
    return VENV / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


@contextmanager
def _chat(recorder: Recorder, base_url: str, what: str) -> Iterator[Chat]:
    from llama_index.core.memory import ChatMemoryBuffer, Memory
    from llama_index.memory.mem0 import Mem0Memory
    from mem0 import MemoryClient

    from bench.chats import llama_index_model as llama

    if what.endswith("alone"):
        memory = ChatMemoryBuffer.from_defaults(token_limit=100_000)
    else:
        # Mem0Memory.from_client hands its client arguments that today's client refuses.
        client = MemoryClient(api_key="m0-bench", host=base_url)
        memory = Mem0Memory(primary_memory=Memory.from_defaults(), context={"user_id": "ada"}, client=client)
    opened = (
        llama.chat_engine(recorder, memory)
        if what.startswith("chat engine")
        else llama.agent(recorder, memory, tool=False)
    )
    with opened as chat:
        yield chat


if __name__ == "__main__":
    url, count, which = sys.argv[1:]
    print(json.dumps(asdict(drive(lambda recorder: _chat(recorder, url, which), int(count)))))

"""The server as a process of its user: what it writes, how it ends, and a client of the SDK before it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from mcp.types import ElicitResult

from recallrai_integrations.cli.app import app
from recallrai_integrations.mcp.__main__ import main

from .conftest import VERSIONS, Desk, environment
from .test_tools import FIRST, refused, told

MODULE = ["-m", "recallrai_integrations.mcp"]
COMMAND = ["-m", "recallrai_integrations.cli", "mcp"]
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": VERSIONS["legacy"],
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
READY = {"jsonrpc": "2.0", "method": "notifications/initialized"}


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def command(arguments):
    """`recallrai-integrations mcp`; its exit code."""
    with pytest.raises(SystemExit) as ended:
        app(["mcp", *arguments])
    return ended.value.code


def call(number, tool, **arguments):
    params = {"name": tool, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}


def started(arguments, local=None, user_id="ada", **environ):
    given = {} if local is None else environment(local, user_id)
    return subprocess.Popen(
        [sys.executable, *arguments],
        env={**os.environ, **given, **environ},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def exchanged(process, *lines):
    """What the process answers to some lines, read until it has answered each request."""
    for line in lines:
        process.stdin.write((line if isinstance(line, str) else json.dumps(line)) + "\n")
    process.stdin.flush()
    wanted = {line["id"] for line in lines if isinstance(line, dict) and "id" in line}
    answers = {}
    while wanted - set(answers):
        answer = json.loads(process.stdout.readline())
        answers[answer.get("id")] = answer
    return answers


async def test_a_client_does_all_of_it_on_stdio(local, connection, mode):
    desk = Desk(local, connection, "stdio", mode)
    desk.teach("My dog is called Biscuit.", "I live in Lisbon.", "I live in Porto.")
    steps = []

    async def note(progress, _total, message):
        steps.append((progress, message))

    async with desk.client(ElicitResult(action="accept", content=FIRST)) as client:
        assert client.protocol_version == VERSIONS[mode]
        question = {"message": "What is my dog called?"}
        recalled = await client.call_tool("recall", question, progress_callback=note)
        assert "Biscuit" in recalled.structured_content["memories"]
        assert len(steps) >= 2
        conversation = recalled.structured_content["conversation_id"]
        await told(client, "remember", text="Biscuit.", conversation_id=conversation)
        ((conflict,),) = (await told(client, "list_merge_conflicts")).values()
        settled = await told(client, "settle_merge_conflict", conflict_id=conflict["conflict_id"])
        assert settled["settled"] is True
        (content,) = (await client.read_resource("recallrai://memories")).contents
        assert "Biscuit" in content.text
        prompt = await client.get_prompt("with_memory", {"question": "What is my dog called?"})
        assert "Biscuit" in prompt.messages[0].content.text
        assert await refused(client, "list_memories", limit=0)
    history = connection.conversation("ada", conversation).history()
    assert [one.content for one in history] == ["What is my dog called?", "Biscuit."]


@pytest.mark.parametrize("start", [MODULE, COMMAND], ids=["module", "command"])
def test_8_standard_output_is_protocol_only_and_the_process_ends_with_its_input(local, start):
    local.faults.add(status=503, path="*/memories")
    process = started(start, local)
    answers = exchanged(
        process,
        HELLO,
        READY,
        "this is no JSON",
        call(2, "recall", message="My dog is called Biscuit."),
        call(3, "list_memories"),  # an outage, which is logged
        call(4, "recall"),
    )
    assert answers[1]["result"]["serverInfo"]["name"] == "recallrai-memory"
    assert answers[2]["result"]["isError"] is False
    assert answers[3]["result"]["isError"] is True
    assert answers[4]["result"]["isError"] is True
    rest, _ = process.communicate(timeout=60)  # closes its input
    assert all(json.loads(line) for line in rest.splitlines())
    assert process.returncode == 0


def test_what_waits_is_delivered_when_the_input_ends(local, connection):
    process = started(MODULE, local)
    local.faults.add(status=503, path="*/add-message", times=4)
    exchanged(process, HELLO, READY, call(2, "remember", text="Nice.", conversation_id="t"))
    local.faults.clear()
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert [one.content for one in connection.conversation("ada", "t").history()] == ["Nice."]


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_process_that_is_interrupted_ends_without_a_traceback(local):
    process = started(MODULE, local)
    exchanged(process, HELLO)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert "Traceback" not in err


WRONG = {
    "RECALLRAI_USER_ID": ["--local", "memory.db"],
    "RECALLRAI_API_KEY": ["--user-id", "ada"],
    "RECALLRAI_MCP_TOKEN": ["--user", "ada", "--local", "memory.db", "--http"],
    "no/such/folder": ["--user", "ada", "--local", "no/such/folder/memory.db"],
}
"""What the error names, and the arguments that lead to it."""


@pytest.mark.parametrize("start", [main, command], ids=["module", "command"])
@pytest.mark.parametrize("word", WRONG)
def test_a_process_without_what_it_needs_says_so_on_standard_error(start, word, capsys):
    assert start(WRONG[word]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    (line,) = shown.err.splitlines()
    assert line.startswith("Error: ")
    assert word in line

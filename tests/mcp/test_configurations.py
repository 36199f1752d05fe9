"""The configurations of clients in the documentation are well formed, and start a server that answers."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path

from mcp import Client, StdioServerParameters, stdio_client

from .conftest import environment, opened

PAGE = (Path(__file__).parents[2] / "docs" / "frameworks" / "mcp.md").read_text(encoding="utf-8")


FIELDS = ("command", "args", "env")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def configured():
    """What each client is told to start: the command, its arguments, and names of its environment."""
    for block in blocks("json"):
        whole = json.loads(block)
        (servers,) = (value for name, value in whole.items() if name != "inputs")
        (server,) = servers.values()
        yield [server["command"], *server["args"]], set(server["env"])
    for block in blocks("toml"):
        command, arguments, env = (re.search(rf"^{name} = (.*)$", block, re.MULTILINE)[1] for name in FIELDS)
        yield [json.loads(command), *json.loads(arguments)], set(re.findall(r"(\w+) =", env))
    (line,) = (block for block in blocks("sh") if block.startswith("claude"))
    options, _, command = line.partition(" -- ")
    yield shlex.split(command), set(re.findall(r"--env (\w+)=", options))


def test_all_clients_are_told_to_start_the_same():
    told = list(configured())
    assert len(told) == 5
    for command, names in told:
        assert command == ["recallrai-integrations", "mcp", "--user", "ada"]
        assert names == {"RECALLRAI_API_KEY", "RECALLRAI_PROJECT_ID"}


async def test_what_they_start_answers(local):
    command, _ = next(configured())
    module = ["-m", "recallrai_integrations.cli", *command[1:]]  # what the command runs
    start = StdioServerParameters(command=sys.executable, args=module, env=environment(local, None))
    async with opened(Client(stdio_client(start))) as client:
        result = await client.call_tool("recall", {"message": "What is my dog called?"})
        assert not result.is_error

"""The adapters of other memory services for agent frameworks, run in a virtual environment of their own.

They want other versions of the frameworks than ours. The child process makes its chats with the same code as
all others and hands its records back as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from bench import dialogue
from bench.chats.base import Chat, Record, Recorder, drive

VENV = Path(os.environ.get("BENCH_PEERS_VENV", ".venv-peers"))

PACKAGES = (
    "zep-pydantic-ai==1.0.0",
    "hindsight-openai-agents==0.1.2",
    "hindsight-pydantic-ai==0.4.20",
    "mem0ai==2.2.1",
    "mem0-mcp-server==0.2.1",
)


def unavailable() -> str:
    """Why they cannot be compared here; "" when they can. Installs them at the first time."""
    wanted = f"from importlib.metadata import version as v\nfor p in {PACKAGES}:\n"
    wanted += "    name, number = p.split('==')\n    assert v(name) == number"
    if _python().exists() and _runs("-c", wanted).returncode == 0:
        return ""
    venv.create(VENV, with_pip=True, clear=True)
    done = _runs("-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES)
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["pip failed"])[-1]


def measure(base_url: str, turns: int, what: str) -> Record:
    """The record of a chat that the child process made.

    Args:
        base_url: of the stand-in.
        turns: how many.
        what: one of `CHATS`.
    """
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "MEM0_TELEMETRY": "False", "MEM0_DIR": home, "MEM0_API_KEY": "m0-bench"}
        command = [_python(), "-W", "ignore", "-m", "bench.chats.peers", base_url, str(turns), what]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return Record(**json.loads(done.stdout.splitlines()[-1]))


def _runs(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([_python(), *arguments], check=False, capture_output=True, text=True)


def _python() -> Path:
    return VENV / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


@contextmanager
def _zep(recorder: Recorder, base_url: str, **options: Any) -> Iterator[Chat]:
    """`zep_capabilities`, the wiring that its documentation begins with."""
    from zep_cloud.client import AsyncZep
    from zep_pydantic_ai import ZepDeps, zep_capabilities

    from bench.chats.pydantic_ai_model import chat

    deps = ZepDeps(AsyncZep(api_key="bench", base_url=f"{base_url}/zep"), "ada", "thread")
    with chat(recorder, deps=deps, deps_type=ZepDeps, capabilities=zep_capabilities(deps), **options) as made:
        yield made


@contextmanager
def _hindsight_pydantic_ai(recorder: Recorder, base_url: str, **options: Any) -> Iterator[Chat]:
    """`memory_instructions`; its tools store what the model decides to store."""
    from hindsight_pydantic_ai import memory_instructions

    from bench.chats.pydantic_ai_model import chat

    recalls = memory_instructions(bank_id="ada", hindsight_api_url=base_url)
    with chat(recorder, instructions=[dialogue.APP_PROMPT, recalls], **options) as made:
        yield made


@contextmanager
def _hindsight_openai(
    recorder: Recorder, base_url: str, *, tool: bool = False, **options: Any
) -> Iterator[Chat]:
    """The same for the OpenAI Agents SDK."""
    from hindsight_openai_agents import memory_instructions

    from bench.chats.openai_agents_model import LOOK_UP, chat

    instructions = memory_instructions(
        bank_id="ada", hindsight_api_url=base_url, base_instructions=dialogue.APP_PROMPT
    )
    options["calls"] = [LOOK_UP] if tool else []
    with chat(recorder, _session_only, instructions=instructions, **options) as made:
        yield made


@contextmanager
def _mem0_openai(recorder: Recorder, base_url: str, **options: Any) -> Iterator[Chat]:
    """Two tools around its client, as its documentation has them; the model calls both in each turn."""
    from agents import function_tool
    from mem0 import AsyncMemoryClient

    from bench.chats.openai_agents_model import chat

    client = AsyncMemoryClient(api_key="m0-bench", host=base_url)

    @function_tool
    async def search_memory(query: str) -> str:
        """Searches what is remembered of the user."""
        found = await client.search(query, filters={"user_id": "ada"})
        return "\n".join(one["memory"] for one in found["results"])

    @function_tool
    async def save_memory(content: str) -> str:
        """Remembers something of the user."""
        await client.add([{"role": "user", "content": content}], user_id="ada")
        return "Saved."

    calls = [("search_memory", "query"), ("save_memory", "content")]
    tools = [search_memory, save_memory]
    with chat(recorder, _session_only, calls=calls, tools=tools, **options) as made:
        yield made


@contextmanager
def _mem0_mcp(recorder: Recorder, base_url: str) -> Iterator[Chat]:
    """Its MCP server, asked by a host as ours is: a search before the model, an add after it."""
    import mem0_mcp_server.server as mem0
    from mcp.shared.memory import create_connected_server_and_client_session as connected

    from bench.measuring import event_loop

    mem0.MemoryClient = partial(mem0.MemoryClient, host=base_url)  # its address is no setting of the server
    said: list[tuple[str, str]] = []
    turns: asyncio.Queue[tuple[int, asyncio.Future[None]] | None] = asyncio.Queue()

    async def host() -> None:
        async with connected(mem0.create_server.__wrapped__()) as client:  # without its hosting's wrapper
            while (turn := await turns.get()) is not None:
                n, done = turn
                question = dialogue.question(n)
                found = await client.call_tool("search_memories", {"query": question})
                memories = "\n".join(one["memory"] for one in json.loads(found.content[0].text)["results"])
                system = ("system", dialogue.APP_PROMPT)
                answer = recorder.answer([system, *said, ("user", f"{memories}\n\n{question}")])
                said.extend([("user", question), ("assistant", answer)])
                messages = [{"role": role, "content": text} for role, text in said[-2:]]
                await client.call_tool("add_memory", {"text": question, "messages": messages})
                done.set_result(None)

    with event_loop() as loop:
        served = loop.create_task(host())

        def turn(n: int) -> None:
            done = loop.create_future()
            turns.put_nowait((n, done))
            loop.run_until_complete(asyncio.wait([done, served], return_when=asyncio.FIRST_COMPLETED))
            if served.done():
                served.result()

        yield Chat(turn)
        turns.put_nowait(None)
        loop.run_until_complete(served)


def _session_only(session: Any) -> dict[str, Any]:
    return {"session": session}


def _alone(framework: str, recorder: Recorder, _: str, *, tool: bool = False) -> AbstractContextManager[Chat]:
    if framework == "openai":
        from bench.chats.openai_agents_model import LOOK_UP
        from bench.chats.openai_agents_model import chat as of_openai

        return of_openai(recorder, _session_only, calls=[LOOK_UP] if tool else [])
    from bench.chats.pydantic_ai_model import chat as of_pydantic_ai

    return of_pydantic_ai(recorder, tool=tool)


_WAYS: dict[str, Callable[..., AbstractContextManager[Chat]]] = {
    "zep-pydantic-ai": _zep,
    "hindsight-pydantic-ai": _hindsight_pydantic_ai,
    "hindsight-openai-agents": _hindsight_openai,
}

CHATS: dict[str, Callable[..., AbstractContextManager[Chat]]] = {
    **_WAYS,
    **{f"{name}, a tool call a turn": partial(way, tool=True) for name, way in _WAYS.items()},
    **{f"{name}, streamed": partial(way, streamed=True) for name, way in _WAYS.items()},
    "mem0's tools for OpenAI Agents": _mem0_openai,
    "mem0's tools for OpenAI Agents, streamed": partial(_mem0_openai, streamed=True),
    "mem0-mcp-server": _mem0_mcp,
    "OpenAI agent alone": partial(_alone, "openai"),
    "OpenAI agent alone, a tool call a turn": partial(_alone, "openai", tool=True),
    "Pydantic AI agent alone": partial(_alone, "pydantic"),
    "Pydantic AI agent alone, a tool call a turn": partial(_alone, "pydantic", tool=True),
}
"""What can be measured; "alone" is the framework without a memory."""


if __name__ == "__main__":
    url, count, which = sys.argv[1:]
    print(json.dumps(asdict(drive(lambda recorder: CHATS[which](recorder, url), int(count)))))

"""Many users of one server: the verified token says who is calling, and nothing else does."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time

import httpx
import pytest
from mcp import Client, MCPError
from mcp.types import ElicitResult

from recallrai_integrations import ConfigurationError
from recallrai_integrations.mcp import create_server

from .conftest import VERSIONS, calling, guarded, listening
from .test_stdio import COMMAND, HELLO
from .test_tools import FIRST, refused, told

JSON = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}


@pytest.fixture
async def url(connection):
    async with listening(guarded(connection, user_id="eve")) as address:
        yield address


async def status(url, **headers):
    async with httpx.AsyncClient() as http:
        return (await http.post(url, json=HELLO, headers={**JSON, **headers})).status_code


@pytest.mark.parametrize(
    "authorization", [None, "Bearer", "Bearer wrong", "Basic user:ada", "Bearer old:ada", "user:ada"]
)
async def test_a_token_that_is_missing_wrong_or_expired_gets_401(url, local, authorization):
    headers = {} if authorization is None else {"Authorization": authorization}
    assert await status(url, **headers) == 401
    assert len(local.requests) == 0


async def test_a_client_without_a_good_token_cannot_connect(url, local, mode):
    for token in (None, "old:ada"):
        with pytest.raises(Exception):  # noqa: B017, PT011 - a group of groups of the client's own
            async with calling(url, token, mode=mode):
                pass
    assert len(local.requests) == 0


async def test_2_a_token_without_a_subject_is_nobody_even_with_a_default_user(url, local, mode):
    async with calling(url, "nobody:", mode=mode) as client:
        for tool, arguments in {
            "recall": {"message": "hi"},
            "remember": {"text": "hi"},
            "list_memories": {},
            "settle_merge_conflict": {"conflict_id": "c"},
        }.items():
            assert "No user id" in await refused(client, tool, **arguments)
        with pytest.raises(MCPError, match="No user id"):
            await client.read_resource("recallrai://memories")
        with pytest.raises(MCPError, match="No user id"):
            await client.get_prompt("with_memory", {"question": "hi"})
    assert len(local.requests) == 0


async def test_4_the_same_conversation_id_of_two_users_is_two_conversations(url, connection, mode):
    async with calling(url, "user:ada", mode=mode) as ada, calling(url, "user:bob", mode=mode) as bob:
        await told(ada, "recall", message="My dog is called Biscuit.", conversation_id="t")
        recalled = await told(bob, "recall", message="What is my dog called?", conversation_id="t")
        assert "Biscuit" not in recalled["memories"]
    for user_id, said in (("ada", "My dog is called Biscuit."), ("bob", "What is my dog called?")):
        assert [one.content for one in connection.conversation(user_id, "t").history()] == [said]


async def test_nothing_of_one_user_is_shown_to_or_changed_by_another(local, connection, url, mode):
    for fact in ("I live in Lisbon.", "I live in Porto."):
        with connection.conversation("ada") as earlier:
            earlier.record(("user", fact))
            earlier.finish(wait=30)
    (memory,) = connection.user("ada").memories()
    (conflict,) = connection.user("ada").conflicts()

    async def answer(_context, _form):
        return ElicitResult(action="accept", content=FIRST)

    async with calling(url, "user:bob", mode=mode, elicitation_callback=answer) as bob:
        assert await told(bob, "list_memories") == {"memories": []}
        assert await told(bob, "search_memory", question="Where do I live?") == {"memories": []}
        assert await told(bob, "list_merge_conflicts") == {"conflicts": []}
        await refused(bob, "forget_memory", memory_id=memory.memory_id)
        await refused(bob, "settle_merge_conflict", conflict_id=conflict.conflict_id)
        (content,) = (await bob.read_resource("recallrai://memories")).contents
        assert "Lisbon" not in content.text
    assert connection.user("ada").memories() == [memory]
    assert connection.user("ada").conflicts() == [conflict]


async def test_identify_finds_the_user_in_the_claims_of_the_token(connection, mode):
    server = guarded(connection, identify=lambda token: (token.claims or {}).get("email"))
    async with listening(server) as address:
        async with calling(address, "mail:ada@example.com", mode=mode) as client:
            await told(client, "recall", message="hi", conversation_id="t")
        async with calling(address, "user:bob", mode=mode) as client:  # a subject, and no such claim
            assert "No user id" in await refused(client, "recall", message="hi")
    assert len(connection.conversation("ada@example.com", "t").history()) == 1


async def test_a_session_of_one_user_is_not_found_by_another(url):
    async with httpx.AsyncClient(headers=JSON) as http:
        ada, bob = ({"Authorization": f"Bearer user:{name}"} for name in ("ada", "bob"))
        opened = await http.post(url, json=HELLO, headers=ada)
        session = {"Mcp-Session-Id": opened.headers["mcp-session-id"]}
        tools = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
        assert (await http.post(url, json=tools, headers={**bob, **session})).status_code == 404
        assert (await http.post(url, json=tools, headers={**ada, **session})).status_code == 200


async def test_a_foreign_host_is_turned_away(url):
    assert await status(url, Authorization="Bearer user:ada", Host="evil.example.com") == 421


def test_a_server_without_tokens_has_no_http_app(connection):
    server = create_server(connection, user_id="ada")
    for app in (server.streamable_http_app, server.sse_app, lambda: server.run("streamable-http", port=0)):
        with pytest.raises(ConfigurationError, match="token_verifier"):
            app()


async def test_a_hundred_users_at_once_on_one_server_do_not_mix(url, connection):
    connected = asyncio.Semaphore(25)  # the first ones have gone on before the last ones come

    async def turn(number):
        version = list(VERSIONS)[number % 2]
        async with connected, calling(url, f"user:u{number}", mode=version) as client:
            said = f"My lucky number is {number}."
            recalled = await told(client, "recall", message=said, conversation_id="t")
            await told(client, "remember", text=f"Noted: {number}.", conversation_id="t")
        return recalled["memories"]

    assert set(await asyncio.gather(*map(turn, range(100)))) == {""}
    for number in range(100):
        history = connection.conversation(f"u{number}", "t").history()
        assert [one.content for one in history] == [f"My lucky number is {number}.", f"Noted: {number}."]


async def test_the_command_serves_one_user_over_http_to_whoever_has_the_token(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = "a-secret-of-twenty-letters"
    arguments = ["--user", "ada", "--local", str(tmp_path / "memory.db"), "--http", "--port", str(port)]
    process = subprocess.Popen(  # noqa: ASYNC220 - it begins at once
        [sys.executable, *COMMAND, *arguments],
        env={**os.environ, "RECALLRAI_MCP_TOKEN": token},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    address = f"http://127.0.0.1:{port}/mcp"
    try:
        until = time.monotonic() + 60
        while True:
            try:
                assert await status(address) == 401
                break
            except httpx.ConnectError:
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < until
                await asyncio.sleep(0.1)
        assert await status(address, Authorization="Bearer another-secret-of-that-length") == 401
        async with calling(address, token) as client:
            await told(client, "remember", text="My dog is called Biscuit.", said_by="user")
    finally:
        process.terminate()
        out, err = process.communicate(timeout=60)
    assert out == ""
    assert token not in err
    assert "Traceback" not in err


async def test_a_client_in_the_same_process_is_the_user_of_the_process(connection, mode):
    async with Client(guarded(connection, user_id="ada"), mode=mode) as client:
        await told(client, "recall", message="hi", conversation_id="t")
    assert len(connection.conversation("ada", "t").history()) == 1

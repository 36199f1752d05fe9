"""The contract of all adapters, by a host that asks its memory over MCP before the model and after it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
from mcp import Client

from recallrai_integrations.mcp import create_server
from recallrai_integrations.testing import AdapterContract, Answered, RunFailed

from .conftest import calling, guarded, listening, opened


class Host:
    """An application with a model, whose memory is a client of MCP."""

    def __init__(self, model):
        self.model = model

    async def ask(self, client, text, thread_id):
        recalled = await self._call(client, "recall", message=text, conversation_id=thread_id or "")
        answer = await self.model(f"{recalled['memories']}\n{text}")
        conversation_id = recalled["conversation_id"]
        await self._call(client, "remember", text=answer, conversation_id=conversation_id)
        return answer

    async def _call(self, client, tool, **arguments):
        result = await client.call_tool(tool, arguments)
        if result.is_error:
            raise RunFailed(result.content[0].text)
        return result.structured_content


class OverMCP(AdapterContract):
    mode = "auto"
    where = "RECALLRAI_USER_ID"
    lacks = (
        dict.fromkeys(["stream", "leave"], "a tool answers at once")
        | dict.fromkeys(["delegate", "hand_off", "pause"], "agents are the client's")
        | {"kept": "the server keeps nothing, and the conversation is the client's"}
        | {"retry": "a call that a client makes again has nothing to be known by"}
    )

    @asynccontextmanager
    async def client(self, connection, user_id):
        server = create_server(connection, user_id=user_id)
        async with opened(Client(server, mode=self.mode)) as client:
            yield client

    async def turn(self, connection, user_id, thread_id, text):
        return await self._ask(connection, user_id, thread_id, text)

    async def narrate(self, connection, user_id, thread_id, text):
        async def look_up(client):
            await client.call_tool(
                "list_memories", {}
            )  # with `narration` beside the call, which nobody stores

        return await self._ask(connection, user_id, thread_id, text, meanwhile=look_up)

    async def fail(self, connection, user_id, thread_id, text):
        async def broken(_prompt):
            raise ConnectionError

        async with self.client(connection, user_id) as client:
            with pytest.raises(ConnectionError):
                await Host(broken).ask(client, text, thread_id)

    async def cancel(self, connection, user_id, thread_id, text):
        thinking = asyncio.Event()

        async def slow(_prompt):
            thinking.set()
            await asyncio.sleep(60)

        async with self.client(connection, user_id) as client:
            asking = asyncio.create_task(Host(slow).ask(client, text, thread_id))
            await thinking.wait()
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking

    async def at_once(self, connection, asked):
        async with listening(guarded(connection)) as url:

            async def turn(user_id, thread_id, text):
                async with calling(url, f"user:{user_id}", mode=self.mode) as client:
                    return await self._answered(client, thread_id, text)

            return await asyncio.gather(*(turn(*one) for one in asked))

    async def _ask(self, connection, user_id, thread_id, text, meanwhile=None):
        async with self.client(connection, user_id) as client:
            return await self._answered(client, thread_id, text, meanwhile)

    async def _answered(self, client, thread_id, text, meanwhile=None):
        prompts = []

        async def model(prompt):
            prompts.append(prompt)
            if meanwhile is not None:
                await meanwhile(client)
            return f"Answer to {text}"

        return Answered(await Host(model).ask(client, text, thread_id), prompts)


class TestStateless(OverMCP):
    """2026-07-28."""


class TestWithASession(OverMCP):
    """2025-11-25."""

    mode = "legacy"


class TestOverHTTP(OverMCP):
    """The user is the token's."""

    where = "verified token"

    @asynccontextmanager
    async def client(self, connection, user_id):
        token = "nobody:" if user_id is None else f"user:{user_id}"
        async with listening(guarded(connection)) as url, calling(url, token, mode=self.mode) as client:
            yield client

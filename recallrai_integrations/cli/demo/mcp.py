"""An assistant whose memory is a server of MCP: it is asked before the model, and told the answer."""

from __future__ import annotations

import asyncio
from typing import Any

from mcp import Client
from mcp.types import TextContent

from recallrai_integrations import Connection, Message
from recallrai_integrations.cli._common import WrongUseError
from recallrai_integrations.cli.models import open_model
from recallrai_integrations.mcp import create_server

from .story import SYSTEM_PROMPT, Exchange

__all__ = ["AssistantTalk"]


class AssistantTalk:
    """A client of the SDK in front of `create_server`."""

    def __init__(self, connection: Connection, user_id: str, thread_id: str, model: str | None) -> None:
        self._server = create_server(connection, user_id=user_id)
        self._thread_id = thread_id
        self._model = open_model(model)
        self._said: list[Message] = []

    def say(self, text: str) -> Exchange:
        """One turn."""
        return asyncio.run(self._turn(text))

    async def _turn(self, text: str) -> Exchange:
        async with Client(self._server) as client:
            recalled = await self._call(client, "recall", message=text)
            self._said.append(Message("user", text))
            system = f"{SYSTEM_PROMPT}\n\n{recalled['memories']}"
            answer = "".join(self._model.stream(system, self._said))
            self._said.append(Message("assistant", answer))
            await self._call(client, "remember", text=answer)
        return Exchange(answer, [system, *(one.content for one in self._said[:-1])])

    async def _call(self, client: Client, tool: str, **arguments: str) -> dict[str, Any]:
        result = await client.call_tool(tool, {**arguments, "conversation_id": self._thread_id})
        value: dict[str, Any] | None = result.structured_content
        if result.is_error or value is None:
            (block, *_) = result.content
            raise WrongUseError(block.text if isinstance(block, TextContent) else f"{tool} failed.")
        return value

"""A host whose memory is an MCP server, asked by the client of the SDK, and the same two without a memory."""

# No `from __future__ import annotations`: the server evaluates the annotations of functions in functions.

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from anyio.from_thread import start_blocking_portal
from mcp import Client
from mcp.server.mcpserver import MCPServer

from bench import dialogue
from bench.chats.base import Chat, Recorder
from bench.chats.ours import Setting
from recallrai_integrations.mcp import create_server


@contextmanager
def chat(setting: Setting, recorder: Recorder) -> Iterator[Chat]:
    """`recall` before the model, `remember` after it."""
    connection = setting.connect()
    server = create_server(connection, user_id=uuid.uuid4().hex)
    with connection, _host(server, recorder) as host:
        yield Chat(host.turn, connection.flush)


@contextmanager
def alone(recorder: Recorder) -> Iterator[Chat]:
    """Tools of the same names that do nothing."""
    server = MCPServer("nothing", log_level="WARNING")

    @server.tool()
    async def recall(message: str, conversation_id: str) -> dict[str, str]:
        del message
        return {"memories": "", "conversation_id": conversation_id}

    @server.tool()
    async def remember(text: str, conversation_id: str) -> dict[str, str]:
        del text
        return {"conversation_id": conversation_id}

    with _host(server, recorder) as host:
        yield host


@contextmanager
def _host(server: MCPServer, recorder: Recorder) -> Iterator[Chat]:
    said: list[tuple[str, str]] = []
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(Client(server)) as client:

        def turn(n: int) -> None:
            question = dialogue.question(n)
            asked = {"message": question, "conversation_id": "thread"}
            memories = portal.call(client.call_tool, "recall", asked).structured_content["memories"]
            system = ("system", dialogue.APP_PROMPT)
            answer = recorder.answer([system, *said, ("user", f"{memories}\n\n{question}")])
            said.extend([("user", question), ("assistant", answer)])
            portal.call(client.call_tool, "remember", {"text": answer, "conversation_id": "thread"})

        yield Chat(turn)

"""Our LlamaIndex memory in a chat engine and in an agent, and the same two without it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from llama_index.core.memory import ChatMemoryBuffer

from bench.chats import llama_index_model as llama
from bench.chats.base import Chat, Recorder
from bench.chats.ours import Setting
from recallrai_integrations.llama_index import RecallrAIMemory


@contextmanager
def chat_engine(setting: Setting, recorder: Recorder) -> Iterator[Chat]:
    """`SimpleChatEngine` with our memory."""
    with setting.connect() as connection:
        memory = RecallrAIMemory(uuid.uuid4().hex, "thread", connection=connection)
        with llama.chat_engine(recorder, memory) as chat:
            yield Chat(chat.turn, connection.flush)


@contextmanager
def agent(
    setting: Setting,
    recorder: Recorder,
    *,
    tool: bool = False,
) -> Iterator[Chat]:
    """`FunctionAgent` with our memory."""
    with setting.connect() as connection:
        memory = RecallrAIMemory(uuid.uuid4().hex, "thread", connection=connection)
        with llama.agent(recorder, memory, tool=tool) as chat:
            yield Chat(chat.turn, connection.flush)


@contextmanager
def chat_engine_alone(recorder: Recorder) -> Iterator[Chat]:
    """The engine with the memory that it has by default."""
    with llama.chat_engine(recorder, ChatMemoryBuffer.from_defaults(token_limit=100_000)) as chat:
        yield chat


@contextmanager
def agent_alone(recorder: Recorder, *, tool: bool = False) -> Iterator[Chat]:
    """The agent with the memory that it has by default."""
    memory = ChatMemoryBuffer.from_defaults(token_limit=100_000)
    with llama.agent(recorder, memory, tool=tool) as chat:
        yield chat

"""Our LlamaIndex memory in a chat engine and in an agent, and the same two without it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from llama_index.core.memory import ChatMemoryBuffer

from bench.chats import llama_index_model as llama
from bench.chats.base import Chat, Recorder
from bench.service import StandIn
from recallrai_integrations import ContextOptions, DeliveryOptions, RecallOptions, connect
from recallrai_integrations.llama_index import RecallrAIMemory

_RECALL = RecallOptions(strategy="low_latency")


@contextmanager
def chat_engine(
    service: StandIn, recorder: Recorder, *, context: ContextOptions, delivery: DeliveryOptions
) -> Iterator[Chat]:
    """`SimpleChatEngine` with our memory."""
    with connect(**service.credentials, recall=_RECALL, delivery=delivery) as connection:
        memory = RecallrAIMemory(uuid.uuid4().hex, "thread", connection=connection, context=context)
        with llama.chat_engine(recorder, memory) as chat:
            yield Chat(chat.turn, connection.flush)


@contextmanager
def agent(
    service: StandIn,
    recorder: Recorder,
    *,
    context: ContextOptions,
    delivery: DeliveryOptions,
    tool: bool = False,
) -> Iterator[Chat]:
    """`FunctionAgent` with our memory."""
    connection = connect(**service.credentials, recall=_RECALL, delivery=delivery)
    memory = RecallrAIMemory(uuid.uuid4().hex, "thread", connection=connection, context=context)
    with connection, llama.agent(recorder, memory, tool=tool) as chat:
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

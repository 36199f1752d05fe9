"""A Pydantic AI agent with our memory, and the same one without us."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from bench.chats.base import Chat, Recorder
from bench.chats.pydantic_ai_model import chat as chat_of
from bench.service import StandIn
from recallrai_integrations import ContextOptions, DeliveryOptions, RecallOptions, connect
from recallrai_integrations.pydantic_ai import RecallrAIMemory

_RECALL = RecallOptions(strategy="low_latency")


@contextmanager
def agent(
    service: StandIn,
    recorder: Recorder,
    *,
    context: ContextOptions,
    delivery: DeliveryOptions,
    tool: bool = False,
    streamed: bool = False,
) -> Iterator[Chat]:
    """`Agent` with our capability; the application hands the history over."""
    with connect(**service.credentials, recall=_RECALL, context=context, delivery=delivery) as connection:
        memory = RecallrAIMemory(connection, user_id=uuid.uuid4().hex, thread_id="thread")
        with chat_of(recorder, tool=tool, streamed=streamed, capabilities=[memory]) as chat:
            yield dataclasses.replace(chat, settle=connection.flush)


@contextmanager
def agent_alone(recorder: Recorder, *, tool: bool = False) -> Iterator[Chat]:
    """The agent itself."""
    with chat_of(recorder, tool=tool) as chat:
        yield chat

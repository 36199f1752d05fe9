"""A Pydantic AI agent with our memory, and the same one without us."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from bench.chats.base import Chat, Recorder
from bench.chats.ours import Setting
from bench.chats.pydantic_ai_model import chat as chat_of
from recallrai_integrations.pydantic_ai import RecallrAIMemory


@contextmanager
def agent(
    setting: Setting,
    recorder: Recorder,
    *,
    tool: bool = False,
    streamed: bool = False,
) -> Iterator[Chat]:
    """`Agent` with our capability; the application hands the history over."""
    with setting.connect() as connection:
        memory = RecallrAIMemory(connection, user_id=uuid.uuid4().hex, thread_id="thread")
        with chat_of(recorder, tool=tool, streamed=streamed, capabilities=[memory]) as chat:
            yield dataclasses.replace(chat, settle=connection.flush)


@contextmanager
def agent_alone(recorder: Recorder, *, tool: bool = False) -> Iterator[Chat]:
    """The agent itself."""
    with chat_of(recorder, tool=tool) as chat:
        yield chat

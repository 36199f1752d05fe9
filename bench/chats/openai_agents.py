"""Our memory in runs of an agent of the OpenAI Agents SDK, and the same runs without it."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from bench.chats.base import Chat, Recorder
from bench.chats.openai_agents_model import LOOK_UP
from bench.chats.openai_agents_model import chat as chat_of
from bench.chats.ours import Setting
from recallrai_integrations.openai_agents import RecallrAIMemory


@contextmanager
def agent(
    setting: Setting,
    recorder: Recorder,
    *,
    tool: bool = False,
    streamed: bool = False,
) -> Iterator[Chat]:
    """`Runner.run` with our memory beside a session of the SDK."""
    with setting.connect() as connection:
        memory = RecallrAIMemory(connection, user_id=uuid.uuid4().hex)
        calls = [LOOK_UP] if tool else []
        with chat_of(
            recorder, lambda session: memory.for_run(session=session), calls=calls, streamed=streamed
        ) as chat:
            yield dataclasses.replace(chat, settle=connection.flush)


@contextmanager
def agent_alone(recorder: Recorder, *, tool: bool = False) -> Iterator[Chat]:
    """The same with the session only."""
    with chat_of(recorder, lambda session: {"session": session}, calls=[LOOK_UP] if tool else []) as chat:
        yield chat

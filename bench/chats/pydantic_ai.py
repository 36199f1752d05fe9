"""A Pydantic AI agent with our memory, and the same one without us."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel

from bench import dialogue
from bench.chats.base import Chat, Recorder
from bench.measuring import event_loop
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
) -> Iterator[Chat]:
    """`Agent` with our capability; the application hands the history over."""
    with connect(**service.credentials, recall=_RECALL, context=context, delivery=delivery) as connection:
        memory = RecallrAIMemory(connection, user_id=uuid.uuid4().hex, thread_id="thread")
        with _agent(recorder, [memory], tool=tool) as chat:
            yield Chat(chat.turn, connection.flush)


@contextmanager
def agent_alone(recorder: Recorder, *, tool: bool = False) -> Iterator[Chat]:
    """The agent itself."""
    with _agent(recorder, [], tool=tool) as chat:
        yield chat


def look_up(what: str) -> str:
    """Looks something up."""
    return f"Nothing new about {what}."


@contextmanager
def _agent(recorder: Recorder, capabilities: Sequence[Any], *, tool: bool) -> Iterator[Chat]:
    def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        text = recorder.answer([("system", info.instructions or ""), *_said(messages)])
        if info.function_tools and isinstance(messages[-1].parts[-1], UserPromptPart):
            return ModelResponse([ToolCallPart("look_up", {"what": "trains"})])
        return ModelResponse([TextPart(text)])

    made = Agent(
        FunctionModel(model),
        instructions=dialogue.APP_PROMPT,
        tools=[look_up] if tool else [],
        capabilities=capabilities,
    )
    history: list[ModelMessage] = []
    with event_loop() as loop:

        def turn(n: int) -> None:
            result = loop.run_until_complete(made.run(dialogue.question(n), message_history=history))
            history[:] = result.all_messages()

        yield Chat(turn)


def _said(messages: Sequence[ModelMessage]) -> Iterator[tuple[str, str]]:
    for message in messages:
        role = "user" if isinstance(message, ModelRequest) else "assistant"
        yield from ((role, str(getattr(part, "content", ""))) for part in message.parts)

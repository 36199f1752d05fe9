"""Our memory in runs of an agent of the OpenAI Agents SDK, and the same runs without it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from agents import Agent, Model, ModelResponse, Runner, Session, SQLiteSession, Usage, function_tool
from agents.tracing import set_tracing_disabled
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

from bench import dialogue
from bench.chats.base import Chat, Recorder
from bench.measuring import event_loop, on_loop
from bench.service import StandIn
from recallrai_integrations import ContextOptions, DeliveryOptions, RecallOptions, connect
from recallrai_integrations.adapter import parts_text
from recallrai_integrations.openai_agents import RecallrAIMemory

_RECALL = RecallOptions(strategy="low_latency")


class RecordingModel(Model):
    """Answers a question by calling the tool it has, if any, and a tool's result by the turn's answer."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    async def get_response(self, *_: Any, **request: Any) -> ModelResponse:
        items = request["input"]
        said = [(str(one.get("role", "tool")), parts_text(one.get("content"))) for one in items]
        text = self._recorder.answer([("system", request["system_instructions"]), *said])
        part = ResponseOutputText(text=text, type="output_text", annotations=[])
        output: Any = ResponseOutputMessage(
            id="1", content=[part], role="assistant", status="completed", type="message"
        )
        if request["tools"] and items[-1].get("role") == "user":
            output = ResponseFunctionToolCall(
                call_id=uuid.uuid4().hex,
                name="look_up",
                arguments='{"what": "trains"}',
                type="function_call",
            )
        return ModelResponse(output=[output], usage=Usage(), response_id=None)

    def stream_response(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError


@function_tool
def look_up(what: str) -> str:
    """Looks something up."""
    return f"Nothing new about {what}."


@contextmanager
def agent(
    service: StandIn,
    recorder: Recorder,
    *,
    context: ContextOptions,
    delivery: DeliveryOptions,
    tool: bool = False,
) -> Iterator[Chat]:
    """`Runner.run` with our memory beside a session of the SDK."""
    with connect(**service.credentials, recall=_RECALL, delivery=delivery) as connection:
        memory = RecallrAIMemory(connection, user_id=uuid.uuid4().hex, context=context)
        with _agent(recorder, lambda session: memory.for_run(session=session), tool=tool) as chat:
            yield Chat(chat.turn, connection.flush)


@contextmanager
def agent_alone(recorder: Recorder, *, tool: bool = False) -> Iterator[Chat]:
    """The same with the session only."""
    with _agent(recorder, lambda session: {"session": session}, tool=tool) as chat:
        yield chat


@contextmanager
def _agent(
    recorder: Recorder, arguments: Callable[[Session], Mapping[str, Any]], *, tool: bool
) -> Iterator[Chat]:
    set_tracing_disabled(disabled=True)
    runs = Agent[Any](
        "Assistant",
        instructions=dialogue.APP_PROMPT,
        model=RecordingModel(recorder),
        tools=[look_up] if tool else [],
    )
    session = SQLiteSession("thread")

    async def turn(n: int) -> None:
        await Runner.run(runs, dialogue.question(n), **arguments(session))

    with event_loop() as loop:
        yield Chat(on_loop(loop, turn))
    session.close()

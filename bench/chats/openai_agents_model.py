"""The recorder as a model of the OpenAI Agents SDK, and a chat of an agent with any memory or none."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from agents import Agent, Model, ModelResponse, Runner, Session, SQLiteSession, Usage, function_tool
from agents.tracing import set_tracing_disabled
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
)

from bench import dialogue
from bench.chats.base import Chat, Recorder
from bench.measuring import event_loop, on_loop

Call = tuple[str, str]
"""A tool's name, and the argument that takes the question."""

LOOK_UP: Call = ("look_up", "what")


class RecordingModel(Model):
    """Calls tools for a question, one after the other with a word about it, then gives the turn's answer."""

    def __init__(self, recorder: Recorder, calls: Sequence[Call]) -> None:
        self._recorder = recorder
        self._calls = calls

    async def get_response(self, *request: Any, **named: Any) -> ModelResponse:
        return ModelResponse(output=self._output(*request, **named), usage=Usage(), response_id=None)

    async def stream_response(self, *request: Any, **named: Any) -> Any:
        response = Response(
            id=uuid.uuid4().hex,
            created_at=0,
            model="recorder",
            object="response",
            output=self._output(*request, **named),
            tool_choice="auto",
            tools=[],
            parallel_tool_calls=False,
        )
        yield ResponseCompletedEvent(type="response.completed", response=response, sequence_number=0)

    def _output(self, system_instructions: Any = None, input: Any = (), *_: Any, **__: Any) -> list[Any]:  # noqa: A002 - the SDK's name
        said = [(str(one.get("role", "tool")), _text(one)) for one in input]
        text = self._recorder.answer([("system", system_instructions or ""), *said])
        asked = max(n for n, one in enumerate(input) if one.get("role") == "user")
        called = sum(one.get("type") == "function_call" for one in input[asked:])
        if called == len(self._calls):
            return [_message(text)]
        name, argument = self._calls[called]
        arguments = json.dumps({argument: dialogue.question(self._recorder.turn)})
        call_id = uuid.uuid4().hex
        call = ResponseFunctionToolCall(call_id=call_id, name=name, arguments=arguments, type="function_call")
        return [_message(dialogue.NARRATION), call]


@function_tool
def look_up(what: str) -> str:
    """Looks something up."""
    del what
    return "Nothing new about it."


@contextmanager
def chat(
    recorder: Recorder,
    arguments: Callable[[Session], Mapping[str, Any]],
    *,
    calls: Sequence[Call] = (),
    streamed: bool = False,
    tools: Sequence[Any] = (look_up,),
    instructions: Any = dialogue.APP_PROMPT,
) -> Iterator[Chat]:
    """An agent with a session of the SDK.

    Args:
        recorder: stands where the model would be.
        arguments: of `Runner.run`, with the session.
        calls: the tools that the model calls in each turn.
        streamed: by `Runner.run_streamed`, read to the end.
        tools: of the agent, which has them where the model calls one.
        instructions: of the agent.
    """
    set_tracing_disabled(disabled=True)
    runs = Agent[Any](
        "Assistant",
        instructions=instructions,
        model=RecordingModel(recorder, calls),
        tools=[*tools] if calls else [],
    )
    session = SQLiteSession("thread")

    async def turn(n: int) -> None:
        if not streamed:
            await Runner.run(runs, dialogue.question(n), **arguments(session))
            return
        async for _ in Runner.run_streamed(runs, dialogue.question(n), **arguments(session)).stream_events():
            pass

    with event_loop() as loop:
        yield Chat(
            on_loop(loop, turn), history=lambda: json.dumps(loop.run_until_complete(session.get_items()))
        )
    session.close()


def _message(text: str) -> ResponseOutputMessage:
    part = ResponseOutputText(text=text, type="output_text", annotations=[])
    return ResponseOutputMessage(id="1", content=[part], role="assistant", status="completed", type="message")


def _text(item: Mapping[str, Any]) -> str:
    content = item.get("content", item.get("output", ""))
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)

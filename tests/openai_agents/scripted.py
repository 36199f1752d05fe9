"""A model of the SDK that does as it is told, and keeps what it was asked."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

from agents import Agent, Model, ModelResponse, Runner, Usage, set_tracing_disabled
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputRefusal,
    ResponseOutputText,
    ResponseTextDeltaEvent,
)

set_tracing_disabled(True)


def says(text: str) -> ResponseOutputMessage:
    """With the id that adapters of chat completions give to all messages."""
    part = ResponseOutputText(text=text, type="output_text", annotations=[])
    return ResponseOutputMessage(
        id="__fake_id__", content=[part], role="assistant", status="completed", type="message"
    )


def refuses(text: str) -> ResponseOutputMessage:
    part = ResponseOutputRefusal(refusal=text, type="refusal")
    return ResponseOutputMessage(
        id="__fake_id__", content=[part], role="assistant", status="completed", type="message"
    )


def calls(name: str, **arguments: Any) -> ResponseFunctionToolCall:
    return ResponseFunctionToolCall(
        id="__fake_id__",
        call_id=uuid.uuid4().hex,
        name=name,
        arguments=json.dumps(arguments),
        type="function_call",
    )


class Scripted(Model):
    """Answers with its steps in order: texts, items, lists of items, errors to raise or functions to await."""

    def __init__(self, *steps: Any) -> None:
        self.steps = list(steps)
        self.prompts: list[str] = []
        self.instructions: list[str] = []
        self.inputs: list[list[Any]] = []

    async def get_response(self, *request, **more):
        output = await self._next(*request, **more)
        return ModelResponse(output=output, usage=Usage(requests=1), response_id=None)

    async def stream_response(self, *request, **more):
        output = await self._next(*request, **more)
        for number in range(3):
            yield ResponseTextDeltaEvent(
                type="response.output_text.delta",
                item_id="m",
                output_index=0,
                content_index=0,
                sequence_number=number,
                delta="…",
                logprobs=[],
            )
        response = Response(
            id="r",
            created_at=0,
            model="scripted",
            object="response",
            output=output,
            tool_choice="auto",
            tools=[],
            parallel_tool_calls=True,
        )
        yield ResponseCompletedEvent(type="response.completed", response=response, sequence_number=9)

    async def _next(self, *request, **more):
        instructions, items = request[:2] if request else (more["system_instructions"], more["input"])
        items = [{"role": "user", "content": items}] if isinstance(items, str) else items
        self.instructions.append(instructions or "")
        self.inputs.append([dict(item) for item in items])
        self.prompts.append(f"{instructions}\n{json.dumps(items, ensure_ascii=False, default=str)}")
        step = self.steps.pop(0) if self.steps else f"answer {len(self.prompts)}"
        if callable(step):
            step = await step()
        if isinstance(step, BaseException):
            raise step
        if isinstance(step, str):
            step = says(step)
        return step if isinstance(step, list) else [step]


async def streamed(agent: Agent[Any], given: Any, **arguments: Any) -> Any:
    """A stream that is read to its end, then its result."""
    result = Runner.run_streamed(agent, given, **arguments)
    async for _ in result.stream_events():
        pass
    return result


def on_a_thread(agent: Agent[Any], given: Any, **arguments: Any) -> Any:
    """`run_sync`, which leaves the thread's event loop open for later runs."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        return Runner.run_sync(agent, given, **arguments)
    finally:
        asyncio.set_event_loop(None)
        loop.close()


async def run(way: str, agent: Agent[Any], given: Any, **arguments: Any) -> Any:
    """A run to its end, by the method of `Runner` of that name."""
    if way == "run_streamed":
        return await streamed(agent, given, **arguments)
    if way == "run_sync":
        return await asyncio.to_thread(on_a_thread, agent, given, **arguments)
    return await Runner.run(agent, given, **arguments)

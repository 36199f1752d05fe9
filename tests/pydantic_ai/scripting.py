"""Models that say what a test wrote, through Pydantic AI's own `FunctionModel`, and keep what they were sent."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from pydantic_ai.messages import ModelMessage, ModelMessagesTypeAdapter, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel


def calls(tool: str, text: str = "", **arguments: Any) -> ModelResponse:
    """A response that calls a tool, with narration before it."""
    narration = [TextPart(text)] if text else []
    return ModelResponse(parts=[*narration, ToolCallPart(tool, arguments)])


class Script:
    """What a model says, one step for each request, the last one for all that follow.

    A step is a text, a response, an exception to be raised, or a function of no arguments that makes one.
    """

    def __init__(self, *steps: Any) -> None:
        self._steps = list(steps)
        self.prompts: list[str] = []
        self.model = FunctionModel(self._request, stream_function=self._stream)

    async def _next(self, messages: Sequence[ModelMessage], info: AgentInfo) -> ModelResponse:
        self.prompts.append(f"{info.instructions}\n{as_text(messages)}")
        step = self._steps.pop(0) if len(self._steps) > 1 else self._steps[0]
        if callable(step):
            step = step()
        if inspect.isawaitable(step):
            step = await step
        if isinstance(step, BaseException):
            raise step
        return step if isinstance(step, ModelResponse) else ModelResponse(parts=[TextPart(step)])

    async def _request(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return await self._next(messages, info)

    async def _stream(self, messages: list[ModelMessage], info: AgentInfo):
        response = await self._next(messages, info)
        for n, part in enumerate(response.parts):
            if isinstance(part, TextPart):
                for letter in part.content:
                    yield letter
            else:
                yield {
                    n: DeltaToolCall(part.tool_name, part.args_as_json_str(), tool_call_id=part.tool_call_id)
                }


def as_text(messages: Sequence[ModelMessage]) -> str:
    """Messages as an application saves them."""
    return ModelMessagesTypeAdapter.dump_json(list(messages)).decode()

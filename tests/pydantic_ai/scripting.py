"""Models that say what a test wrote, and all ways to run an agent with them."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Sequence
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelMessagesTypeAdapter, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel
from pydantic_ai.result import StreamedRunResult
from pydantic_ai.run import AgentRunResult

from recallrai_integrations import ContextOptions, NotFoundError
from recallrai_integrations.pydantic_ai import RecallrAIMemory
from recallrai_integrations.testing.adapter.served import Served


def calls(tool: str, text: str = "", **arguments: Any) -> ModelResponse:
    """A response that calls a tool, with narration before it."""
    narration = [TextPart(text)] if text else []
    return ModelResponse(parts=[*narration, ToolCallPart(tool, arguments)])


class Script:
    """What a model says, one step for each request, the last one for all that follow; through `FunctionModel`.

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


async def _run(agent: Agent[Any, Any], *prompt: Any, **given: Any) -> AgentRunResult[Any]:
    return await agent.run(*prompt, **given)


async def _run_sync(agent: Agent[Any, Any], *prompt: Any, **given: Any) -> AgentRunResult[Any]:
    def in_a_thread():
        loop = asyncio.new_event_loop()  # which some versions leave behind
        asyncio.set_event_loop(loop)
        try:
            return agent.run_sync(*prompt, **given)
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    return await asyncio.to_thread(in_a_thread)


async def _run_stream(agent: Agent[Any, Any], *prompt: Any, **given: Any) -> StreamedRunResult[Any, Any]:
    async with agent.run_stream(*prompt, **given) as result:
        result.output = await result.get_output()
    return result


async def _iter(agent: Agent[Any, Any], *prompt: Any, **given: Any) -> AgentRunResult[Any]:
    async with agent.iter(*prompt, **given) as run:
        async for _ in run:
            pass
    return run.result


async def _events(agent: Agent[Any, Any], *prompt: Any, **given: Any) -> AgentRunResult[Any]:
    async with agent.run_stream_events(*prompt, **given) as events:
        async for event in events:
            last = event
    return last.result


async def _handler(agent: Agent[Any, Any], *prompt: Any, **given: Any) -> AgentRunResult[Any]:
    async def read(ctx, events):
        async for _ in events:
            pass

    return await agent.run(*prompt, event_stream_handler=read, **given)


WAYS = {
    "run": _run,
    "run_sync": _run_sync,
    "run_stream": _run_stream,
    "iter": _iter,
    "run_stream_events": _events,
    "event_stream_handler": _handler,
}
"""The ways to run an agent; each ends with an object that has `output` and `all_messages()`."""


class Memory(Served):
    """A service for each test, and what tests do with it."""

    def turn(self, connection, user_id, thread_id, text):
        raise NotImplementedError

    def _sessions(self, user_id):
        """None of a user who was never heard of."""
        try:
            return super()._sessions(user_id)
        except NotFoundError:
            return []

    def agent(self, script, placement="system", **given):
        options = {name: given.pop(name) for name in ("process", "store_structured") if name in given}
        memory = RecallrAIMemory(self.connection, context=ContextOptions(placement=placement), **options)
        return Agent(script.model, capabilities=[memory, *given.pop("capabilities", ())], **given)

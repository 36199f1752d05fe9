"""The offline model as a model of the OpenAI Agents SDK."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from agents import Model, ModelResponse, TResponseInputItem, Usage
from agents.items import TResponseStreamEvent
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseOutputMessage,
    ResponseOutputText,
    ResponseTextDeltaEvent,
)
from typing_extensions import override

from recallrai_integrations.adapter import parts_text, role_of

from .quoting import Said, answer

__all__ = ["QuotingAgentModel"]


class QuotingAgentModel(Model):
    """Quotes the line of its request that fits the question best; calls no tools.

    Example:
        ```python
        from agents import Agent, Runner

        from recallrai_integrations.testing.offline import QuotingAgentModel

        agent = Agent("Friend", model=QuotingAgentModel())
        print(Runner.run_sync(agent, "What is my dog called?").final_output)
        ```
    """

    @override
    async def get_response(
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],
        *args: Any,
        **kwargs: Any,
    ) -> ModelResponse:
        output = _message(_answer(system_instructions, input))
        return ModelResponse(output=[output], usage=Usage(requests=1), response_id=None)

    @override
    async def stream_response(
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],
        *args: Any,
        **kwargs: Any,
    ) -> AsyncIterator[TResponseStreamEvent]:
        text = _answer(system_instructions, input)
        for number, line in enumerate(text.splitlines(keepends=True)):
            yield ResponseTextDeltaEvent(
                type="response.output_text.delta",
                item_id="answer",
                output_index=0,
                content_index=0,
                sequence_number=number,
                delta=line,
                logprobs=[],
            )
        response = Response(
            id="answer",
            created_at=0,
            model="quoting",
            object="response",
            output=[_message(text)],
            tool_choice="none",
            tools=[],
            parallel_tool_calls=False,
        )
        yield ResponseCompletedEvent(type="response.completed", response=response, sequence_number=9)


def _message(text: str) -> ResponseOutputMessage:
    part = ResponseOutputText(text=text, type="output_text", annotations=[])
    return ResponseOutputMessage(
        id="answer", content=[part], role="assistant", status="completed", type="message"
    )


def _answer(instructions: str | None, items: str | list[TResponseInputItem]) -> str:
    said = [Said("system", instructions or "")]
    if isinstance(items, str):
        return answer([*said, Said("user", items)])
    for item in items:
        role = role_of(item.get("role"))
        if role is not None:
            said.append(Said(role, parts_text(item.get("content"))))
    return answer(said)

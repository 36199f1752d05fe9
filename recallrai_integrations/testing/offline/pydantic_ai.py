"""The offline model as a model of Pydantic AI."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence

from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel

from .quoting import Said, answer

__all__ = ["QuotingModel"]


class QuotingModel(FunctionModel):
    """Quotes the line of its request that fits the question best; calls no tools.

    Example:
        ```python
        from pydantic_ai import Agent
        from recallrai_integrations.testing.offline import QuotingModel

        print(Agent(QuotingModel()).run_sync("What is my dog called?").output)
        ```
    """

    def __init__(self) -> None:
        super().__init__(_request, stream_function=_stream, model_name="quoting")


def _request(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    return ModelResponse(parts=[TextPart(_answer(messages, info))])


async def _stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
    for line in _answer(messages, info).splitlines(keepends=True):
        yield line


def _answer(messages: Sequence[ModelMessage], info: AgentInfo) -> str:
    said = [Said("system", info.instructions or "")]
    return answer([*said, *(one for message in messages for one in _said(message))])


def _said(message: ModelMessage) -> Iterator[Said]:
    for part in message.parts:
        if isinstance(part, UserPromptPart):
            content = [part.content] if isinstance(part.content, str) else part.content
            yield Said("user", "\n".join(item for item in content if isinstance(item, str)))
        elif isinstance(part, SystemPromptPart | TextPart):
            yield Said("system" if isinstance(message, ModelRequest) else "assistant", part.content)

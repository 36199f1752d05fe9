"""Memories in a request to the model, and in nothing else."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.messages import InstructionPart, ModelMessage, ModelRequest, ModelResponse, UserPromptPart
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage
from typing_extensions import override

from recallrai_integrations.adapter import Turn, question_of

from ._messages import conversation_of, prompt_text

__all__ = ["with_memories"]


def with_memories(model: Model, turn: Turn) -> Model:
    """The model of a run, which sees the memories of a turn; the same one if it does already."""
    layer: Model | None = model
    while isinstance(layer, WrapperModel):
        if isinstance(layer, _Remembering):
            return model
        layer = layer.wrapped
    return _Remembering(model, turn)


class _Remembering(WrapperModel):
    """Adds memories behind all hooks: what a hook changes may get into the history, or into a trace.

    Where that happens depends on the version of Pydantic AI and on the hook; a model keeps nothing.
    """

    def __init__(self, wrapped: Model, turn: Turn) -> None:
        super().__init__(wrapped)
        self._turn = turn

    @override
    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        sent, parameters = self._remembered(messages, model_request_parameters)
        return await super().request(sent, model_settings, parameters)

    @asynccontextmanager
    @override
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        sent, parameters = self._remembered(messages, model_request_parameters)
        async with super().request_stream(sent, model_settings, parameters, run_context) as response:
            yield response

    @override
    async def count_tokens(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> RequestUsage:
        sent, parameters = self._remembered(messages, model_request_parameters)
        return await super().count_tokens(sent, model_settings, parameters)

    def _remembered(
        self, messages: list[ModelMessage], parameters: ModelRequestParameters
    ) -> tuple[list[ModelMessage], ModelRequestParameters]:
        prompt = self._turn.prompt(conversation_of(messages))
        system = [prompt.system]
        if prompt.beside:
            question = self._question(messages)
            if question is None:
                system.append(prompt.beside)
            else:
                messages = _beside(messages, *question, prompt.beside)
        text = "\n\n".join(filter(None, system))
        if text:
            parts = [*(parameters.instruction_parts or []), InstructionPart(content=text, dynamic=True)]
            parameters = replace(parameters, instruction_parts=parts)
        return messages, parameters

    def _question(self, messages: Sequence[ModelMessage]) -> tuple[ModelRequest, UserPromptPart] | None:
        """The question of this turn, else the last user prompt; None without any."""
        prompts = [
            (message, part)
            for message in messages
            if isinstance(message, ModelRequest)
            for part in message.parts
            if isinstance(part, UserPromptPart)
        ]
        asked = {one.content for one in self._turn.questions[-1:]}
        for message, part in reversed(prompts):
            question = question_of(prompt_text(part.content))
            if question is not None and question.content in asked:
                return message, part
        return prompts[-1] if prompts else None


def _beside(
    messages: Sequence[ModelMessage], request: ModelRequest, prompt: UserPromptPart, text: str
) -> list[ModelMessage]:
    """The messages with a text before a prompt; copies of what changes, since these are the history."""
    content = prompt.content
    beside = f"{text}\n\n{content}" if isinstance(content, str) else [text, *content]
    parts = [replace(prompt, content=beside) if part is prompt else part for part in request.parts]
    changed = replace(request, parts=parts)
    return [changed if message is request else message for message in messages]

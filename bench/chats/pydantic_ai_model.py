"""The recorder as a model of Pydantic AI, and a chat of an agent with any memory or none."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel

from bench import dialogue
from bench.chats.base import Chat, Recorder
from bench.measuring import event_loop


def look_up(what: str) -> str:
    """Looks something up."""
    return f"Nothing new about {what}."


@contextmanager
def chat(
    recorder: Recorder,
    *,
    tool: bool = False,
    streamed: bool = False,
    deps: Any = None,
    tools: Sequence[Any] = (look_up,),
    instructions: Sequence[Any] = (dialogue.APP_PROMPT,),
    **options: Any,
) -> Iterator[Chat]:
    """An agent whose application hands the history over.

    Args:
        recorder: stands where the model would be.
        tool: the model calls `look_up` in each turn, with a word about it.
        streamed: by `run_stream`, read to the end.
        deps: of the runs.
        tools: of the agent, which has them where the model calls one.
        instructions: of the agent.
        options: more of the agent's.
    """

    def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        text = recorder.answer([("system", info.instructions or ""), *_said(messages)])
        if info.function_tools and isinstance(messages[-1].parts[-1], UserPromptPart):
            return ModelResponse([TextPart(dialogue.NARRATION), ToolCallPart("look_up", {"what": "trains"})])
        return ModelResponse([TextPart(text)])

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        yield "".join(part.content for part in model(messages, info).parts if isinstance(part, TextPart))

    made: Agent[Any, str] = Agent(
        FunctionModel(model, stream_function=stream),
        instructions=[*instructions],
        tools=[*tools] if tool else [],
        **options,
    )
    history: list[ModelMessage] = []

    async def run(n: int) -> None:
        given: dict[str, Any] = {"message_history": history, "deps": deps}
        if not streamed:
            history[:] = (await made.run(dialogue.question(n), **given)).all_messages()
            return
        async with made.run_stream(dialogue.question(n), **given) as result:
            await result.get_output()
            kept = result.all_messages()
        history[:] = kept

    with event_loop() as loop:
        yield Chat(
            lambda n: loop.run_until_complete(run(n)),
            history=lambda: ModelMessagesTypeAdapter.dump_json(history).decode(),
        )


def _said(messages: Sequence[ModelMessage]) -> Iterator[tuple[str, str]]:
    for message in messages:
        role = "user" if isinstance(message, ModelRequest) else "assistant"
        for part in message.parts:
            said_by = "system" if isinstance(part, SystemPromptPart) else role
            yield said_by, str(getattr(part, "content", ""))

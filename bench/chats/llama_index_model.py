"""The recorder as a LlamaIndex model, and the chats of LlamaIndex around any memory."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.generic_utils import (
    achat_to_completion_decorator,
    astream_chat_to_completion_decorator,
    chat_to_completion_decorator,
    stream_chat_to_completion_decorator,
)
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseAsyncGen,
    CompletionResponseGen,
    LLMMetadata,
    MessageRole,
)
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.memory import BaseMemory
from llama_index.core.tools import BaseTool, FunctionTool

from bench import dialogue
from bench.chats.base import Chat, Recorder
from bench.measuring import event_loop, on_loop


class RecordingLLM(FunctionCallingLLM):
    """Answers a question by calling the tool it has, if any, and a tool's result by the turn's answer.

    A text to complete is a question in a chat, so that it is measured like all others.
    """

    _recorder: Recorder = PrivateAttr()

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self._recorder = recorder

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(is_chat_model=True, is_function_calling_model=True, context_window=200_000)

    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        text = self._recorder.answer((one.role.value, one.content or "") for one in messages)
        answer = ChatMessage(role=MessageRole.ASSISTANT, content=text)
        if kwargs.get("tools") and messages[-1].role == MessageRole.USER:
            call = {"id": uuid.uuid4().hex, "name": "look_up", "arguments": {"what": "trains"}}
            answer = ChatMessage(
                role=MessageRole.ASSISTANT, content="", additional_kwargs={"tool_calls": [call]}
            )
        return ChatResponse(message=answer, delta=answer.content)

    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return self.chat(messages, **kwargs)

    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        yield self.chat(messages, **kwargs)

    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        async def stream() -> ChatResponseAsyncGen:
            yield self.chat(messages, **kwargs)

        return stream()

    def _prepare_chat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        **_: Any,
    ) -> dict[str, Any]:
        asked = [user_msg] if isinstance(user_msg, ChatMessage) else []
        return {"messages": [*(chat_history or []), *asked], "tools": list(tools)}

    def get_tool_calls_from_response(
        self, response: ChatResponse, error_on_no_tool_call: bool = True, **_: Any
    ) -> list[ToolSelection]:
        del error_on_no_tool_call
        return [
            ToolSelection(tool_id=call["id"], tool_name=call["name"], tool_kwargs=call["arguments"])
            for call in response.message.additional_kwargs.get("tool_calls", [])
        ]

    def complete(self, prompt: str, *_: Any, **kwargs: Any) -> CompletionResponse:
        return chat_to_completion_decorator(self.chat)(prompt, **kwargs)

    async def acomplete(self, prompt: str, *_: Any, **kwargs: Any) -> CompletionResponse:
        return await achat_to_completion_decorator(self.achat)(prompt, **kwargs)

    def stream_complete(self, prompt: str, *_: Any, **kwargs: Any) -> CompletionResponseGen:
        return stream_chat_to_completion_decorator(self.stream_chat)(prompt, **kwargs)

    async def astream_complete(self, prompt: str, *_: Any, **kwargs: Any) -> CompletionResponseAsyncGen:
        return await astream_chat_to_completion_decorator(self.astream_chat)(prompt, **kwargs)


def look_up(what: str) -> str:
    """Looks something up."""
    return f"Nothing new about {what}."


@contextmanager
def chat_engine(recorder: Recorder, memory: BaseMemory) -> Iterator[Chat]:
    """LlamaIndex's simple chat engine, sync."""
    engine = SimpleChatEngine.from_defaults(
        llm=RecordingLLM(recorder), memory=memory, system_prompt=dialogue.APP_PROMPT
    )
    yield Chat(lambda n: engine.chat(dialogue.question(n)))


@contextmanager
def agent(recorder: Recorder, memory: BaseMemory, *, tool: bool) -> Iterator[Chat]:
    """LlamaIndex's function agent; it is async only."""
    tools = [FunctionTool.from_defaults(look_up)] if tool else []
    runner = FunctionAgent(
        tools=tools, llm=RecordingLLM(recorder), system_prompt=dialogue.APP_PROMPT, streaming=False
    )

    async def turn(n: int) -> None:
        await runner.run(dialogue.question(n), memory=memory)

    with event_loop() as loop:
        yield Chat(on_loop(loop, turn))

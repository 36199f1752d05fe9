"""The offline model as an LLM of LlamaIndex."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

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
from llama_index.core.llms import callbacks
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.tools.types import BaseTool
from typing_extensions import override

from .quoting import Said, answer

__all__ = ["QuotingLLM"]

_Method = TypeVar("_Method", bound=Callable[..., Any])


def _reported_as_chat(method: _Method) -> _Method:
    """LlamaIndex's own decorator, which has no types: tells its instrumentation of each call."""
    return cast("_Method", cast("Any", callbacks).llm_chat_callback()(method))


def _reported_as_completion(method: _Method) -> _Method:
    return cast("_Method", cast("Any", callbacks).llm_completion_callback()(method))


_ROLES = {MessageRole.USER: "user", MessageRole.ASSISTANT: "assistant"}


class QuotingLLM(FunctionCallingLLM):
    """Quotes the line of its request that fits the question best; calls no tools.

    Example:
        ```python
        from llama_index.core.base.llms.types import ChatMessage

        from recallrai_integrations.testing.offline import QuotingLLM

        print(QuotingLLM().chat([ChatMessage(role="user", content="What is my dog called?")]))
        ```
    """

    @property
    @override
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="quoting", is_chat_model=True, is_function_calling_model=True)

    @_reported_as_chat
    @override
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return _response(messages)

    @_reported_as_chat
    @override
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return _response(messages)

    @_reported_as_chat
    @override
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        def stream() -> ChatResponseGen:
            yield _response(messages)

        return stream()

    @_reported_as_chat
    @override
    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        async def stream() -> ChatResponseAsyncGen:
            yield _response(messages)

        return stream()

    @_reported_as_completion
    @override
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text=answer([Said("user", prompt)]))

    @_reported_as_completion
    @override
    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text=answer([Said("user", prompt)]))

    @_reported_as_completion
    @override
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        def stream() -> CompletionResponseGen:
            text = answer([Said("user", prompt)])
            yield CompletionResponse(text=text, delta=text)

        return stream()

    @_reported_as_completion
    @override
    async def astream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseAsyncGen:
        async def stream() -> CompletionResponseAsyncGen:
            text = answer([Said("user", prompt)])
            yield CompletionResponse(text=text, delta=text)

        return stream()

    @override
    def get_tool_calls_from_response(
        self, response: ChatResponse, error_on_no_tool_call: bool = True, **kwargs: Any
    ) -> list[ToolSelection]:
        return []

    @override
    def _prepare_chat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        **kwargs: Any,
    ) -> dict[str, Any]:
        question = ChatMessage(role="user", content=user_msg) if isinstance(user_msg, str) else user_msg
        return {"messages": [*(chat_history or []), *([] if question is None else [question])]}


def _response(messages: Sequence[ChatMessage]) -> ChatResponse:
    text = answer([Said(_ROLES.get(one.role, "system"), one.content or "") for one in messages])
    return ChatResponse(message=ChatMessage(role=MessageRole.ASSISTANT, content=text), delta=text)

"""The offline model as a chat model of LangChain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from typing_extensions import override

from .quoting import Said, answer

__all__ = ["QuotingChatModel"]

_ROLES = {"human": "user", "ai": "assistant"}


class QuotingChatModel(BaseChatModel):
    """Quotes the line of its request that fits the question best; calls no tools.

    Example:
        ```python
        from recallrai_integrations.testing.offline import QuotingChatModel

        print(QuotingChatModel().invoke("What is my dog called?").text)
        ```
    """

    @property
    @override
    def _llm_type(self) -> str:
        return "quoting"

    @override
    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[LanguageModelInput, AIMessage]:
        return self

    @override
    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage(_answer(messages)))])

    @override
    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        for word in _answer(messages).splitlines(keepends=True):
            yield ChatGenerationChunk(message=AIMessageChunk(content=word))


def _answer(messages: Sequence[BaseMessage]) -> str:
    return answer([Said(_ROLES.get(one.type, "system"), one.text) for one in messages])

"""A chat model that follows a script."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
)
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from pydantic import Field, PrivateAttr
from typing_extensions import override

__all__ = ["ScriptedChatModel", "tool_call"]


def tool_call(name: str, /, **arguments: Any) -> AIMessage:
    """An answer that calls a tool.

    Example:
        ```python
        from recallrai_integrations.testing.langchain import tool_call

        message = tool_call("weather", city="Lisbon")
        assert message.tool_calls[0]["args"] == {"city": "Lisbon"}
        ```
    """
    return AIMessage("", tool_calls=[{"name": name, "args": arguments, "id": uuid.uuid4().hex}])


class ScriptedChatModel(BaseChatModel):
    """A chat model that answers what its script says, and keeps the requests it got.

    Attributes:
        script: answers in order, each text, a message, or an error to raise; when they are used up it
            answers with the number of the request.

    Example:
        ```python
        from recallrai_integrations.testing.langchain import ScriptedChatModel, tool_call

        model = ScriptedChatModel(script=[tool_call("weather", city="Lisbon"), "It is sunny."])
        assert model.invoke("How is the weather?").tool_calls
        assert model.invoke("And?").content == "It is sunny."
        assert model.requests[0][0].content == "How is the weather?"
        ```
    """

    script: list[Any] = Field(default_factory=list[Any])
    _requests: list[list[BaseMessage]] = PrivateAttr(default_factory=list[list[BaseMessage]])

    @property
    def requests(self) -> list[list[BaseMessage]]:
        """The messages of each request so far."""
        return self._requests

    @property
    @override
    def _llm_type(self) -> str:
        return "scripted"

    @override
    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[Any, AIMessage]:
        return self

    @override
    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._next(messages))])

    @override
    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._next(messages))])

    @override
    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        yield from _chunks(self._next(messages))

    @override
    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in _chunks(self._next(messages)):
            yield chunk

    def _next(self, messages: list[BaseMessage]) -> AIMessage:
        self._requests.append(list(messages))
        step = self.script.pop(0) if self.script else f"answer {len(self._requests)}"
        if isinstance(step, BaseException):
            raise step
        return AIMessage(step) if isinstance(step, str) else step


def _chunks(message: AIMessage) -> Iterator[ChatGenerationChunk]:
    """A message word by word, as providers stream it."""
    if not isinstance(message.content, str) or message.tool_calls:  # pyright: ignore[reportUnknownMemberType] - untyped dict blocks
        calls = [
            {"name": call["name"], "args": json.dumps(call["args"]), "id": call["id"], "index": n}
            for n, call in enumerate(message.tool_calls)
        ]
        yield ChatGenerationChunk(
            message=AIMessageChunk(content=message.content, tool_call_chunks=calls)  # type: ignore[arg-type]  # pyright: ignore[reportUnknownMemberType, reportArgumentType] - plain dicts are taken
        )
        return
    words = message.content.split(" ")
    for n, word in enumerate(words):
        yield ChatGenerationChunk(message=AIMessageChunk(content=word if n == 0 else f" {word}"))

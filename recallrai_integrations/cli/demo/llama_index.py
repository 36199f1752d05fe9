"""A LlamaIndex chat engine on the first day and an agent on the second, with one kind of memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from llama_index.core import instrumentation
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.instrumentation.events.llm import LLMChatStartEvent
from typing_extensions import override

from recallrai_integrations import Connection
from recallrai_integrations.cli.models import init_llama_index_model
from recallrai_integrations.llama_index import RecallrAIMemory
from recallrai_integrations.testing.offline.llama_index import QuotingLLM

from .story import SYSTEM_PROMPT, Exchange

__all__ = ["AgentTalk", "ChatEngineTalk"]


class ChatEngineTalk:
    """`SimpleChatEngine` with `RecallrAIMemory`."""

    def __init__(self, connection: Connection, user_id: str, thread_id: str, model: str | None) -> None:
        self._engine = SimpleChatEngine.from_defaults(
            llm=QuotingLLM() if model is None else init_llama_index_model(model),
            memory=RecallrAIMemory(user_id=user_id, thread_id=thread_id, connection=connection),
            system_prompt=SYSTEM_PROMPT,
        )

    def say(self, text: str) -> Exchange:
        """One turn."""
        return _watched(lambda: str(cast("Any", self._engine).chat(text)))


class AgentTalk:
    """`FunctionAgent` with `RecallrAIMemory`."""

    def __init__(self, connection: Connection, user_id: str, thread_id: str, model: str | None) -> None:
        self._agent = FunctionAgent(
            llm=QuotingLLM() if model is None else init_llama_index_model(model),
            tools=[],
            system_prompt=SYSTEM_PROMPT,
        )
        self._memory = RecallrAIMemory(user_id=user_id, thread_id=thread_id, connection=connection)

    def say(self, text: str) -> Exchange:
        """One turn."""

        async def turn() -> str:
            return str(await cast("Any", self._agent).run(text, memory=self._memory))

        return _watched(lambda: asyncio.run(turn()))


class _Request(BaseEventHandler):
    """Keeps the texts of the latest request to a model."""

    texts: list[str] = []  # noqa: RUF012 - a pydantic field, copied for each object

    @classmethod
    @override
    def class_name(cls) -> str:
        return "DemoRequest"

    @override
    def handle(self, event: BaseEvent, **kwargs: Any) -> None:
        if isinstance(event, LLMChatStartEvent):
            self.texts = [message.content or "" for message in event.messages]


def _watched(ask: Callable[[], str]) -> Exchange:
    dispatcher = cast("Any", instrumentation).get_dispatcher()
    seen = _Request()
    dispatcher.add_event_handler(seen)
    try:
        return Exchange(ask(), seen.texts)
    finally:
        dispatcher.event_handlers.remove(seen)

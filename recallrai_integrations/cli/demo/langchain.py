"""A LangChain agent with memory."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from langchain import agents
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import BaseMessage
from langgraph.checkpoint.memory import InMemorySaver
from typing_extensions import override

from recallrai_integrations import Connection
from recallrai_integrations.cli.models import init_langchain_model
from recallrai_integrations.langchain import RecallrAIMiddleware
from recallrai_integrations.testing.offline.langchain import QuotingChatModel

from .story import SYSTEM_PROMPT, Exchange

__all__ = ["AgentTalk"]


class AgentTalk:
    """`create_agent` with `RecallrAIMiddleware`."""

    def __init__(self, connection: Connection, user_id: str, thread_id: str, model: str | None) -> None:
        self._agent = cast("Any", agents).create_agent(
            QuotingChatModel() if model is None else init_langchain_model(model),
            tools=[],
            system_prompt=SYSTEM_PROMPT,
            middleware=[RecallrAIMiddleware(connection)],
            checkpointer=InMemorySaver(),
        )
        self._identity = {"user_id": user_id, "thread_id": thread_id}

    def say(self, text: str) -> Exchange:
        """One turn."""
        seen = _Request()
        state = self._agent.invoke(
            {"messages": [{"role": "user", "content": text}]},
            {"configurable": self._identity, "callbacks": [seen]},
        )
        return Exchange(cast("BaseMessage", state["messages"][-1]).text, seen.texts)


class _Request(BaseCallbackHandler):
    """Keeps the texts of the latest request to a chat model."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    @override
    def on_chat_model_start(
        self,
        serialized: dict[str, Any],
        messages: list[list[BaseMessage]],
        *,
        run_id: UUID,
        **kwargs: Any,
    ) -> None:
        self.texts = [message.text for message in messages[0]]

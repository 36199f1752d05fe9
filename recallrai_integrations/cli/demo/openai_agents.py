"""An agent of the OpenAI Agents SDK with memory."""

from __future__ import annotations

from typing import Any

from agents import Agent, RunContextWrapper, RunHooks, Runner, TResponseInputItem, set_tracing_disabled
from typing_extensions import override

from recallrai_integrations import Connection
from recallrai_integrations.adapter import parts_text
from recallrai_integrations.openai_agents import RecallrAIMemory
from recallrai_integrations.testing.offline.openai_agents import QuotingAgentModel

from .story import SYSTEM_PROMPT, Exchange

__all__ = ["AgentTalk"]


class AgentTalk:
    """`Runner.run_sync` with `RecallrAIMemory`; the session is the thread that RecallrAI keeps."""

    def __init__(self, connection: Connection, user_id: str, thread_id: str, model: str | None) -> None:
        set_tracing_disabled(disabled=True)
        self._agent = Agent[Any](
            "Friend",
            instructions=SYSTEM_PROMPT,
            model=QuotingAgentModel() if model is None else _model(model),
        )
        self._memory = RecallrAIMemory(connection, user_id=user_id, thread_id=thread_id)

    def say(self, text: str) -> Exchange:
        """One turn."""
        seen = _Request()
        result = Runner.run_sync(self._agent, text, **self._memory.for_run(hooks=seen))
        return Exchange(str(result.final_output), seen.texts)


class _Request(RunHooks[Any]):
    """Keeps the texts of the latest request to a model."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    @override
    async def on_llm_start(
        self,
        context: RunContextWrapper[Any],
        agent: Agent[Any],
        system_prompt: str | None,
        input_items: list[TResponseInputItem],
    ) -> None:
        self.texts = [system_prompt or "", *(parts_text(item.get("content")) for item in input_items)]


def _model(name: str) -> str:
    """The SDK's name of a model: other providers go by LiteLLM there."""
    provider, _, model = name.partition(":")
    return model if provider == "openai" else f"litellm/{provider}/{model}"

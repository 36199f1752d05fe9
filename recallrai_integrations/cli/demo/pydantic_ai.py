"""A Pydantic AI agent with memory."""

from __future__ import annotations

from typing import Any

from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessagesTypeAdapter
from pydantic_ai.models import Model, ModelRequestParameters, infer_model
from pydantic_ai.models.wrapper import WrapperModel
from typing_extensions import override

from recallrai_integrations import Connection
from recallrai_integrations.pydantic_ai import RecallrAIMemory
from recallrai_integrations.testing.offline.pydantic_ai import QuotingModel

from .story import SYSTEM_PROMPT, Exchange

__all__ = ["AgentTalk"]


class AgentTalk:
    """`Agent` with `RecallrAIMemory`."""

    def __init__(self, connection: Connection, user_id: str, thread_id: str, model: str | None) -> None:
        self._model = _Watched(QuotingModel() if model is None else infer_model(model))
        self._agent = Agent(
            self._model,
            instructions=SYSTEM_PROMPT,
            capabilities=[RecallrAIMemory(connection, user_id=user_id, thread_id=thread_id)],
        )
        self._messages: list[Any] = []

    def say(self, text: str) -> Exchange:
        """One turn."""
        result = self._agent.run_sync(text, message_history=self._messages)
        self._messages = result.all_messages()
        return Exchange(result.output, self._model.texts)


class _Watched(WrapperModel):
    """Keeps the texts of the latest request to a model."""

    def __init__(self, wrapped: Model) -> None:
        super().__init__(wrapped)
        self.texts: list[str] = []

    @override
    async def request(
        self, messages: Any, model_settings: Any, model_request_parameters: ModelRequestParameters
    ) -> Any:
        instructions = [part.content for part in model_request_parameters.instruction_parts or []]
        self.texts = [*instructions, ModelMessagesTypeAdapter.dump_json(messages).decode()]
        return await super().request(messages, model_settings, model_request_parameters)

"""An app of Google's ADK with memory."""

from __future__ import annotations

import asyncio

from google.adk.agents import LlmAgent
from google.adk.agents.callback_context import CallbackContext
from google.adk.apps import App
from google.adk.models.llm_request import LlmRequest
from google.adk.plugins import BasePlugin
from google.adk.runners import InMemoryRunner
from typing_extensions import override

from recallrai_integrations import Connection
from recallrai_integrations.google_adk import RecallrAIPlugin
from recallrai_integrations.testing.offline.google_adk import QuotingLlm

from .story import SYSTEM_PROMPT, Exchange

__all__ = ["AppTalk"]


class AppTalk:
    """`App` with `RecallrAIPlugin`."""

    def __init__(self, connection: Connection, user_id: str, thread_id: str, model: str | None) -> None:
        name = QuotingLlm() if model is None else model.partition(":")[2] or model
        agent = LlmAgent(name="friend", model=name, instruction=SYSTEM_PROMPT)
        self._watching = _Watching("watching")
        app = App(name="demo", root_agent=agent, plugins=[RecallrAIPlugin(connection), self._watching])
        self._runner = InMemoryRunner(app=app)
        self._user_id, self._thread_id = user_id, thread_id

    def say(self, text: str) -> Exchange:
        """One turn."""
        running = self._runner.run_debug(text, user_id=self._user_id, session_id=self._thread_id, quiet=True)
        parts = [
            part for event in asyncio.run(running) if event.content for part in event.content.parts or []
        ]
        return Exchange("".join(part.text or "" for part in parts), self._watching.texts)


class _Watching(BasePlugin):
    """Keeps the texts of the latest request to a model."""

    texts: list[str]

    @override
    async def before_model_callback(
        self, *, callback_context: CallbackContext, llm_request: LlmRequest
    ) -> None:
        parts = [part.text or "" for one in llm_request.contents for part in one.parts or []]
        self.texts = [str(llm_request.config.system_instruction), *parts]

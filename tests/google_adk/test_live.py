"""Live connections: one invocation, in which user and model speak in turns."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

from google.adk.agents import LlmAgent, RunConfig
from google.adk.agents.live_request_queue import LiveRequestQueue
from google.adk.models import BaseLlm
from google.adk.models.base_llm_connection import BaseLlmConnection
from google.adk.models.llm_response import LlmResponse
from google.genai import types

from recallrai_integrations.google_adk import RecallrAIPlugin

from .scripted import runner_of, said


class Line(BaseLlmConnection):
    """Answers each text with an echo."""

    def __init__(self):
        self.asked = asyncio.Queue()

    async def send_history(self, history):
        pass

    async def send_content(self, content):
        await self.asked.put(content.parts[0].text)

    async def send_realtime(self, blob):
        pass

    async def receive(self):
        while True:
            part = types.Part(text=f"answer to {await self.asked.get()}")
            yield LlmResponse(content=types.Content(role="model", parts=[part]))
            yield LlmResponse(turn_complete=True)

    async def close(self):
        pass


class Live(BaseLlm):
    model: str = "live"

    async def generate_content_async(self, llm_request, stream=False):
        raise NotImplementedError
        yield

    @asynccontextmanager
    async def connect(self, llm_request):
        yield Line()


async def test_what_is_said_over_a_live_connection_is_stored_turn_by_turn(connection, stored):
    runner = runner_of(LlmAgent(name="friend", model=Live()), RecallrAIPlugin(connection))
    await runner.session_service.create_session(app_name="app", user_id="ada", session_id="t")
    questions, queue = ["one", "two", "three"], LiveRequestQueue()
    config = RunConfig(response_modalities=["TEXT"])
    running = runner.run_live(user_id="ada", session_id="t", live_request_queue=queue, run_config=config)
    queue.send_content(said(questions.pop(0)))
    async for event in running:
        if event.turn_complete and not questions:
            break
        if event.turn_complete:
            queue.send_content(said(questions.pop(0)))
    await running.aclose()
    assert stored() == [
        (role, f"{before}{text}")
        for text in ("one", "two", "three")
        for role, before in (("user", ""), ("assistant", "answer to "))
    ]

"""An app of Google's ADK with our plugin, and the same one without us."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager

from google.adk.agents import LlmAgent
from google.adk.apps import App
from google.adk.models import BaseLlm
from google.adk.models.llm_request import LlmRequest
from google.adk.models.llm_response import LlmResponse
from google.adk.plugins import BasePlugin
from google.adk.runners import Runner
from google.adk.sessions import InMemorySessionService
from google.genai import types
from pydantic import ConfigDict
from typing_extensions import override

from bench import dialogue
from bench.chats.base import Chat, Recorder
from bench.chats.ours import Setting
from bench.measuring import event_loop
from recallrai_integrations.google_adk import RecallrAIPlugin


@contextmanager
def app(setting: Setting, recorder: Recorder, *, tool: bool = False) -> Iterator[Chat]:
    """`App` with our plugin; the session service keeps the history."""
    with setting.connect() as connection, _chat(recorder, RecallrAIPlugin(connection), tool=tool) as chat:
        yield dataclasses.replace(chat, settle=connection.flush)


@contextmanager
def app_alone(recorder: Recorder, *, tool: bool = False) -> Iterator[Chat]:
    """The app itself."""
    with _chat(recorder, tool=tool) as chat:
        yield chat


def look_up(what: str) -> str:
    """Looks something up."""
    return f"Nothing new about {what}."


class _Model(BaseLlm):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    model: str = "recorder"
    recorder: Recorder
    tool: bool

    @override
    async def generate_content_async(
        self, llm_request: LlmRequest, stream: bool = False
    ) -> AsyncGenerator[LlmResponse, None]:
        said = [("system", str(llm_request.config.system_instruction))]
        for content in llm_request.contents:
            role = "user" if content.role == "user" else "assistant"
            said += [(role, part.text or "") for part in content.parts or []]
        text = self.recorder.answer(said)
        last = (llm_request.contents[-1].parts or [types.Part()])[-1]
        part = types.Part(text=text)
        if self.tool and last.function_response is None:
            part = types.Part(function_call=types.FunctionCall(name="look_up", args={"what": "trains"}))
        yield LlmResponse(
            content=types.Content(role="model", parts=[part]),
            usage_metadata=types.GenerateContentResponseUsageMetadata(
                prompt_token_count=0, candidates_token_count=0
            ),
        )


@contextmanager
def _chat(recorder: Recorder, *plugins: BasePlugin, tool: bool) -> Iterator[Chat]:
    agent = LlmAgent(
        name="friend",
        model=_Model(recorder=recorder, tool=tool),
        instruction=dialogue.APP_PROMPT,
        tools=[look_up] if tool else [],
    )
    runner = Runner(
        app=App(name="bench", root_agent=agent, plugins=[*plugins]),
        session_service=InMemorySessionService(),
        auto_create_session=True,
    )
    user_id = uuid.uuid4().hex

    async def run(n: int) -> None:
        message = types.Content(role="user", parts=[types.Part(text=dialogue.question(n))])
        async for _ in runner.run_async(user_id=user_id, session_id="thread", new_message=message):
            pass

    with event_loop() as loop:
        yield Chat(lambda n: loop.run_until_complete(run(n)))

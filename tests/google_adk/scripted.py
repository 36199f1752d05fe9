"""A model of ADK that follows a script, and an app to run it in."""

from __future__ import annotations

import inspect
from typing import Any

from google.adk.agents import LlmAgent, RunConfig
from google.adk.agents.run_config import StreamingMode
from google.adk.apps import App
from google.adk.models import BaseLlm, LlmResponse
from google.adk.runners import Runner
from google.adk.sessions import InMemorySessionService
from google.genai import types
from pydantic import PrivateAttr


def calls(name: str, narration: str | None = None, **arguments: Any) -> types.Content:
    parts = [types.Part(text=narration)] if narration else []
    call = types.Part(function_call=types.FunctionCall(name=name, args=arguments, id=f"call-{name}"))
    return types.Content(role="model", parts=[*parts, call])


class Scripted(BaseLlm):
    """Answers what its script says: texts, contents, errors to raise, or functions to await."""

    model: str = "scripted"
    _script: list[Any] = PrivateAttr()
    _prompts: list[str] = PrivateAttr()

    def __init__(self, *script: Any) -> None:
        super().__init__()
        self._script, self._prompts = list(script), []

    @property
    def prompts(self) -> list[str]:
        return self._prompts

    async def generate_content_async(self, llm_request, stream=False):
        self._prompts.append(as_text(llm_request))
        step = self._script.pop(0) if self._script else "answer"
        if inspect.isfunction(step):
            step = await step()
        if isinstance(step, BaseException):
            raise step
        if isinstance(step, str):
            if stream:
                for word in step.split():
                    part = types.Part(text=word)
                    yield LlmResponse(content=types.Content(role="model", parts=[part]), partial=True)
            step = types.Content(role="model", parts=[types.Part(text=step)])
        yield LlmResponse(content=step)


def as_text(request) -> str:
    texts = [
        part.text or part.model_dump_json(exclude_none=True)
        for content in request.contents
        for part in content.parts or []
    ]
    return "\n".join([str(request.config.system_instruction), *texts])


def runner_of(agent, *plugins, sessions=None, resumable=False, **services) -> Runner:
    from google.adk.apps.app import ResumabilityConfig

    more = {"resumability_config": ResumabilityConfig(is_resumable=True)} if resumable else {}
    app = App(name="app", root_agent=agent, plugins=list(plugins), **more)
    return Runner(
        app=app,
        session_service=sessions or InMemorySessionService(),
        auto_create_session=True,
        **services,
    )


def said(text: str) -> types.Content:
    return types.Content(role="user", parts=[types.Part(text=text)])


async def run(runner, text, user_id="ada", thread_id="t", *, streaming=False, until=None, **given):
    """Runs to the end, or to the first event that `until` wants; returns the events."""
    config = RunConfig(streaming_mode=StreamingMode.SSE if streaming else StreamingMode.NONE)
    message = said(text) if isinstance(text, str) else text
    events = []
    running = runner.run_async(
        user_id=user_id, session_id=thread_id, new_message=message, run_config=config, **given
    )
    async for event in running:
        events.append(event)
        if until is not None and until(event):
            await running.aclose()
            break
    return events


def last_text(events) -> str:
    texts = [
        "".join(part.text or "" for part in one.content.parts)
        for one in events
        if one.content and not one.partial
    ]
    return texts[-1] if texts else ""


def friend(model, **options) -> LlmAgent:
    return LlmAgent(name=options.pop("name", "friend"), model=model, **options)

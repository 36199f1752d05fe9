"""The plugin is an adapter like any other, streamed or not, with memories in either place."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import MappingProxyType

import pytest
from google.adk.sessions import InMemorySessionService
from google.adk.tools import AgentTool, FunctionTool
from google.genai import types

from recallrai_integrations import ContextOptions
from recallrai_integrations.google_adk import RecallrAIPlugin
from recallrai_integrations.testing import AdapterContract, Answered

from .scripted import Scripted, calls, friend, last_text, run, runner_of

# ADK's own: its AgentTool hands plugins on in a way that it deprecates; resuming is new.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The `plugins` argument:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.EXPERIMENTAL.:UserWarning"),
]


def look_up() -> str:
    """Looks something up."""
    return "found nothing"


class TestRun(AdapterContract):
    where = "user_id"
    placement = "system"
    streaming = False
    lacks = MappingProxyType(
        {"retry": "ADK runs nothing again by itself; an application sends a new message"}
    )

    def plugin(self, connection, thread_id="t"):
        """ADK has no run without a session: where each is a conversation by itself, the application says so."""
        return RecallrAIPlugin(
            connection,
            context=ContextOptions(placement=self.placement),
            process=None if thread_id else "every_run",
        )

    async def answered(self, connection, agent, text, user_id, thread_id, *models, streaming=None):
        sessions = InMemorySessionService()
        runner = runner_of(agent, self.plugin(connection, thread_id), sessions=sessions)
        thread_id = thread_id or f"session-{id(agent)}"
        streamed = self.streaming if streaming is None else streaming
        events = await run(runner, text, user_id or "", thread_id, streaming=streamed)
        session = await sessions.get_session(app_name="app", user_id=user_id or "", session_id=thread_id)
        prompts = [prompt for model in models for prompt in model.prompts]
        return Answered(last_text(events), prompts, [session.model_dump_json(), *map(str, events)])

    async def turn(self, connection, user_id, thread_id, text):
        model = Scripted(calls("look_up"), f"answer to {text}")
        agent = friend(model, instruction="Be kind.", tools=[look_up])
        return await self.answered(connection, agent, text, user_id, thread_id, model)

    async def stream(self, connection, user_id, thread_id, text):
        model = Scripted(calls("look_up"), f"answer to {text}")
        agent = friend(model, tools=[look_up])
        return await self.answered(connection, agent, text, user_id, thread_id, model, streaming=True)

    async def leave(self, connection, user_id, thread_id, text):
        runner = runner_of(friend(Scripted(f"answer to {text}")), self.plugin(connection))
        await run(runner, text, user_id, thread_id, streaming=True, until=lambda event: event.partial)
        return Answered(f"answer to {text}", [])

    async def cancel(self, connection, user_id, thread_id, text):
        asked = asyncio.Event()

        async def works():
            asked.set()
            await asyncio.sleep(60)

        runner = runner_of(friend(Scripted(works)), self.plugin(connection))
        task = asyncio.ensure_future(run(runner, text, user_id, thread_id))
        await asked.wait()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def fail(self, connection, user_id, thread_id, text):
        agent = friend(Scripted(ConnectionError()))
        with suppress(ConnectionError):
            await self.answered(connection, agent, text, user_id, thread_id)

    async def narrate(self, connection, user_id, thread_id, text):
        model = Scripted(calls("look_up", self.narration), f"answer to {text}")
        agent = friend(model, tools=[look_up])
        return await self.answered(connection, agent, text, user_id, thread_id, model)

    async def delegate(self, connection, user_id, thread_id, text):
        inner = Scripted(calls("look_up"), "they have fur")
        expert = AgentTool(friend(inner, name="expert", description="knows", tools=[look_up]))
        model = Scripted(calls("expert", request=self.delegated), f"answer to {text}")
        agent = friend(model, tools=[expert])
        return await self.answered(connection, agent, text, user_id, thread_id, model, inner)

    async def hand_off(self, connection, user_id, thread_id, text):
        inner = Scripted(f"answer to {text}")
        expert = friend(inner, name="expert", description="knows")
        model = Scripted(calls("transfer_to_agent", agent_name="expert"))
        agent = friend(model, sub_agents=[expert])
        return await self.answered(connection, agent, text, user_id, thread_id, model, inner)

    sessions = InMemorySessionService()

    def approving(self, connection, model):
        agent = friend(model, tools=[FunctionTool(look_up, require_confirmation=True)])
        return runner_of(agent, self.plugin(connection), sessions=self.sessions, resumable=True)

    async def pause(self, connection, user_id, thread_id, text):
        events = await run(self.approving(connection, Scripted(calls("look_up"))), text, user_id, thread_id)
        (asked,) = (call for one in events for call in one.get_function_calls() if call.name != "look_up")
        return asked.id

    async def resume(self, connection, user_id, thread_id, saved):
        model = Scripted("answer")
        confirmed = types.FunctionResponse(
            id=saved, name="adk_request_confirmation", response={"confirmed": True}
        )
        message = types.Content(role="user", parts=[types.Part(function_response=confirmed)])
        events = await run(self.approving(connection, model), message, user_id, thread_id)
        return Answered(last_text(events), model.prompts)

    async def at_once(self, connection, asked):
        plugin, sessions = self.plugin(connection), InMemorySessionService()

        async def one(user_id, thread_id, text):
            model = Scripted(calls("look_up"), f"answer to {user_id}")
            runner = runner_of(friend(model, tools=[look_up]), plugin, sessions=sessions)
            events = await run(runner, text, user_id, thread_id)
            return Answered(last_text(events), model.prompts)

        return await asyncio.gather(*(one(*which) for which in asked))


class TestRunStreamed(TestRun):
    placement = "split"
    streaming = True

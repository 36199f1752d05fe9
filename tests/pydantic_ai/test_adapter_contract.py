"""The capability is an adapter like any other, with `run` and `run_sync`, memories in either place."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from pydantic_ai import (
    Agent,
    DeferredToolRequests,
    DeferredToolResults,
    RunContext,
    Tool,
    ToolOutput,
    capture_run_messages,
)
from pydantic_ai.messages import ModelMessagesTypeAdapter

from recallrai_integrations import ContextOptions
from recallrai_integrations.pydantic_ai import RecallrAIMemory
from recallrai_integrations.testing import AdapterContract, Answered

from .scripting import WAYS, Script, as_text, calls


def look_up() -> str:
    """Looks something up."""
    return "found nothing"


class TestRun(AdapterContract):
    """`agent.run`, and memories in the system prompt."""

    where = "deps"
    placement = "system"

    def memory(self, connection, thread_id="t"):
        """Where each run is a conversation by itself, the application says so."""
        return RecallrAIMemory(
            connection,
            context=ContextOptions(placement=self.placement),
            process=None if thread_id else "every_run",
        )

    async def run(self, agent, *prompt, user_id, thread_id, **given):
        deps = {"user_id": user_id} if user_id else None
        return await agent.run(*prompt, deps=deps, conversation_id=thread_id, **given)

    async def answered(self, script, agent, text, user_id, thread_id):
        result = await self.run(agent, text, user_id=user_id, thread_id=thread_id)
        return Answered(result.output, script.prompts, [as_text(result.all_messages()), repr(result)])

    async def turn(self, connection, user_id, thread_id, text):
        script = Script(calls("look_up"), f"answer to {text}")
        agent = Agent(
            script.model,
            instructions="Be kind.",
            tools=[look_up],
            capabilities=[self.memory(connection, thread_id)],
        )
        return await self.answered(script, agent, text, user_id, thread_id)

    async def narrate(self, connection, user_id, thread_id, text):
        script = Script(calls("look_up", self.narration), "answer")
        agent = Agent(script.model, tools=[look_up], capabilities=[self.memory(connection)])
        return await self.answered(script, agent, text, user_id, thread_id)

    async def stream(self, connection, user_id, thread_id, text):
        script = Script(calls("look_up"), "the whole answer")
        agent = Agent(script.model, tools=[look_up], capabilities=[self.memory(connection)])
        deps = {"user_id": user_id}
        async with agent.run_stream(text, deps=deps, conversation_id=thread_id) as result:
            pieces = [piece async for piece in result.stream_text(delta=True)]
        return Answered("".join(pieces), script.prompts)

    async def leave(self, connection, user_id, thread_id, text):
        script = Script("the whole answer")
        agent = Agent(script.model, capabilities=[self.memory(connection)])
        deps = {"user_id": user_id}
        async with agent.run_stream(text, deps=deps, conversation_id=thread_id) as result:
            async for _ in result.stream_text(delta=True, debounce_by=None):
                break
        return Answered("the whole answer", script.prompts)

    async def cancel(self, connection, user_id, thread_id, text):
        asked = asyncio.Event()

        async def think():
            asked.set()
            await asyncio.Event().wait()

        agent = Agent(Script(think).model, capabilities=[self.memory(connection)])
        run = asyncio.create_task(agent.run(text, deps={"user_id": user_id}, conversation_id=thread_id))
        await asked.wait()
        run.cancel()
        with suppress(asyncio.CancelledError):
            await run

    async def fail(self, connection, user_id, thread_id, text):
        memory = self.memory(connection, thread_id)
        agent = Agent(Script(ConnectionError()).model, capabilities=[memory])
        with suppress(ConnectionError):
            await self.run(agent, text, user_id=user_id, thread_id=thread_id)

    async def retry(self, connection, user_id, thread_id, text):
        script = Script(ConnectionError(), "answer")
        agent = Agent(script.model, capabilities=[self.memory(connection)])
        with capture_run_messages() as messages, suppress(ConnectionError):
            await self.run(agent, text, user_id=user_id, thread_id=thread_id)
        result = await self.run(agent, user_id=user_id, thread_id=thread_id, message_history=messages)
        return Answered(result.output, script.prompts)

    async def delegate(self, connection, user_id, thread_id, text):
        inner = Script(calls("look_up"), "summary")
        other = Agent(inner.model, tools=[look_up], capabilities=[self.memory(connection)])

        async def summarise(ctx: RunContext, question: str) -> str:
            return (await other.run(question, deps=ctx.deps)).output

        script = Script(calls("summarise", question=self.delegated), "answer")
        agent = Agent(script.model, tools=[summarise], capabilities=[self.memory(connection)])
        answered = await self.answered(script, agent, text, user_id, thread_id)
        return Answered(answered.answer, [*script.prompts, *inner.prompts])

    async def hand_off(self, connection, user_id, thread_id, text):
        inner = Script("the specialist's answer")
        other = Agent(inner.model, capabilities=[self.memory(connection)])

        async def specialist(ctx: RunContext, question: str) -> str:
            return (await other.run(question, deps=ctx.deps)).output

        script = Script(calls("specialist", question="In other words?"))
        agent = Agent(
            script.model,
            output_type=ToolOutput(specialist, name="specialist"),
            capabilities=[self.memory(connection)],
        )
        answered = await self.answered(script, agent, text, user_id, thread_id)
        assert len(inner.prompts) == 1
        return Answered(answered.answer, [*script.prompts, *inner.prompts])

    def approving(self, connection, script):
        return Agent(
            script.model,
            output_type=[str, DeferredToolRequests],
            tools=[Tool(look_up, requires_approval=True)],
            capabilities=[self.memory(connection)],
        )

    async def pause(self, connection, user_id, thread_id, text):
        agent = self.approving(connection, Script(calls("look_up")))
        result = await self.run(agent, text, user_id=user_id, thread_id=thread_id)
        assert result.output.approvals
        return as_text(result.all_messages())

    async def resume(self, connection, user_id, thread_id, saved):
        script = Script("answer")
        history = ModelMessagesTypeAdapter.validate_json(saved)
        approvals = {call.tool_call_id: True for call in history[-1].parts}
        result = await self.run(
            self.approving(connection, script),
            user_id=user_id,
            thread_id=thread_id,
            message_history=history,
            deferred_tool_results=DeferredToolResults(approvals=approvals),
        )
        return Answered(result.output, script.prompts)

    async def at_once(self, connection, asked):
        memory = self.memory(connection)

        async def one(user_id, thread_id, text):
            script = Script(calls("look_up"), f"answer to {user_id}")
            agent = Agent(script.model, tools=[look_up], capabilities=[memory])
            return await self.answered(script, agent, text, user_id, thread_id)

        return await asyncio.gather(*(one(*which) for which in asked))


class TestRunSync(TestRun):
    """`agent.run_sync`, and memories beside the question."""

    placement = "user"

    async def run(self, agent, *prompt, user_id, thread_id, **given):
        deps = {"user_id": user_id} if user_id else None
        return await WAYS["run_sync"](agent, *prompt, deps=deps, conversation_id=thread_id, **given)

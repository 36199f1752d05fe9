"""The memory is an adapter like any other, in all ways to run an agent."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import MappingProxyType

from agents import Agent, ModelSettings, Runner, RunState, SQLiteSession, function_tool
from agents.retry import ModelRetrySettings

from recallrai_integrations.openai_agents import RecallrAIMemory
from recallrai_integrations.testing import AdapterContract, Answered

from .scripted import Scripted, calls, run, says, streamed


@function_tool
def look_up() -> str:
    """Looks something up."""
    return "found nothing"


@function_tool(needs_approval=True)
def order() -> str:
    """Orders something."""
    return "ordered"


def answered(model, result, *sessions):
    kept = [result.to_input_list(), result.to_state().to_json(), result.raw_responses, *sessions]
    return Answered(result.final_output, model.prompts, [str(one) for one in kept])


class TestRun(AdapterContract):
    way = "run"
    where = "Runner.run(…, context="

    async def run(self, agent, given, **arguments):
        return await run(self.way, agent, given, **arguments)

    async def turn(self, connection, user_id, thread_id, text):
        model = Scripted(calls("look_up"), f"answer to {text}")
        agent = Agent("Friend", instructions="Be kind.", model=model, tools=[look_up])
        context = {"user_id": user_id, "thread_id": thread_id}
        result = await self.run(agent, text, context=context, **RecallrAIMemory(connection).for_run())
        return answered(model, result)

    async def stream(self, connection, user_id, thread_id, text):
        model = Scripted(calls("look_up"), f"answer to {text}")
        agent = Agent("Friend", instructions="Be kind.", model=model, tools=[look_up])
        session = SQLiteSession(thread_id)
        memory = RecallrAIMemory(connection)
        result = await streamed(agent, text, **memory.for_run(user_id, session=session))
        return answered(model, result, await session.get_items())

    async def leave(self, connection, user_id, thread_id, text):
        agent = Agent("Friend", model=Scripted(f"answer to {text}"))
        result = Runner.run_streamed(agent, text, **RecallrAIMemory(connection).for_run(user_id, thread_id))
        async for _ in result.stream_events():
            break
        await result.run_loop_task
        return Answered(f"answer to {text}", [])

    async def cancel(self, connection, user_id, thread_id, text):
        asked = asyncio.Event()

        async def works():
            asked.set()
            await asyncio.sleep(60)

        agent = Agent("Friend", model=Scripted(works))
        task = asyncio.ensure_future(
            self.run(agent, text, **RecallrAIMemory(connection).for_run(user_id, thread_id))
        )
        await asked.wait()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def fail(self, connection, user_id, thread_id, text):
        agent = Agent("Friend", model=Scripted(ConnectionError()))
        with suppress(ConnectionError):
            await self.run(agent, text, **RecallrAIMemory(connection).for_run(user_id, thread_id))

    async def retry(self, connection, user_id, thread_id, text):
        settings = ModelSettings(
            retry=ModelRetrySettings(max_retries=2, policy=lambda _: True, backoff={"initial_delay": 0})
        )
        model = Scripted(ConnectionError(), f"answer to {text}")
        agent = Agent("Friend", model=model, model_settings=settings)
        result = await self.run(agent, text, **RecallrAIMemory(connection).for_run(user_id, thread_id))
        assert len(model.prompts) == 2
        return answered(model, result)

    async def narrate(self, connection, user_id, thread_id, text):
        model = Scripted([says(self.narration), calls("look_up")], f"answer to {text}")
        agent = Agent("Friend", model=model, tools=[look_up])
        result = await self.run(agent, text, **RecallrAIMemory(connection).for_run(user_id, thread_id))
        return answered(model, result)

    async def delegate(self, connection, user_id, thread_id, text):
        inner = Scripted(calls("look_up"), "they have fur")
        expert = Agent("Expert", model=inner, tools=[look_up]).as_tool("expert", "knows")
        model = Scripted(calls("expert", input=self.delegated), f"answer to {text}")
        agent = Agent("Friend", model=model, tools=[expert])
        result = await self.run(agent, text, **RecallrAIMemory(connection).for_run(user_id, thread_id))
        return Answered(result.final_output, [*model.prompts, *inner.prompts])

    async def hand_off(self, connection, user_id, thread_id, text):
        second = Scripted(f"answer to {text}")
        expert = Agent("Expert", model=second)
        first = Scripted(calls("transfer_to_expert"))
        agent = Agent("Friend", model=first, handoffs=[expert])
        result = await self.run(agent, text, **RecallrAIMemory(connection).for_run(user_id, thread_id))
        return Answered(result.final_output, [*first.prompts, *second.prompts])

    async def pause(self, connection, user_id, thread_id, text):
        agent = Agent("Friend", model=Scripted(calls("order")), tools=[order])
        result = await self.run(agent, text, **RecallrAIMemory(connection).for_run(user_id, thread_id))
        assert result.interruptions
        return result.to_state().to_string()

    async def resume(self, connection, user_id, thread_id, saved):
        model = Scripted("it is ordered")
        agent = Agent("Friend", model=model, tools=[order])
        state = await RunState.from_string(agent, saved)
        for interruption in state.get_interruptions():
            state.approve(interruption)
        result = await self.run(agent, state, **RecallrAIMemory(connection).for_run(user_id, thread_id))
        return answered(model, result)

    async def at_once(self, connection, asked):
        memory = RecallrAIMemory(connection)

        async def one(user_id, thread_id, text):
            model = Scripted(calls("look_up"), f"answer to {user_id}")
            agent = Agent("Friend", model=model, tools=[look_up])
            return answered(model, await self.run(agent, text, **memory.for_run(user_id, thread_id)))

        return await asyncio.gather(*(one(*which) for which in asked))


class TestRunStreamed(TestRun):
    way = "run_streamed"


class TestRunSync(TestRun):
    """`run_sync` has an event loop of its own: it is called on a thread without one."""

    way = "run_sync"
    lacks = MappingProxyType({"cancel": "a thread cannot be cancelled"})
    cancel = AdapterContract.cancel

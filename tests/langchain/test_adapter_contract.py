"""The middleware is an adapter like any other, in both colours."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import ClassVar

from langchain.agents import create_agent
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import MessagesState, StateGraph
from langgraph.types import Command, interrupt

from recallrai_integrations.langchain import RecallrAIMiddleware
from recallrai_integrations.testing import AdapterContract, Answered
from recallrai_integrations.testing.langchain import ScriptedChatModel, run, tool_call


def look_up() -> str:
    """Looks something up."""
    return "found nothing"


@tool
def approve() -> str:
    """Asks for approval."""
    return interrupt("May I?")


def of(user_id, thread_id):
    given = {"user_id": user_id, "thread_id": thread_id}
    return {"configurable": {name: value for name, value in given.items() if value is not None}}


def prompts(*models):
    return ["\n".join(one.text for one in request) for model in models for request in model.requests]


def asks(text):
    return {"messages": [("user", text)]}


class TestMiddleware(AdapterContract):
    colour = "sync"

    lacks: ClassVar[dict[str, str]] = {"cancel": "nobody cancels a thread"}

    def agent(self, connection, model, *tools, checkpointer=None):
        memory = RecallrAIMiddleware(connection)
        return create_agent(model, tools=[look_up, *tools], middleware=[memory], checkpointer=checkpointer)

    def turn(self, connection, user_id, thread_id, text):
        model, saver = ScriptedChatModel(script=[tool_call("look_up"), f"answer to {text}"]), InMemorySaver()
        config = of(user_id, thread_id)
        agent = self.agent(connection, model, checkpointer=saver if thread_id else None)
        result = run(self.colour, agent, asks(text), config)
        kept = [repr(result), *(repr(one) for one in saver.list(config if thread_id else None))]
        return Answered(result["messages"][-1].text, prompts(model), kept=kept)

    def stream(self, connection, user_id, thread_id, text):
        model = ScriptedChatModel(script=[f"answer to {text}"])
        agent = self.agent(connection, model)
        streamed = agent.stream(asks(text), of(user_id, thread_id), stream_mode="messages")
        return Answered("".join(chunk.text for chunk, _ in streamed), prompts(model))

    def leave(self, connection, user_id, thread_id, text):
        model = ScriptedChatModel(script=["a long answer"])
        agent = self.agent(connection, model)
        streamed = agent.stream(asks(text), of(user_id, thread_id), stream_mode="messages")
        next(streamed)
        streamed.close()
        return Answered("a long answer", prompts(model))

    def pause(self, connection, user_id, thread_id, text):
        model, self.saver = ScriptedChatModel(script=[tool_call("approve")]), InMemorySaver()
        agent = self.agent(connection, model, approve, checkpointer=self.saver)
        config = of(user_id, thread_id)
        run(self.colour, agent, asks(text), config)
        return "".join(repr(one) for one in self.saver.list(config))

    def resume(self, connection, user_id, thread_id, saved):
        model = ScriptedChatModel(script=["approved"])
        agent = self.agent(connection, model, approve, checkpointer=self.saver)
        result = run(self.colour, agent, Command(resume="yes"), of(user_id, thread_id))
        return Answered(result["messages"][-1].text, prompts(model))

    def fail(self, connection, user_id, thread_id, text):
        model = ScriptedChatModel(script=[ConnectionError()])
        with suppress(ConnectionError):
            run(self.colour, self.agent(connection, model), asks(text), of(user_id, thread_id))

    def retry(self, connection, user_id, thread_id, text):
        model = ScriptedChatModel(script=[ConnectionError(), "at last"])
        agent = self.agent(connection, model).with_retry(wait_exponential_jitter=False)
        result = run(self.colour, agent, asks(text), of(user_id, thread_id))
        return Answered(result["messages"][-1].text, prompts(model))

    def narrate(self, connection, user_id, thread_id, text):
        says = AIMessage(self.narration, tool_calls=tool_call("look_up").tool_calls)
        model = ScriptedChatModel(script=[says, "the answer"])
        result = run(self.colour, self.agent(connection, model), asks(text), of(user_id, thread_id))
        return Answered(result["messages"][-1].text, prompts(model))

    def hand_off(self, connection, user_id, thread_id, text):
        model = ScriptedChatModel(script=["the specialist answers"])
        moved = ToolMessage("Transferred.", tool_call_id="1")
        handing = AIMessage("", tool_calls=[{"name": "transfer", "args": {}, "id": "1"}])
        graph = StateGraph(MessagesState)
        specialist = self.agent(connection, model)
        graph.add_sequence([("triage", lambda _: {"messages": [handing, moved]}), ("specialist", specialist)])
        graph.set_entry_point("triage")
        result = run(self.colour, graph.compile(), asks(text), of(user_id, thread_id))
        return Answered(result["messages"][-1].text, prompts(model))

    def delegate(self, connection, user_id, thread_id, text):
        helper_model = ScriptedChatModel(script=["found"])
        helper = self.agent(connection, helper_model)

        @tool
        def ask_helper(task: str) -> str:
            """Asks a helper."""
            return helper.invoke(asks(task))["messages"][-1].text

        @tool("ask_helper")
        async def aask_helper(task: str) -> str:
            """Asks a helper."""
            return (await helper.ainvoke(asks(task)))["messages"][-1].text

        model = ScriptedChatModel(script=[tool_call("ask_helper", task=self.delegated), "done"])
        agent = self.agent(connection, model, ask_helper if self.colour == "sync" else aask_helper)
        result = run(self.colour, agent, asks(text), of(user_id, thread_id))
        return Answered(result["messages"][-1].text, prompts(model, helper_model))

    async def at_once(self, connection, asked):
        model = ScriptedChatModel()
        agent = self.agent(connection, model)

        async def one(user_id, thread_id, text):
            result = await agent.ainvoke(asks(text), of(user_id, thread_id))
            answer = result["messages"][-1].text
            number = int(answer.split()[-1]) - 1
            return Answered(answer, ["\n".join(one.text for one in model.requests[number])])

        return await asyncio.gather(*(one(*which) for which in asked))


class TestAsyncMiddleware(TestMiddleware):
    colour = "async"
    lacks: ClassVar[dict[str, str]] = {}

    async def stream(self, connection, user_id, thread_id, text):
        model = ScriptedChatModel(script=[f"answer to {text}"])
        agent = self.agent(connection, model)
        streamed = agent.astream(asks(text), of(user_id, thread_id), stream_mode="messages")
        return Answered("".join([chunk.text async for chunk, _ in streamed]), prompts(model))

    async def leave(self, connection, user_id, thread_id, text):
        model = ScriptedChatModel(script=["a long answer"])
        agent = self.agent(connection, model)
        streamed = agent.astream(asks(text), of(user_id, thread_id), stream_mode="messages")
        await anext(streamed)
        await streamed.aclose()
        return Answered("a long answer", prompts(model))

    async def cancel(self, connection, user_id, thread_id, text):
        at_work = asyncio.Event()

        @tool
        async def wait() -> str:
            """Waits."""
            at_work.set()
            await asyncio.Event().wait()
            return ""

        agent = self.agent(connection, ScriptedChatModel(script=[tool_call("wait")]), wait)
        running = asyncio.create_task(agent.ainvoke(asks(text), of(user_id, thread_id)))
        await at_work.wait()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running

"""The middleware is an adapter like any other, in both colours."""

from __future__ import annotations

from langchain.agents import create_agent

from recallrai_integrations.langchain import RecallrAIMiddleware
from recallrai_integrations.testing import AdapterContract, Answered
from recallrai_integrations.testing.adapter import ABILITIES
from recallrai_integrations.testing.langchain import ScriptedChatModel, run, tool_call


def look_up() -> str:
    """Looks something up."""
    return "found nothing"


class TestMiddleware(AdapterContract):
    colour = "sync"

    lacks = dict.fromkeys(ABILITIES, "not tried yet")

    def turn(self, connection, user_id, thread_id, text):
        model = ScriptedChatModel(script=[tool_call("look_up"), f"answer to {text}"])
        agent = create_agent(model, tools=[look_up], middleware=[RecallrAIMiddleware(connection)])
        given = {"user_id": user_id, "thread_id": thread_id}
        config = {"configurable": {name: value for name, value in given.items() if value is not None}}
        answer = run(self.colour, agent, {"messages": [("user", text)]}, config)["messages"][-1].text
        return Answered(answer, ["\n".join(one.text for one in request) for request in model.requests])


class TestAsyncMiddleware(TestMiddleware):
    colour = "async"

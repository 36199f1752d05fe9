"""A model that asks for another user's ids is told so; the run goes on, and nothing leaves."""

from __future__ import annotations

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage

from recallrai_integrations import connect
from recallrai_integrations.langchain import RecallrAIToolkit
from recallrai_integrations.testing.langchain import ScriptedChatModel, tool_call
from tests.ids import two_users

from .conftest import asks, of

TAKING_IDS = {
    (tool.name, name)
    for tool in RecallrAIToolkit(user_id="ada").get_tools()
    for name in tool.args
    if name.endswith("_id")
}


@pytest.fixture(scope="module")
def users():
    with two_users() as both:
        yield both


def test_the_tools_are_found():
    assert {("forget_memory", "memory_id"), ("answer_merge_conflict", "conflict_id")} == TAKING_IDS


@pytest.mark.parametrize(("tool", "argument"), sorted(TAKING_IDS))
async def test_an_unfit_id_is_told_to_the_model_in_one_line(users, call, tool, argument):
    before = users.bob()
    others = {"answers": []} if tool == "answer_merge_conflict" else {}
    calls = [tool_call(tool, **{argument: unfit}, **others).tool_calls[0] for unfit in users.unfit]
    model = ScriptedChatModel(script=[AIMessage("", tool_calls=calls), "done"])
    with connect(**users.service) as connection:
        agent = create_agent(model, tools=RecallrAIToolkit(connection=connection).get_tools())
        result = await call(agent.invoke, asks("q"), of())
    assert result["messages"][-1].text == "done"
    answers = [one for one in result["messages"] if one.type == "tool"]
    assert len(answers) == len(users.unfit)
    for answer in answers:
        assert f"The {argument.replace('_', ' ')} " in answer.text
        assert "is not an id of the service" in answer.text
        assert len(answer.text.splitlines()) == 1
    assert users.paths() == []
    assert users.bob() == before


async def test_an_id_of_nothing_is_told_to_the_model(users, call):
    model = ScriptedChatModel(script=[tool_call("forget_memory", memory_id="nope"), "done"])
    with connect(**users.service) as connection:
        agent = create_agent(model, tools=RecallrAIToolkit(connection=connection).get_tools())
        result = await call(agent.invoke, asks("q"), of())
    assert result["messages"][-1].text == "done"
    assert "nothing with this id" in result["messages"][-2].text

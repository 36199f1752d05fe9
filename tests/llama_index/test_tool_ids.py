"""A model that asks for another user's ids is told so; the run goes on, and nothing leaves."""

from collections.abc import Iterator

import pytest
from llama_index.core.agent.workflow import FunctionAgent, ToolCallResult

from recallrai_integrations import connect
from recallrai_integrations.llama_index import RecallrAIToolSpec
from recallrai_integrations.testing.llama_index import ScriptedLLM
from tests.ids import Users, two_users

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the framework's own agents

TAKING_IDS = {
    (tool.metadata.name, name)
    for tool in RecallrAIToolSpec("ada").to_tool_list()
    for name in tool.metadata.get_parameters_dict().get("properties", {})
    if name.endswith("_id")
}


@pytest.fixture(scope="module")
def users() -> Iterator[Users]:
    with two_users() as both:
        yield both


def test_the_tools_are_found() -> None:
    assert {("forget_memory", "memory_id"), ("answer_merge_conflict", "conflict_id")} == TAKING_IDS


def check(argument: str, text: str) -> None:
    assert f"The {argument.replace('_', ' ')} " in text
    assert "is not an id of the service" in text
    assert len(text.splitlines()) == 1


@pytest.mark.parametrize(("tool", "argument"), sorted(TAKING_IDS))
async def test_an_unfit_id_is_told_to_the_model_in_one_line(users: Users, tool: str, argument: str) -> None:
    before = users.bob()
    others = {"answers": {}} if tool == "answer_merge_conflict" else {}
    llm = ScriptedLLM([(tool, {argument: unfit, **others}) for unfit in users.unfit], "done")
    with connect(**users.service) as connection:  # type: ignore[arg-type]
        tools = RecallrAIToolSpec("ada", connection=connection).to_tool_list()
        handler = FunctionAgent(tools=tools, llm=llm).run(user_msg="q")
        told = [
            str(event.tool_output.content)
            async for event in handler.stream_events()
            if isinstance(event, ToolCallResult)
        ]
        assert str(await handler) == "done"
        [sync] = [one for one in tools if one.metadata.name == tool]
        told += [str(sync.call(**{argument: unfit}, **others).content) for unfit in users.unfit]
    assert len(told) == 2 * len(users.unfit)
    for text in told:
        check(argument, text)
    assert users.paths() == []
    assert users.bob() == before


async def test_an_id_of_nothing_is_told_to_the_model(users: Users) -> None:
    llm = ScriptedLLM([("forget_memory", {"memory_id": "nope"})], "done")
    with connect(**users.service) as connection:  # type: ignore[arg-type]
        agent = FunctionAgent(tools=RecallrAIToolSpec("ada", connection=connection).to_tool_list(), llm=llm)
        assert str(await agent.run(user_msg="q")) == "done"
    assert "nothing with this id" in str(llm.requests[1][-1].content)

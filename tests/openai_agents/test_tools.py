"""Tools by which a model looks into the memory of its run's user."""

from __future__ import annotations

import json

import pytest
from agents import Agent, FunctionTool, Runner, UserError

from recallrai_integrations import CredentialsError, MissingIdentityError
from recallrai_integrations.openai_agents import recallrai_tools

from .scripted import Scripted, calls


def results(model: Scripted) -> str:
    return "\n".join(str(item["output"]) for item in model.inputs[-1] if "output" in item)


def test_the_tools_have_schemas_of_objects_and_no_user(connection):
    tools = recallrai_tools(connection)
    assert [tool.name for tool in tools] == [
        "search_memory", "list_memories", "forget_memory", "list_merge_conflicts", "answer_merge_conflict",
    ]  # fmt: skip
    for tool in tools:
        assert isinstance(tool, FunctionTool)
        assert tool.params_json_schema["type"] == "object"
        assert "user" not in json.dumps(tool.params_json_schema["properties"].get("user_id", ""))


@pytest.mark.parametrize("place", ["argument", "context", "run"])
async def test_a_model_finds_what_is_remembered_of_the_runs_user(connection, memory, run_it, teach, place):
    teach()
    tools = recallrai_tools(connection, user_id="ada" if place == "argument" else None)
    model = Scripted(calls("search_memory", question="What is the dog called?"), "Biscuit.")
    arguments = {"context": {"user_id": "ada"}} if place == "context" else {}
    if place == "run":
        arguments = memory.for_run("ada", "t")
    await run_it(Agent("Archivist", model=model, tools=tools), "Look it up.", **arguments)
    assert "Biscuit" in results(model)


async def test_a_model_lists_and_forgets(connection, run_it, teach):
    teach()
    tools, me = recallrai_tools(connection), {"user_id": "ada"}
    listing = Scripted(calls("list_memories"), "Done.")
    await run_it(Agent("Archivist", model=listing, tools=tools), "List.", context=me)
    memory_id = results(listing).split("[")[1].split("]")[0]
    forgetting = Scripted(calls("forget_memory", memory_id=memory_id), calls("list_memories"), "Done.")
    await run_it(Agent("Archivist", model=forgetting, tools=tools), "Forget it.", context=me)
    assert "Nothing is remembered." in results(forgetting)


async def test_forgetting_waits_for_approval_where_the_application_wants_that(connection, run_it, teach):
    teach()
    tools, me = recallrai_tools(connection, forget_needs_approval=True), {"user_id": "ada"}
    model = Scripted([calls("forget_memory", memory_id="1"), calls("list_memories")])
    result = await run_it(Agent("Archivist", model=model, tools=tools), "Forget it.", context=me)
    assert [one.name for one in result.interruptions] == ["forget_memory"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("{}", "question"),
        ("no json", "JSON"),
        ('{"question": 1}', "question"),
        ('{"question": "?", "limit": 99}', "limit"),
    ],
)
async def test_wrong_arguments_are_told_to_the_model(connection, arguments, told):
    call = calls("search_memory")
    call.arguments = arguments
    model = Scripted(call, "Sorry.")
    agent = Agent("Archivist", model=model, tools=recallrai_tools(connection, user_id="ada"))
    assert (await Runner.run(agent, "?")).final_output == "Sorry."
    assert told in results(model)
    assert "\n" not in results(model)


async def test_what_the_service_cannot_do_is_told_and_what_is_wrong_with_the_application_is_raised(
    server, make_connection, run_it
):
    tools = recallrai_tools(make_connection(deliver={"retries": 0}))
    me = {"user_id": "ada"}
    server.faults.add(status=503)
    model = Scripted(calls("list_memories"), "Sorry.")
    await run_it(Agent("Archivist", model=model, tools=tools), "List.", context=me)
    assert "That did not work" in results(model)
    server.faults.clear()
    agent = Agent("Archivist", model=Scripted(calls("list_memories")), tools=tools)
    with pytest.raises(UserError, match="No user id") as missing:
        await run_it(agent, "List.")
    assert isinstance(missing.value.__cause__, MissingIdentityError)
    server.faults.add(status=401)
    agent = Agent("Archivist", model=Scripted(calls("list_memories")), tools=tools)
    with pytest.raises(UserError) as refused:
        await run_it(agent, "List.", context=me)
    assert isinstance(refused.value.__cause__, CredentialsError)

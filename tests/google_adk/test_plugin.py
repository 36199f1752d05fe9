"""Hook orders, agents within agents, and wrong input: what must hold in an app with the plugin."""

from __future__ import annotations

import asyncio
import copy
import pickle

import google.adk
import pytest
from google.adk.agents import LlmAgent, LoopAgent, ParallelAgent, SequentialAgent
from google.adk.plugins import BasePlugin
from google.adk.tools import AgentTool
from google.genai import types
from packaging.version import Version
from pydantic import BaseModel

from recallrai_integrations import (
    ContextOptions,
    InvalidInputError,
    MissingIdentityError,
    ServiceUnavailableError,
)
from recallrai_integrations.google_adk import RecallrAIPlugin

from .scripted import Scripted, calls, friend, last_text, run, runner_of, said

# ADK's own: its AgentTool hands plugins on in a way that it deprecates, and composite agents are to go.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The `plugins` argument:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*Agent is deprecated:DeprecationWarning"),
]


@pytest.fixture
def remembering(connection):
    with connection.conversation("ada") as conversation:
        conversation.record(("user", "My dog is called Biscuit."))
        conversation.finish(wait=True)
    return connection


async def test_what_a_redacting_plugin_leaves_of_the_question_is_stored(connection, stored):
    class Redacting(BasePlugin):
        async def on_user_message_callback(self, *, invocation_context, user_message):
            return said("I am [name].")

    plugins = [Redacting("redacting"), RecallrAIPlugin(connection)]
    await run(runner_of(friend(Scripted("Hello.")), *plugins), "I am Ada Byron.")
    assert stored() == [("user", "I am [name]."), ("assistant", "Hello.")]


async def test_the_answer_of_the_last_agent_is_stored_and_all_have_the_memories(remembering, stored):
    models = [Scripted("A plan."), Scripted("The result.")]
    agents = [friend(model, name=f"agent_{n}") for n, model in enumerate(models)]
    agent = SequentialAgent(name="both", sub_agents=agents)
    await run(runner_of(agent, RecallrAIPlugin(remembering)), "What is my dog called?")
    assert stored() == [("user", "What is my dog called?"), ("assistant", "The result.")]
    assert all("Biscuit" in prompt for model in models for prompt in model.prompts)


async def test_agents_side_by_side_share_one_recall(remembering, server):
    models = [Scripted("one"), Scripted("two"), Scripted("three")]
    agents = [friend(model, name=f"agent_{n}") for n, model in enumerate(models)]
    agent = ParallelAgent(name="all", sub_agents=agents)
    server.requests.clear()
    await run(runner_of(agent, RecallrAIPlugin(remembering)), "What is my dog called?")
    assert sum(one.path.endswith("/context") for one in server.requests) == 1
    assert all("Biscuit" in prompt for model in models for prompt in model.prompts)


async def test_a_loop_stores_one_question_and_its_last_answer(connection, stored):
    agent = LoopAgent(name="loop", sub_agents=[friend(Scripted("draft", "better"))], max_iterations=2)
    await run(runner_of(agent, RecallrAIPlugin(connection)), "Write a line.")
    assert stored() == [("user", "Write a line."), ("assistant", "better")]


async def test_tools_side_by_side_leave_no_mark_behind(remembering, stored):
    async def slow() -> str:
        """Is slow."""
        await asyncio.sleep(0.05)
        return "slow"

    async def fails() -> str:
        """Fails."""
        raise OSError("no disk")

    class Forgiving(BasePlugin):
        async def on_tool_error_callback(self, *, tool, tool_args, tool_context, error):
            return {"error": str(error)}

    both = types.Content(role="model", parts=[*calls("slow").parts, *calls("fails").parts])
    plugins = [RecallrAIPlugin(remembering), Forgiving("forgiving")]
    runner = runner_of(friend(Scripted(both, "done", "again"), tools=[slow, fails]), *plugins)
    await run(runner, "Do both.")
    await run(runner, "And again.")
    assert [content for _, content in stored()] == ["Do both.", "done", "And again.", "again"]


async def test_an_agent_in_a_tool_of_an_agent_in_a_tool_stores_nothing(remembering, stored):
    innermost = Scripted("deep")
    inner = Scripted(calls("innermost", request="deeper?"), "inner")
    deep = AgentTool(friend(innermost, name="innermost", description="knows"))
    tool = AgentTool(friend(inner, name="inner", description="knows", tools=[deep]))
    model = Scripted(calls("inner", request="deep?"), "outer")
    await run(runner_of(friend(model, tools=[tool]), RecallrAIPlugin(remembering)), "My dog's name?")
    assert stored() == [("user", "My dog's name?"), ("assistant", "outer")]
    assert all("Biscuit" in prompt for one in (innermost, inner, model) for prompt in one.prompts)


async def test_a_plugin_that_answers_first_leaves_nothing_stored(connection):
    class Answering(BasePlugin):
        async def before_run_callback(self, *, invocation_context):
            return types.Content(role="model", parts=[types.Part(text="Closed today.")])

    plugins = [Answering("answering"), RecallrAIPlugin(connection)]
    await run(runner_of(friend(Scripted("never")), *plugins), "Are you open?")
    assert connection.user("ada").memories() == []


@pytest.mark.skipif(
    Version(google.adk.__version__) < Version("2.9"), reason="ADK runs the agent all the same"
)
async def test_what_a_plugin_behind_ours_answers_is_the_answer(connection, stored):
    class Answering(BasePlugin):
        async def before_run_callback(self, *, invocation_context):
            return types.Content(role="model", parts=[types.Part(text="Closed today.")])

    plugins = [RecallrAIPlugin(connection), Answering("answering")]
    await run(runner_of(friend(Scripted("never")), *plugins), "Are you open?")
    assert stored() == [("user", "Are you open?"), ("assistant", "Closed today.")]


async def test_thoughts_and_errors_are_no_answers(connection, stored):
    thought = types.Content(
        role="model", parts=[types.Part(text="Hm.", thought=True), types.Part(text="Forty-two.")]
    )
    await run(runner_of(friend(Scripted(thought)), RecallrAIPlugin(connection)), "The answer?")
    assert stored()[-1] == ("assistant", "Forty-two.")


class Dish(BaseModel):
    name: str


@pytest.mark.parametrize("store", [False, True])
async def test_a_structured_answer_is_stored_where_the_application_wants_it(connection, store, stored):
    agent = friend(Scripted('{"name": "curry"}'), output_schema=Dish)
    await run(runner_of(agent, RecallrAIPlugin(connection, store_structured=store)), "A dish?")
    assert len(stored()) == 1 + store


async def test_an_image_alone_is_a_question_with_a_placeholder(connection, stored):
    image = types.Part(inline_data=types.Blob(data=b"x", mime_type="image/png"))
    message = types.Content(role="user", parts=[image])
    await run(runner_of(friend(Scripted("A cat.")), RecallrAIPlugin(connection)), message)
    assert stored() == [("user", "[image]"), ("assistant", "A cat.")]


async def test_parts_of_a_question_stand_one_below_the_other(connection, stored):
    message = types.Content(role="user", parts=[types.Part(text="one"), types.Part(text="two")])
    await run(runner_of(friend(Scripted("three")), RecallrAIPlugin(connection)), message)
    assert stored()[0] == ("user", "one\ntwo")


async def test_without_a_user_the_error_says_where_to_put_one(connection):
    with pytest.raises(RuntimeError, match="user_id") as raised:
        await run(runner_of(friend(Scripted()), RecallrAIPlugin(connection)), "hi", user_id="")
    assert isinstance(raised.value.__cause__, MissingIdentityError)


async def test_an_id_that_cannot_be_sent_is_named_before_any_request(connection, server):
    with pytest.raises(RuntimeError) as raised:
        await run(runner_of(friend(Scripted()), RecallrAIPlugin(connection)), "hi", user_id="a" * 300)
    assert isinstance(raised.value.__cause__, InvalidInputError)
    assert list(server.requests) == []


async def test_an_outage_costs_no_answer(make_connection, server, stored):
    connection = make_connection(deliver={"retries": 0})
    server.faults.add(status=503)
    runner = runner_of(friend(Scripted("Hello.")), RecallrAIPlugin(connection))
    assert last_text(await run(runner, "hi")) == "Hello."
    server.faults.clear()
    await connection.aflush()
    assert stored() == [("user", "hi"), ("assistant", "Hello.")]


async def test_an_outage_arrives_as_the_cause_where_the_application_wants_to_know(make_connection, server):
    connection = make_connection(deliver={"retries": 0, "on_error": "raise"})
    server.faults.add(status=503)
    runner = runner_of(friend(Scripted("Hello.")), RecallrAIPlugin(connection))
    with pytest.raises(RuntimeError) as raised:
        await run(runner, "hi")
    assert isinstance(raised.value.__cause__, ServiceUnavailableError)


@pytest.mark.parametrize("placement", ["system", "user", "split"])
async def test_memories_stand_where_the_placement_has_them(remembering, placement):
    requests = []

    class Looking(BasePlugin):
        async def before_model_callback(self, *, callback_context, llm_request):
            requests.append(copy.deepcopy(llm_request))

    ours = RecallrAIPlugin(remembering, context=ContextOptions(placement=placement))
    runner = runner_of(friend(Scripted("Biscuit."), instruction="Be kind."), ours, Looking("looking"))
    await run(runner, "My dog's name?")
    (request,) = requests
    texts = [content.parts[0].text for content in request.contents]
    assert texts[-1] == "My dog's name?"
    assert ("Biscuit" in str(request.config.system_instruction)) == (placement == "system")
    assert any("Biscuit" in text for text in texts[:-1]) == (placement != "system")


async def test_a_copy_and_a_pickle_serve_the_same_connection_without_its_key(connection, stored):
    plugin = RecallrAIPlugin(connection)
    for other in (copy.deepcopy(plugin), pickle.loads(pickle.dumps(plugin))):
        await run(runner_of(friend(Scripted("Hello.")), other), "hi")
    assert len(stored()) == 4
    assert b"rr_" not in pickle.dumps(plugin)


async def test_a_hundred_users_at_once_have_their_own_memories(connection):
    plugin = RecallrAIPlugin(connection)

    async def one(n):
        runner = runner_of(friend(Scripted(f"answer {n}")), plugin)
        await run(runner, f"I am number {n}.", user_id=f"user-{n}", thread_id="same")

    await asyncio.gather(*(one(n) for n in range(100)))
    for n in range(100):
        history = connection.conversation(f"user-{n}", "same").history()
        assert [one.content for one in history] == [f"I am number {n}.", f"answer {n}"]


async def test_the_next_turn_of_a_session_recalls_by_its_own_question(remembering, stored):
    model = Scripted("Hello.", "Biscuit.")
    runner = runner_of(friend(model), RecallrAIPlugin(remembering))
    await run(runner, "hi")
    await run(runner, "What is my dog called?")
    assert len(stored()) == 4
    assert "Biscuit" in model.prompts[-1]


def test_the_agents_of_an_app_are_left_as_they_are(connection):
    agent = LlmAgent(name="friend", model=Scripted())
    before = agent.model_dump_json(exclude={"model"})
    runner_of(agent, RecallrAIPlugin(connection))
    assert agent.model_dump_json(exclude={"model"}) == before

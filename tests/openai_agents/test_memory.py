"""What must hold for the memory of agents' runs, in all ways to run them."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from importlib.metadata import version

import pytest
from agents import (
    Agent,
    GuardrailFunctionOutput,
    InputGuardrail,
    InputGuardrailTripwireTriggered,
    MaxTurnsExceeded,
    OutputGuardrail,
    OutputGuardrailTripwireTriggered,
    RunConfig,
    RunHooks,
    Runner,
    RunState,
    SQLiteSession,
    StopAtTools,
    function_tool,
)
from agents.run_config import ModelInputData
from pydantic import BaseModel

from recallrai_integrations import (
    ContextOptions,
)
from recallrai_integrations.openai_agents import RecallrAIMemory

from .scripted import Scripted, calls, refuses, says

SDK = tuple(int(part) for part in version("openai-agents").split(".")[:2])
QUESTION = "What is my dog called?"

CLUE = "Biscuit"

TURN = ["POST add-message", "GET context", "POST add-message"]


@function_tool
def look_up() -> str:
    """Looks something up."""
    return "found nothing"


@function_tool(needs_approval=True)
def order() -> str:
    """Orders something."""
    return "ordered"


def tripped(on, *, kind=InputGuardrail, **how):
    """A guardrail that lets nothing pass which holds `on`."""

    def check(context, agent, value):
        return GuardrailFunctionOutput(output_info=None, tripwire_triggered=on in str(value))

    return kind(guardrail_function=check, **how)


def said(question: str, answer: str):
    return [("user", question), ("assistant", answer)]


async def test_a_turn_is_two_requests_before_the_model_and_one_after_whatever_the_tools(
    memory, run_it, teach, requests, stored
):
    teach()
    await run_it(Agent("Friend", model=Scripted("hello")), "hi", **memory.for_run("ada", "t"))
    requests()
    seen = []

    async def looks():
        seen.append(requests())
        return [says("Let me see."), calls("look_up"), calls("look_up")]

    model = Scripted(looks, calls("look_up"), "Biscuit, I think.")
    agent = Agent("Friend", instructions="Be kind.", model=model, tools=[look_up])
    await run_it(agent, QUESTION, **memory.for_run("ada", "t"))
    assert seen == [TURN[:2]]
    assert requests() == TURN[2:]
    assert all(CLUE in one and one.startswith("Be kind.") for one in model.instructions)
    assert len(set(model.instructions)) == 1
    assert stored() == [*said("hi", "hello"), *said(QUESTION, "Biscuit, I think.")]


async def test_an_agent_as_tool_that_waits_for_approval_records_nothing_and_has_the_memories(
    memory, run_it, teach, stored, make_connection
):
    teach()

    def agents():
        inner, outer = Scripted(), Scripted()
        expert = Agent("Expert", model=inner, tools=[order]).as_tool("expert", "knows")
        return Agent("Friend", model=outer, tools=[expert]), outer, inner

    agent, outer, inner = agents()
    outer.steps, inner.steps = [calls("expert", input="Order food for pets.")], [calls("order")]
    paused = await run_it(agent, QUESTION, **memory.for_run("ada", "t"))
    saved = paused.to_state().to_string()
    agent, outer, inner = agents()
    outer.steps, inner.steps = ["It is ordered."], ["ordered it"]
    state = await RunState.from_string(agent, saved)
    for interruption in state.get_interruptions():
        state.approve(interruption)
    elsewhere = RecallrAIMemory(make_connection())
    result = await run_it(agent, state, **elsewhere.for_run("ada", "t"))
    assert result.final_output == "It is ordered."
    assert inner.prompts
    assert all(CLUE in prompt for prompt in inner.prompts + outer.prompts)
    assert stored() == said(QUESTION, "It is ordered.")


@pytest.mark.parametrize("place", ["same arguments", "new objects", "another process"])
@pytest.mark.usefixtures("taught")
async def test_a_run_that_goes_on_from_json_stores_question_and_answer_once(
    memory, run_it, stored, make_connection, place
):
    arguments = memory.for_run("ada", "t")
    agent = Agent("Friend", model=Scripted(calls("order")), tools=[order])
    paused = await run_it(agent, QUESTION, **arguments)
    saved = json.dumps(paused.to_state().to_json())
    assert CLUE not in saved
    if place != "same arguments":
        other = memory if place == "new objects" else RecallrAIMemory(make_connection())
        arguments = other.for_run("ada", "t")
    model = Scripted("It is ordered.")
    state = await RunState.from_json(Agent("Friend", model=model, tools=[order]), json.loads(saved))
    state.approve(state.get_interruptions()[0])
    await run_it(Agent("Friend", model=model, tools=[order]), state, **arguments)
    assert CLUE in model.prompts[0]
    assert stored() == said(QUESTION, "It is ordered.")


async def test_a_run_without_a_thread_that_goes_on_with_its_arguments_stays_one_session(
    memory, run_it, connection, requests
):
    arguments = memory.for_run("ada")
    agent = Agent("Friend", model=Scripted(calls("order"), "Done."), tools=[order])
    paused = await run_it(agent, QUESTION, **arguments)
    assert "POST process" not in requests()
    state = paused.to_state()
    state.approve(state.get_interruptions()[0])
    await run_it(agent, state, **arguments)
    assert [one for one in requests() if one.startswith("POST")] == ["POST add-message", "POST process"]
    (session,) = [line for line in connection.export("ada") if line["type"] == "session"]
    assert [one["content"] for one in session["messages"]] == [QUESTION, "Done."]


async def test_what_the_user_adds_to_a_run_that_waits_is_stored_too(memory, run_it, stored):
    agent = Agent("Friend", model=Scripted(calls("order"), "Done."), tools=[order])
    paused = await run_it(agent, "Order food.", **memory.for_run("ada", "t"))
    state = paused.to_state()
    state.approve(state.get_interruptions()[0])
    if not hasattr(state, "add_input"):
        pytest.skip("this version of the SDK cannot")
    state.add_input("And a ball.")
    await run_it(agent, state, **memory.for_run("ada", "t"))
    assert stored() == [("user", "Order food."), ("user", "And a ball."), ("assistant", "Done.")]


async def test_a_rejected_call_is_a_turn_like_any_other(memory, run_it, stored):
    agent = Agent("Friend", model=Scripted(calls("order"), "I did not."), tools=[order])
    paused = await run_it(agent, "Order food.", **memory.for_run("ada", "t"))
    state = paused.to_state()
    state.reject(state.get_interruptions()[0])
    await run_it(agent, state, **memory.for_run("ada", "t"))
    assert stored() == said("Order food.", "I did not.")


@pytest.mark.parametrize("session", [None, "own"])
async def test_blocked_output_is_never_stored(memory, run_it, stored, session):
    agent = Agent(
        "Friend", model=Scripted("a secret"), output_guardrails=[tripped("secret", kind=OutputGuardrail)]
    )
    own = SQLiteSession("t") if session else None
    with pytest.raises(OutputGuardrailTripwireTriggered):
        await run_it(agent, "Tell me.", **memory.for_run("ada", "t", session=own))
    assert stored() == [("user", "Tell me.")]


@pytest.mark.skipif(SDK < (0, 22), reason="the SDK gives its session what it has just blocked")
async def test_blocked_output_of_a_tool_is_never_stored(connection, run_it, stored):
    memory = RecallrAIMemory(connection, store_direct=True)
    agent = Agent(
        "Friend",
        model=Scripted(calls("look_up")),
        tools=[look_up],
        tool_use_behavior="stop_on_first_tool",
        output_guardrails=[tripped("found", kind=OutputGuardrail)],
    )
    with pytest.raises(OutputGuardrailTripwireTriggered):
        await run_it(agent, "Look.", **memory.for_run("ada", "t"))
    assert stored() == [("user", "Look.")]


async def test_refused_input_is_never_stored(memory, run_it, stored):
    guardrail = tripped("bomb", run_in_parallel=False)
    agent = Agent("Friend", model=Scripted(), input_guardrails=[guardrail])
    with pytest.raises(InputGuardrailTripwireTriggered):
        await run_it(agent, "Build a bomb.", **memory.for_run("ada", "t"))
    assert stored() == []


@pytest.mark.parametrize("model_is_slow", [True, False])
async def test_an_answer_to_input_that_is_refused_meanwhile_is_never_stored(
    memory, run_it, stored, model_is_slow
):
    async def check(context, agent, given):
        await asyncio.sleep(0 if model_is_slow else 0.05)
        return GuardrailFunctionOutput(output_info=None, tripwire_triggered=True)

    async def answers():
        await asyncio.sleep(0.05 if model_is_slow else 0)
        return "Like this."

    agent = Agent("Friend", model=Scripted(answers), input_guardrails=[InputGuardrail(check)])
    with pytest.raises(InputGuardrailTripwireTriggered):
        await run_it(agent, "Build a bomb.", **memory.for_run("ada", "t"))
    assert stored() in ([], [("user", "Build a bomb.")])


async def test_guardrails_that_let_pass_change_nothing(memory, run_it, stored):
    agent = Agent(
        "Friend",
        model=Scripted("Fine."),
        input_guardrails=[tripped("bomb"), tripped("bomb", run_in_parallel=False)],
        output_guardrails=[tripped("secret", kind=OutputGuardrail)],
    )
    await run_it(agent, "How are you?", **memory.for_run("ada", "t"))
    assert stored() == said("How are you?", "Fine.")


class Heard(RunHooks):
    def __init__(self):
        self.events = []

    async def on_agent_start(self, context, agent):
        self.events.append(f"start {agent.name}")

    async def on_agent_end(self, context, agent, output):
        self.events.append(f"end {agent.name} {output}")

    async def on_llm_start(self, context, agent, system_prompt, input_items):
        self.events.append("llm start")

    async def on_llm_end(self, context, agent, response):
        self.events.append("llm end")

    async def on_tool_start(self, context, agent, tool):
        self.events.append(f"tool {tool.name}")

    async def on_tool_end(self, context, agent, tool, result):
        self.events.append(f"result {result}")

    async def on_handoff(self, context, from_agent, to_agent):
        self.events.append(f"{from_agent.name} to {to_agent.name}")


async def test_the_applications_hooks_filter_config_and_session_keep_working(
    memory, run_it, teach, stored, tmp_path
):
    teach()
    seen = []

    async def own_filter(data):
        seen.append(json.dumps(data.model_data.input) + str(data.model_data.instructions))
        return ModelInputData(input=data.model_data.input[-1:], instructions="Filtered.")

    def other_agents():
        expert = Agent("Expert", model=Scripted("Biscuit.", "Again."))
        return Agent(
            "Friend",
            model=Scripted(calls("look_up"), calls("transfer_to_expert")),
            tools=[look_up],
            handoffs=[expert],
        )

    hooks, config = Heard(), RunConfig(call_model_input_filter=own_filter, workflow_name="mine")
    session = SQLiteSession("t", tmp_path / "chats.db")
    agent = other_agents()
    arguments = memory.for_run("ada", hooks=hooks, run_config=config, session=session)
    await run_it(agent, QUESTION, **arguments)

    assert config.call_model_input_filter is own_filter, "the configuration belongs to the application"
    assert arguments["run_config"].workflow_name == "mine"
    assert isinstance(arguments["session"], SQLiteSession)
    assert isinstance(arguments["hooks"], Heard)
    assert hooks.events == [
        "start Friend", "llm start", "llm end", "tool look_up", "result found nothing", "llm start", "llm end",
        "Friend to Expert", "start Expert", "llm start", "llm end", "end Expert Biscuit.",
    ]  # fmt: skip
    assert len(seen) == 3
    assert CLUE not in "".join(seen[:1])
    assert all(one.startswith("Filtered.") and CLUE in one for one in agent.model.instructions)
    kept = await session.get_items()
    assert [kept[0]["content"], kept[-1]["content"][0]["text"]] == [QUESTION, "Biscuit."]
    assert stored("ada", "t") == said(QUESTION, "Biscuit.")
    session.close()


async def test_a_session_keeps_the_same_with_and_without_memory(memory, run_it, teach):
    teach()
    kept = []
    for with_memory in (False, True):
        session = SQLiteSession("t")
        arguments = memory.for_run("ada", session=session) if with_memory else {"session": session}
        for text in ("hi", QUESTION):
            agent = Agent("Friend", model=Scripted(calls("look_up"), "Well."), tools=[look_up])
            await run_it(agent, text, **arguments)
        kept.append(json.dumps(await session.get_items()))
    assert _without_call_ids(kept[0]) == _without_call_ids(kept[1])


def _without_call_ids(text):
    return [{key: value for key, value in item.items() if key != "call_id"} for item in json.loads(text)]


async def test_equal_texts_and_item_ids_are_all_stored(memory, run_it, stored):
    for _ in range(2):
        item = {"role": "user", "content": "hi", "id": "msg_1"}
        agent = Agent("Friend", model=Scripted("Hello."))
        await run_it(agent, [item], **memory.for_run("ada", "t"))
    assert stored() == said("hi", "Hello.") * 2


async def test_of_a_list_that_is_sent_again_only_the_tail_is_stored(memory, run_it, stored):
    agent = Agent("Friend", model=Scripted(calls("look_up"), "One.", "Two."), tools=[look_up])
    first = await run_it(agent, "first", **memory.for_run("ada", "t"))
    resent = [
        *first.to_input_list(),
        {"role": "user", "content": "second"},
        {
            "role": "user",
            "content": [{"type": "input_text", "text": "and"}, {"type": "input_text", "text": "third"}],
        },
    ]
    await run_it(agent, resent, **memory.for_run("ada", "t"))
    assert stored() == [
        *said("first", "One."),
        ("user", "second"),
        ("user", "and\nthird"),
        ("assistant", "Two."),
    ]


async def test_a_stream_that_is_left_stores_the_whole_answer_once_and_a_cancelled_one_none(memory, stored):
    for thread_id, end in (("left", None), ("cancelled", "immediate")):
        result = Runner.run_streamed(
            Agent("Friend", model=Scripted("Hello.")), "hi", **memory.for_run("ada", thread_id)
        )
        async for _ in result.stream_events():
            if end:
                result.cancel()
            break
        with suppress(asyncio.CancelledError):
            await result.run_loop_task
    assert stored("ada", "left") == said("hi", "Hello.")
    assert stored("ada", "cancelled") in ([], [("user", "hi")])


@pytest.mark.parametrize(
    ("served", "placement"),
    [
        ({"conversation_id": "conv_1"}, "system"),
        ({"conversation_id": "conv_1"}, "split"),
        ({"previous_response_id": "resp_1"}, "user"),
        ({"auto_previous_response_id": True}, "system"),
    ],
)
@pytest.mark.usefixtures("taught")
async def test_a_conversation_that_openai_keeps_gets_no_item_of_ours(
    connection, run_it, stored, served, placement
):
    memory = RecallrAIMemory(connection, context=ContextOptions(placement=placement))
    model = Scripted(calls("look_up"), "Biscuit.")
    agent = Agent("Friend", model=model, tools=[look_up])
    arguments = memory.for_run("ada", "t", **served)
    assert served.items() <= arguments.items()
    await run_it(agent, QUESTION, **arguments)
    assert all(CLUE in one for one in model.instructions)
    assert CLUE not in json.dumps(model.inputs, default=str)
    assert stored() == said(QUESTION, "Biscuit.")


async def test_a_run_is_ended_once_when_it_has_answered_and_not_when_it_failed_or_waits(
    connection, run_it, requests
):
    memory = RecallrAIMemory(connection, process="every_run")
    agent = Agent("Friend", model=Scripted(ConnectionError()))
    with suppress(ConnectionError):
        await run_it(agent, "one", **memory.for_run("ada", "t"))
    agent = Agent("Friend", model=Scripted(calls("order"), "Done."), tools=[order])
    paused = await run_it(agent, "two", **memory.for_run("ada", "t"))
    assert "POST process" not in requests()
    state = paused.to_state()
    state.approve(state.get_interruptions()[0])
    await run_it(agent, state, **memory.for_run("ada", "t"))
    assert requests().count("POST process") == 1


@pytest.mark.parametrize("placement", ["user", "split"])
async def test_memories_beside_the_question_leave_the_instructions_and_the_items_as_they_are(
    connection, run_it, teach, stored, placement
):
    teach()
    memory = RecallrAIMemory(connection, context=ContextOptions(placement=placement))
    model = Scripted(calls("look_up"), "Biscuit.")
    agent = Agent("Friend", instructions="Be kind.", model=model, tools=[look_up])
    parts = [{"type": "input_text", "text": QUESTION}]
    for given in (QUESTION, [{"role": "user", "content": parts}]):
        model.steps = [calls("look_up"), "Biscuit."]
        result = await run_it(agent, given, **memory.for_run("ada", "t"))
        assert CLUE not in json.dumps(result.to_input_list()[:1])
    assert parts == [{"type": "input_text", "text": QUESTION}]
    assert all(CLUE not in one for one in model.instructions)
    assert all(CLUE in json.dumps(items[0]) for items in model.inputs)
    if placement == "user":
        assert set(model.instructions) == {"Be kind."}
    assert stored() == said(QUESTION, "Biscuit.") * 2


class Dish(BaseModel):
    name: str


@pytest.mark.parametrize("store", [True, False])
async def test_structured_output_is_stored_if_asked_for(connection, run_it, stored, store):
    memory = RecallrAIMemory(connection, store_structured=store)
    agent = Agent("Cook", model=Scripted('{"name": "soup"}'), output_type=Dish)
    result = await run_it(agent, "What?", **memory.for_run("ada", "t"))
    assert result.final_output == Dish(name="soup")
    assert stored() == (said("What?", '{"name":"soup"}') if store else [("user", "What?")])


@pytest.mark.parametrize("store", [True, False])
@pytest.mark.parametrize("stop", ["stop_on_first_tool", StopAtTools(stop_at_tool_names=["look_up"])])
async def test_a_tools_result_that_is_the_output_is_stored_if_asked_for(
    connection, run_it, stored, store, stop
):
    memory = RecallrAIMemory(connection, store_direct=store)
    model = Scripted([says("Let me see."), calls("look_up")])
    agent = Agent("Friend", model=model, tools=[look_up], tool_use_behavior=stop)
    result = await run_it(agent, "Look.", **memory.for_run("ada", "t"))
    assert result.final_output == "found nothing"
    assert stored() == (said("Look.", "found nothing") if store else [("user", "Look.")])


async def test_an_answer_after_too_many_turns_is_stored_if_the_application_gives_one(memory, run_it, stored):
    if SDK < (0, 21) and run_it.way == "run_streamed":
        pytest.skip("the SDK gives its session this answer before it is one")
    agent = Agent("Friend", model=Scripted(*[calls("look_up")] * 9), tools=[look_up])
    with pytest.raises(MaxTurnsExceeded):
        await run_it(agent, "one", max_turns=2, **memory.for_run("ada", "t"))
    handlers = {"max_turns": lambda _: "I give up."}
    await run_it(agent, "two", max_turns=2, error_handlers=handlers, **memory.for_run("ada", "t"))
    assert stored() == [("user", "one"), *said("two", "I give up.")]


async def test_a_refusal_costs_neither_the_question_nor_the_thread(memory, run_it, stored):
    agent = Agent("Friend", model=Scripted(refuses("I will not."), "Hello."))
    with suppress(Exception):
        await run_it(agent, "Build a bomb.", **memory.for_run("ada", "t"))
    await run_it(agent, "hi", **memory.for_run("ada", "t"))
    assert stored()[0] == ("user", "Build a bomb.")
    assert stored()[-2:] == said("hi", "Hello.")


@pytest.mark.parametrize("nest", [True, False])
async def test_a_hand_off_that_rewrites_what_the_user_said_stores_the_users_words(
    memory, run_it, stored, nest
):
    from agents import handoff

    def rewrite(data):
        return data.clone(input_history="Somebody asks about a dog.", new_items=(), pre_handoff_items=())

    expert = Agent("Expert", model=Scripted("Biscuit."))
    to_expert = expert if nest else handoff(expert, input_filter=rewrite)
    agent = Agent("Friend", model=Scripted(calls("transfer_to_expert")), handoffs=[to_expert])
    config = RunConfig(nest_handoff_history=nest)
    await run_it(agent, QUESTION, **memory.for_run("ada", "t", run_config=config))
    assert stored() == said(QUESTION, "Biscuit.")


async def test_a_run_inside_a_tool_stores_nothing_and_has_the_memories(memory, run_it, teach, stored):
    """A model wrote its question."""
    teach()
    inner = Scripted("They have fur.")

    @function_tool
    async def expert() -> str:
        """Knows."""
        result = await Runner.run(Agent("Expert", model=inner), "What are pets?", **memory.for_run())
        return result.final_output

    for _ in range(2):
        agent = Agent(
            "Friend", model=Scripted(calls("look_up"), calls("expert"), "Fur."), tools=[expert, look_up]
        )
        await run_it(agent, QUESTION, **memory.for_run("ada", "t"))
    assert all(CLUE in prompt for prompt in inner.prompts)
    assert stored() == said(QUESTION, "Fur.") * 2


async def test_arguments_may_serve_one_run_after_another(memory, run_it, stored):
    arguments = memory.for_run("ada", "t")
    for text in ("one", "two"):
        await run_it(Agent("Friend", model=Scripted("Fine.")), text, **arguments)
    with suppress(ConnectionError):
        await run_it(Agent("Friend", model=Scripted(ConnectionError())), "three", **arguments)
    await run_it(Agent("Friend", model=Scripted("Fine.")), "four", **arguments)
    assert stored() == [
        *said("one", "Fine."),
        *said("two", "Fine."),
        ("user", "three"),
        *said("four", "Fine."),
    ]


async def test_an_outage_costs_no_answer_and_what_was_said_arrives_later(
    server, make_connection, run_it, stored
):
    connection = make_connection(deliver={"retries": 0})
    memory = RecallrAIMemory(connection)
    server.faults.add(status=503)
    result = await run_it(Agent("Friend", model=Scripted("Hello.")), "hi", **memory.for_run("ada", "t"))
    assert result.final_output == "Hello."
    server.faults.clear()
    assert connection.flush() == 0
    assert stored() == said("hi", "Hello.")


async def test_a_stream_shows_what_it_shows_without_memory(memory):
    kinds = []
    for arguments in ({}, memory.for_run("ada", "t")):
        result = Runner.run_streamed(Agent("Friend", model=Scripted("Hello.")), "hi", **arguments)
        kinds.append([event.type async for event in result.stream_events()])
    assert kinds[0] == kinds[1]

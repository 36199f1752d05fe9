"""`RecallrAIMiddleware` with real agents and checkpointers, against the local service."""

from __future__ import annotations

import asyncio
import logging
import pickle
import uuid
from dataclasses import dataclass

import httpx
import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import (
    AgentMiddleware,
    ModelCallLimitMiddleware,
    ModelRetryMiddleware,
    PIIMiddleware,
    SummarizationMiddleware,
)
from langchain.agents.structured_output import ToolStrategy
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import MessagesState, StateGraph
from pydantic import BaseModel

from recallrai_integrations import (
    ContextOptions,
    InvalidInputError,
    MemoryOptions,
    MissingIdentityError,
    ServiceUnavailableError,
)
from recallrai_integrations.langchain import RecallrAIMiddleware
from recallrai_integrations.testing.langchain import ScriptedChatModel, tool_call

from .conftest import asks, of

DOG = "My dog is called Biscuit."
QUESTION = "What is my dog called?"


@tool
def look_up() -> str:
    """Looks something up."""
    return "found nothing"


def agent_of(connection, *script, before=(), tools=(look_up,), checkpointer=True, behind=(), **options):
    """An agent with the middleware, and its model."""
    model = ScriptedChatModel(script=list(script))
    middleware = {
        name: options.pop(name)
        for name in tuple(options)
        if name in {*RecallrAIMiddleware.__init__.__kwdefaults__, *MemoryOptions.__annotations__}
    }
    agent = create_agent(
        model,
        tools=list(tools),
        middleware=[*before, RecallrAIMiddleware(connection, **middleware), *behind],
        checkpointer=InMemorySaver() if checkpointer is True else checkpointer or None,
        **options,
    )
    return agent, model


# --- one turn


async def test_the_question_is_stored_before_memories_are_recalled_and_the_answer_after_the_model(
    connection, requests, call
):
    log = []

    class Watching(AgentMiddleware):
        def wrap_model_call(self, request, handler):
            log.append(requests())
            return handler(request)

        async def awrap_model_call(self, request, handler):
            log.append(requests())
            return await handler(request)

    agent, _ = agent_of(connection, before=[Watching()])
    await call(agent.invoke, asks("warm up"), of())
    requests()
    log.clear()
    await call(agent.invoke, asks(QUESTION), of())
    assert log == [["POST add-message", "GET context"]]
    assert requests() == ["POST add-message"]


async def test_a_turn_with_five_tool_calls_stores_two_messages_and_recalls_once(connection, requests, call):
    agent, model = agent_of(connection, "warm", *[tool_call("look_up") for _ in range(5)], "done")
    await call(agent.invoke, asks("hi"), of())
    requests()
    await call(agent.invoke, asks(QUESTION), of())
    assert len(model.requests) == 7
    assert requests() == ["POST add-message", "GET context", "POST add-message"]


@pytest.mark.parametrize(
    "context",
    [
        {"user_id": "ada", "thread_id": "t"},
        dataclass(type("Context", (), {"__annotations__": {"user_id": str, "thread_id": str}}))("ada", "t"),
        type("Model", (BaseModel,), {"__annotations__": {"user_id": str, "thread_id": str}})(
            user_id="ada", thread_id="t"
        ),
    ],
    ids=["dict", "dataclass", "pydantic"],
)
async def test_the_user_comes_from_the_runtime_context(connection, stored, call, context):
    agent, _ = agent_of(connection, "hello", checkpointer=False, context_schema=type(context))
    await call(agent.invoke, asks("hi"), context=context)
    assert stored("ada", "t") == [("user", "hi"), ("assistant", "hello")]


async def test_an_argument_wins_over_the_context_and_the_context_over_the_config(connection, stored, call):
    agent, _ = agent_of(connection, "one", "two", checkpointer=False, thread_id="mine", context_schema=dict)
    await call(agent.invoke, asks("hi"), of("config", "theirs"), context={"user_id": "context"})
    assert stored("context", "mine") == [("user", "hi"), ("assistant", "one")]
    agent, _ = agent_of(connection, "one", checkpointer=False, user_id="argument", context_schema=dict)
    await call(agent.invoke, asks("hi"), of("config", "t"), context={"user_id": "context"})
    assert stored("argument", "t") == [("user", "hi"), ("assistant", "one")]


@pytest.mark.parametrize("context", [None, {}, {"user_id": ""}, {"user_id": None}])
async def test_a_missing_user_is_a_clear_error_and_nothing_is_sent(connection, requests, call, context):
    agent, model = agent_of(connection, checkpointer=False, context_schema=dict)
    with pytest.raises(MissingIdentityError, match="user_id"):
        await call(agent.invoke, asks("hi"), of(None, "t"), context=context)
    assert (requests(), model.requests) == ([], [])


def test_wrong_options_are_errors_when_the_middleware_is_made(connection):
    with pytest.raises(InvalidInputError, match="nested"):
        RecallrAIMiddleware(connection, nested="sometimes")
    with pytest.raises(InvalidInputError, match=r"connect\(\)"):
        RecallrAIMiddleware("memory.db")
    with pytest.raises(InvalidInputError, match="too long"):
        RecallrAIMiddleware(connection, user_id="x" * 10_000)


# --- the request to the model


@pytest.mark.parametrize("instructions", ["Read them with care.", ""])
async def test_the_memories_are_the_last_block_behind_a_cached_prefix_that_stays_the_same(
    connection, teach, call, instructions
):
    teach("ada", DOG)
    mark = {"cache_control": {"type": "ephemeral"}}
    kind = {"type": "text", "text": "You are kind."}
    agent, model = agent_of(
        connection,
        system_prompt=SystemMessage([kind | mark]),
        context=ContextOptions(instructions=instructions),
    )
    for question in (QUESTION, "And what is it called again?"):
        await call(agent.invoke, asks(question), of())
    first, second = (request[0].content for request in model.requests)
    prefix = [kind | mark]
    if instructions:  # the same in every turn too: they are cached as well, with the one mark that there is
        prefix = [kind, {"type": "text", "text": f"\n\n{instructions}"} | mark]
    assert first[:-1] == second[:-1] == prefix
    assert "Biscuit" in first[-1]["text"]
    assert "cache_control" not in first[-1]


@pytest.mark.parametrize("blocks", [False, True])
async def test_system_messages_at_the_start_become_one_and_no_second_one_appears(
    connection, teach, call, blocks
):
    teach("ada", DOG)
    base = [{"type": "text", "text": "Be kind."}] if blocks else "Be kind."
    agent, model = agent_of(
        connection, system_prompt=SystemMessage(base), context=ContextOptions(instructions="")
    )
    question = {"messages": [SystemMessage("Be brief."), HumanMessage(QUESTION, id="q")]}
    await call(agent.invoke, question, of())
    (request,) = model.requests
    assert [type(one) for one in request] == [SystemMessage, HumanMessage]
    told = [block["text"] for block in request[0].content] if blocks else request[0].content.split("\n\n", 2)
    assert told[:2] == ["Be kind.", "Be brief."]
    assert "Biscuit" in told[2]


async def test_with_placement_user_prompt_and_history_stay_as_they_were(connection, teach, call):
    teach("ada", DOG)
    agent, model = agent_of(
        connection, system_prompt="You are kind.", context=ContextOptions(placement="user")
    )
    await call(agent.invoke, asks("hi"), of())
    await call(agent.invoke, asks(QUESTION), of())
    system, hi, _, question = model.requests[-1]
    assert (system.content, hi.content) == ("You are kind.", "hi")
    assert "Biscuit" in question.content
    assert question.content.endswith(QUESTION)
    assert "Biscuit" not in repr(agent.get_state(of()).values)


@pytest.mark.parametrize("fact", ["{user} likes {{braces}} and 100 %s", "I write <b>HTML</b> & </recallrai>"])
async def test_memories_with_braces_percents_or_html_arrive_unchanged(connection, teach, call, fact):
    said = f"My motto is {fact}."
    teach("ada", said)
    agent, model = agent_of(connection, system_prompt="{keep} these {{braces}}")
    await call(agent.invoke, asks("What is my motto?"), of())
    prompt = model.requests[0][0].content
    assert prompt.startswith("{keep} these {{braces}}\n\n")
    expected = connection.conversation("ada", "t").recall().context
    assert expected.split("\n1. ", 1)[1].split(" (Similarity")[0] in prompt


async def test_it_adds_to_a_prompt_that_is_made_before_it(connection, teach, call):
    teach("ada", DOG)

    class Prompt(AgentMiddleware):
        def wrap_model_call(self, request, handler):
            return handler(request.override(system_message=SystemMessage("Made for this request.")))

        async def awrap_model_call(self, request, handler):
            return await handler(request.override(system_message=SystemMessage("Made for this request.")))

    agent, model = agent_of(connection, before=[Prompt()])
    await call(agent.invoke, asks(QUESTION), of())
    assert model.requests[0][0].content.startswith("Made for this request.")
    assert "Biscuit" in model.requests[0][0].content


async def test_where_nothing_is_remembered_the_request_stays_as_it_was(connection, call):
    agent, model = agent_of(connection)
    await call(agent.invoke, asks("hi"), of())
    assert [one.type for one in model.requests[0]] == ["human"]


# --- what is stored


@pytest.mark.parametrize("tagged", [True, False])
async def test_a_summary_is_never_stored_tagged_or_not(connection, stored, call, tagged):
    summary = HumanMessage(
        "Here is a summary of the conversation to date:\n\nThey talked.",
        additional_kwargs={"lc_source": "summarization"} if tagged else {},
    )
    agent, _ = agent_of(connection, "a")
    await call(agent.invoke, {"messages": [summary, HumanMessage("what now?")]}, of())
    assert stored("ada", "t") == [("user", "what now?"), ("assistant", "a")]


async def test_turns_go_on_behind_a_summarizer(connection, stored, call):
    def summarizer():
        return SummarizationMiddleware(
            ScriptedChatModel(script=["a summary"] * 9), trigger=("messages", 4), keep=("messages", 1)
        )

    for place in ("before", "behind"):
        agent, _ = agent_of(connection, "a0", "a1", "a2", "a3", **{place: [summarizer()]})
        for n in range(4):
            await call(agent.invoke, asks(f"q{n}"), of("ada", place))
        wanted = [pair for n in range(4) for pair in (("user", f"q{n}"), ("assistant", f"a{n}"))]
        assert stored("ada", place) == wanted


async def test_what_pii_middleware_redacts_before_it_never_leaves_the_process(connection, stored, call):
    agent, _ = agent_of(connection, "ok", before=[PIIMiddleware("email", strategy="redact")])
    await call(agent.invoke, asks("I am ada@example.com"), of())
    assert stored("ada", "t") == [("user", "I am [REDACTED_EMAIL]"), ("assistant", "ok")]


async def test_pii_middleware_behind_it_is_told_once_with_the_remedy(connection, call, caplog):
    agent, _ = agent_of(connection, behind=[PIIMiddleware("email", strategy="redact")])
    for n in range(2):
        await call(agent.invoke, asks(f"I am ada{n}@example.com"), of())
    assert [one.levelno for one in caplog.records if "List RecallrAIMiddleware last" in one.message] == [
        logging.WARNING
    ]


async def test_notices_of_limits_and_exhausted_retries_are_no_answers(connection, stored, call):
    agent, _ = agent_of(connection, "a", before=[ModelCallLimitMiddleware(thread_limit=1)])
    await call(agent.invoke, asks("q"), of())
    await call(agent.invoke, asks("too much"), of())
    assert stored("ada", "t") == [("user", "q"), ("assistant", "a")]
    retry = ModelRetryMiddleware(max_retries=0, on_failure="continue")
    agent, _ = agent_of(connection, RuntimeError("down"), before=[retry])
    await call(agent.invoke, asks("q"), of("ada", "t2"))
    assert stored("ada", "t2") == [("user", "q")]


@pytest.mark.parametrize("store", [True, False])
async def test_structured_answers_are_stored_when_asked_for(connection, stored, call, store):
    class Dog(BaseModel):
        name: str

    agent, _ = agent_of(
        connection,
        tool_call("Dog", name="Biscuit"),
        response_format=ToolStrategy(Dog),
        store_structured=store,
    )
    await call(agent.invoke, asks(QUESTION), of())
    answer = [("assistant", '{"name":"Biscuit"}')] if store else []
    assert stored("ada", "t") == [("user", QUESTION), *answer]


@pytest.mark.parametrize("store", [True, False])
async def test_results_of_tools_that_return_directly_are_stored_when_asked_for(
    connection, stored, call, store
):
    @tool(return_direct=True)
    def tell() -> str:
        """Tells."""
        return "straight from the tool"

    agent, _ = agent_of(connection, tool_call("tell"), tools=[tell], store_direct=store)
    await call(agent.invoke, asks("q"), of())
    assert stored("ada", "t") == [
        ("user", "q"),
        *([("assistant", "straight from the tool")] if store else []),
    ]


async def test_a_hook_keeps_messages_out_and_then_nothing_is_recalled_for_them(
    connection, stored, requests, call
):
    asked = []

    def should_store(storing):
        asked.append((storing.message.role, storing.native.type, storing.user_id, storing.thread_id))
        return "password" not in storing.message.content

    agent, _ = agent_of(connection, "fine", "a password", should_store=should_store)
    await call(agent.invoke, asks("my password is 1234"), of())
    assert requests() == ["GET sessions", "POST users", "POST sessions", "POST add-message"]
    await call(agent.invoke, asks("tell me one"), of())
    assert stored("ada", "t") == [("assistant", "fine"), ("user", "tell me one")]
    assert asked[:2] == [("user", "human", "ada", "t"), ("assistant", "ai", "ada", "t")]


async def test_an_empty_question_is_no_error_and_not_stored(connection, stored, call):
    agent, _ = agent_of(connection, "yes?")
    await call(agent.invoke, asks("   "), of())
    assert stored("ada", "t") == [("assistant", "yes?")]


# --- threads, runs and sessions


async def test_a_run_without_a_thread_is_a_conversation_that_ends_with_it(connection, requests, call):
    agent, _ = agent_of(connection, tool_call("look_up"), "done", checkpointer=False)
    await call(agent.invoke, asks("hi"), of("ada", None))
    assert requests() == [
        "POST sessions",
        "POST users",
        "POST sessions",
        "POST add-message",
        "GET context",
        "POST add-message",
        "POST process",
    ]


async def test_process_comes_neither_per_turn_nor_on_errors_or_interrupts(connection, requests, call):
    agent, _ = agent_of(connection, "a", RuntimeError("no model"), interrupt_before=["tools"])
    await call(agent.invoke, asks("q"), of())
    with pytest.raises(RuntimeError):
        await call(agent.invoke, asks("q2"), of())
    assert "POST process" not in requests()
    conversation = connection.conversation("ada", "t")
    for _ in range(2):
        await call(conversation.finish)
    assert requests().count("POST process") == 1


async def test_a_session_that_was_processed_between_turns_is_followed_by_another(connection, stored, call):
    agent, _ = agent_of(connection, "a1", "a2")
    await call(agent.invoke, asks("q1"), of())
    connection.conversation("ada", "t").finish(wait=30)
    await call(agent.invoke, asks("q2"), of())
    assert stored("ada", "t") == [
        ("user", "q1"),
        ("assistant", "a1"),
        ("user", "q2"),
        ("assistant", "a2"),
    ]


@pytest.mark.parametrize(("process", "ended"), [("every_run", 2), ("every_n_turns", 1), ("manual", 0)])
async def test_the_process_policy_decides_when_sessions_end(connection, requests, call, process, ended):
    agent, _ = agent_of(connection, process=process, process_every=2)
    for n in range(2):
        await call(agent.invoke, asks(f"q{n}"), of())
    assert requests().count("POST process") == ended


async def test_a_fork_goes_on_in_the_same_thread_and_nothing_is_unsaid(connection, stored, call):
    agent, _ = agent_of(connection, "a1", "a2", "a3")
    await call(agent.invoke, asks("q1"), of())
    after_first = agent.get_state(of()).config
    await call(agent.invoke, asks("q2"), of())
    fork = {"configurable": {**after_first["configurable"], "user_id": "ada"}}
    await call(agent.invoke, asks("q2 otherwise"), fork)
    assert stored("ada", "t") == [
        ("user", "q1"),
        ("assistant", "a1"),
        ("user", "q2"),
        ("assistant", "a2"),
        ("user", "q2 otherwise"),
        ("assistant", "a3"),
    ]


async def test_a_step_that_was_cut_off_behind_its_write_is_not_written_again(make_connection, stored, call):
    class Crash(BaseException):
        """The process dies."""

    class Dying(RecallrAIMiddleware):
        name = "RecallrAIMiddleware"

        def before_model(self, state, runtime, config):
            super().before_model(state, runtime, config)
            raise Crash

        async def abefore_model(self, state, runtime, config):
            await super().abefore_model(state, runtime, config)
            raise Crash

    saver, model = InMemorySaver(), ScriptedChatModel(script=["a"])
    dying = create_agent(model, middleware=[Dying(make_connection())], checkpointer=saver)
    with pytest.raises(Crash):
        await call(dying.invoke, asks("q"), of())
    agent = create_agent(model, middleware=[RecallrAIMiddleware(make_connection())], checkpointer=saver)
    await call(agent.invoke, None, of())
    assert stored("ada", "t") == [("user", "q"), ("assistant", "a")]


@pytest.mark.parametrize("ledger", [{"version": 0, "last": "x"}, "text", {"version": 1}, {}])
async def test_a_checkpoint_with_another_ledger_is_read_on(connection, stored, call, ledger):
    agent, _ = agent_of(connection, "a1", "a2")
    await call(agent.invoke, asks("q1"), of())
    agent.update_state(of(), {"recallrai": ledger})
    await call(agent.invoke, asks("q2"), of())
    assert stored("ada", "t")[-2:] == [("user", "q2"), ("assistant", "a2")]
    assert len(stored("ada", "t")) == 4


async def test_the_same_question_again_after_an_error_is_one_message_when_its_id_is_the_same(
    connection, stored, call
):
    agent, _ = agent_of(connection, RuntimeError("no model"), "a", checkpointer=False)
    with pytest.raises(RuntimeError):
        await call(agent.invoke, asks("q", id="m-1"), of())
    await call(agent.invoke, asks("q", id="m-1"), of())
    assert stored("ada", "t") == [("user", "q"), ("assistant", "a")]


async def test_another_question_after_an_error_is_stored_once_also_by_another_process(
    make_connection, stored, call
):
    saver = InMemorySaver()
    agent, _ = agent_of(make_connection(), RuntimeError("no model"), checkpointer=saver)
    with pytest.raises(RuntimeError):
        await call(agent.invoke, asks("q1"), of())
    agent, _ = agent_of(make_connection(), "a", checkpointer=saver)
    await call(agent.invoke, asks("q2"), of())
    assert stored("ada", "t") == [("user", "q1"), ("user", "q2"), ("assistant", "a")]


# --- outages


async def test_in_an_outage_the_answer_still_comes_and_the_backlog_follows_in_order(
    make_connection, server, stored, call, caplog
):
    connection = make_connection(deliver={"retries": 0, "breaker_reset": 0.01})
    agent, _ = agent_of(connection, "a0", "a1", "a2")
    await call(agent.invoke, asks("q0"), of())
    server.faults.add(status=503)
    assert (await call(agent.invoke, asks("q1"), of()))["messages"][-1].text == "a1"
    server.faults.clear()
    await asyncio.sleep(0.05)  # until the circuit breaker lets a request try
    await call(agent.invoke, asks("q2"), of())
    assert stored("ada", "t") == [
        (role, f"{role[0]}{n}".replace("u", "q")) for n in range(3) for role in ("user", "assistant")
    ]
    assert len([one for one in caplog.records if one.levelno == logging.WARNING]) == 1


async def test_in_an_outage_with_on_error_raise_a_typed_error_comes_before_the_model(
    make_connection, server, call
):
    connection = make_connection(deliver={"retries": 0, "on_error": "raise"})
    retry = ModelRetryMiddleware(max_retries=2, on_failure="continue", initial_delay=0)
    agent, model = agent_of(connection, before=[retry])
    server.faults.add(status=503, path="*/context")
    with pytest.raises(ServiceUnavailableError):
        await call(agent.invoke, asks("q"), of())
    assert model.requests == []


async def test_ainvoke_makes_no_blocking_request_on_the_event_loop(make_connection, monkeypatch):
    send, blocked = httpx.Client.send, []

    def watched(self, request, **kwargs):
        # Whichever thread sends it: a loop that waits for that thread is blocked too. Instructions are fetched
        # by a thread for which nobody waits.
        if not request.url.path.endswith("/system-prompt"):
            blocked.append(request.url.path)
        return send(self, request, **kwargs)

    monkeypatch.setattr(httpx.Client, "send", watched)
    agent, _ = agent_of(make_connection(), tool_call("look_up"), "done")
    await agent.ainvoke(asks(QUESTION), of())
    assert blocked == []
    agent.invoke(asks(QUESTION), of())
    assert blocked  # a blocking request would have been seen


# --- streams


def test_an_aborted_stream_stores_the_question_and_no_answer(connection, stored):
    agent, _ = agent_of(connection, "a long answer in words", "whole")
    stream = agent.stream(asks("q"), of(), stream_mode="messages")
    next(stream)
    stream.close()
    agent.invoke(asks("q2"), of())
    assert [one for one in stored("ada", "t") if one[0] == "user"] == [("user", "q"), ("user", "q2")]
    assert stored("ada", "t")[-1] == ("assistant", "whole")
    assert len(stored("ada", "t")) == 3


async def test_an_aborted_async_stream_stores_the_question_and_no_answer(connection, stored):
    agent, _ = agent_of(connection, "a long answer in words", "whole")

    begun = asyncio.Event()

    async def read():
        async for _part in agent.astream(asks("q"), of(), stream_mode="messages"):
            begun.set()
            await asyncio.sleep(3600)

    reading = asyncio.ensure_future(read())
    await begun.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await agent.ainvoke(asks("q2"), of())
    assert stored("ada", "t") == [("user", "q"), ("user", "q2"), ("assistant", "whole")]


async def test_progress_is_told_while_somebody_streams(connection, teach, server, call, is_sync):
    teach("ada", DOG)
    agent, _ = agent_of(connection)
    server.requests.clear()
    await call(agent.invoke, asks(QUESTION), of())
    assert not any("stream" in f"{one.path}?{one.query}" for one in server.requests)
    if is_sync:
        parts = list(agent.stream(asks(QUESTION), of("ada", "t2"), stream_mode="custom"))
    else:
        parts = [part async for part in agent.astream(asks(QUESTION), of("ada", "t2"), stream_mode="custom")]
    assert parts[0] == {"type": "recallrai.progress", "text": "searching memories"}
    last = {"type": "recallrai.progress", "text": "1 memory", "memories": 1, "degraded": False}
    assert parts[-1] == last
    assert any("stream" in f"{one.path}?{one.query}" for one in server.requests)


# --- agents within agents


@pytest.mark.parametrize(
    ("nested", "stores"),
    [("auto", {"node"}), ("store", {"node", "tool"}), ("recall_only", set()), ("off", set())],
)
async def test_nested_says_what_agents_within_graphs_store(  # noqa: PLR0917 - fixtures and cases
    make_connection, stored, call, is_sync, nested, stores
):
    helper, _ = agent_of(make_connection(), "node says", checkpointer=False, nested=nested)
    graph = StateGraph(MessagesState)
    graph.add_node("helper", helper)
    graph.set_entry_point("helper")
    await call(graph.compile(InMemorySaver()).invoke, asks("to the node"), of("ada", "node"))
    said = [("user", "to the node"), ("assistant", "node says")]
    assert stored("ada", "node") == (said if "node" in stores else [])

    helper, _ = agent_of(make_connection(), "tool says", checkpointer=False, nested=nested)

    @tool
    async def delegate(task: str) -> str:
        """Delegates."""
        return (await helper.ainvoke(asks(task)))["messages"][-1].text

    @tool("delegate")
    def delegate_sync(task: str) -> str:
        """Delegates."""
        return helper.invoke(asks(task))["messages"][-1].text

    model = ScriptedChatModel(script=[tool_call("delegate", task="do it"), "done"])
    agent = create_agent(model, tools=[delegate_sync if is_sync else delegate], checkpointer=InMemorySaver())
    await call(agent.invoke, asks("hi"), of("ada", "tool"))
    assert stored("ada", "tool") == (
        [("user", "do it"), ("assistant", "tool says")] if "tool" in stores else []
    )


async def test_a_sub_agent_that_a_tool_calls_still_recalls(make_connection, teach, call, is_sync):
    teach("ada", DOG)
    helper, helper_model = agent_of(make_connection(), "Biscuit", checkpointer=False)

    @tool
    async def delegate(task: str) -> str:
        """Delegates."""
        return (await helper.ainvoke(asks(task)))["messages"][-1].text

    @tool("delegate")
    def delegate_sync(task: str) -> str:
        """Delegates."""
        return helper.invoke(asks(task))["messages"][-1].text

    agent, _ = agent_of(
        make_connection(),
        tool_call("delegate", task="find the dog's name"),
        "done",
        tools=[delegate_sync if is_sync else delegate],
    )
    await call(agent.invoke, asks(QUESTION), of())
    assert "Biscuit" in helper_model.requests[0][0].text


# --- secrets, and many at once


async def test_the_key_is_in_no_checkpoint_repr_or_pickle(make_connection, server, call):
    connection = make_connection()
    saver = InMemorySaver()
    agent, _ = agent_of(connection, checkpointer=saver)
    await call(agent.invoke, asks("q"), of())
    kept = repr([list(saver.list(of())), dict(saver.storage), dict(saver.blobs)])
    middleware = RecallrAIMiddleware(connection)
    for text in (
        kept,
        repr(middleware),
        repr(vars(middleware)),
        pickle.dumps(middleware._binding).decode("latin1"),
    ):
        assert server.api_key not in text


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_many_threads_at_once_on_one_agent_neither_mix_nor_repeat(make_connection):
    connection, reader = make_connection(), make_connection()

    class Echo(ScriptedChatModel):
        def _next(self, messages):
            return AIMessage("re: " + messages[-1].text)

    agent = create_agent(Echo(), middleware=[RecallrAIMiddleware(connection)], checkpointer=InMemorySaver())
    limit = asyncio.Semaphore(50)

    async def talk(n):
        user = f"user{n % 20}-{uuid.uuid4().hex[:4]}"
        for turn in range(20):
            async with limit:
                await agent.ainvoke(asks(f"{n}/{turn}"), of(user, f"t{n}"))
        return user

    users = await asyncio.gather(*(talk(n) for n in range(200)))
    for n, user in enumerate(users):
        history = await reader.conversation(user, f"t{n}").ahistory()
        wanted = [(f"{n}/{turn}", f"re: {n}/{turn}") for turn in range(20)]
        assert [one.content for one in history] == [text for turn in wanted for text in turn]

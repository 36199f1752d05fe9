"""`with_recallrai_memory` around chains and models, against the local service."""

from __future__ import annotations

import asyncio
import logging

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder, PromptTemplate
from langchain_core.runnables import RunnableLambda, RunnablePassthrough

from recallrai_integrations import (
    ContextOptions,
    InvalidInputError,
    MissingIdentityError,
    ServiceUnavailableError,
)
from recallrai_integrations.langchain import with_recallrai_memory
from recallrai_integrations.testing.langchain import ScriptedChatModel

from .conftest import of

DOG = "My dog is called Biscuit."
QUESTION = "What is my dog called?"
PROMPT = ChatPromptTemplate.from_messages([("system", "You are {how}."), ("human", "{question}")])


def given(question=QUESTION):
    return {"question": question, "how": "kind"}


def chains(model):
    """Chains of all shapes, with what they are asked."""
    return {
        "bare model, text": (model, QUESTION, {}),
        "bare model, messages": (model, [HumanMessage(QUESTION)], {}),
        "bound model": (model.bind(stop=["x"]), QUESTION, {}),
        "retrying model": (model.with_retry(), QUESTION, {}),
        "model with fallbacks": (model.with_fallbacks([model]), QUESTION, {}),
        "prompt, model": (PROMPT | model, given(), {"input_messages_key": "question"}),
        "prompt, model, parser": (
            PROMPT | model | StrOutputParser(),
            given(),
            {"input_messages_key": "question"},
        ),
        "configured chain": (
            (PROMPT | model).with_config(tags=["a"]),
            given(),
            {"input_messages_key": "question"},
        ),
        "nested chain": (
            RunnablePassthrough.assign(how=lambda _: "kind") | (PROMPT | model) | StrOutputParser(),
            {"question": QUESTION},
            {},
        ),
        "text prompt": (PromptTemplate.from_template("Q: {question}") | model, {"question": QUESTION}, {}),
        "context variable": (
            ChatPromptTemplate.from_messages([("system", "Known: {known}"), ("human", "{input}")]) | model,
            {"input": QUESTION},
            {"context_key": "known"},
        ),
    }


async def test_a_system_message_in_the_middle_takes_the_memories_where_there_is_no_other(
    connection, teach, call
):
    teach("ada", DOG)
    model = ScriptedChatModel(script=["Biscuit."])
    chain = with_recallrai_memory(model, connection=connection)
    said = [HumanMessage("Hello."), AIMessage("Hi!"), SystemMessage("Be brief."), HumanMessage(QUESTION)]
    await call(chain.invoke, said, of())
    (request,) = model.requests
    assert [type(one) for one in request] == [HumanMessage, AIMessage, SystemMessage, HumanMessage]
    assert request[2].text.startswith("Be brief.\n\n")
    assert "Biscuit" in request[2].text


@pytest.mark.parametrize("shape", list(chains(ScriptedChatModel())))
async def test_memories_reach_the_model_in_one_system_message_that_comes_first(
    connection, teach, stored, call, shape
):
    teach("ada", DOG)
    model = ScriptedChatModel(script=["Biscuit."])
    runnable, question, keys = chains(model)[shape]
    chain = with_recallrai_memory(runnable, connection=connection, **keys)
    output = await call(chain.invoke, question, of())
    assert getattr(output, "text", output) == "Biscuit."
    (request,) = model.requests
    assert [type(one) for one in request] == [SystemMessage, HumanMessage]
    assert "Biscuit" in request[0].text
    wanted = f"Q: {QUESTION}" if shape == "text prompt" else QUESTION
    assert request[1].text == wanted
    assert stored("ada", "t") == [("user", QUESTION), ("assistant", "Biscuit.")]


async def test_a_streamed_answer_arrives_in_chunks_and_is_stored_whole(connection, stored, is_sync):
    chain = with_recallrai_memory(
        PROMPT | ScriptedChatModel(script=["one two three"]) | StrOutputParser(),
        connection=connection,
        input_messages_key="question",
    )
    if is_sync:
        chunks = list(chain.stream(given(), of()))
    else:
        chunks = [chunk async for chunk in chain.astream(given(), of())]
    assert [chunk for chunk in chunks if chunk] == ["one", " two", " three"]
    assert stored("ada", "t") == [("user", QUESTION), ("assistant", "one two three")]


@pytest.mark.parametrize("partial", [False, True])
@pytest.mark.parametrize("end", ["abort", "error"])
async def test_a_stream_that_ends_early_stores_its_part_only_when_asked_to(
    connection, stored, is_sync, partial, end
):
    def words(_):
        yield AIMessageChunk(content="one")
        if end == "error":
            raise RuntimeError("gone")
        yield AIMessageChunk(content=" two")

    async def awords(_):
        for word in words(_):
            yield word

    source = RunnableLambda(words if is_sync else awords)
    chain = with_recallrai_memory(
        source | StrOutputParser(), connection=connection, store_partial=partial, context_key="known"
    )
    if is_sync:
        stream = chain.stream(QUESTION, of())
        assert next(stream) == "one"
        if end == "abort":
            stream.close()
        else:
            with pytest.raises(RuntimeError, match="gone"):
                next(stream)
    else:
        stream = chain.astream(QUESTION, of())
        assert await anext(stream) == "one"
        if end == "abort":
            await stream.aclose()
        else:
            with pytest.raises(RuntimeError, match="gone"):
                await anext(stream)
    assert stored("ada", "t") == [("user", QUESTION), *([("assistant", "one")] if partial else [])]


async def test_a_batch_keeps_its_threads_apart(connection, stored, call):
    chain = with_recallrai_memory(ScriptedChatModel(), connection=connection)
    await call(chain.batch, ["one", "two"], [of("ada", "t1"), of("bob", "t2")])
    assert [stored("ada", "t1")[0], stored("bob", "t2")[0]] == [("user", "one"), ("user", "two")]
    assert (len(stored("ada", "t1")), len(stored("bob", "t2"))) == (2, 2)


async def test_a_placeholder_gets_the_earlier_messages_of_the_thread(connection, call):
    prompt = ChatPromptTemplate.from_messages([MessagesPlaceholder("past"), ("human", "{question}")])
    model = ScriptedChatModel(script=["a1", "a2", "a3"])
    chain = with_recallrai_memory(
        prompt | model,
        connection=connection,
        input_messages_key="question",
        history_messages_key="past",
        history_limit=3,
    )
    for n in range(3):
        await call(chain.invoke, {"question": f"q{n}"}, of())
    assert [one.text for one in model.requests[-1]][-4:] == ["a1", "q1", "a2", "q2"]


async def test_of_a_whole_conversation_only_its_end_is_stored(connection, stored, call):
    chain = with_recallrai_memory(ScriptedChatModel(script=["a1", "a2"]), connection=connection)
    await call(chain.invoke, [("user", "q1")], of())
    await call(chain.invoke, [("system", "s"), ("user", "q1"), ("ai", "a1"), ("user", "q2")], of())
    assert stored("ada", "t") == [
        ("user", "q1"),
        ("assistant", "a1"),
        ("user", "q2"),
        ("assistant", "a2"),
    ]


async def test_an_output_key_says_where_the_answer_is(connection, stored, call):
    chain = with_recallrai_memory(
        RunnableLambda(lambda given: {"reply": f"re: {given['q']}", "sources": ["x"]}),
        connection=connection,
        input_messages_key="q",
        output_messages_key="reply",
        context_key="known",
    )
    output = await call(chain.invoke, {"q": "hi", "other": 1}, of())
    assert output == {"reply": "re: hi", "sources": ["x"]}
    assert stored("ada", "t") == [("user", "hi"), ("assistant", "re: hi")]


async def test_the_answer_reaches_the_caller_even_when_storing_it_fails(
    make_connection, server, stored, call, caplog
):
    connection = make_connection(deliver={"on_error": "raise", "retries": 0})
    server.faults.add(status=503, path="*/add-message", nth=2)
    chain = with_recallrai_memory(ScriptedChatModel(script=["precious"]), connection=connection)
    assert (await call(chain.invoke, "q", of())).text == "precious"
    assert [one.levelno for one in caplog.records if "could not be stored" in one.message] == [logging.ERROR]
    assert stored("ada", "t") == [("user", "q")]


async def test_an_outage_before_the_model_follows_on_error(make_connection, server, call):
    server.faults.add(status=503)
    model = ScriptedChatModel(script=["still here"])
    chain = with_recallrai_memory(model, connection=make_connection(deliver={"retries": 0}))
    assert (await call(chain.invoke, "q", of())).text == "still here"
    strict = make_connection(deliver={"on_error": "raise", "retries": 0})
    with pytest.raises(ServiceUnavailableError):
        await call(with_recallrai_memory(model, connection=strict).invoke, "q", of())
    assert len(model.requests) == 1


async def test_an_error_of_the_model_passes_through_and_stores_the_question_alone(connection, stored, call):
    chain = with_recallrai_memory(ScriptedChatModel(script=[RuntimeError("no model")]), connection=connection)
    with pytest.raises(RuntimeError, match="no model"):
        await call(chain.invoke, "q", of())
    assert stored("ada", "t") == [("user", "q")]


async def test_a_call_without_a_thread_is_a_conversation_that_ends_with_it(connection, requests, call):
    chain = with_recallrai_memory(ScriptedChatModel(), connection=connection)
    await call(chain.invoke, "hi", of("ada", None))
    assert requests()[-3:] == ["GET context", "POST add-message", "POST process"]
    await call(chain.invoke, "hi", of("ada", "t"))
    assert "POST process" not in requests()


async def test_placement_user_puts_memories_before_the_question_of_this_request(connection, teach, call):
    teach("ada", DOG)
    model = ScriptedChatModel()
    chain = with_recallrai_memory(
        PROMPT | model,
        connection=connection,
        input_messages_key="question",
        context=ContextOptions(placement="user"),
    )
    await call(chain.invoke, given(), of())
    system, question = model.requests[0]
    assert system.content == "You are kind."
    assert "Biscuit" in question.content
    assert question.content.endswith(QUESTION)


async def test_a_missing_user_is_a_clear_error(connection, call):
    chain = with_recallrai_memory(ScriptedChatModel(), connection=connection)
    with pytest.raises(MissingIdentityError, match="user_id"):
        await call(chain.invoke, "hi")


def test_what_cannot_work_is_an_error_when_the_chain_is_made(connection):
    with pytest.raises(InvalidInputError, match="RecallrAIMiddleware"):
        with_recallrai_memory(create_agent(ScriptedChatModel()), connection=connection)
    with pytest.raises(InvalidInputError, match="context_key"):
        with_recallrai_memory(RunnableLambda(lambda _: "x"), connection=connection)
    with pytest.raises(InvalidInputError, match="Runnable"):
        with_recallrai_memory(lambda _: "x", connection=connection)


@pytest.mark.parametrize("wrong", [{"a": 1, "b": 2}, {"question": 3}, 7])
async def test_an_input_without_a_question_is_a_clear_error_and_nothing_is_sent(
    connection, requests, call, wrong
):
    chain = with_recallrai_memory(ScriptedChatModel(), connection=connection)
    with pytest.raises(InvalidInputError, match="input_messages_key"):
        await call(chain.invoke, wrong, of())
    assert requests() == []


def test_one_chain_serves_successive_event_loops(connection, stored):
    chain = with_recallrai_memory(ScriptedChatModel(), connection=connection)
    for n in range(2):
        asyncio.run(chain.ainvoke(f"q{n}", of()))
    assert [text for role, text in stored("ada", "t") if role == "user"] == ["q0", "q1"]

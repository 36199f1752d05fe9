"""`RecallrAIMemory` in the chat engines of llama-index-core, in all four modes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.chat_engine import SimpleChatEngine

from recallrai_integrations import Connection
from recallrai_integrations.errors import CredentialsError, MissingIdentityError
from recallrai_integrations.llama_index import RecallrAIMemory
from recallrai_integrations.local import LocalRecallrAI
from recallrai_integrations.testing.llama_index import ScriptedLLM
from tests.llama_index.conftest import Chat, make_engine

Stored = Callable[..., list[tuple[str, str]]]
Count = Callable[[str], int]

BISCUIT = "My dog is called Biscuit."
QUESTION = "What is my dog called?"
GETS_BEFORE_IT_PUTS = ["context", "condense_plus", "condense_question"]


WRITES_BY_ITSELF = tuple(map(int, version("llama-index-core").split(".")[:3])) >= (0, 14, 17)
STREAMS = [
    "simple",
    pytest.param(
        "context",
        marks=pytest.mark.skipif(
            not WRITES_BY_ITSELF,
            reason="before 0.14.17 a streaming engine stores an answer only when it is read",
        ),
    ),
]


def text_of(request: list[ChatMessage]) -> str:
    return "\n".join(f"{one.role.value}: {one.content}" for one in request)


@pytest.mark.parametrize("kind", ["simple", *GETS_BEFORE_IT_PUTS])
async def test_two_turns_are_stored_as_they_were_said(
    kind: str, memory: RecallrAIMemory, chat: Chat, stored: Stored
) -> None:
    engine = make_engine(kind, ScriptedLLM(*(f"say {n}" for n in range(9))), memory)
    answers = [await chat(engine, text) for text in ("one", "two")]
    assert stored() == [
        ("user", "one"),
        ("assistant", answers[0]),
        ("user", "two"),
        ("assistant", answers[1]),
    ]
    assert [(one.role.value, one.content) for one in engine.chat_history] == stored()


@pytest.mark.parametrize("kind", ["simple", "context", "condense_plus"])
@pytest.mark.parametrize("insert_method", ["system", "user"])
async def test_the_first_turn_is_answered_with_what_is_remembered_for_its_own_question(  # noqa: PLR0917 - fixtures
    kind: str, insert_method: Any, connection: Connection, knows: Any, chat: Chat, count: Count
) -> None:
    knows(BISCUIT)
    llm = ScriptedLLM()
    memory = RecallrAIMemory("ada", "thread-1", connection=connection, insert_method=insert_method)
    engine = make_engine(kind, llm, memory)
    await chat(engine, QUESTION)
    (request,) = llm.requests
    (told,) = [one for one in request if "Biscuit" in str(one.content)]
    assert told.role.value == insert_method
    assert str(request[-1].content).endswith(QUESTION)
    assert count("/context") == 1
    assert all("Biscuit" not in str(one.content) for one in engine.chat_history)


@pytest.mark.parametrize("kind", ["simple", "context", "condense_plus"])
@pytest.mark.parametrize("insert_method", ["system", "user"])
async def test_an_engines_own_prompt_comes_first_and_memories_are_a_message_behind_it(
    kind: str, insert_method: Any, connection: Connection, knows: Any, chat: Chat
) -> None:
    knows(BISCUIT)
    llm = ScriptedLLM()
    memory = RecallrAIMemory("ada", "thread-1", connection=connection, insert_method=insert_method)
    await chat(make_engine(kind, llm, memory, system_prompt="Be kind."), QUESTION)
    roles = [one.role.value for one in llm.requests[0]]
    in_the_question = kind == "simple" and insert_method == "user"
    assert roles == (["system", "user"] if in_the_question else ["system", insert_method, "user"])
    assert "Be kind." in str(llm.requests[0][0].content)
    assert "Biscuit" in str(llm.requests[0][1].content)


async def test_memories_go_into_a_prompt_that_the_memory_was_given_and_it_is_not_stored(
    connection: Connection, knows: Any, chat: Chat, stored: Stored
) -> None:
    knows(BISCUIT)
    llm = ScriptedLLM("ok", "ok")
    for _ in range(2):  # the second one goes on with the thread
        memory = RecallrAIMemory("ada", "thread-1", connection=connection)
        memory.set([ChatMessage("Be kind.", role="system"), *memory.get_all()])
        await chat(make_engine("simple", llm, memory), QUESTION)
    first, second = llm.requests
    assert [one.role.value for one in first] == ["system", "user"]
    assert [one.role.value for one in second] == ["system", "user", "assistant", "user"]
    for told, *_ in (first, second):
        assert str(told.content).startswith("Be kind.")
        assert "Biscuit" in str(told.content)
    assert stored() == [("user", QUESTION), ("assistant", "ok")] * 2


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # the engine's own thread
@pytest.mark.parametrize("kind", GETS_BEFORE_IT_PUTS)
async def test_a_model_error_and_a_retry_are_one_message(
    kind: str, memory: RecallrAIMemory, chat: Chat, stored: Stored, count: Count
) -> None:
    engine = make_engine(kind, ScriptedLLM(RuntimeError("no model"), "fine", "fine"), memory)
    with pytest.raises(Exception, match="no model"):
        await chat(engine, "hello")
    assert await chat(engine, "hello") == "fine"
    assert stored() == [("user", "hello"), ("assistant", "fine")]
    assert [(one.role.value, one.content) for one in engine.chat_history] == stored()
    assert count("/context") == 1


@pytest.mark.parametrize("kind", ["simple", "context"])
async def test_the_same_words_said_twice_are_two_messages_and_two_recalls(
    kind: str, memory: RecallrAIMemory, chat: Chat, stored: Stored, count: Count
) -> None:
    engine = make_engine(kind, ScriptedLLM("ok", "ok"), memory)
    for _ in range(2):
        await chat(engine, "yes")
    assert stored() == [("user", "yes"), ("assistant", "ok")] * 2
    assert count("/context") == 2


async def test_an_outage_costs_no_answer_and_what_waited_is_stored_in_order_once(
    memory: RecallrAIMemory, server: LocalRecallrAI, connection: Connection, chat: Chat, stored: Stored
) -> None:
    engine = make_engine("simple", ScriptedLLM(), memory)
    await chat(engine, "one")
    server.faults.add(status=500, path="*/sessions*")
    assert await chat(engine, "two") == "answer 2"
    assert await chat(engine, "three") == "answer 3"
    server.faults.clear()
    assert connection.flush() == 0
    assert stored() == [
        (role, text)
        for n, said in enumerate(("one", "two", "three"), start=1)
        for role, text in (("user", said), ("assistant", f"answer {n}"))
    ]


async def test_a_service_that_is_down_from_the_start_is_caught_up_with(
    server: LocalRecallrAI, connection: Connection, chat: Chat, stored: Stored
) -> None:
    connection.conversation("ada", "thread-1").record([("user", "before"), ("assistant", "indeed")])
    server.faults.add(status=503, path="*/sessions*")
    history = [ChatMessage(role="user", content="before"), ChatMessage(role="assistant", content="indeed")]
    memory = RecallrAIMemory("ada", "thread-1", connection=connection)
    engine = make_engine("simple", ScriptedLLM(), memory)
    await chat(engine, "one", chat_history=history)
    server.faults.clear()
    connection.flush()
    await chat(engine, "two")
    assert [text for _, text in stored()] == ["before", "indeed", "one", "answer 1", "two", "answer 2"]
    assert [one.content for one in engine.chat_history] == [text for _, text in stored()]


@pytest.mark.parametrize("kind", ["simple", "condense_plus"])
async def test_a_memory_made_in_an_outage_begins_with_what_this_process_knows_of_the_thread(
    kind: str, server: LocalRecallrAI, connection: Connection, chat: Chat, stored: Stored
) -> None:
    await chat(
        make_engine("simple", ScriptedLLM(), RecallrAIMemory("ada", "thread-1", connection=connection)), "one"
    )
    server.faults.add(status=503, path="*/sessions*")
    for text, earlier in (("two", ["one"]), ("three", ["one", "two"])):  # as a web server makes them
        memory = RecallrAIMemory("ada", "thread-1", connection=connection)
        llm = ScriptedLLM()
        engine = make_engine(kind, llm, memory)
        await chat(engine, text)
        asked = [one.content for one in llm.requests[-1] if one.role == "user"]
        assert asked == [*earlier, text]
    server.faults.clear()
    assert connection.flush() == 0
    await chat(engine, "four")
    said = [text for role, text in stored() if role == "user"]
    assert said == ["one", "two", "three", "four"]
    assert [(one.role.value, one.content) for one in engine.chat_history] == stored()


async def test_a_stream_survives_a_service_that_refuses_its_answer(
    make_connection: Any, server: LocalRecallrAI, chat: Chat, caplog: pytest.LogCaptureFixture
) -> None:
    connection = make_connection(deliver={"on_error": "raise", "retries": 0})
    memory = RecallrAIMemory("ada", "thread-1", connection=connection)
    engine = make_engine("simple", ScriptedLLM(), memory)
    server.faults.add(status=503, path="*/add-message", nth=2)
    assert await chat(engine, "one") == "answer 1"
    assert "not stored yet" in caplog.text
    await chat(engine, "two")
    history = connection.conversation("ada", "thread-1").history()
    assert [one.content for one in history] == ["one", "answer 1", "two", "answer 2"]


async def test_with_on_error_raise_the_users_message_is_the_callers_again(
    make_connection: Any, server: LocalRecallrAI, chat: Chat
) -> None:
    connection = make_connection(deliver={"on_error": "raise", "retries": 0, "breaker_threshold": 100})
    memory = RecallrAIMemory("ada", connection=connection)
    engine = make_engine("simple", ScriptedLLM(), memory)
    server.faults.add(status=503, path="*/add-message", times=1)
    with pytest.raises(Exception, match="503"):
        await chat(engine, "one")
    assert engine.chat_history == []
    await chat(engine, "one")
    history = connection.conversation("ada", memory.thread_id).history()
    assert [one.content for one in history] == ["one", "answer 1"]


async def test_a_session_that_was_processed_meanwhile_is_followed_by_another(
    memory: RecallrAIMemory, connection: Connection, chat: Chat, stored: Stored
) -> None:
    engine = make_engine("context", ScriptedLLM(), memory)
    await chat(engine, "one")
    connection.conversation("ada", "thread-1").finish(wait=30)
    await chat(engine, "two")
    assert [text for _, text in stored()] == ["one", "answer 1", "two", "answer 2"]


@pytest.mark.parametrize("kind", STREAMS)
def test_unread_and_broken_off_streams_leave_the_next_turn_intact(
    kind: str, memory: RecallrAIMemory, stored: Stored
) -> None:
    engine = make_engine(kind, ScriptedLLM("first words", "second words", "third words"), memory)
    engine.stream_chat("unread")
    deadline = time.monotonic() + 20
    while len(stored()) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)  # a thread of the engine's own writes
    for _ in engine.stream_chat("broken off").response_gen:
        break
    assert str(engine.chat("asked")) == "third words"
    assert stored() == [
        ("user", "unread"),
        ("assistant", "first words"),
        ("user", "broken off"),
        ("assistant", "second words"),
        ("user", "asked"),
        ("assistant", "third words"),
    ]


@pytest.mark.parametrize("kind", STREAMS)
async def test_a_cancelled_stream_leaves_the_next_turn_intact(
    kind: str, memory: RecallrAIMemory, stored: Stored
) -> None:
    engine = make_engine(kind, ScriptedLLM("fine", "fine"), memory)
    streamed = await engine.astream_chat("cancelled")
    await asyncio.sleep(0)
    streamed.awrite_response_to_history_task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await streamed.awrite_response_to_history_task
    assert str(await engine.achat("asked")) == "fine"
    assert stored() == [("user", "cancelled"), ("user", "asked"), ("assistant", "fine")]


async def test_an_engine_makes_its_memory_from_a_bound_class(
    connection: Connection, chat: Chat, stored: Stored
) -> None:
    bound = RecallrAIMemory.bound(user_id="ada", thread_id="thread-1", connection=connection)
    engine = SimpleChatEngine.from_defaults(llm=ScriptedLLM(), memory_cls=bound)
    await chat(engine, "one")
    assert stored() == [("user", "one"), ("assistant", "answer 1")]


def test_a_class_that_is_not_bound_says_how_to_bind_it() -> None:
    with pytest.raises(MissingIdentityError, match=r"RecallrAIMemory\.bound\(user_id"):
        SimpleChatEngine.from_defaults(llm=ScriptedLLM(), memory_cls=RecallrAIMemory)


async def test_without_credentials_the_first_turn_says_what_is_missing(chat: Chat) -> None:
    engine = make_engine("simple", ScriptedLLM(), RecallrAIMemory("ada"))
    with pytest.raises(CredentialsError, match="RECALLRAI_API_KEY"):
        await chat(engine, "hello")


@pytest.mark.parametrize("kind", ["context", "condense_plus"])
async def test_memories_are_no_templates(kind: str, memory: RecallrAIMemory, knows: Any, chat: Chat) -> None:
    knows("My favourite placeholder is {query_str} and {context_str} and {x} and {existing_answer}.")
    llm = ScriptedLLM()
    await chat(make_engine(kind, llm, memory), "What is my favourite placeholder?")
    told = text_of(llm.requests[-1])
    assert "(query_str)" in told
    assert "(context_str)" in told
    assert "(existing_answer)" in told
    assert "{x}" in told
    assert told.count("What is my favourite placeholder?") == 1


async def test_memories_join_a_system_message_of_the_history_and_are_not_kept_in_it(
    memory: RecallrAIMemory, knows: Any, chat: Chat
) -> None:
    knows(BISCUIT)
    llm = ScriptedLLM()
    engine = make_engine("simple", llm, memory)
    rules = ChatMessage(role="system", content="Be kind.")
    await chat(engine, QUESTION, chat_history=[rules])
    roles = [one.role.value for one in llm.requests[0]]
    assert roles == ["system", "user"]
    assert str(llm.requests[0][0].content).startswith("Be kind.")
    assert "Biscuit" in str(llm.requests[0][0].content)
    assert engine.chat_history[0] == rules


async def test_nothing_remembered_adds_no_message(memory: RecallrAIMemory, chat: Chat) -> None:
    llm = ScriptedLLM()
    engine = make_engine("condense_plus", llm, memory)
    await chat(engine, "hello")
    assert llm.prompts == []  # with an empty history there is nothing to condense
    assert len(llm.requests) == 1


async def test_a_stateless_server_stores_each_turn_once(
    connection: Connection, chat: Chat, stored: Stored
) -> None:
    history: list[ChatMessage] = []
    for n in range(3):
        memory = RecallrAIMemory("ada", "thread-1", connection=connection)
        engine = make_engine("simple" if n % 2 else "context", ScriptedLLM("ok"), memory)
        await chat(engine, "yes", chat_history=history)
        history = engine.chat_history
    assert stored() == [("user", "yes"), ("assistant", "ok")] * 3


def test_one_memory_serves_threads_and_event_loops_in_turn(memory: RecallrAIMemory, stored: Stored) -> None:
    engine = make_engine("simple", ScriptedLLM(), memory)
    for n in range(3):
        asyncio.run(engine.achat(f"async {n}"))
        engine.chat(f"sync {n}")
    said = [text for role, text in stored() if role == "user"]
    assert said == [f"{colour} {n}" for n in range(3) for colour in ("async", "sync")]
    assert len(stored()) == 12

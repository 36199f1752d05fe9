"""What engines and applications hand over in other forms: bundles, names, reasoning, whole histories."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.schema import QueryBundle

from recallrai_integrations import Connection, ContextOptions, InvalidInputError
from recallrai_integrations.adapter import Binding, Turn, calling_tool
from recallrai_integrations.llama_index import RecallrAIMemory
from recallrai_integrations.testing.llama_index import ScriptedLLM
from tests.conftest import Call
from tests.llama_index.conftest import Chat, make_engine

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the framework's own agents

Stored = Callable[..., list[tuple[str, str]]]
BISCUIT = "My dog is called Biscuit."
QUESTION = "What is my dog called?"
ENGINES = ["simple", "context", "condense_plus"]


def said(*texts: str) -> list[ChatMessage]:
    return [ChatMessage(role=("user", "assistant")[n % 2], content=text) for n, text in enumerate(texts)]


@pytest.mark.parametrize("asked", [QueryBundle(QUESTION), ChatMessage(QUESTION)], ids=["bundle", "message"])
async def test_a_question_may_be_a_bundle_or_a_message(
    asked: Any, memory: RecallrAIMemory, knows: Any, call: Call, stored: Stored
) -> None:
    knows(BISCUIT)
    assert "Biscuit" in str(await call(memory.get, asked))
    await call(memory.put_messages, said(QUESTION, "Biscuit."))
    assert stored() == [("user", QUESTION), ("assistant", "Biscuit.")]


async def test_an_engine_that_is_asked_with_a_bundle_answers_and_stores_its_words(
    memory: RecallrAIMemory, chat: Chat, stored: Stored
) -> None:
    engine = make_engine("context", ScriptedLLM("fine"), memory)
    bundle: Any = QueryBundle(QUESTION)
    assert await chat(engine, bundle) == "fine"
    assert stored() == [("user", QUESTION), ("assistant", "fine")]


async def test_in_a_group_who_said_it_stays_with_what_was_said(
    memory: RecallrAIMemory, connection: Connection, call: Call, stored: Stored
) -> None:
    group = [
        ChatMessage("I love sushi.", role="user", additional_kwargs={"name": "Pia"}),
        ChatMessage("Noted.", role="assistant", additional_kwargs={"name": "bot"}),
        ChatMessage("I hate sushi.", role="user", additional_kwargs={"name": "Ben"}),
    ]
    for message in group:
        await call(memory.put, message)
    spoken = [("user", "Pia: I love sushi."), ("assistant", "Noted."), ("user", "Ben: I hate sushi.")]
    assert stored() == spoken
    assert await call(memory.get_all) == group
    again = RecallrAIMemory("ada", "thread-1", connection=connection)
    await call(again.set, group)
    assert stored() == spoken


async def test_reasoning_in_the_text_is_no_part_of_the_answer(
    memory: RecallrAIMemory, chat: Chat, stored: Stored
) -> None:
    engine = make_engine("simple", ScriptedLLM("<think>A dog, then.</think>\nBiscuit."), memory)
    await chat(engine, QUESTION)
    assert stored() == [("user", QUESTION), ("assistant", "Biscuit.")]


@pytest.mark.parametrize("earlier", [[], ["one", "1"]])
async def test_an_answer_that_is_generated_anew_is_stored_and_its_question_is_not_once_more(  # noqa: PLR0917 - fixtures
    earlier: list[str], connection: Connection, chat: Chat, stored: Stored, call: Call, knows: Any
) -> None:
    knows(BISCUIT)
    memory = RecallrAIMemory("ada", "thread-1", connection=connection)
    await call(memory.put_messages, [*said(*earlier), *said(QUESTION, "Rex?")])
    expected = [*earlier, QUESTION, "Rex?"]
    for n, kind in enumerate(ENGINES):
        for fresh in (False, True):  # the same memory, and a server that makes one for each request
            used = RecallrAIMemory("ada", "thread-1", connection=connection) if fresh else memory
            llm = ScriptedLLM(f"Biscuit {n}{fresh}.")
            await chat(make_engine(kind, llm, used), QUESTION, chat_history=said(*earlier))
            assert "called Biscuit" in str(llm.requests[-1])
            expected.append(f"Biscuit {n}{fresh}.")
            assert [text for _, text in stored()] == expected
            assert [one.content for one in used.get_all()] == [*earlier, QUESTION, expected[-1]]


@pytest.mark.parametrize("earlier", [[], ["one", "1"]])
async def test_a_history_with_another_answer_stores_the_answer_alone(
    earlier: list[str], connection: Connection, stored: Stored, call: Call
) -> None:
    for answer in ("a", "b", "c"):
        memory = RecallrAIMemory("ada", "thread-1", connection=connection)
        await call(memory.set, said(*earlier, "question", answer))
    assert [text for _, text in stored()] == [*earlier, "question", "a", "b", "c"]


async def test_another_question_after_going_back_is_stored(
    memory: RecallrAIMemory, chat: Chat, stored: Stored, call: Call
) -> None:
    await call(memory.put_messages, said("one", "1", "two", "2"))
    engine = make_engine("simple", ScriptedLLM("3"), memory)
    await chat(engine, "three", chat_history=said("one", "1"))
    assert [text for _, text in stored()] == ["one", "1", "two", "2", "three", "3"]


async def test_an_earlier_question_after_going_back_further_is_asked_and_stored_again(
    memory: RecallrAIMemory, chat: Chat, stored: Stored, call: Call
) -> None:
    await call(memory.put_messages, said("one", "1", "two", "2"))
    await chat(make_engine("context", ScriptedLLM("1b"), memory), "one", chat_history=[])
    assert [text for _, text in stored()] == ["one", "1", "two", "2", "one", "1b"]


async def test_an_agent_that_is_given_the_history_before_its_answer_stores_the_new_answer_alone(
    memory: RecallrAIMemory, stored: Stored
) -> None:
    await memory.aput_messages(said("one", "1", "two", "2"))
    agent = FunctionAgent(llm=ScriptedLLM("2b"), tools=[])
    await agent.run(user_msg="two", chat_history=said("one", "1"), memory=memory)
    assert [text for _, text in stored()] == ["one", "1", "two", "2", "2b"]


@pytest.mark.parametrize("kind", ENGINES)
async def test_split_puts_instructions_above_and_memories_beside_the_question(
    kind: str, connection: Connection, knows: Any, chat: Chat
) -> None:
    knows(BISCUIT)
    context = ContextOptions(placement="split", instructions="Read with care.")
    memory = RecallrAIMemory("ada", connection=connection, context=context)
    llm = ScriptedLLM("fine")
    await chat(make_engine(kind, llm, memory), QUESTION)
    (request,) = llm.requests
    texts = {
        role: "".join(str(one.content) for one in request if one.role.value == role)
        for role in ("system", "user")
    }
    assert [role for role, text in texts.items() if "Read with care." in text] == ["system"]
    assert [role for role, text in texts.items() if "Biscuit" in text] == ["user"]


@pytest.mark.parametrize("method", ["system", "user"])
def test_split_and_an_insert_method_contradict_each_other(method: Any) -> None:
    with pytest.raises(InvalidInputError, match="contradicts"):
        RecallrAIMemory("ada", insert_method=method, context=ContextOptions(placement="split"))


@pytest.mark.parametrize("kind", ENGINES)
@pytest.mark.parametrize("user_id", ["ada", "bob"])
async def test_an_engine_inside_a_tool_of_another_run_stores_nothing_and_has_its_users_memories(  # noqa: PLR0917 - fixtures
    kind: str, user_id: str, connection: Connection, knows: Any, chat: Chat, stored: Stored
) -> None:
    knows(BISCUIT)
    outer = Turn.begin(Binding.of(connection), QUESTION, {"user_id": "ada", "thread_id": "outer"})
    llm, memory = ScriptedLLM("a dog", "hi"), RecallrAIMemory(user_id, "inner", connection=connection)
    engine = make_engine(kind, llm, memory)
    with calling_tool(outer):
        assert await chat(engine, "List the pets.") == "a dog"
    assert stored(user_id, "inner") == []
    assert ("Biscuit" in str(llm.requests[-1])) == (user_id == "ada")
    await chat(engine, "hello")
    assert stored(user_id, "inner") == [("user", "hello"), ("assistant", "hi")]

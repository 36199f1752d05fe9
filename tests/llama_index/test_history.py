"""The history of `RecallrAIMemory`: given, resumed, rewound, reset, finished."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.memory.memory import InsertMethod

from recallrai_integrations import Connection, ContextOptions, InvalidInputError, MissingIdentityError
from recallrai_integrations.llama_index import RecallrAIMemory
from recallrai_integrations.llama_index._prompt import count_tokens
from recallrai_integrations.local import LocalRecallrAI
from tests.conftest import Call

Stored = Callable[..., list[tuple[str, str]]]


def said(*texts: str) -> list[ChatMessage]:
    """Alternating messages of the user and the assistant."""
    return [ChatMessage(role=("user", "assistant")[n % 2], content=text) for n, text in enumerate(texts)]


def texts(stored: list[tuple[str, str]]) -> list[str]:
    return [text for _, text in stored]


@pytest.mark.parametrize(
    ("given", "added"),
    [
        (["one", "1", "two", "2"], []),
        (["two", "2"], []),
        (["one", "1"], []),
        (["one", "1", "two", "2", "three"], ["three"]),
        (["two", "2", "three"], ["three"]),
        (["one", "1", "else", "2"], ["else", "2"]),
        (["ein", "eins", "zwei", "zwo"], ["ein", "eins", "zwei", "zwo"]),
    ],
    ids=["same", "trimmed", "rewound", "longer", "trimmed and longer", "rewound and changed", "other"],
)
async def test_a_history_that_is_set_stores_only_what_is_new(
    given: list[str], added: list[str], memory: RecallrAIMemory, stored: Stored, call: Call
) -> None:
    await call(memory.put_messages, said("one", "1", "two", "2"))
    for _ in range(2):
        await call(memory.set, said(*given))
    assert texts(stored()) == ["one", "1", "two", "2", *added]
    assert await call(memory.get_all) == said(*given)


async def test_repeated_words_in_a_history_are_all_kept(
    connection: Connection, stored: Stored, call: Call
) -> None:
    for length in (2, 4, 6):
        memory = RecallrAIMemory("ada", "thread-1", connection=connection)
        await call(memory.set, said(*["ok"] * length))
    assert texts(stored()) == ["ok"] * 6


async def test_another_process_takes_the_thread_up(
    memory: RecallrAIMemory, connection: Connection, call: Call, stored: Stored
) -> None:
    await call(memory.put_messages, said("one", "1"))
    again = RecallrAIMemory("ada", "thread-1", connection=connection)
    await call(again.put, said("two")[0])
    assert await call(again.get_all) == said("one", "1", "two")
    assert texts(stored()) == ["one", "1", "two"]


@pytest.mark.parametrize("travels", [False, True], ids=["stays", "is carried over"])
async def test_what_was_known_in_an_outage_makes_room_for_what_the_service_holds(
    travels: bool, connection: Connection, make_connection: Any, server: LocalRecallrAI, call: Call
) -> None:
    memory = RecallrAIMemory("ada", "thread-1", connection=connection)
    await call(memory.put_messages, said("one", "1"))
    elsewhere = make_connection().conversation("ada", "thread-1")
    elsewhere.record([("user", "two"), ("assistant", "2")])
    server.faults.add(status=503)
    again = RecallrAIMemory("ada", "thread-1", connection=connection)
    assert await call(again.get_all) == said("one", "1")
    await call(again.put_messages, said("three", "3"))
    assert await call(again.get_all) == said("one", "1", "three", "3")
    if travels:
        again = RecallrAIMemory.from_dict(again.to_dict())
    server.faults.clear()
    assert connection.flush() == 0
    assert await call(again.get_all) == said("one", "1", "two", "2", "three", "3")
    assert [one.content for one in elsewhere.history()] == ["one", "1", "two", "2", "three", "3"]


async def test_a_question_tried_again_in_an_outage_by_another_memory_is_stored_once(
    memory: RecallrAIMemory, connection: Connection, server: LocalRecallrAI, call: Call, stored: Stored
) -> None:
    await call(memory.put_messages, said("one", "1"))
    server.faults.add(status=503)
    await call(memory.put, said("two")[0])  # and then the model fails
    again = RecallrAIMemory("ada", "thread-1", connection=connection)
    await call(again.put, said("two")[0])
    assert await call(again.get_all) == said("one", "1", "two")
    await call(again.put_messages, said("two", "2")[1:])
    server.faults.clear()
    assert connection.flush() == 0
    assert texts(stored()) == ["one", "1", "two", "2"]
    assert await call(again.get_all) == said("one", "1", "two", "2")


async def test_a_memory_that_is_not_resumed_begins_empty(
    memory: RecallrAIMemory, connection: Connection, call: Call
) -> None:
    await call(memory.put_messages, said("one", "1"))
    again = RecallrAIMemory("ada", "thread-1", connection=connection, resume=False)
    assert await call(again.get_all) == []


async def test_an_unused_memory_makes_no_request(connection: Connection, server: LocalRecallrAI) -> None:
    memory = RecallrAIMemory("ada", connection=connection, chat_history=said("one"))
    memory.to_dict()
    assert not server.requests


async def test_looking_at_an_empty_thread_opens_no_session(
    memory: RecallrAIMemory, server: LocalRecallrAI, call: Call
) -> None:
    assert await call(memory.get) == []
    assert await call(memory.get_all) == []
    assert all(one.method == "GET" for one in server.requests)


@pytest.mark.parametrize("thread_id", [None, "thread-1"])
async def test_reset_begins_a_new_session_and_deletes_nothing(
    thread_id: str | None, connection: Connection, server: LocalRecallrAI, call: Call
) -> None:
    memory = RecallrAIMemory("ada", thread_id, connection=connection)
    await call(memory.put_messages, said("one", "1"))
    before = connection.conversation("ada", memory.thread_id).info()
    await call(memory.reset)
    assert await call(memory.get_all) == []
    await call(memory.put, said("two")[0])
    after = connection.conversation("ada", memory.thread_id).info()
    assert after.session_id != before.session_id
    assert all(one.method != "DELETE" for one in server.requests)
    fresh = RecallrAIMemory("ada", memory.thread_id, connection=connection)
    assert await call(fresh.get_all) == said("two")


async def test_finish_has_memories_made_and_the_conversation_may_go_on(
    memory: RecallrAIMemory, connection: Connection, call: Call, stored: Stored
) -> None:
    await call(memory.put, said("My dog is called Biscuit.")[0])
    session = await call(memory.finish, wait=30)
    assert session.status == "processed"
    assert "Biscuit" in connection.user("ada").memories()[0].content
    await call(memory.put, said("two")[0])
    assert texts(stored()) == ["My dog is called Biscuit.", "two"]


async def test_leaving_a_memory_finishes_it(connection: Connection, call: Call) -> None:
    with RecallrAIMemory("ada", "sync", connection=connection) as memory:
        memory.put(said("hello")[0])
    async with RecallrAIMemory("ada", "async", connection=connection) as other:
        await other.aput(said("hello")[0])
    for thread in ("sync", "async"):
        assert connection.conversation("ada", thread).info().status != "pending"


@pytest.mark.parametrize(
    ("options", "sessions"), [({}, 1), ({"process": "every_run"}, 3), ({"process": "manual"}, 1)]
)
async def test_answers_end_sessions_only_where_the_policy_says_so(
    options: Any, sessions: int, connection: Connection, server: LocalRecallrAI, call: Call
) -> None:
    memory = RecallrAIMemory("ada", connection=connection, **options)
    for n in range(3):
        await call(memory.put_messages, said(f"question {n}", f"answer {n}"))
    made = [one for one in server.requests if one.method == "POST" and one.path.endswith("/sessions")]
    assert sum(one.status < 300 for one in made) == sessions


async def test_a_resumed_question_that_was_never_answered_may_be_asked_once_more(
    memory: RecallrAIMemory, connection: Connection, call: Call, stored: Stored
) -> None:
    await call(memory.put_messages, said("one", "1", "two"))
    again = RecallrAIMemory("ada", "thread-1", connection=connection)
    await call(again.set, said("one", "1"))
    await call(again.get, "two")
    await call(again.put_messages, said("two", "2"))
    assert texts(stored()) == ["one", "1", "two", "2"]
    assert await call(again.get_all) == said("one", "1", "two", "2")


async def test_a_redacted_thread_is_recognised_when_it_is_resumed(
    make_connection: Callable[..., Connection], call: Call
) -> None:
    def hide(given: Any) -> Any:
        return given.text.replace("4111", "[card]")

    connection = make_connection(deliver={"redact": hide})
    for _ in range(2):
        memory = RecallrAIMemory("ada", "thread-1", connection=connection)
        await call(memory.set, said("My card is 4111.", "Noted."))
    history = connection.conversation("ada", "thread-1").history()
    assert [one.content for one in history] == ["My card is [card].", "Noted."]


async def test_a_message_that_was_redacted_on_its_way_is_not_told_once_more_by_the_memories(
    make_connection: Callable[..., Connection], call: Call
) -> None:
    def hide(given: Any) -> Any:
        return given.text.replace("4111", "[card]")

    connection = make_connection(deliver={"redact": hide})
    memory = RecallrAIMemory("ada", "thread-1", connection=connection)
    await call(memory.put_messages, said("I like tofu.", "Noted.", "My card is 4111."))
    assert [one.content for one in await call(memory.get)] == ["I like tofu.", "Noted.", "My card is 4111."]


@pytest.mark.parametrize("method", ["system", "user"])
async def test_a_long_conversation_with_its_memories_stays_within_the_token_limit(
    method: Any, connection: Connection, knows: Any, call: Call
) -> None:
    knows("My dog is called Biscuit.")
    limit, words = 400, " ".join(["word"] * 30)
    memory = RecallrAIMemory(
        "ada", "thread-1", connection=connection, token_limit=limit, insert_method=method
    )
    for turn in range(20):
        await call(memory.put_messages, said(f"Is it called Biscuit, my dog {turn}? {words}", words)[:1])
        sent = [str(one.content) for one in await call(memory.get)]
        told = "\n".join(sent)
        assert sum(count_tokens(one) for one in sent) <= limit
        assert f"my dog {turn}?" in told
        assert "dog is called Biscuit" in told
        await call(memory.put_messages, said("", words)[1:])


async def test_instructions_and_memories_are_blocks_of_their_own_that_do_not_run_together(
    connection: Connection, knows: Any, call: Call
) -> None:
    knows("My dog is called Biscuit.")
    told = ContextOptions(instructions="Read them with care.")
    history = [ChatMessage(role="system", content="You are kind.")]
    memory = RecallrAIMemory("ada", connection=connection, context=told, chat_history=history)
    await call(memory.put, said("What is my dog called?")[0])
    blocks: Any = (await call(memory.get))[0].blocks
    texts = [block.text for block in blocks]
    assert texts[:2] == ["You are kind.", "\n\nRead them with care."]
    assert texts[2].startswith("\n\n<recallrai_memory>")
    memory = RecallrAIMemory("ada", connection=connection, insert_method="user")
    await call(memory.put, said("What is my dog called?")[0])
    blocks = (await call(memory.get))[0].blocks
    memories, question = (block.text for block in blocks)
    assert memories.endswith("</recallrai_memory>\n\n")
    assert question == "What is my dog called?"


@pytest.mark.parametrize(
    ("options", "placement"),
    [
        ({}, "system"),
        ({"insert_method": "user"}, "user"),
        ({"insert_method": InsertMethod.USER}, "user"),
        ({"context": ContextOptions(placement="user")}, "user"),
        ({"insert_method": "user", "context": ContextOptions(max_chars=4000)}, "user"),
    ],
)
async def test_insert_method_wins_and_else_the_placement_decides(
    options: Any, placement: str, connection: Connection, knows: Any, call: Call
) -> None:
    knows("My dog is called Biscuit.")
    memory = RecallrAIMemory("ada", connection=connection, **options)
    await call(memory.put, said("What is my dog called?")[0])
    (told,) = [one for one in await call(memory.get) if "Biscuit" in str(one.content)]
    assert told.role.value == placement


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"user_id": ""}, "No user id"),
        ({"insert_method": "assistant"}, "insert_method must be"),
        ({"insert_method": "system", "context": ContextOptions(placement="user")}, "contradicts"),
        ({"token_limit": 0}, "token_limit must be at least 1"),
        ({"thread_id": ""}, "thread id is empty"),
    ],
)
def test_an_option_that_cannot_be_is_refused(options: Any, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        RecallrAIMemory(**{"user_id": "ada", **options})


def test_no_user_is_a_missing_identity() -> None:
    with pytest.raises(MissingIdentityError):
        RecallrAIMemory.from_defaults(thread_id="thread-1")


async def test_one_users_memories_never_reach_another(connection: Connection, knows: Any, call: Call) -> None:
    knows("My dog is called Biscuit.")
    memory = RecallrAIMemory("bob", "thread-1", connection=connection)
    await call(memory.put, said("What is my dog called?")[0])
    assert await call(memory.get) == said("What is my dog called?")


async def test_context_tokens_count_and_options_survive_a_round_trip(
    connection: Connection, knows: Any, call: Call
) -> None:
    knows("My dog is called Biscuit.")
    options = ContextOptions(max_tokens=2000, count_tokens=lambda text: len(text.split()))
    memory = RecallrAIMemory("ada", connection=connection, context=options, insert_method="user")
    again = RecallrAIMemory.from_dict(memory.to_dict())
    await call(again.put, said("What is my dog called?")[0])
    (request,) = await call(again.get)
    assert request.role.value == "user"
    assert "Biscuit" in str(request.content)


@pytest.mark.parametrize("known", [False, True], ids=["new process", "same process"])
async def test_a_question_in_a_history_that_is_given_in_an_outage_is_stored_afterwards(
    known: bool, connection: Connection, make_connection: Any, server: LocalRecallrAI, call: Call
) -> None:
    make_connection().conversation("ada", "thread-1").record([("user", "one"), ("assistant", "1")])
    if known:
        connection.conversation("ada", "thread-1").history()
    server.faults.add(status=503)
    memory = RecallrAIMemory("ada", "thread-1", connection=connection)
    await call(memory.set, said("one", "1", "two"))
    await call(memory.put_messages, said("", "2")[1:])
    server.faults.clear()
    assert connection.flush() == 0
    assert await call(memory.get_all) == said("one", "1", "two", "2")
    history = make_connection().conversation("ada", "thread-1").history()
    assert [one.content for one in history] == ["one", "1", "two", "2"]

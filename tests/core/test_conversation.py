"""The life of a conversation, through the official SDK against the local service, in both colours."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from recallrai.models.session import ContextMetadata

from recallrai_integrations import (
    Connection,
    InvalidInputError,
    Message,
    NotFoundError,
    RecallOptions,
    RequestRejectedError,
    ServiceUnavailableError,
    SessionInfo,
)
from recallrai_integrations.local import LocalRecallrAI
from tests.conftest import Call

NEVER = datetime.fromtimestamp(0, timezone.utc)
QUESTION = ("user", "What is my dog called?")


def requests(server: LocalRecallrAI) -> list[str]:
    """Method and last part of the path of each request, instructions left out."""
    return [
        f"{one.method} {one.path.rsplit('/', 1)[-1]}"
        for one in server.requests
        if not one.path.endswith("system-prompt")
    ]


def texts(messages: list[Message]) -> list[tuple[str, str]]:
    return [(one.role, one.content) for one in messages]


async def remember(connection: Connection, call: Call, user: str, *facts: str) -> None:
    """A finished conversation in which the user told something."""
    earlier = connection.conversation(user)
    await call(earlier.record, [("user", fact) for fact in facts])
    session = await call(earlier.finish, wait=30)
    assert session.status == "processed"


async def test_a_fact_told_in_one_conversation_is_recalled_in_the_next(
    connection: Connection, call: Call
) -> None:
    await remember(connection, call, "ada", "My dog is called Biscuit.")
    conversation = connection.conversation("ada", "thread-2")
    await call(conversation.record, QUESTION)
    recall = await call(conversation.recall)
    assert "Biscuit" in recall.text
    assert recall.memory_ids
    assert not recall.degraded


async def test_one_users_memory_never_reaches_another(connection: Connection, call: Call) -> None:
    await remember(connection, call, "ada", "My dog is called Biscuit.")
    for other in ("bob", "../ada", "ada/../ada", "enc-ada", "ADA"):
        conversation = connection.conversation(other, "thread-2")
        await call(conversation.record, QUESTION)
        assert "Biscuit" not in (await call(conversation.recall)).text


async def test_a_warm_turn_makes_two_requests_before_the_model_and_one_after(
    connection: Connection, server: LocalRecallrAI, call: Call
) -> None:
    conversation = connection.conversation("ada", "thread-1")
    for _ in range(2):
        server.requests.clear()
        await call(conversation.record, QUESTION)
        await call(conversation.recall)
        before = requests(server)
        server.requests.clear()
        await call(conversation.record, ("assistant", "I do not know."))
    assert before == ["POST add-message", "GET context"]
    assert requests(server) == ["POST add-message"]


async def test_requests_of_a_cold_turn(connection: Connection, server: LocalRecallrAI, call: Call) -> None:
    expected = {
        ("new user", "t"): ["GET sessions", "POST users", "POST sessions", "POST add-message", "GET context"],
        ("new user", "t2"): ["GET sessions", "POST sessions", "POST add-message", "GET context"],
        ("new user", None): ["POST sessions", "POST add-message", "GET context"],
    }
    for (user, thread), wanted in expected.items():
        server.requests.clear()
        conversation = connection.conversation(user, thread)
        await call(conversation.record, QUESTION)
        await call(conversation.recall)
        assert requests(server) == wanted


async def test_another_process_goes_on_in_the_same_session(
    make_connection: Callable[..., Connection], call: Call
) -> None:
    first, second = (make_connection().conversation("ada", "thread-1") for _ in range(2))
    await call(first.record, ("user", "one"))
    await call(second.record, ("assistant", "two"))
    assert (await call(first.info)).session_id == (await call(second.info)).session_id
    assert texts(await call(second.history)) == [("user", "one"), ("assistant", "two")]


async def test_two_workers_that_open_a_thread_at_once_settle_on_the_oldest_session(
    make_connection: Callable[..., Connection], server: LocalRecallrAI, call: Call
) -> None:
    first, second = (make_connection().conversation("ada", "thread-1") for _ in range(2))
    await call(first.record, ("user", "hello"))
    older = await call(first.info)
    # The second has looked for a session before the first one opened its own: it opens one too.
    younger = make_connection().conversation("ada")
    await call(younger.record, ("user", "from the second"))
    second._state.cursor.enter((await call(younger.info)).session_id, stored=1, unreconciled=True)
    await call(younger.update, {"thread_id": "thread-1"})
    await call(second.record, ("assistant", "answer"))
    assert (await call(second.info)).session_id == older.session_id
    assert texts(await call(first.history)) == [
        ("user", "hello"),
        ("user", "from the second"),
        ("assistant", "answer"),
    ]


async def test_the_same_message_id_is_stored_once_and_the_same_text_twice(
    connection: Connection, call: Call
) -> None:
    conversation = connection.conversation("ada", "thread-1")
    await call(conversation.record, Message("user", "hi", id="m1"))
    await call(
        conversation.record, [Message("user", "hi", id="m1"), Message("user", "ok"), Message("user", "ok")]
    )
    await call(conversation.finish)
    await call(conversation.record, Message("user", "hi", id="m1"))
    assert [text for _, text in texts(await call(conversation.history))] == ["hi", "ok", "ok"]


async def test_a_session_processed_between_turns_is_rolled_over(connection: Connection, call: Call) -> None:
    conversation = connection.conversation("ada", "thread-1")
    await call(conversation.record, ("user", "one"))
    before: SessionInfo = await call(conversation.info)
    elsewhere = connection.conversation("ada", "thread-1")
    elsewhere._state.cursor.session_id = None  # a process that does not know of the first
    await call(elsewhere.finish, wait=30)
    conversation._state.cursor.session_id = before.session_id
    await call(conversation.record, ("assistant", "two"))
    after = await call(conversation.info)
    assert after.session_id != before.session_id
    assert after.metadata["thread_id"] == "thread-1"
    assert texts(await call(conversation.history)) == [("user", "one"), ("assistant", "two")]


async def test_a_session_deleted_on_the_server_is_followed_by_another(
    connection: Connection, server: LocalRecallrAI, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    from recallrai import RecallrAI

    conversation = connection.conversation("ada", "thread-1")
    await call(conversation.record, ("user", "one"))
    sdk = RecallrAI(api_key=server.api_key, project_id=server.project_id, base_url=server.base_url)
    sdk.get_user("ada").get_session((await call(conversation.info)).session_id).delete()
    sdk._http.client.close()
    await call(conversation.record, ("user", "two"))
    assert texts(await call(conversation.history)) == [("user", "two")]
    assert "deleted on the server" in caplog.text


async def test_finishing_twice_and_finishing_nothing_are_harmless(
    connection: Connection, server: LocalRecallrAI, call: Call
) -> None:
    conversation = connection.conversation("ada", "thread-1")
    assert await call(conversation.finish) is None
    await call(conversation.record, ("user", "one"))
    assert (await call(conversation.finish, wait=30)).status == "processed"
    assert await call(conversation.finish, wait=30) is None
    assert [one.status for one in server.requests if one.path.endswith("/process")] == [200]


async def test_history_spans_the_sessions_of_a_thread_and_its_tail_is_read_alone(
    connection: Connection, server: LocalRecallrAI, call: Call
) -> None:
    conversation = connection.conversation("ada", "thread-1")
    said = [("user", f"message {n}") for n in range(23)]
    for part in (said[:9], said[9:18], said[18:]):
        await call(conversation.record, part)
        await call(conversation.finish)
    assert texts(await call(conversation.history)) == said
    server.requests.clear()
    assert texts(await call(conversation.history, 4)) == said[-4:]
    assert sum(one.path.endswith("/messages") for one in server.requests) <= 2
    assert texts(await call(conversation.history, 7)) == said[-7:]
    for wrong in (0, -1, True, "3", 1.5):
        with pytest.raises(InvalidInputError):
            await call(conversation.history, wrong)


async def test_a_long_history_is_read_in_pages_of_500_at_the_same_time(
    connection: Connection, server: LocalRecallrAI, call: Call
) -> None:
    conversation = connection.conversation("ada", "thread-1")
    said = [("user", f"message {n}") for n in range(1203)]
    await call(conversation.record, said)
    server.requests.clear()
    assert texts(await call(conversation.history)) == said
    assert sum(one.path.endswith("/messages") for one in server.requests) == 3


async def test_who_has_read_a_threads_history_need_not_look_for_its_session_again(
    make_connection: Callable[..., Connection], server: LocalRecallrAI, call: Call
) -> None:
    first, second = (make_connection().conversation("ada", "thread-1") for _ in range(2))
    await call(first.record, ("user", "one"))
    server.requests.clear()
    assert texts(await call(second.history)) == [("user", "one")]
    await call(second.record, ("user", "two"))
    assert requests(server) == ["GET sessions", "GET messages", "POST add-message"]
    server.requests.clear()
    assert texts(await call(second.history)) == [("user", "one"), ("user", "two")]
    assert sorted(requests(server)) == ["GET messages", "GET sessions"]  # at the same time
    await call(first.finish)
    await call(second.record, ("user", "three"))  # what it found is processed: the thread goes on in another
    assert texts(await call(first.history)) == [("user", "one"), ("user", "two"), ("user", "three")]


async def test_a_cleared_history_is_empty_for_everybody_and_nothing_is_deleted(
    make_connection: Callable[..., Connection], call: Call
) -> None:
    first, second = (make_connection().conversation("ada", "thread-1") for _ in range(2))
    await call(first.record, ("user", "one"))
    session_id = (await call(first.info)).session_id
    await call(first.clear)
    assert await call(first.history) == []
    assert await call(second.history) == []
    await call(second.record, ("user", "two"))
    assert texts(await call(first.history)) == [("user", "two")]
    info = await call(second.info)
    assert info.session_id != session_id


async def test_metadata_is_replaced_and_our_keys_are_kept(connection: Connection, call: Call) -> None:
    conversation = connection.conversation("ada", "thread-1", metadata={"topic": "food", "lang": "en"})
    with pytest.raises(NotFoundError, match="record a message first"):
        await call(conversation.info)
    await call(conversation.record, ("user", "one"))
    assert (await call(conversation.info)).metadata == {
        "topic": "food",
        "lang": "en",
        "thread_id": "thread-1",
    }
    await call(conversation.update, {"topic": "travel", "thread_id": "stolen"})
    info = await call(conversation.info)
    assert info.metadata == {"topic": "travel", "thread_id": "thread-1"}
    assert (info.user_id, info.status) == ("ada", "pending")


@pytest.mark.parametrize("cleared", [False, True])
async def test_metadata_that_were_replaced_are_those_of_the_next_session_too(
    connection: Connection, call: Call, cleared: bool
) -> None:
    conversation = connection.conversation("ada", "thread-1", metadata={"topic": "food"})
    await call(conversation.record, ("user", "one"))
    await call(conversation.clear if cleared else conversation.finish)
    read = (await call(conversation.info)).metadata
    await call(conversation.update, {**read, "topic": "travel"})
    await call(connection.conversation("ada", "thread-1").record, ("user", "two"))
    assert (await call(conversation.info)).metadata == {"topic": "travel", "thread_id": "thread-1"}
    kept = [("user", "two")] if cleared else [("user", "one"), ("user", "two")]
    assert texts(await call(conversation.history)) == kept
    again = connection.conversation("ada", "thread-1", metadata={"topic": "music"})
    await call(again.finish)
    await call(again.record, ("user", "three"))
    assert (await call(again.info)).metadata["topic"] == "music"


async def test_a_history_cleared_while_metadata_are_replaced_stays_cleared(
    connection: Connection, server: LocalRecallrAI, call: Call
) -> None:
    conversation = connection.conversation("ada", "thread-1")
    await call(conversation.record, ("user", "one"))
    server.faults.add(method="PUT", delay=1, when="before", times=1)
    replacing = threading.Thread(target=conversation.update, args=[{"topic": "travel"}])
    replacing.start()
    await asyncio.sleep(0.3)
    await call(conversation.clear)
    await asyncio.to_thread(replacing.join)
    assert await call(conversation.history) == []
    assert (await call(conversation.info)).metadata["topic"] == "travel"


@pytest.mark.parametrize("policy", [None, "every_run", "every_n_turns", "manual"])
@pytest.mark.parametrize("thread", ["thread-1", None])
async def test_when_a_run_is_processed(
    connection: Connection, server: LocalRecallrAI, call: Call, policy: str | None, thread: str | None
) -> None:
    conversation = connection.conversation("ada", thread, process=policy, process_every=2)  # type: ignore[arg-type]
    processed = []
    for n in range(4):
        await call(conversation.record, ("user", f"turn {n}"))
        server.requests.clear()
        await call(conversation.end_run)
        processed.append("POST process" in requests(server))
    always = policy == "every_run" or (policy is None and thread is None)
    assert processed == ([False, True, False, True] if policy == "every_n_turns" else [always] * 4)


async def test_a_block_that_ends_well_is_finished_and_one_that_fails_is_not(
    connection: Connection, server: LocalRecallrAI
) -> None:
    async with connection.conversation("ada", "t1") as conversation:
        await conversation.arecord(("user", "one"))
    with connection.conversation("ada", "t2") as conversation:
        conversation.record(("user", "one"))
    assert requests(server).count("POST process") == 2
    failing = connection.conversation("ada", "t3")
    failing.record(("user", "one"))
    with pytest.raises(ZeroDivisionError), failing:
        raise ZeroDivisionError
    with connection.conversation("ada", "t4", process="manual") as conversation:
        conversation.record(("user", "one"))
    assert requests(server).count("POST process") == 2


async def test_instructions_are_fetched_once_and_can_be_left_out(
    connection: Connection, server: LocalRecallrAI, call: Call
) -> None:
    await remember(connection, call, "ada", "My dog is called Biscuit.")
    conversation = connection.conversation("ada", "thread-2")
    await call(conversation.record, QUESTION)
    first, second = await call(conversation.recall), await call(conversation.recall)
    assert first.instructions
    assert first.text.startswith(first.instructions) == second.text.startswith(first.instructions) == True  # noqa: E712
    assert sum(one.path.endswith("system-prompt") for one in server.requests) == 1
    bare = await call(conversation.recall, options=RecallOptions(include_system_prompt=False))
    assert bare.instructions == ""
    assert "Biscuit" in bare.text


async def test_progress_is_told_while_the_service_recalls(connection: Connection, call: Call) -> None:
    await remember(connection, call, "ada", "My dog is called Biscuit.")
    conversation = connection.conversation("ada", "thread-2")
    await call(conversation.record, QUESTION)
    told: list[str] = []
    recall = await call(conversation.recall, on_progress=told.append)
    assert told
    assert "Biscuit" in recall.text


async def test_a_second_strategy_is_asked_when_the_first_recalls_nothing(
    connection: Connection, server: LocalRecallrAI, call: Call
) -> None:
    conversation = connection.conversation("ada", "thread-2")
    await call(conversation.record, QUESTION)
    server.requests.clear()
    await call(conversation.recall, options=RecallOptions(fallback_strategy="low_latency"))
    strategies = [one.query for one in server.requests if one.path.endswith("/context")]
    assert ["balanced" in one for one in strategies] == [True, False]


@pytest.mark.parametrize("outage", [False, True])
async def test_the_first_answer_counts_when_the_second_strategy_brings_no_more(
    make_connection: Callable[..., Connection], server: LocalRecallrAI, call: Call, outage: bool
) -> None:
    connection = make_connection(deliver={"on_error": "raise", "retries": 0})
    await call(connection.conversation("ada", "thread-1").record, ("user", "I play the violin."))
    conversation = connection.conversation("ada", "thread-2")
    await call(conversation.record, QUESTION)
    if outage:
        server.faults.add(path="*/context", status=503, nth=2)
    recall = await call(conversation.recall, options=RecallOptions(fallback_strategy="low_latency"))
    assert (recall.strategy, recall.degraded) == ("balanced", outage)
    assert "violin" in recall.context


async def test_instructions_are_those_of_the_strategy_that_answered(
    connection: Connection, server: LocalRecallrAI, call: Call
) -> None:
    await remember(connection, call, "ada", "My dog is called Biscuit.")
    conversation = connection.conversation("ada", "thread-2")
    await call(conversation.record, QUESTION)
    own = {
        strategy: (await call(conversation.recall, options=RecallOptions(strategy=strategy))).instructions
        for strategy in ("low_latency", "balanced", "agentic")
    }
    assert own["low_latency"] != own["agentic"]
    # The oldest SDKs do not hand on which strategy the service chose.
    auto = [("agentic", "auto")] if "recall_strategy_used" in ContextMetadata.model_fields else []
    for first, second in (("agentic", "low_latency"), ("balanced", "deep"), *auto):
        empty = {"is_final": True, "context": "Nothing.", "metadata": {"recall_strategy_used": first}}
        server.faults.add(path="*/context", status=200, body=empty, nth=1)
        options = RecallOptions(strategy=first, fallback_strategy=second)  # type: ignore[arg-type]
        recall = await call(conversation.recall, options=options)
        server.faults.clear()
        assert "Biscuit" in recall.context
        assert recall.instructions == own[recall.strategy]


async def test_search_list_and_forget_memories(
    connection: Connection, server: LocalRecallrAI, call: Call
) -> None:
    user = connection.user("ada")
    assert await call(user.search, "What is my dog called?") == []
    assert await call(user.memories) == await call(user.conflicts) == []
    await remember(connection, call, "ada", "My dog is called Biscuit.", "I live in Lisbon.")
    found = await call(user.search, "What is my dog called?", k=1)
    assert len(found) == 1
    assert "Biscuit" in found[0].content
    assert found[0].similarity is not None
    assert 0.6 <= found[0].similarity <= 1
    memories = await call(user.memories)
    assert {one.memory_id for one in memories} > {found[0].memory_id}
    await call(user.forget_memory, found[0].memory_id)
    assert found[0].memory_id not in {one.memory_id for one in await call(user.memories)}
    with pytest.raises(NotFoundError):
        await call(user.memory, found[0].memory_id)
    with pytest.raises(InvalidInputError):
        await call(user.search, "  ")
    ongoing = connection.conversation("ada", "t9")
    await call(ongoing.record, ("user", "hello"))
    assert "What is my dog called?" not in (await call(ongoing.recall)).text


@pytest.mark.parametrize("thread", ["thread-1", None])
async def test_after_the_user_was_deleted_elsewhere_the_conversation_goes_on(
    make_connection: Callable[..., Connection], call: Call, thread: str | None
) -> None:
    conversation = make_connection().conversation("ada", thread)
    await call(conversation.record, ("user", "one"))
    make_connection().forget("ada")
    await call(conversation.record, ("user", "two"))
    assert texts(await call(conversation.history)) == [("user", "two")]
    assert not (await call(conversation.recall)).degraded


async def test_without_a_thread_what_was_said_can_be_read_after_finishing(
    make_connection: Callable[..., Connection], call: Call
) -> None:
    conversation = make_connection().conversation("ada")
    await call(conversation.record, ("user", "one"))
    first = await call(conversation.finish, wait=30)
    assert texts(await call(conversation.history)) == [("user", "one")]
    assert await call(conversation.info) == first
    await call(conversation.record, ("user", "two"))
    assert texts(await call(conversation.history)) == [("user", "one"), ("user", "two")]
    assert texts(await call(conversation.history, 1)) == [("user", "two")]
    make_connection().forget("ada", session_id=first.session_id)
    assert texts(await call(conversation.history)) == [("user", "two")]


async def test_waiting_for_a_session_that_was_deleted_ends_at_once(
    make_connection: Callable[..., Connection], call: Call
) -> None:
    conversation = make_connection().conversation("ada", "thread-1")
    await call(conversation.record, ("user", "one"))
    make_connection().forget("ada", session_id=(await call(conversation.info)).session_id)
    assert await call(conversation.finish, wait=30) is None


@pytest.mark.parametrize("policy", ["degrade", "raise"])
async def test_an_outage_while_waiting_for_memories_is_told_by_policy(
    make_connection: Callable[..., Connection], server: LocalRecallrAI, call: Call, policy: str
) -> None:
    conversation = make_connection(deliver={"on_error": policy, "retries": 0}).conversation("ada", "thread-1")
    await call(conversation.record, ("user", "one"))
    server.faults.add(status=503, method="GET", path="*/sessions/*")
    if policy == "degrade":
        assert await call(conversation.finish, wait=30) is None
    else:
        with pytest.raises(ServiceUnavailableError):
            await call(conversation.finish, wait=30)


async def test_several_refusals_are_told_at_once_and_blamed_on_no_later_message(
    connection: Connection, server: LocalRecallrAI, call: Call
) -> None:
    conversation = connection.conversation("ada", "thread-1")
    server.faults.add(status=422, path="*/add-message", times=2)
    with pytest.raises(RequestRejectedError, match="1 more"):
        await call(conversation.record, [("user", "a"), ("user", "b"), ("user", "c")])
    await call(conversation.record, ("user", "d"))
    assert texts(await call(conversation.history)) == [("user", "c"), ("user", "d")]


async def test_what_on_progress_raises_is_the_callers_and_no_outage(
    connection: Connection, call: Call
) -> None:
    def broken(_: str) -> None:
        raise ZeroDivisionError

    conversation = connection.conversation("ada", "thread-1")
    await call(conversation.record, ("user", "one"))
    with pytest.raises(ZeroDivisionError):
        await call(conversation.recall, on_progress=broken)
    assert not connection.is_down


@pytest.mark.parametrize("wrong", [[1], "abc", {"when": NEVER}, {"x": float("nan")}, {"x": "\ud800"}])
async def test_metadata_that_cannot_be_sent_are_refused_before_a_message_waits_for_them(
    connection: Connection, call: Call, wrong: Any
) -> None:
    with pytest.raises(InvalidInputError, match="Metadata"):
        connection.conversation("ada", "thread-1", metadata=wrong)
    conversation = connection.conversation("ada", "thread-1", metadata={"fine": [1, {"é": None}]})
    with pytest.raises(InvalidInputError, match="Metadata"):
        await call(conversation.update, wrong)
    await call(conversation.record, ("user", "one"))
    assert (await call(conversation.info)).metadata == {"fine": [1, {"é": None}], "thread_id": "thread-1"}


@pytest.mark.parametrize("wrong", [None, "soon", -1, float("nan")])
async def test_a_time_to_wait_that_is_none_is_refused(connection: Connection, call: Call, wrong: Any) -> None:
    with pytest.raises(InvalidInputError, match="wait"):
        await call(connection.conversation("ada").finish, wait=wrong)

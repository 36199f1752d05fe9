"""Forgetting with proof, and everything of a user out and in again."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from recallrai import RecallrAI

from recallrai_integrations import Connection, DeliveryOptions, Event, Message, Redaction, connect
from recallrai_integrations.errors import (
    ForgetIncompleteError,
    InvalidInputError,
    NotFoundError,
    ServiceUnavailableError,
)
from recallrai_integrations.local import LocalRecallrAI
from recallrai_integrations.models import Forgotten
from recallrai_integrations.outbox import database as outbox_database
from tests.conftest import Call

from .conftest import Texts, eventually

Make = Callable[..., Connection]
ADD = {"method": "POST", "path": "*/add-message"}


async def talk(connection: Connection, call: Call, user: str, thread: str | None, *facts: str) -> str:
    """A finished conversation; the id of its session."""
    conversation = connection.conversation(user, thread)
    await call(conversation.record, [("user", fact) for fact in facts])
    session = await call(conversation.finish, wait=30)
    assert session.status == "processed"
    return str(session.session_id)


async def exported(connection: Connection, user: str, call: Call) -> list[dict[str, Any]]:
    lines = await call(connection.export, user)
    return [line async for line in lines] if hasattr(lines, "__anext__") else list(lines)


async def test_a_user_is_forgotten_with_everything_and_others_stay(
    make_connection: Make, texts: Texts, call: Call
) -> None:
    events: list[Event] = []
    connection = make_connection(deliver={"on_event": events.append})
    session_id = await talk(connection, call, "ada", "t1", "My dog is called Biscuit.", "I live in Lisbon.")
    await talk(connection, call, "bob", "t1", "My cat is called Tom.")
    forgotten = await call(connection.forget, "ada")
    assert forgotten.sessions == (session_id,)
    assert len(forgotten.memories) >= 2
    assert forgotten.user_deleted
    assert texts("ada") == []
    assert texts("bob") == ["My cat is called Tom."]
    assert [event.detail["sessions"] for event in events if event.kind == "forgotten"] == [1]
    with pytest.raises(NotFoundError):
        await call(connection.forget, "ada")
    again = connection.conversation("ada", "t1")
    await call(again.record, ("user", "hello again"))
    assert [one.content for one in await call(again.history)] == ["hello again"]


async def test_a_thread_is_forgotten_with_its_memories_and_other_threads_stay(
    connection: Connection, call: Call
) -> None:
    await talk(connection, call, "ada", "t1", "My dog is called Biscuit.")
    await call(connection.conversation("ada", "t1").record, ("user", "still going"))
    await talk(connection, call, "ada", "t2", "I live in Lisbon.")
    forgotten = await call(connection.forget, "ada", thread_id="t1")
    assert len(forgotten.sessions) == 2
    left = [one.content for one in await call(connection.user("ada").memories)]
    assert any("Lisbon" in one for one in left)
    assert not any("Biscuit" in one for one in left)
    assert await call(connection.conversation("ada", "t1").history) == []
    with pytest.raises(NotFoundError):
        await call(connection.forget, "ada", thread_id="t1")


async def test_a_session_and_a_memory_are_forgotten_alone(connection: Connection, call: Call) -> None:
    first = await talk(connection, call, "ada", "t1", "My dog is called Biscuit.")
    await talk(connection, call, "ada", "t1", "I live in Lisbon.", "I play the violin.")
    forgotten = await call(connection.forget, "ada", session_id=first)
    assert forgotten.sessions == (first,)
    memories = {one.content: one.memory_id for one in await call(connection.user("ada").memories)}
    assert not any("Biscuit" in one for one in memories)
    violin = next(memory_id for content, memory_id in memories.items() if "violin" in content)
    assert violin in (await call(connection.forget, "ada", memory_id=violin)).memories
    assert violin not in {one.memory_id for one in await call(connection.user("ada").memories)}
    for gone in ({"session_id": first}, {"memory_id": violin}):
        with pytest.raises(NotFoundError):
            await call(connection.forget, "ada", **gone)
    with pytest.raises(InvalidInputError, match="one of"):
        await call(connection.forget, "ada", session_id=first, memory_id=violin)


@pytest.mark.parametrize("scope", [{}, {"thread_id": "t1"}])
async def test_what_waits_is_dropped_and_no_late_delivery_brings_it_back(  # noqa: PLR0917 - fixtures
    make_connection: Make,
    server: LocalRecallrAI,
    texts: Texts,
    call: Call,
    tmp_path: Path,
    scope: dict[str, str],
) -> None:
    options = {"outbox": tmp_path / "o.db", "retries": 0, "settling_time": 5.0, "retry_budget": 0}
    first, second = make_connection(deliver=options), make_connection(deliver=options)
    one = first.conversation("ada", "t1")
    await call(one.record, Message("user", "one", id="m1"))
    server.faults.add(**ADD, drop=True, when="before")
    await call(one.record, Message("user", "two", id="m2"))
    await call(second.conversation("bob", "t1").record, ("user", "bob's"))
    server.faults.clear()
    forgotten = await call(second.forget, "ada", **scope)
    assert forgotten.waiting == 1
    for connection in (first, second):
        await call(connection.flush)
        await call(connection.conversation("ada", "t1").record, Message("user", "two", id="m2"))
    assert texts("ada") == []
    while await call(second.flush):  # what was bob's may still arrive  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.1)
    assert texts("bob") == ["bob's"]
    await call(one.record, Message("user", "three", id="m3"))
    assert texts("ada") == ["three"]


async def test_what_waits_for_a_session_is_dropped_although_the_service_cannot_be_asked(
    make_connection: Make, server: LocalRecallrAI, texts: Texts, call: Call, tmp_path: Path
) -> None:
    options = {"outbox": tmp_path / "o.db", "retries": 0}
    first, second = make_connection(deliver=options), make_connection(deliver=options)
    conversation = first.conversation("ada", "t1")
    await call(conversation.record, ("user", "one"))
    session = await call(conversation.info)
    other = first.conversation("ada", "t2")
    await call(other.record, ("user", "of another session"))
    server.faults.add(status=503)
    for each in (conversation, other):
        await call(each.record, ("user", "and more"))
    for connection in (first, second):
        with pytest.raises(ServiceUnavailableError):
            await call(connection.forget, "ada", session_id=session.session_id)
    server.faults.clear()
    assert await call(first.flush) == await call(second.flush) == 0
    assert texts() == ["one", "of another session", "and more"]
    assert await call(second.forget, "ada", session_id=session.session_id)
    assert texts() == ["of another session", "and more"]


async def test_a_session_that_is_gone_is_forgotten_with_what_waits_for_it(
    make_connection: Make, server: LocalRecallrAI, texts: Texts, call: Call
) -> None:
    connection = make_connection(deliver={"retries": 0, "settling_time": 60})
    conversation = connection.conversation("ada", "t1")
    await call(conversation.record, ("user", "one"))
    session_id = (await call(conversation.info)).session_id
    server.faults.add(**ADD, drop=True, when="before")  # so that nothing is sent again by itself meanwhile
    await call(conversation.record, ("user", "two"))
    await call(make_connection().forget, "ada", session_id=session_id)
    assert await call(connection.forget, "ada", session_id=session_id) == Forgotten("ada", waiting=1)
    server.faults.clear()
    assert await call(connection.flush) == 0
    assert texts() == []
    with pytest.raises(NotFoundError):
        await call(connection.forget, "ada", session_id=session_id)


async def test_a_delivery_under_way_elsewhere_ends_before_the_user_is_deleted(
    make_connection: Make, server: LocalRecallrAI, texts: Texts, tmp_path: Path, call: Call
) -> None:
    options = {"outbox": tmp_path / "o.db"}
    first, second = make_connection(deliver=options), make_connection(deliver=options)
    await call(first.conversation("ada", "t1").record, ("user", "zero"))
    server.faults.add(**ADD, delay=0.4)
    delivering = threading.Thread(
        target=lambda: first.conversation("ada", "t1").record(
            [("user", "one"), ("user", "two"), ("user", "three")]
        )
    )
    delivering.start()
    await asyncio.sleep(0.2)
    await call(second.forget, "ada")
    await asyncio.to_thread(delivering.join)
    await call(first.flush)
    assert texts("ada") == []


async def test_a_late_recall_of_a_forgotten_user_is_not_kept(
    make_connection: Make, server: LocalRecallrAI, call: Call
) -> None:
    connection = make_connection(deliver={"recall_deadline": 0.2, "on_deadline": "stale"})
    await talk(connection, call, "ada", None, "My dog is called Biscuit.")
    conversation = connection.conversation("ada", "t1")
    await call(conversation.record, ("user", "What is my dog called?"))
    server.faults.add(path="*/context", delay=0.8, when="after")
    assert (await call(conversation.recall)).degraded
    await call(connection.forget, "ada")
    await asyncio.sleep(1.0)
    assert (await call(conversation.recall)).context == ""


async def test_what_is_still_told_afterwards_is_an_error(
    connection: Connection, server: LocalRecallrAI, call: Call
) -> None:
    session_id = await talk(connection, call, "ada", "t1", "My dog is called Biscuit.")
    server.faults.add(method="DELETE", status=204, body="")
    with pytest.raises(ForgetIncompleteError, match=session_id):
        await call(connection.forget, "ada", session_id=session_id)
    with pytest.raises(ForgetIncompleteError, match="ada"):
        await call(connection.forget, "ada")
    server.faults.clear()
    server.faults.add(method="DELETE", status=502, when="after", times=1)
    assert (await call(connection.forget, "ada")).user_deleted


async def test_in_an_outage_forgetting_raises_whatever_the_policy(
    make_connection: Make, server: LocalRecallrAI, call: Call
) -> None:
    connection = make_connection(deliver={"retries": 0})
    server.faults.add(status=503)
    with pytest.raises(ServiceUnavailableError):
        await call(connection.forget, "ada")


# --- export and import


async def test_an_export_holds_everything_and_comes_back_once(
    make_connection: Make, server: LocalRecallrAI, call: Call
) -> None:
    connection = make_connection(deliver={"retries": 0, "breaker_reset": 60.0})
    said = [f"I have {number} books." for number in range(520)]
    await talk(connection, call, "ada", "t1", *said)
    ongoing = connection.conversation("ada", "t2", metadata={"topic": "food"})
    await call(ongoing.record, [("user", "I eat no nuts."), ("assistant", "Noted.")])
    server.faults.add(**ADD, status=503)
    await call(ongoing.record, ("user", "I love figs."))
    lines = await exported(connection, "ada", call)
    server.faults.clear()
    assert [line["type"] for line in lines[:4]] == ["user", "session", "session", "session"]
    user, first, second, waiting, *memories = json.loads(json.dumps(lines))
    assert (user["user_id"], user["format"]) == ("ada", 1)
    assert [one["content"] for one in first["messages"]] == said
    assert (second["metadata"], second["status"]) == ({"topic": "food", "thread_id": "t2"}, "pending")
    assert (waiting["status"], waiting["messages"][0]["content"]) == ("waiting", "I love figs.")
    assert {one["type"] for one in memories} == {"memory"}
    assert len(memories) == len(await call(connection.user("ada").memories)) > 0

    server.faults.add(**ADD, drop=True, when="after", nth=3)
    server.faults.add(**ADD, status=503, nth=200)
    for _ in range(2):
        imported = await call(connection.import_user, "ada-2", lines)
    assert [(one.stored, one.already) for one in imported] == [(0, 520), (0, 2), (0, 1)]
    again = await exported(connection, "ada-2", call)
    sessions = [line for line in again if line["type"] == "session"]
    by_time = sorted(sessions, key=lambda one: one["created_at"])
    assert [one["created_at"] for one in by_time] == [one["created_at"] for one in (first, second, waiting)]
    assert [[m["content"] for m in one["messages"]] for one in by_time] == [
        said,
        ["I eat no nuts.", "Noted."],
        ["I love figs."],
    ]
    assert len(await call(connection.conversation("ada-2", "t2").history)) == 3
    eventually(lambda: any("figs" in one.content for one in connection.user("ada-2").memories()))


async def conversations(connection: Connection, user: str, call: Call) -> list[tuple[str, list[str]]]:
    lines = [line for line in await exported(connection, user, call) if line["type"] == "session"]
    return [(line["status"], [one["content"] for one in line["messages"]]) for line in lines]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("file", [None, "o.db"])
async def test_a_message_whose_answer_was_lost_is_exported_and_told_once(  # noqa: PLR0917 - fixtures
    make_connection: Make,
    server: LocalRecallrAI,
    texts: Texts,
    call: Call,
    tmp_path: Path,
    file: str | None,
    when: str,
) -> None:
    delivery = {
        "retries": 0,
        "breaker_threshold": 100,
        "outbox": file and tmp_path / file,
        "settling_time": 0,
    }
    connection = make_connection(deliver=delivery)
    conversation = connection.conversation("ada", "t1")
    await call(conversation.record, ("user", "ok"))
    server.faults.add(**ADD, drop=True, when=when)
    said = ["ok", "ok", "three", "four"]
    await call(conversation.record, [("user", text) for text in said[1:]])
    for _ in range(2):  # each look delivers one more, and loses its answer again
        lines = await conversations(connection, "ada", call)
        assert [text for _, texts_of in lines for text in texts_of] == said
        assert [one.content for one in await call(conversation.history)] == said
    server.faults.clear()
    assert await conversations(connection, "ada", call) == [("pending", said)]
    assert texts() == said


async def test_a_user_of_whom_nothing_has_arrived_yet_is_exported_with_what_was_said_and_when(
    make_connection: Make, server: LocalRecallrAI, call: Call, tmp_path: Path
) -> None:
    options = {"retries": 0, "outbox": tmp_path / "o.db"}
    first, second = make_connection(deliver=options), make_connection(deliver=options)
    server.faults.add(method="POST", status=503)
    said_at = "2026-03-01T09:00:00+00:00"
    for thread in ("t1", "t2"):
        one = Message("user", f"I play in {thread}.", created_at=datetime.fromisoformat(said_at))
        await call(first.conversation("ada", thread).record, [one, ("assistant", "Noted.")])
    user, *waiting = json.loads(json.dumps(await exported(second, "ada", call)))
    assert (user["type"], user["user_id"], user["created_at"]) == ("user", "ada", None)
    assert [line["metadata"] for line in waiting] == [{"thread_id": "t1"}, {"thread_id": "t2"}]
    assert {line["created_at"] for line in waiting} == {said_at}
    assert [line["messages"][0]["created_at"] for line in waiting] == [said_at, said_at]
    assert all(line["messages"][1]["created_at"] > said_at for line in waiting)
    server.faults.clear()
    imported = await call(second.import_user, "ada-2", [user, *waiting])
    assert [one.stored for one in imported] == [2, 2]
    assert len(await call(second.conversation("ada-2", "t1").history)) == 2


async def test_what_was_set_for_a_user_comes_back_with_them_and_nothing_of_another_is_changed(
    make_connection: Make, server: LocalRecallrAI, call: Call
) -> None:
    def hook(given: Redaction) -> Any:
        return given.text or {key: value for key, value in given.metadata.items() if key != "phone"}

    sdk = RecallrAI(api_key=server.api_key, project_id=server.project_id, base_url=server.base_url)
    sdk.create_user("ada", metadata={"plan": "pro", "phone": "4711"}, merge_conflict_enabled=True)
    sdk.create_user("bob", metadata={"plan": "free"})
    sdk._http.client.close()
    connection = make_connection(deliver={"redact": hook})
    await call(connection.conversation("ada", "t1").record, ("user", "I play chess."))
    lines = await exported(connection, "ada", call)
    for user in ("ada-2", "bob"):
        await call(connection.import_user, user, lines)
    copy = await call(connection.user("ada-2").info)
    assert (copy.metadata, copy.merge_conflict_enabled) == ({"plan": "pro"}, True)
    bob = await call(connection.user("bob").info)
    assert (bob.metadata, bob.merge_conflict_enabled) == ({"plan": "free"}, None)


async def test_a_history_that_was_imported_and_cleared_is_not_imported_again(
    connection: Connection, texts: Texts, call: Call
) -> None:
    await call(connection.conversation("ada", "t1").record, ("user", "I play chess."))
    lines = await exported(connection, "ada", call)
    await call(connection.import_user, "bob", lines)
    conversation = connection.conversation("bob", "t1")
    await call(conversation.clear)
    assert [one.already for one in await call(connection.import_user, "bob", lines)] == [1]
    assert texts("bob") == ["I play chess."]
    assert await call(conversation.history) == []


async def test_an_import_that_is_told_to_wait_for_an_hour_ends_and_goes_on_later(
    connection: Connection, server: LocalRecallrAI, texts: Texts, call: Call
) -> None:
    said = [{"role": "user", "content": "I play chess."}, {"role": "assistant", "content": "Noted."}]
    line = {"type": "session", "created_at": "2026-03-01T12:00:00+00:00", "metadata": {}, "messages": said}
    server.faults.add(**ADD, status=503, when="after", nth=2, retry_after=3600)
    with pytest.raises(ServiceUnavailableError):
        await asyncio.wait_for(call(connection.import_user, "ada", [line]), 60)
    server.faults.clear()
    await call(connection.import_user, "ada", [line])
    assert texts() == ["I play chess.", "Noted."]


async def test_an_export_of_nobody_and_a_broken_import_are_told(connection: Connection, call: Call) -> None:
    with pytest.raises(NotFoundError):
        await exported(connection, "nobody", call)
    good = {"type": "session", "created_at": "2026-03-01T12:00:00+00:00", "metadata": {}}
    lines = [{**good, "messages": [{"role": "user", "content": "I play chess."}]}]
    for bad in (
        {"type": "cake"},
        {"type": "session"},
        {"type": "user", "format": 99},
        {"type": "user", "format": 1, "metadata": 7, "merge_conflict_enabled": None},
        {**good, "messages": [1]},
    ):
        with pytest.raises(InvalidInputError, match="Line 2"):
            await call(connection.import_user, "ada", [*lines, bad])
    assert [one.stored for one in await call(connection.import_user, "ada", lines)] == [0]


def _holds(file: Path, text: str) -> bool:
    """Whether a text is in a database file or its write-ahead log."""
    beside = (file, file.with_name(f"{file.name}-wal"))
    return any(text.encode() in one.read_bytes() for one in beside if one.exists())


@contextmanager
def _read_by_another(file: Path) -> Iterator[None]:
    """Another program holds a snapshot of a database."""
    with closing(sqlite3.connect(file, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM sqlite_master").fetchone()
        yield


@pytest.mark.parametrize("what", [{}, {"thread_id": "t1"}], ids=["user", "thread"])
@pytest.mark.parametrize("is_read", [False, True], ids=["alone", "while another reads"])
async def test_no_deleted_text_stays_in_the_files_or_the_answer_names_them(
    tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch, what: dict[str, str], is_read: bool
) -> None:
    monkeypatch.setattr(outbox_database, "_ERASE_SECONDS", 0.1)
    outbox, memory = tmp_path / "o.db", tmp_path / "m.db"
    delivery = DeliveryOptions(outbox=outbox, mode="background")
    connection = connect(local=memory, delivery=delivery)
    secret = "xylophone"
    conversation = connection.conversation("ada", "t1")
    await call(conversation.record, ("user", f"My dog is called {secret}."))
    await call(connection.flush)
    await call(conversation.finish, wait=10.0)
    assert _holds(memory, secret)
    assert _holds(outbox, secret)
    with ExitStack() as readers:
        for file in (outbox, memory) if is_read else ():
            readers.enter_context(_read_by_another(file))
        forgotten = await call(connection.forget, "ada", **what)
        expected = (str(outbox), str(memory)) if is_read else ()
        assert forgotten.remains_in == expected
        for file in (outbox, memory):
            assert is_read or not _holds(file, secret)
    eventually(lambda: not _holds(memory, secret))
    await call(connection.close)
    assert not _holds(outbox, secret)

"""Each message once and in order, whatever the service does; unmodified SDK, real HTTP, both colours."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timezone
from email.utils import formatdate
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from recallrai_integrations import Connection, Conversation, Event, Message, RecallOptions
from recallrai_integrations.errors import (
    CredentialsError,
    OutboxError,
    OutboxFullError,
    RequestRejectedError,
    ServiceUnavailableError,
)
from recallrai_integrations.local import LocalRecallrAI
from recallrai_integrations.outbox import ConversationKey, SessionCursor, database
from recallrai_integrations.outbox.file import FileOutbox
from tests.conftest import Call, may_block

from .conftest import Texts, eventually, forget_what_is_known

delivery, transcript = (
    import_module(f"recallrai_integrations._flows.{name}") for name in ("delivery", "transcript")
)

Make = Callable[..., Connection]
ADD = {"method": "POST", "path": "*/add-message"}
LOST_ANSWERS: list[dict[str, Any]] = [
    {"drop": True, "when": "after"},
    {"drop": True, "when": "before"},
    {"status": 502, "body": "<html>bad gateway</html>", "when": "after"},
    {"status": 500, "when": "after"},
    {"status": 503, "body": "", "when": "before"},
    {"status": 200, "body": "<html>", "when": "after"},
    {"hang": True, "when": "after"},
]


@pytest.fixture(params=["memory", "file"])
def outbox(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path / "outbox.db" if request.param == "file" else None


@pytest.mark.parametrize("fault", LOST_ANSWERS, ids=lambda fault: "-".join(map(str, fault.values()))[:30])
async def test_an_answer_lost_around_the_write_stores_each_message_once_and_keeps_repeats(
    make_connection: Make, server: LocalRecallrAI, texts: Texts, call: Call, fault: dict[str, Any]
) -> None:
    connection = make_connection(timeout=0.5, deliver={"retries": 1, "breaker_threshold": 100})
    conversation = connection.conversation("ada", "t1")
    said = ["ok", "ok", "hello", "ok", "bye"]
    for nth in (1, 2, 4):
        server.faults.add(**ADD, **fault, nth=nth)
    for text in said:
        await call(conversation.record, ("user", text))
    await call(conversation.flush)
    assert texts() == said


async def test_repeats_are_told_apart_although_some_arrived_and_others_did_not(
    make_connection: Make, server: LocalRecallrAI, texts: Texts, call: Call
) -> None:
    conversation = make_connection(deliver={"breaker_threshold": 100, "settling_time": 0.1}).conversation(
        "ada", "t1"
    )
    for number, when in enumerate(["after", "before", "after", "after", "before"], start=1):
        server.faults.add(**ADD, drop=True, when=when, times=1)
        await call(conversation.record, ("user", "ok"))
        assert texts() == ["ok"] * number


@pytest.mark.parametrize("when", ["before", "after"])
async def test_in_an_outage_messages_wait_and_arrive_in_order_afterwards(  # noqa: PLR0917 - fixtures
    make_connection: Make, server: LocalRecallrAI, texts: Texts, call: Call, when: str, outbox: Path | None
) -> None:
    connection = make_connection(deliver={"retries": 0, "outbox": outbox})
    conversation = connection.conversation("ada", "t1")
    await call(conversation.record, ("user", "ok"))
    server.faults.add(status=503, method="POST", when=when)
    server.faults.add(status=503)
    for text in ("ok", "ok", "three"):
        await call(conversation.record, ("user", text))
    recall = await call(conversation.recall)
    assert recall.degraded
    assert [one.content for one in await call(conversation.history)] == ["ok"] * 3 + ["three"]
    assert await call(connection.flush) == 3
    server.faults.clear()
    assert await call(connection.flush) == 0
    assert texts() == ["ok", "ok", "ok", "three"]


async def test_another_process_delivers_what_one_left_behind_and_neither_repeats_nor_reorders(
    make_connection: Make, server: LocalRecallrAI, texts: Texts, call: Call, tmp_path: Path
) -> None:
    options = {"outbox": tmp_path / "o.db", "retries": 0}
    first, second = make_connection(deliver=options), make_connection(deliver=options)
    server.faults.add(**ADD, drop=True, when="after", times=1)
    server.faults.add(status=503, times=5)
    one = first.conversation("ada", "t1")
    await call(one.record, Message("user", "ok", id="m1"))
    await call(one.record, Message("user", "ok", id="m2"))
    server.faults.clear()
    two = second.conversation("ada", "t1")
    await call(two.record, [Message("user", "ok", id="m1"), Message("user", "end", id="m3")])
    await call(one.record, Message("user", "end", id="m3"))
    await call(one.record, Message("user", "after", id="m4"))
    assert texts() == ["ok", "ok", "end", "after"]


async def test_while_another_process_holds_on_to_a_conversation_turns_are_degraded_and_wait_for_it_once(
    make_connection: Make, server: LocalRecallrAI, texts: Texts, call: Call, tmp_path: Path
) -> None:
    first, second = (make_connection(deliver={"outbox": tmp_path / "o.db"}) for _ in range(2))
    await remember(second, call)
    conversation = second.conversation("ada", "t1")
    await call(conversation.record, ("user", "What is my dog called?"))
    holder, key = first.runtime.outbox, conversation._state.key
    claimed = holder.claim(key, SessionCursor())
    assert claimed is not None
    started = time.monotonic()
    for number in range(3):
        await call(conversation.record, ("user", f"And now, {number}?"))
        recall = await call(conversation.recall)
        assert recall.degraded
        assert "Biscuit" in recall.context
    assert time.monotonic() - started < 6, "two seconds, not two for each of six calls"
    holder.release(key, claimed)
    await call(conversation.record, ("user", "end"))
    assert not (await call(conversation.recall)).degraded
    assert texts()[1:] == ["What is my dog called?", *(f"And now, {n}?" for n in range(3)), "end"]


async def test_no_second_session_is_opened_for_a_question_while_another_process_opens_the_first(
    make_connection: Make, server: LocalRecallrAI, texts: Texts, call: Call, tmp_path: Path
) -> None:
    first, second = (make_connection(deliver={"outbox": tmp_path / "o.db"}) for _ in range(2))
    one, two = (connection.conversation("ada", "t1") for connection in (first, second))
    first.runtime.outbox.put(one._state.key, [Message("user", "one")])
    claimed = first.runtime.outbox.claim(one._state.key, SessionCursor())
    assert claimed is not None
    await call(two.record, ("user", "two"))
    assert (await call(two.recall)).degraded
    assert not [one for one in server.requests if one.path.endswith("/sessions")]
    first.runtime.outbox.release(one._state.key, claimed)
    await call(two.flush)
    assert texts() == ["one", "two"]


async def test_what_was_left_to_another_process_goes_by_itself_when_that_does_not_send_it(
    make_connection: Make, texts: Texts, call: Call, tmp_path: Path
) -> None:
    options = {"outbox": tmp_path / "o.db", "breaker_reset": 0.2}
    first, second = (make_connection(deliver=options) for _ in range(2))
    conversation = second.conversation("ada", "t1")
    holder, key = first.runtime.outbox, conversation._state.key
    holder.put(key, [Message("user", "one")])
    claimed = holder.claim(key, SessionCursor())
    assert claimed is not None
    await call(conversation.record, ("user", "two"))
    assert texts() == []
    holder.release(key, claimed)
    eventually(lambda: texts() == ["one", "two"])


async def test_in_an_outage_history_tells_what_waits_in_a_shared_file_whoever_put_it_there(
    make_connection: Make, server: LocalRecallrAI, call: Call, tmp_path: Path
) -> None:
    options = {"outbox": tmp_path / "o.db", "retries": 0}
    one, two = (make_connection(deliver=options).conversation("ada", "t1") for _ in range(2))
    said_at = datetime(2026, 3, 1, 9, tzinfo=timezone.utc)
    await call(one.record, ("user", "ok"))
    server.faults.add(status=503)
    await call(one.record, ("user", "ok"))
    await call(two.record, Message("user", "from two", created_at=said_at))
    await call(one.record, [("user", "ok"), ("user", "last")])
    known = await call(one.history)
    assert [message.content for message in known] == ["ok", "ok", "from two", "ok", "last"]
    assert known[2].created_at == said_at
    assert all(message.created_at is not None for message in known)
    assert await call(two.history) == known[1:]
    assert await call(one.history, limit=3) == known[-3:]


async def test_a_message_that_another_process_is_sending_is_told_once(  # noqa: PLR0917 - fixtures
    make_connection: Make,
    server: LocalRecallrAI,
    texts: Texts,
    call: Call,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(delivery, "_CLAIM_PATIENCE", 0.0)
    options = {"outbox": tmp_path / "o.db", "retries": 0}
    sending, looking = (make_connection(deliver=options) for _ in range(2))
    said = list[str]()
    for text in ("first", "second"):  # the first one opens the session
        said.append(text)
        server.faults.add(**ADD, delay=3, when="after", times=1)
        sender = threading.Thread(target=sending.conversation("ada", "t1").record, args=[("user", text)])
        sender.start()
        await asyncio.to_thread(eventually, lambda: texts() == said)
        told = await call(looking.conversation("ada", "t1").history)
        assert [one.content for one in told] == said
        exported = [line for line in looking.export("ada") if line["type"] == "session"]
        assert [one["content"] for line in exported for one in line["messages"]] == said
        assert sender.is_alive(), "by then it had its answer"
        sender.join()


async def test_in_an_outage_history_is_told_while_another_thread_records(
    make_connection: Make, server: LocalRecallrAI, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation = make_connection(deliver={"retries": 0}).conversation("ada", "t1")

    class Meanwhile(Counter[Message]):
        def __missing__(self, key: Message) -> int:
            recording = threading.Thread(target=conversation.record, args=[("user", "meanwhile")])
            with may_block():
                recording.start()
                recording.join()
            return 0

    await call(conversation.record, [("user", "one"), ("assistant", "two")])
    server.faults.add(status=503)
    with monkeypatch.context() as patch:
        patch.setattr(transcript, "Counter", Meanwhile)
        assert [message.content for message in await call(conversation.history)] == ["one", "two"]


async def test_a_process_that_starts_again_knows_what_was_stored_also_when_it_only_recalls_first(
    make_connection: Make, server: LocalRecallrAI, texts: Texts, call: Call, tmp_path: Path
) -> None:
    connection = make_connection(
        deliver={"outbox": tmp_path / "o.db", "retries": 0, "settling_time": 0.1, "breaker_reset": 60}
    )
    await call(connection.conversation("ada", "t1").record, Message("user", "ok", id="m1"))
    forget_what_is_known(connection)
    again = connection.conversation("ada", "t1")
    await call(again.record, Message("user", "ok", id="m1"))
    await call(again.recall)
    server.faults.add(**ADD, drop=True, when="before", times=1)
    await call(again.record, Message("user", "ok", id="m2"))
    await asyncio.sleep(0.1)
    assert await call(again.flush) == 0
    assert texts() == ["ok", "ok"]


async def test_what_an_earlier_process_left_goes_when_the_connection_is_used(
    make_connection: Make, server: LocalRecallrAI, texts: Texts, call: Call, tmp_path: Path
) -> None:
    server.faults.add(status=503)
    earlier = make_connection(deliver={"outbox": tmp_path / "o.db", "retries": 0})
    await call(earlier.conversation("ada").record, ("user", "left"))
    earlier.close()
    server.faults.clear()
    later = make_connection(deliver={"outbox": tmp_path / "o.db"})
    await call(later.conversation("bob", "t1").record, ("user", "hi"))
    eventually(lambda: texts("ada") == ["left"])


async def test_after_an_outage_what_waits_goes_by_itself(
    make_connection: Make, server: LocalRecallrAI, texts: Texts, call: Call
) -> None:
    connection = make_connection(deliver={"retries": 0, "breaker_reset": 0.2})
    server.faults.add(status=503)
    await call(connection.conversation("ada", "t1").record, ("user", "hi"))
    server.faults.clear()
    eventually(lambda: texts() == ["hi"])


async def test_one_conversation_that_never_gets_through_keeps_no_other_from_going_by_itself(
    make_connection: Make, server: LocalRecallrAI, texts: Texts, call: Call
) -> None:
    connection = make_connection(deliver={"retries": 0, "breaker_reset": 0.2, "breaker_threshold": 100})
    server.faults.add(status=503)
    for user in ("ada", "bob"):
        await call(connection.conversation(user, "t1").record, ("user", "hi"))
    server.faults.clear()
    server.faults.add(path="*/ada/*", status=500)
    eventually(lambda: texts("bob") == ["hi"])


@pytest.mark.parametrize("fault", [{}, {"method": "POST"}], ids=["all", "writes"])
@pytest.mark.parametrize("thread", ["t1", None])
async def test_a_history_cleared_in_an_outage_is_empty_at_once_and_stays_so(  # noqa: PLR0917 - fixtures
    make_connection: Make,
    server: LocalRecallrAI,
    texts: Texts,
    call: Call,
    outbox: Path | None,
    thread: str | None,
    fault: dict[str, Any],
) -> None:
    connection = make_connection(deliver={"outbox": outbox, "retries": 0})
    conversation = connection.conversation("ada", thread)

    async def history() -> list[str]:
        return [one.content for one in await call(conversation.history)]

    await call(conversation.record, ("user", "one"))
    server.faults.add(status=503, **fault)
    await call(conversation.record, ("user", "two"))
    await call(conversation.clear)
    assert await history() == []
    await call(conversation.record, ("user", "three"))
    assert await history() == ["three"]
    server.faults.clear()
    assert await history() == ["three"]
    assert await call(connection.flush) == 0
    assert texts() == ["one", "two", "three"]
    assert await history() == ["three"]
    if thread is not None:
        elsewhere = make_connection().conversation("ada", thread)
        assert [one.content for one in await call(elsewhere.history)] == ["three"]


async def test_a_wish_to_clear_that_a_dead_process_left_is_carried_out(
    make_connection: Make, server: LocalRecallrAI, texts: Texts, call: Call, tmp_path: Path
) -> None:
    first = make_connection(deliver={"outbox": tmp_path / "o.db", "retries": 0})
    server.faults.add(status=503)
    await call(first.conversation("ada", "t1").record, ("user", "one"))
    await call(first.conversation("ada", "t1").clear)
    first.close()
    second = make_connection(deliver={"outbox": tmp_path / "o.db", "retries": 0})
    conversation = second.conversation("ada", "t1")
    assert await call(conversation.history) == []
    await call(conversation.record, ("user", "two"))
    server.faults.clear()
    assert await call(second.flush) == 0
    assert texts() == ["one", "two"]
    assert [one.content for one in await call(conversation.history)] == ["two"]


async def test_on_error_raise_a_history_that_could_not_be_cleared_is_there_until_clear_is_called_again(
    make_connection: Make, server: LocalRecallrAI, call: Call, outbox: Path | None
) -> None:
    options = {"outbox": outbox, "retries": 0, "on_error": "raise"}
    conversation = make_connection(deliver=options).conversation("ada", "t1")
    await call(conversation.record, ("user", "one"))
    for nth in (1, 2):  # not processed, then not marked
        server.faults.add(status=503, method="POST" if nth == 1 else "PUT", times=1)
        with pytest.raises(ServiceUnavailableError):
            await call(conversation.clear)
        assert [one.content for one in await call(conversation.history)] == ["one"]
    await call(conversation.clear)
    assert await call(conversation.history) == []


async def test_a_session_deleted_while_a_message_is_in_doubt_is_followed_by_another(
    make_connection: Make, server: LocalRecallrAI, texts: Texts, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    connection = make_connection(deliver={"retries": 0})
    conversation = connection.conversation("ada", "t1")
    await call(conversation.record, ("user", "one"))
    session_id = (await call(conversation.info)).session_id
    server.faults.add(**ADD, drop=True, when="before")
    await call(conversation.record, ("user", "two"))
    server.faults.clear()
    await _delete_session(server, session_id)
    assert await call(conversation.flush) == 0
    assert texts() == ["two"]
    assert "deleted on the server" in caplog.text


async def _delete_session(server: LocalRecallrAI, session_id: str) -> None:
    import httpx

    headers = {"X-Recallr-Api-Key": server.api_key, "X-Recallr-Project-Id": server.project_id}
    async with httpx.AsyncClient(trust_env=False, headers=headers) as http:
        gone = await http.delete(f"{server.base_url}/api/v1/users/ada/sessions/{session_id}")
        assert gone.status_code == 204


async def test_a_thread_opened_twice_is_merged_once_although_answers_are_lost(
    make_connection: Make, server: LocalRecallrAI, texts: Texts, call: Call, tmp_path: Path
) -> None:
    older = make_connection().conversation("ada", "t1")
    connection = make_connection(
        deliver={"retries": 0, "outbox": tmp_path / "o.db", "breaker_threshold": 99, "settling_time": 0.1}
    )
    connection.runtime._background.close()  # a process that is no more has no workers either
    younger = connection.conversation("ada", "t1")
    server.faults.add(status=503, method="GET", path="*/sessions")
    await call(younger.record, [("user", "ok"), ("user", "ok"), ("user", "ok")])
    server.faults.clear()
    await call(older.record, ("user", "first"))
    state = younger._state
    alone = connection.conversation("ada")
    await call(alone.record, [("user", "ok"), ("user", "ok")])
    state.cursor.enter((await call(alone.info)).session_id, stored=2, unreconciled=True)
    state.outbox.keep(state.key, state.cursor)
    for when in ("after", "before", "after"):
        server.faults.add(**ADD, drop=True, when=when, times=1)
    for _ in range(4):
        await call(younger.flush)
        forget_what_is_known(connection)
        younger = connection.conversation("ada", "t1")
    assert texts() == ["first"] + ["ok"] * 5


async def test_a_message_in_doubt_is_found_before_the_session_that_may_hold_it_is_merged_away(
    make_connection: Make, server: LocalRecallrAI, texts: Texts, call: Call, outbox: Path | None
) -> None:
    await call(make_connection().conversation("ada", "t1").record, ("user", "first"))
    connection = make_connection(deliver={"retries": 0, "outbox": outbox})
    younger = connection.conversation("ada", "t1")
    nothing_yet = {"sessions": [], "total": 0, "has_more": False}  # as it looks while another one opens it
    server.faults.add(method="GET", path="*/sessions", status=200, body=nothing_yet, times=1)
    server.faults.add(**ADD, drop=True, when="after", times=1)
    await call(younger.record, ("user", "ok"))
    assert sorted(texts()) == ["first", "ok"]
    await call(younger.record, ("user", "ok"))
    assert texts() == ["first", "ok", "ok"]


async def test_a_message_refused_for_good_is_told_and_set_aside_and_others_go(
    make_connection: Make, server: LocalRecallrAI, texts: Texts, call: Call, outbox: Path | None
) -> None:
    connection = make_connection(deliver={"outbox": outbox})
    conversation = connection.conversation("ada", "t1")
    server.faults.add(**ADD, status=422, nth=2)
    with pytest.raises(RequestRejectedError, match="422"):
        await call(conversation.record, [("user", "a"), ("user", "b"), ("user", "c")])
    assert texts() == ["a", "c"]
    if outbox is not None:
        from recallrai_integrations.outbox import export

        (rejected,) = export(outbox)
        assert (rejected["content"], rejected["role"]) == ("b", "user")
        assert "422" in rejected["rejected"]


async def test_when_the_account_is_out_of_funds_nothing_is_set_aside(
    make_connection: Make, server: LocalRecallrAI, texts: Texts, call: Call
) -> None:
    conversation = make_connection().conversation("ada", "t1")
    server.faults.add(**ADD, status=402, times=1)
    with pytest.raises(RequestRejectedError, match="402"):
        await call(conversation.record, ("user", "a"))
    await call(conversation.record, ("user", "b"))
    assert texts() == ["a", "b"]


async def test_one_refusal_keeps_flush_from_no_other_conversation(
    make_connection: Make, server: LocalRecallrAI, texts: Texts, call: Call
) -> None:
    connection = make_connection(deliver={"retries": 0, "breaker_threshold": 100})
    server.faults.add(status=503)
    for user in ("ada", "bob", "cleo"):
        await call(connection.conversation(user, "t").record, ("user", f"from {user}"))
    server.faults.clear()
    server.faults.add(method="POST", path="*/ada/*/add-message", status=422)
    with pytest.raises(RequestRejectedError):
        await call(connection.flush)
    assert (texts("ada"), texts("bob"), texts("cleo")) == ([], ["from bob"], ["from cleo"])


async def test_refusals_in_many_conversations_in_a_row_keep_flush_from_none_of_the_others(
    make_connection: Make, server: LocalRecallrAI, texts: Texts, call: Call
) -> None:
    connection = make_connection(deliver={"retries": 0, "breaker_threshold": 100})
    server.faults.add(status=503)
    for number in range(30):
        await call(connection.conversation("ada", f"t{number}").record, ("user", str(number)))
    server.faults.clear()
    server.faults.add(**ADD, status=422, times=29)
    with pytest.raises(RequestRejectedError):
        await call(connection.flush)
    assert len(texts()) == 1
    assert await call(connection.flush) == 0


async def test_given_back_on_error_raise_a_message_repeated_with_its_id_is_stored_once(
    make_connection: Make, server: LocalRecallrAI, texts: Texts, call: Call, outbox: Path | None
) -> None:
    connection = make_connection(deliver={"on_error": "raise", "retries": 0, "outbox": outbox})
    conversation = connection.conversation("ada", "t1")
    message = Message("user", "hi", id="m1")
    server.faults.add(**ADD, drop=True, when="after", times=1)
    with pytest.raises(ServiceUnavailableError):
        await call(conversation.record, message)
    assert await call(connection.flush) == 0
    if outbox is not None:
        forget_what_is_known(connection)
        conversation = connection.conversation("ada", "t1")
    for _ in range(2):
        await call(conversation.record, message)
    assert texts() == ["hi"]


async def test_cancelled_at_any_moment_nothing_is_lost_or_doubled(
    make_connection: Make, server: LocalRecallrAI, texts: Texts, outbox: Path | None
) -> None:
    connection = make_connection(deliver={"outbox": outbox})
    conversation = connection.conversation("ada", "t1")
    server.faults.add(delay=0.02, when="after")
    said = [Message("user", f"{number % 3}", id=str(number)) for number in range(12)]
    for number, message in enumerate(said):
        task = asyncio.create_task(conversation.arecord(message))
        await asyncio.sleep(0.006 * number)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    server.faults.clear()
    assert await connection.aflush() == 0
    await conversation.arecord(said)  # those that were cancelled before they were taken
    assert sorted(texts()) == sorted(one.content for one in said)


async def test_cancelled_while_it_takes_its_turn_a_delivery_leaves_what_another_process_knew(
    make_connection: Make,
    server: LocalRecallrAI,
    texts: Texts,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = {"outbox": tmp_path / "o.db", "retries": 0}
    here, other = (make_connection(deliver=options).conversation("ada", "t1") for _ in range(2))
    await here.arecord(("user", "zero"))
    server.faults.add(**ADD, drop=True, when="after", times=1)
    await other.arecord(("user", "one"))  # stored, and it alone knows that it may be
    claimed = threading.Event()

    def claim(outbox: FileOutbox, key: ConversationKey, cursor: SessionCursor) -> SessionCursor | None:
        given = real_claim(outbox, key, cursor)
        claimed.set()
        time.sleep(0.2)
        return given

    real_claim = FileOutbox.claim
    with monkeypatch.context() as patch:
        patch.setattr(FileOutbox, "claim", claim)
        task = asyncio.create_task(here.aflush())
        await asyncio.to_thread(claimed.wait)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert await here.aflush() == 0
    assert texts() == ["zero", "one"]


# --- retries and the breaker


async def test_retry_after_is_honoured(
    make_connection: Make, server: LocalRecallrAI, texts: Texts, call: Call
) -> None:
    conversation = make_connection().conversation("ada", "t1")
    server.faults.add(**ADD, status=429, retry_after=1.5, times=1)
    started = time.monotonic()
    await call(conversation.record, ("user", "hi"))
    assert time.monotonic() - started >= 1.5
    assert texts() == ["hi"]


@pytest.mark.parametrize("asked", ["soon", "nan", "-1", "Mi, 21 Okt 2065 07:28:00 GMT"])
async def test_a_retry_after_that_cannot_be_understood_is_passed_over(
    make_connection: Make, server: LocalRecallrAI, texts: Texts, call: Call, asked: str
) -> None:
    server.faults.add(**ADD, status=429, headers={"Retry-After": asked}, times=1)
    await call(make_connection().conversation("ada", "t1").record, ("user", "hi"))
    assert texts() == ["hi"]


@pytest.mark.parametrize("as_date", [False, True])
async def test_a_wish_to_wait_beyond_the_budget_is_an_outage_at_once(
    make_connection: Make, server: LocalRecallrAI, call: Call, as_date: bool
) -> None:
    connection = make_connection(deliver={"on_error": "raise", "retry_budget": 1.0})
    asked = formatdate(time.time() + 3600, usegmt=True) if as_date else "3600"
    server.faults.add(status=429, headers={"Retry-After": asked})
    with pytest.raises(ServiceUnavailableError) as caught:
        await call(connection.conversation("ada", "t1").record, ("user", "hi"))
    assert caught.value.retry_after == pytest.approx(3600, abs=300)


async def test_a_dead_service_is_left_alone_after_the_first_failures_and_tried_again_later(
    make_connection: Make, server: LocalRecallrAI, texts: Texts, call: Call
) -> None:
    connection = make_connection(deliver={"retries": 0, "breaker_threshold": 3, "breaker_reset": 0.5})
    conversation = connection.conversation("ada", "t1")
    server.faults.add(status=503)
    for number in range(6):
        await call(conversation.record, ("user", f"{number}"))
    asked = _asked(server)
    assert asked == 3
    for _ in range(5):
        assert (await call(conversation.recall)).degraded
    assert _asked(server) == asked
    assert await call(conversation.flush) == 6, "a flush insists"
    assert _asked(server) > asked
    server.faults.clear()
    eventually(lambda: texts() == [f"{number}" for number in range(6)])


async def test_a_service_that_cannot_recall_still_takes_messages(
    make_connection: Make, server: LocalRecallrAI, texts: Texts, call: Call
) -> None:
    connection = make_connection(deliver={"retries": 0, "breaker_threshold": 2})
    conversation = connection.conversation("ada", "t1")
    server.faults.add(path="*/context", status=500)
    for number in range(5):
        await call(conversation.record, ("user", f"{number}"))
        assert (await call(conversation.recall)).degraded
    assert sum(one.path.endswith("/context") for one in server.requests) == 2
    assert texts() == ["0", "1", "2", "3", "4"]


def _asked(server: LocalRecallrAI) -> int:
    """Requests without those for instructions, which are fetched beside a turn."""
    return sum(not one.path.endswith("system-prompt") for one in server.requests)


# --- background mode


async def test_in_the_background_recording_costs_no_request_and_order_is_kept(
    make_connection: Make, server: LocalRecallrAI, texts: Texts, call: Call, outbox: Path | None
) -> None:
    connection = make_connection(deliver={"mode": "background", "outbox": outbox})
    conversation = connection.conversation("ada", "t1")
    server.faults.add(delay=0.3, path="*/sessions*")
    for number in range(20):
        await call(conversation.record, ("user", f"{number}"))
    assert texts() == []
    server.faults.clear()
    recall = await call(conversation.recall)
    assert not recall.degraded
    assert texts() == [f"{number}" for number in range(20)], "a recall waits for the question"
    await call(conversation.record, ("assistant", "answer"))
    await call(connection.close)
    assert texts()[-1] == "answer"


async def test_a_full_outbox_holds_callers_back_until_there_is_room(
    make_connection: Make, server: LocalRecallrAI, texts: Texts, call: Call
) -> None:
    connection = make_connection(deliver={"mode": "background", "outbox_limit": 2})
    server.faults.add(**ADD, delay=0.05)
    for number in range(8):
        await call(connection.conversation("ada", "t1").record, ("user", f"{number}"))
    assert await call(connection.flush) == 0
    assert texts() == [f"{number}" for number in range(8)]


@pytest.mark.parametrize("mode", ["inline", "background"])
async def test_more_messages_at_once_than_the_outbox_may_hold_are_stored_part_by_part(  # noqa: PLR0917 - fixtures
    make_connection: Make, server: LocalRecallrAI, texts: Texts, call: Call, mode: str, outbox: Path | None
) -> None:
    connection = make_connection(deliver={"mode": mode, "outbox_limit": 2, "outbox": outbox})
    conversation = connection.conversation("ada", "t1")
    said = [f"{number}" for number in range(5)]
    await call(conversation.record, [Message("user", text, id=text) for text in said])
    assert await call(connection.flush) == 0
    assert texts() == said


async def test_of_more_messages_than_the_outbox_may_hold_an_outage_gives_all_that_wait_back(
    make_connection: Make, server: LocalRecallrAI, texts: Texts, call: Call, outbox: Path | None
) -> None:
    options = {"outbox_limit": 2, "outbox": outbox, "on_error": "raise", "retries": 0}
    connection = make_connection(deliver=options)
    conversation = connection.conversation("ada", "t1")
    said = [Message("user", f"{number}", id=f"{number}") for number in range(5)]
    server.faults.add(**ADD, status=503, nth=3)
    with pytest.raises(OutboxFullError):
        await call(conversation.record, said)
    assert await call(connection.flush) == 0
    assert texts() == ["0", "1"]
    await call(conversation.record, said)
    assert texts() == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize("mode", ["inline", "background"])
async def test_a_full_outbox_in_an_outage_refuses_by_policy_and_keeps_what_it_has(  # noqa: PLR0917 - fixtures
    make_connection: Make, server: LocalRecallrAI, texts: Texts, call: Call, mode: str, outbox: Path | None
) -> None:
    events: list[Event] = []
    options = {"mode": mode, "outbox_limit": 2, "retries": 0, "on_event": events.append, "outbox": outbox}
    connection = make_connection(deliver={**options, "retry_budget": 1.0})
    server.faults.add(status=503)
    for number in range(3):
        await call(connection.conversation("ada", "t1").record, ("user", f"{number}"))
    assert "refused" in [event.kind for event in events]
    if mode == "background":
        strict = make_connection(deliver={**options, "on_error": "raise", "retry_budget": 0.2})
        if outbox is None:
            await call(strict.conversation("bob", "t1").record, [("user", "a"), ("user", "b")])
        with pytest.raises(OutboxFullError):
            await call(strict.conversation("bob", "t1").record, ("user", "c"))
    server.faults.clear()
    await call(connection.flush)
    assert texts() == ["0", "1"]


async def test_a_full_outbox_in_an_outage_refuses_another_conversation_without_a_wait(
    make_connection: Make, server: LocalRecallrAI, call: Call
) -> None:
    events: list[Event] = []
    options = {"mode": "background", "outbox_limit": 1, "retries": 0, "retry_budget": 60.0}
    connection = make_connection(deliver={**options, "on_event": events.append})
    server.faults.add(status=503)
    await call(connection.conversation("ada", "t1").record, ("user", "waits"))
    eventually(lambda: "degraded" in [event.kind for event in events])
    started = time.monotonic()
    await call(connection.conversation("ada", "t2").record, ("user", "refused"))
    assert time.monotonic() - started < 30
    assert "refused" in [event.kind for event in events]


async def test_an_outage_and_its_end_are_told_although_only_workers_see_it(
    make_connection: Make, server: LocalRecallrAI, call: Call, texts: Texts, caplog: pytest.LogCaptureFixture
) -> None:
    events: list[Event] = []
    options = {"mode": "background", "retries": 0, "on_event": events.append}
    connection = make_connection(deliver=options)
    server.faults.add(status=503)
    for number in range(3):
        await call(connection.conversation("ada", f"t{number}").record, ("user", "hi"))
    eventually(lambda: [event.kind for event in events].count("degraded") == 3)
    assert caplog.text.count("is not available") == 1, "one warning for each outage"
    server.faults.clear()
    await call(connection.flush)
    assert texts() == ["hi"] * 3
    assert "recovered" in [event.kind for event in events]


async def test_a_key_refused_in_the_background_is_raised_at_the_next_message_and_nothing_is_lost(
    make_connection: Make, server: LocalRecallrAI, call: Call, texts: Texts, caplog: pytest.LogCaptureFixture
) -> None:
    connection = make_connection(deliver={"mode": "background"})
    conversation = connection.conversation("ada", "t1")
    server.faults.add(status=401)
    for text in ("one", "two"):
        await call(conversation.record, ("user", text))
        eventually(lambda: connection.runtime._background._refused)
        connection.runtime._background._refused = None
    assert caplog.text.count("refused the API key") == 1
    await call(conversation.record, ("user", "three"))
    eventually(lambda: connection.runtime._background._refused)
    with pytest.raises(CredentialsError, match="RECALLRAI_API_KEY"):
        await call(connection.conversation("ada", "t1").record, ("user", "four"))
    server.faults.clear()
    assert await call(connection.flush) == 0
    assert texts() == ["one", "two", "three", "four"]


async def test_flush_waits_no_longer_than_its_timeout(
    make_connection: Make, server: LocalRecallrAI, texts: Texts, call: Call
) -> None:
    connection = make_connection(deliver={"mode": "background"})
    server.faults.add(**ADD, delay=3)
    await call(connection.conversation("ada", "t1").record, ("user", "slow"))
    assert (
        await call(connection.flush, timeout=0.1) == 1
    )  # without it, it would wait for the service's answer
    assert await call(connection.flush) == 0
    assert texts() == ["slow"]


@pytest.mark.parametrize("ends", ["", "raise SystemExit(3)", "1 / 0", "sys.stdout.close()"])
@pytest.mark.parametrize("mode", ["inline", "background"])
def test_the_interpreter_exits_without_close_and_nothing_is_lost(
    server: LocalRecallrAI, texts: Texts, ends: str, mode: str
) -> None:
    server.faults.add(**ADD, status=503, nth=4)  # the last one has to be tried again at exit
    server.faults.add(**ADD, delay=0.2)
    program = f"""
        import sys
        from recallrai_integrations import connect, DeliveryOptions
        connection = connect(api_key={server.api_key!r}, project_id={server.project_id!r},
                             base_url={server.base_url!r}, delivery=DeliveryOptions(mode={mode!r}, retries=0))
        for number in range(4):
            connection.conversation("ada", "t1").record(("user", str(number)))
        {ends}
        """
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], check=False, capture_output=True, timeout=60
    )
    assert texts() == ["0", "1", "2", "3"]


def test_what_a_closing_connection_could_not_deliver_is_told(
    make_connection: Make, server: LocalRecallrAI, caplog: pytest.LogCaptureFixture, outbox: Path | None
) -> None:
    connection = make_connection(deliver={"retries": 0, "outbox": outbox})
    server.faults.add(status=503)
    connection.conversation("ada", "t1").record(("user", "hi"))
    connection.close()
    assert ("1 message could not be delivered and is lost" in caplog.text) is (outbox is None)


# --- recall deadlines

SLOW = {"path": "*/context"}


async def remember(connection: Connection, call: Call) -> None:
    earlier = connection.conversation("ada")
    await call(earlier.record, ("user", "My dog is called Biscuit."))
    assert (await call(earlier.finish, wait=30)).status == "processed"


async def asked(connection: Connection, call: Call) -> Conversation:
    """A conversation that has asked for what is remembered."""
    await remember(connection, call)
    conversation = connection.conversation("ada", "t1")
    await call(conversation.record, ("user", "What is my dog called?"))
    return conversation


async def test_past_the_deadline_a_turn_goes_on_and_the_late_answer_serves_the_next(
    make_connection: Make, server: LocalRecallrAI, call: Call
) -> None:
    connection = make_connection(deliver={"recall_deadline": 0.5, "on_deadline": "stale"})
    conversation = await asked(connection, call)
    server.faults.add(**SLOW, delay=3)
    started = time.monotonic()
    first = await call(conversation.recall)
    assert (first.degraded, first.context) == (True, "")
    await call(conversation.record, ("assistant", "A moment."))
    assert time.monotonic() - started < 3, "a late recall holds up no record"
    await asyncio.sleep(started + 3.5 - time.monotonic())
    second = await call(conversation.recall)
    assert second.degraded
    assert "Biscuit" in second.context
    server.faults.clear()
    assert not (await call(conversation.recall)).degraded


async def test_the_deadline_covers_the_question_that_cannot_be_stored(
    make_connection: Make, server: LocalRecallrAI, call: Call, texts: Texts
) -> None:
    connection = make_connection(deliver={"recall_deadline": 0.4, "mode": "background"})
    conversation = connection.conversation("ada", "t1")
    server.faults.add(**ADD, delay=8.0, times=1)
    await call(conversation.record, ("user", "What is my dog called?"))
    started = time.monotonic()
    assert (await call(conversation.recall)).degraded
    assert time.monotonic() - started < 7
    await call(connection.flush)
    assert texts() == ["What is my dog called?"]


async def test_past_half_the_deadline_the_quick_strategy_is_asked_too(
    make_connection: Make, server: LocalRecallrAI, call: Call
) -> None:
    connection = make_connection(deliver={"recall_deadline": 2.0, "on_deadline": "fallback"})
    conversation = await asked(connection, call)
    server.faults.add(**SLOW, delay=5.0, nth=1)
    recall = await call(conversation.recall)
    assert (recall.degraded, recall.strategy) == (False, "low_latency")
    assert "Biscuit" in recall.context


async def test_what_the_quick_strategy_brought_counts_although_the_first_one_fails_afterwards(
    make_connection: Make, server: LocalRecallrAI, call: Call
) -> None:
    options = {"recall_deadline": 3.0, "on_deadline": "fallback", "retries": 0}
    connection = make_connection(deliver=options)
    conversation = await asked(connection, call)
    server.faults.add(**SLOW, delay=2.5, status=503, nth=1)
    recall = await call(conversation.recall)
    assert (recall.degraded, recall.strategy) == (False, "low_latency")
    assert "Biscuit" in recall.context


async def test_what_the_first_strategy_brought_counts_although_the_quick_one_fails(
    make_connection: Make, server: LocalRecallrAI, call: Call
) -> None:
    options = {"recall_deadline": 4.0, "on_deadline": "fallback", "retries": 0}
    connection = make_connection(deliver=options)
    conversation = await asked(connection, call)
    server.faults.add(**SLOW, delay=2.5, nth=1)
    server.faults.add(**SLOW, status=503, nth=2)
    recall = await call(conversation.recall)
    assert (recall.degraded, recall.strategy) == (False, "balanced")
    assert "Biscuit" in recall.context


async def test_past_the_deadline_the_first_answer_counts_although_it_holds_no_memories(
    make_connection: Make, server: LocalRecallrAI, call: Call
) -> None:
    connection = make_connection(deliver={"recall_deadline": 2.0})
    await call(connection.conversation("ada", "t0").record, ("user", "My dog is called Biscuit."))
    conversation = connection.conversation("ada", "t1")
    await call(conversation.record, ("user", "What is my dog called?"))
    server.faults.add(**SLOW, delay=5.0, nth=2)
    recall = await call(conversation.recall, options=RecallOptions(fallback_strategy="low_latency"))
    assert (recall.degraded, recall.strategy) == (True, "balanced")
    assert "Biscuit" in recall.context, "it is in another conversation that is still open"


async def test_a_late_answer_of_an_earlier_turn_replaces_no_newer_one(
    make_connection: Make, server: LocalRecallrAI, call: Call
) -> None:
    connection = make_connection(deliver={"recall_deadline": 1.0, "on_deadline": "stale"})
    conversation = await asked(connection, call)
    older = {"is_final": True, "context": "Older.", "metadata": {"recall_strategy_used": "balanced"}}
    server.faults.add(**SLOW, delay=2.5, status=200, body=older, nth=1)
    started = time.monotonic()
    assert (await call(conversation.recall)).degraded
    assert "Biscuit" in (await call(conversation.recall)).context
    await asyncio.sleep(started + 3.5 - time.monotonic())
    server.faults.clear()
    server.faults.add(**SLOW, delay=3)
    stale = await call(conversation.recall)
    assert stale.degraded
    assert "Biscuit" in stale.context


# --- what only shows in many threads


def test_many_threads_in_few_conversations_lose_and_mix_nothing(
    make_connection: Make, server: LocalRecallrAI, texts: Texts, outbox: Path | None
) -> None:
    connections = [make_connection(deliver={"outbox": outbox}) for _ in range(2 if outbox else 1)]
    for connection in connections:  # opened before the race, so that all find the same session
        for user in ("ada", "bob"):
            connection.conversation(user, "t").record(Message("user", "start", id="start"))
    server.faults.add(**ADD, drop=True, when="after", probability=0.1)
    server.faults.add(**ADD, status=500, when="before", probability=0.1)

    def work(number: int) -> None:
        for turn, user in itertools.product(range(10), ("ada", "bob")):
            conversation = connections[number % len(connections)].conversation(user, "t")
            conversation.record(("user", f"{user} {number} {turn}"))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    server.faults.clear()
    assert [connection.flush() for connection in connections][-1] == 0
    for user in ("ada", "bob"):
        stored = [text.split() for text in texts(user) if text != "start"]
        assert len(stored) == 40
        for number in range(4):  # of each thread all messages, once, in the order in which it recorded them
            assert [one[2] for one in stored if one[:2] == [user, str(number)]] == list(map(str, range(10)))


@pytest.mark.parametrize("back_before_release", [False, True])
async def test_a_file_that_could_not_be_written_after_a_message_was_stored_has_it_sent_once(  # noqa: PLR0917 - fixtures
    make_connection: Make,
    texts: Texts,
    call: Call,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    back_before_release: bool,
) -> None:
    file = tmp_path / "o.db"
    other_program: list[sqlite3.Connection] = []

    def lock(event: Event) -> None:
        if event.kind == "stored" and event.detail["characters"] == len("second") and not other_program:
            other_program.append(sqlite3.connect(file, isolation_level=None, check_same_thread=False))
            with may_block():
                other_program[0].execute("BEGIN IMMEDIATE")

    release = FileOutbox.release

    def late_release(outbox: FileOutbox, key: ConversationKey, cursor: SessionCursor) -> None:
        if other_program and back_before_release:
            other_program[0].close()
        release(outbox, key, cursor)

    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    monkeypatch.setattr(FileOutbox, "release", late_release)
    conversation = make_connection(deliver={"outbox": file, "on_event": lock}).conversation("ada", "t1")
    await call(conversation.record, ("user", "first"))
    with pytest.raises(OutboxError, match="locked"):
        await call(conversation.record, ("user", "second"))
    other_program[0].close()
    await call(conversation.record, [("user", "third"), ("user", "second")])
    assert texts() == ["first", "second", "third", "second"]


def test_a_broken_outbox_is_an_error_of_ours_when_connecting(make_connection: Make, tmp_path: Path) -> None:
    (tmp_path / "o.db").write_text("a letter, no database " * 50)
    with pytest.raises(OutboxError, match=r"o\.db"):
        make_connection(deliver={"outbox": tmp_path / "o.db"})
    assert (tmp_path / "o.db").read_text().startswith("a letter")


async def test_on_an_event_loop_a_broken_outbox_is_an_error_of_ours_at_the_first_use(
    make_connection: Make, tmp_path: Path
) -> None:
    (tmp_path / "o.db").write_text("a letter, no database " * 50)
    connection = make_connection(deliver={"outbox": tmp_path / "o.db"})
    with pytest.raises(OutboxError, match=r"o\.db"):
        await connection.conversation("ada", "t1").arecord(("user", "hi"))
    assert (tmp_path / "o.db").read_text().startswith("a letter")

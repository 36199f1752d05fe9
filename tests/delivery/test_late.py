"""Requests that take effect after their client gave up, and answers that say nothing: stored once, in order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recallrai_integrations import Connection, Message, ServiceUnavailableError
from recallrai_integrations.local import LocalRecallrAI

from .conftest import Conversations, Texts, eventually

Make = Callable[..., Connection]
Call = Callable[..., Any]
ADD = {"method": "POST", "path": "*/add-message"}
OPEN = {"method": "POST", "path": "*/sessions"}
LATE = {"when": "late", "times": 1}
ENDS: dict[str, dict[str, Any]] = {
    "cut off": {"drop": True},
    "no answer in time": {"hang": True},
    "bad gateway": {"status": 502},
}


@pytest.fixture(params=["memory", "file"])
def outbox(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return None if request.param == "memory" else tmp_path / "outbox.db"


@pytest.mark.parametrize("delay", [0.05, 0.7], ids=["before what follows", "after what follows"])
@pytest.mark.parametrize("end", ENDS)
async def test_a_message_that_arrives_late_is_stored_once_and_in_order(  # noqa: PLR0917 - fixtures
    make_connection: Make,
    server: LocalRecallrAI,
    texts: Texts,
    call: Call,
    outbox: Path | None,
    end: str,
    delay: float,
) -> None:
    connection = make_connection(timeout=0.5, deliver={"outbox": outbox, "settling_time": 1.5})
    conversation = connection.conversation("ada", "t1")
    await call(conversation.record, ("user", "hi"))
    server.faults.add(**ADD, **ENDS[end], **LATE, delay=delay)
    await call(conversation.record, ("user", "book the flight"))
    await call(conversation.record, ("user", "never mind"))
    await call(conversation.flush)
    await asyncio.sleep(delay)
    assert texts() == ["hi", "book the flight", "never mind"]


@pytest.mark.parametrize("mode", ["inline", "background"])
async def test_a_cancelled_caller_leaves_at_once_and_its_message_is_stored_once(
    make_connection: Make, server: LocalRecallrAI, texts: Texts, outbox: Path | None, mode: str
) -> None:
    connection = make_connection(deliver={"outbox": outbox, "mode": mode})
    conversation = connection.conversation("ada", "t1")
    await conversation.arecord(("user", "hi"))
    await conversation.aflush()
    server.faults.add(**ADD, delay=0.5, times=1)
    started = time.monotonic()
    if mode == "inline":
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(conversation.arecord(("user", "book the flight")), 0.1)
    else:
        await conversation.arecord(("user", "book the flight"))
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(conversation.arecall(), 0.1)
    assert time.monotonic() - started < 0.45
    await conversation.arecord(("user", "never mind"))
    await conversation.aflush()
    assert texts() == ["hi", "book the flight", "never mind"]


async def test_a_caller_that_is_cancelled_before_its_turn_has_recorded_nothing(
    make_connection: Make, server: LocalRecallrAI, texts: Texts
) -> None:
    conversation = make_connection().conversation("ada", "t1")
    await conversation.arecord(("user", "hi"))
    server.faults.add(**ADD, delay=0.3, times=1)
    first = asyncio.create_task(conversation.arecord(("user", "first")))
    await asyncio.sleep(0.05)
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(conversation.arecord(("user", "second")), 0.05)
    await first
    await conversation.arecord(("user", "third"))
    assert texts() == ["hi", "first", "third"]


async def test_when_the_loop_ends_under_a_request_its_message_is_unconfirmed(
    make_connection: Make, server: LocalRecallrAI, texts: Texts, outbox: Path | None
) -> None:
    connection = make_connection(deliver={"outbox": outbox, "settling_time": 1.5})
    conversation = connection.conversation("ada", "t1")
    await conversation.arecord(("user", "hi"))
    server.faults.add(**ADD, **LATE, hang=True, delay=0.5)

    async def begin() -> None:
        task = asyncio.create_task(conversation.arecord(("user", "book the flight")))
        while conversation._state.cursor.unconfirmed is None:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert not task.done()

    await asyncio.to_thread(lambda: asyncio.run(begin()))
    await conversation.arecord(("user", "never mind"))
    assert texts() == ["hi", "book the flight", "never mind"]


@pytest.mark.parametrize("thread", ["t1", None])
@pytest.mark.parametrize("end", ENDS)
async def test_a_session_that_comes_into_being_late_is_found_again(  # noqa: PLR0917 - fixtures
    make_connection: Make,
    server: LocalRecallrAI,
    conversations: Conversations,
    call: Call,
    thread: str | None,
    end: str,
) -> None:
    connection = make_connection(timeout=0.5, deliver={"settling_time": 1.5})
    await call(connection.conversation("ada").record, ("user", "the user exists"))
    conversation = connection.conversation("ada", thread)
    server.faults.add(**OPEN, **ENDS[end], **LATE, delay=0.3)
    await call(conversation.record, ("user", "hi"))
    await call(conversation.flush)
    assert [one.content for one in await call(conversation.history)] == ["hi"]
    assert len(conversations()) == 2, "a session more than there are conversations"


@pytest.mark.parametrize("end", ENDS)
async def test_a_user_that_is_created_late_costs_nothing(
    make_connection: Make, server: LocalRecallrAI, texts: Texts, call: Call, end: str
) -> None:
    connection = make_connection(timeout=0.5, deliver={"settling_time": 1.5})
    server.faults.add(method="POST", path="*/users", **ENDS[end], **LATE, delay=0.3)
    conversation = connection.conversation("ada", "t1")
    await call(conversation.record, ("user", "hi"))
    await call(conversation.flush)
    assert texts() == ["hi"]


WRONG: dict[str, Any] = {
    "an error": {"error": "busy"},
    "another type": {"session": {"session_id": "x"}},
    "nothing": {},
    "a list": [],
    "a text": "<html>logged out</html>",
}


@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize("said", WRONG)
async def test_a_200_that_does_not_say_that_a_message_is_stored_is_no_acknowledgement(  # noqa: PLR0917 - fixtures
    make_connection: Make, server: LocalRecallrAI, texts: Texts, call: Call, said: str, stored: bool
) -> None:
    conversation = make_connection(deliver={"settling_time": 0.3}).conversation("ada", "t1")
    await call(conversation.record, ("user", "hi"))
    server.faults.add(**ADD, status=200, body=WRONG[said], when="after" if stored else "before", times=1)
    await call(conversation.record, ("user", "book the flight"))
    await call(conversation.record, ("user", "never mind"))
    assert texts() == ["hi", "book the flight", "never mind"]


@pytest.mark.parametrize("said", [{}, {"error": "gone"}, {"session_id": "another", "metadata": {}}])
async def test_a_200_that_does_not_show_the_changed_session_is_an_outage(
    make_connection: Make, server: LocalRecallrAI, call: Call, said: dict[str, object]
) -> None:
    connection = make_connection(deliver={"settling_time": 0.3, "on_error": "raise", "retries": 0})
    conversation = connection.conversation("ada", "t1")
    await call(conversation.record, ("user", "hi"))
    server.faults.add(method="PUT", status=200, body=said, times=1)
    with pytest.raises(ServiceUnavailableError):
        await call(conversation.clear)
    assert [one.content for one in await call(conversation.history)] == ["hi"]
    await call(conversation.clear)
    assert await call(conversation.history) == []


async def test_an_older_page_is_not_believed(
    make_connection: Make, server: LocalRecallrAI, texts: Texts, call: Call
) -> None:
    conversation = make_connection(deliver={"settling_time": 0.1}).conversation("ada", "t1")
    await call(conversation.record, ("user", "hi"))
    page = {"messages": [], "total": 0, "has_more": False}
    server.faults.add(**ADD, drop=True, when="after", times=1)
    server.faults.add(method="GET", path="*/messages", status=200, body=page)
    await call(conversation.record, ("user", "book the flight"))
    server.faults.clear()
    await call(conversation.flush)
    assert texts() == ["hi", "book the flight"]


async def test_a_list_of_sessions_of_another_thread_takes_no_message(
    make_connection: Make, server: LocalRecallrAI, call: Call
) -> None:
    connection = make_connection()
    other = connection.conversation("ada", "other")
    await call(other.record, ("user", "of the other thread"))
    info = await call(other.info)
    listed = {
        "session_id": info.session_id,
        "status": "pending",
        "metadata": info.metadata,
        "created_at": info.created_at.isoformat(),
    }
    body = {"sessions": [listed], "total": 1, "has_more": False}
    server.faults.add(method="GET", path="*/sessions", status=200, body=body, times=3)
    conversation = connection.conversation("ada", "t1")
    await call(conversation.record, ("user", "hi"))
    await call(conversation.flush)
    assert [one.content for one in await call(other.history)] == ["of the other thread"]
    assert [one.content for one in await call(conversation.history)] == ["hi"]


async def test_a_repeated_text_in_a_session_that_was_found_is_told_by_its_position(
    make_connection: Make, server: LocalRecallrAI, texts: Texts, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    await call(make_connection().conversation("ada", "t1").record, [("user", "ok"), ("user", "ok")])
    conversation = make_connection(deliver={"settling_time": 0.2}).conversation("ada", "t1")
    server.faults.add(**ADD, drop=True, times=1)
    await call(conversation.record, ("user", "ok"))
    assert texts() == ["ok"] * 3
    server.faults.add(**ADD, drop=True, when="after", times=1)
    await call(conversation.record, ("user", "ok"))
    assert texts() == ["ok"] * 4


async def test_what_is_given_back_and_arrives_late_is_not_overtaken(
    make_connection: Make, server: LocalRecallrAI, texts: Texts, call: Call
) -> None:
    from recallrai_integrations import ServiceUnavailableError

    connection = make_connection(deliver={"on_error": "raise", "retries": 0, "settling_time": 1.5})
    conversation = connection.conversation("ada", "t1")
    await call(conversation.record, ("user", "hi"))
    server.faults.add(**ADD, drop=True, **LATE, delay=0.4)
    booked = Message("user", "book the flight", id="m1")
    with pytest.raises(ServiceUnavailableError):
        await call(conversation.record, booked)
    await call(conversation.record, booked)
    await call(conversation.record, ("user", "never mind"))
    assert texts() == ["hi", "book the flight", "never mind"]
    eventually(lambda: len(texts()) == 3)

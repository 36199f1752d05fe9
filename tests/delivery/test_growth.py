"""What grows while the service hangs or messages wait: nothing that a turn has to pay for."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from recallrai_integrations import Connection, DeliveryOptions, Message, ServiceUnavailableError
from recallrai_integrations._engine import breaker
from recallrai_integrations.local import LocalRecallrAI
from recallrai_integrations.outbox import (
    ConversationKey,
    MemoryOutbox,
    OutboxEntry,
    SessionCursor,
    database,
    open_outbox,
    rows,
)
from tests.delivery.conftest import eventually

Call = Callable[..., Awaitable[Any]]
Make = Callable[..., Connection]

_BOUND = 70
"""Threads or tasks that a connection may hold whatever the service does.

16 deliveries; 16 late recalls, on a loop of up to 3 tasks each: itself, its turn, the wait for that turn;
instructions and a few of the test's own.
"""


def _beside() -> int:
    """Threads and tasks that are there beside this test."""
    service = ("recallrai-write", "recallrai-read", "AnyIO", "recallrai-local")
    threads = [one for one in threading.enumerate() if not one.name.startswith(service)]
    return len(threads) + len(asyncio.all_tasks())


@pytest.mark.parametrize("threshold", [5, 1_000_000], ids=["breaker", "no breaker"])
@pytest.mark.parametrize("path", ["*", "*/context"], ids=["all hangs", "recalls hang"])
@pytest.mark.parametrize("several", [False, True], ids=["one conversation", "many conversations"])
async def test_turns_that_miss_their_memories_do_not_add_up(  # noqa: PLR0917 - fixtures
    make_connection: Make, server: LocalRecallrAI, call: Call, several: bool, path: str, threshold: int
) -> None:
    deliver = {"mode": "background", "recall_deadline": 0.01, "retries": 0, "breaker_threshold": threshold}
    connection = make_connection(timeout=600.0, deliver=deliver)
    before = _beside()
    server.faults.add(hang=True, path=path)
    for number in range(100):
        conversation = connection.conversation("ada", f"t{number if several else 0}")
        await call(conversation.record, ("user", f"{number}"))
        assert (await call(conversation.recall)).degraded
        assert _beside() - before <= _BOUND
    server.faults.clear()
    await call(connection.close, timeout=0.0)


async def test_a_turn_is_not_kept_waiting_for_its_deadline_once_several_missed_theirs(
    make_connection: Make, server: LocalRecallrAI, call: Call
) -> None:
    deliver = {"recall_deadline": 0.05, "retries": 0, "breaker_threshold": 2, "breaker_reset": 600.0}
    late: list[Any] = []
    connection = make_connection(
        timeout=600.0,
        deliver={**deliver, "on_event": lambda one: late.append(one) if one.kind == "late" else None},
    )
    conversations = [connection.conversation("ada", f"t{n}") for n in range(6)]
    for conversation in conversations:
        await call(conversation.record, ("user", "hi"))
    server.faults.add(hang=True, path="*/context")
    for conversation in conversations:
        assert (await call(conversation.recall)).degraded
    assert len(late) == 2
    server.faults.clear()


async def test_recalls_beyond_the_bound_are_an_outage_where_outages_are_raised(
    make_connection: Make, server: LocalRecallrAI, call: Call
) -> None:
    deliver = {"recall_deadline": 0.01, "retries": 0, "breaker_threshold": 1_000_000, "on_error": "raise"}
    connection = make_connection(timeout=600.0, deliver=deliver)
    conversation = connection.conversation("ada", "t1")
    await call(conversation.record, ("user", "hi"))
    server.faults.add(hang=True, path="*/context")
    for _ in range(2):
        assert (await call(conversation.recall)).degraded, "late, which is no outage"
    with pytest.raises(ServiceUnavailableError, match="earlier recalls have not been answered"):
        await call(conversation.recall)
    server.faults.clear()


# --- what waits


class Steps:
    """Counts the steps that SQLite takes in the outboxes of this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.taken = 0
        connect = database.connect

        def counted(path: Path) -> sqlite3.Connection:
            db = connect(path)
            db.set_progress_handler(self._step, 1)
            return db

        monkeypatch.setattr(database, "connect", counted)

    def _step(self) -> int:
        self.taken += 1
        return 0


@pytest.mark.parametrize("mode", ["inline", "background"])
@pytest.mark.parametrize("place", ["same", "other"], ids=["same conversation", "another conversation"])
async def test_a_turn_costs_the_same_however_many_messages_wait(  # noqa: PLR0917 - fixtures
    make_connection: Make,
    server: LocalRecallrAI,
    call: Call,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
    place: str,
) -> None:
    steps, read = Steps(monkeypatch), list[object]()
    waiting_of = rows.waiting_of

    def counted(row: Any) -> OutboxEntry:
        read.append(row)
        return waiting_of(row)

    monkeypatch.setattr(rows, "waiting_of", counted)
    server.faults.add(status=503)
    deliver = {
        "mode": mode,
        "outbox": tmp_path / "o.db",
        "retries": 0,
        "breaker_threshold": 1,
        "breaker_reset": 600.0,
    }
    connection = make_connection(deliver=deliver)
    with pytest.raises(ServiceUnavailableError):
        await call(connection.user("ada").info)  # opens the breaker: all that follows stays in this process
    monkeypatch.setattr(breaker, "_FIRST_PAUSE", 600.0)

    async def cost() -> tuple[int, int]:
        conversation = connection.conversation("ada", "t1" if place == "same" else "t2")
        eventually(lambda: len(connection.runtime._engine._workers._unfinished) <= 1)
        before = (steps.taken, len(read))
        await call(conversation.record, Message("user", "hi", f"{steps.taken}"))
        assert (await call(conversation.recall)).degraded
        await call(conversation.finish)
        eventually(lambda: len(connection.runtime._engine._workers._unfinished) <= 1)
        return steps.taken - before[0], len(read) - before[1]

    await cost()
    few = await cost()
    outbox, key = connection.runtime.outbox, ConversationKey("t1", "ada", "t1")
    outbox.put(key, [Message("user", f"{n}", f"id-{n}") for n in range(4_000)])
    many = await cost()
    assert many[0] < 2 * few[0]
    assert many[1] <= few[1] + 1
    assert outbox.count() == outbox.count(key) + outbox.count(ConversationKey("t2", "ada", "t2")) > 4_000


@pytest.mark.parametrize("file", [None, "o.db"], ids=["memory", "file"])
def test_what_waits_is_counted_as_it_comes_and_goes(file: str | None, tmp_path: Path) -> None:
    options = DeliveryOptions(outbox=None if file is None else tmp_path / file)
    outbox = open_outbox(options, project="p")
    one, two = ConversationKey("1", "ada", None), ConversationKey("2", "ada", None)
    assert (outbox.count(), outbox.count(one), outbox.is_empty(one), outbox.last(one)) == (0, 0, True, None)
    first, second = outbox.put(one, [Message("user", "a", "a"), Message("user", "b", "b")])
    (third,) = outbox.put(two, [Message("user", "c", "c")])
    assert (outbox.count(), outbox.count(one), outbox.count(two)) == (3, 2, 1)
    assert outbox.last(one) == second
    assert outbox.keys() == [one, two]
    outbox.claim(one, SessionCursor())
    outbox.done(one, first, SessionCursor())
    outbox.reject(one, second, "too long")
    assert (outbox.count(), outbox.is_empty(one), outbox.is_empty(two)) == (1, True, False)
    assert outbox.keys() == [two]
    outbox.withdraw(two, [third])
    outbox.put(two, [Message("user", "c", "c")])
    assert outbox.count() == outbox.purge(two) == 1
    assert (outbox.count(), outbox.keys()) == (0, [])
    outbox.close()


def test_a_file_of_a_release_that_kept_no_count_is_counted_when_it_is_opened(tmp_path: Path) -> None:
    options, key = DeliveryOptions(outbox=tmp_path / "o.db"), ConversationKey("1", "ada", None)
    outbox = open_outbox(options, project="p")
    outbox.put(key, [Message("user", f"{n}") for n in range(3)])
    outbox.close()
    with closing(sqlite3.connect(tmp_path / "o.db")) as db:
        db.executescript(
            "DROP TRIGGER entry_added; DROP TRIGGER entry_removed; DROP TABLE counts; DROP INDEX ids_by_number"
        )
    again = open_outbox(options, project="p")
    assert again.count() == 3
    again.put(key, [Message("user", "one more")])
    assert again.count() == 4
    assert open_outbox(options, project="another").count() == 0


def test_a_long_queue_in_memory_is_delivered_without_walking_through_it() -> None:
    class Queue(deque[OutboxEntry]):
        @override
        def __iter__(self) -> Iterator[OutboxEntry]:
            raise AssertionError("walked through")

    outbox, key = MemoryOutbox(limit=10_000), ConversationKey("1", "ada", None)
    taken = outbox.put(key, [Message("user", f"{n}") for n in range(10)])
    outbox._queues[key] = Queue(taken)
    while not outbox.is_empty(key):
        entry = outbox.next(key)
        assert entry is not None
        outbox.done(key, entry, SessionCursor())
    assert outbox.count() == 0

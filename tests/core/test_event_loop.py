"""Nothing of the package blocks the event loop: all tests run under a detector."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing, suppress

import pytest

from recallrai_integrations import DeliveryOptions, OutboxError, connect
from recallrai_integrations.outbox import database
from recallrai_integrations.outbox.file import FileOutbox


@pytest.mark.parametrize("mode", ["inline", "background"])
async def test_a_file_outbox_is_not_touched_on_the_event_loop(make_connection, server, call, tmp_path, mode):
    deliver = {"outbox": tmp_path / "outbox.db", "retries": 0, "mode": mode}
    connection = make_connection(deliver=deliver)
    conversation = connection.conversation("ada", "t")
    server.faults.add(status=503)
    await call(conversation.record, ("user", "hi"))
    await call(conversation.history)
    server.faults.clear()
    assert await call(connection.flush) == 0  # the service is back, which is told and looked into
    await call(conversation.recall)
    await call(conversation.record, ("assistant", "hello"))
    await call(conversation.finish)
    assert await call(connection.close) == 0


async def test_a_file_outbox_that_is_left_full_is_closed_off_the_event_loop(
    make_connection, server, call, tmp_path
):
    connection = make_connection(deliver={"outbox": tmp_path / "outbox.db", "retries": 0})
    server.faults.add(status=503)
    await call(connection.conversation("ada", "t").record, ("user", "hi"))
    assert await call(connection.close) == 1


async def test_an_outbox_file_that_another_process_has_locked_is_waited_for_off_the_loop(
    tmp_path, monkeypatch
):
    file = tmp_path / "outbox.db"
    FileOutbox(file, project="p", limit=10).close()
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with monkeypatch.context() as patched:
            patched.setattr(database, "connect", lambda _: pytest.fail("the file was opened on the loop"))
            outbox = FileOutbox(file, project="p", limit=10)
    assert await asyncio.to_thread(outbox.count) == 0
    await asyncio.to_thread(outbox.close)


def test_an_outbox_file_that_cannot_be_used_is_an_error_at_once_elsewhere(tmp_path):
    with pytest.raises(OutboxError):
        FileOutbox(tmp_path, project="p", limit=10)


async def test_an_outbox_file_that_cannot_be_used_is_an_error_at_the_first_use_on_a_loop(service, tmp_path):
    connection = connect(**service, delivery=DeliveryOptions(outbox=tmp_path))
    with pytest.raises(OutboxError):
        await connection.conversation("ada", "t").arecord(("user", "hi"))
    with suppress(OutboxError):
        await connection.aclose()

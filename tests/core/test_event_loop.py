"""Nothing of the package blocks the event loop: `call` runs each async call under a detector."""

from __future__ import annotations

import pytest


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

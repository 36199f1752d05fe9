"""What grows while the service hangs or messages wait: nothing that a turn has to pay for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from recallrai_integrations import Connection, ServiceUnavailableError
from recallrai_integrations.local import LocalRecallrAI

Call = Callable[..., Awaitable[Any]]
Make = Callable[..., Connection]

_BOUND = 40
"""Threads or tasks that a connection may hold whatever the service does: late recalls, deliveries, instructions."""


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
    with pytest.raises(ServiceUnavailableError, match="earlier recalls still wait"):
        await call(conversation.recall)
    server.faults.clear()

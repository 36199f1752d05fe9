"""The circuit breaker: when a service that fails is left alone, and how it is found again."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from recallrai_integrations import Connection
from recallrai_integrations._engine import breaker as module
from recallrai_integrations._engine.breaker import CircuitBreaker, CircuitOpenError, Pauses
from recallrai_integrations.local import LocalRecallrAI

Call = Callable[..., Awaitable[Any]]


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time of the breakers."""
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def refused(breaker: CircuitBreaker) -> bool:
    try:
        breaker.check()
    except CircuitOpenError:
        return True
    return False


def test_pauses_double_up_to_the_longest_and_begin_anew_after_a_success() -> None:
    pauses = Pauses(30.0)
    assert [pauses.next() for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]
    pauses.reset()
    assert pauses.next() == 1
    assert Pauses(0.2).next() == 0.2


def test_the_service_is_probed_after_a_second_and_less_often_only_while_probes_fail(clock: Clock) -> None:
    breaker, waited = CircuitBreaker(2, 5.0), list[float]()
    breaker.fail()
    assert not refused(breaker)
    breaker.fail()
    for _ in range(4):
        waited.append(breaker.seconds_left())
        clock.now += waited[-1] - 0.01
        assert refused(breaker)
        clock.now += 0.01
        breaker.fail(breaker.enter())
    assert waited == pytest.approx([1, 2, 4, 5])
    clock.now += 5.0
    breaker.enter()
    breaker.succeed()
    for _ in range(2):
        assert not refused(breaker)
        breaker.fail()
    assert breaker.seconds_left() == 1.0


def test_one_request_at_a_time_is_the_probe(clock: Clock) -> None:
    breaker = CircuitBreaker(1, 30.0)
    breaker.fail()
    clock.now += 1.0
    probe = breaker.enter()
    assert probe is not None
    with pytest.raises(CircuitOpenError):
        breaker.enter()
    breaker.abandon(None)  # what another request does changes nothing
    breaker.fail()
    assert refused(breaker)
    breaker.abandon(probe)
    assert breaker.enter() is not None


def test_a_probe_that_hangs_for_the_longest_pause_makes_room_for_another(clock: Clock) -> None:
    breaker = CircuitBreaker(1, 30.0)
    breaker.fail()
    clock.now += 1.0
    hanging = breaker.enter()
    clock.now += 30.0
    assert breaker.enter() not in {None, hanging}
    breaker.fail(hanging)
    assert breaker.seconds_left() == 0.0, "the older one's failure says nothing of the newer one"
    breaker.succeed()
    assert not refused(breaker)


def test_a_missed_deadline_counts_as_a_failure_and_a_late_answer_as_a_success(clock: Clock) -> None:
    breaker = CircuitBreaker(2, 30.0)
    breaker.miss()
    breaker.succeed()
    breaker.miss()
    assert not refused(breaker)
    breaker.miss()
    assert refused(breaker)
    clock.now += 1.0
    breaker.enter()
    breaker.miss()
    assert breaker.seconds_left() == 2.0
    breaker.miss()
    assert breaker.seconds_left() == 2.0, "turns that began before the pause do not make it longer"


@pytest.mark.parametrize("path", ["*/sessions*", "*/context"], ids=["store", "recall"])
async def test_memory_is_back_with_the_first_probe_after_an_outage(
    make_connection: Callable[..., Connection],
    server: LocalRecallrAI,
    call: Call,
    clock: Clock,
    path: str,
) -> None:
    connection = make_connection(deliver={"retries": 0})
    conversation = connection.conversation("ada", "t1")
    await call(conversation.record, ("user", "hi"))
    server.faults.add(status=503, path=path)
    for _ in range(6):
        await call(conversation.record, ("user", "hello"))
        assert (await call(conversation.recall)).degraded
    seen = len(server.requests)
    assert (await call(conversation.recall)).degraded
    assert not [one for one in list(server.requests)[seen:] if one.path.endswith("/context")]
    server.faults.clear()
    clock.now += 1.0
    assert not (await call(conversation.recall)).degraded


@pytest.mark.parametrize("colour", ["sync", "async"])
async def test_while_one_request_probes_others_are_refused_without_waiting(
    make_connection: Callable[..., Connection], server: LocalRecallrAI, clock: Clock, colour: str
) -> None:
    connection = make_connection(timeout=30.0, deliver={"retries": 0, "breaker_threshold": 1})
    conversations = [connection.conversation("ada", f"t{n}") for n in range(8)]
    for conversation in conversations:
        conversation.record(("user", "hi"))
    server.faults.add(status=503, path="*/context", times=1)
    assert conversations[0].recall().degraded
    clock.now += 1.0
    server.faults.add(delay=1.0, path="*/context")
    before = len(server.requests)
    if colour == "async":
        recalls = await asyncio.gather(*(one.arecall() for one in conversations))
    else:
        recalls = []
        threads = [
            threading.Thread(target=lambda one=one: recalls.append(one.recall())) for one in conversations
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(one.degraded for one in recalls) == [False] + [True] * 7
    assert sum(one.path.endswith("/context") for one in list(server.requests)[before:]) == 1

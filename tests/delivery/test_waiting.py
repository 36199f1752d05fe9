"""Who waits for whom, and for how long, when the service hangs: reads, closing, the end of the interpreter."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from recallrai import AsyncRecallrAI, RecallrAI

from recallrai_integrations import (
    Connection,
    Conversation,
    DeliveryOptions,
    Event,
    RecallrAIIntegrationError,
    connect,
)
from recallrai_integrations._engine import instructions, runtime
from recallrai_integrations._engine import requests as resilience
from recallrai_integrations.errors import (
    ConnectionClosedError,
    DeadlockError,
    InvalidInputError,
    RequestRejectedError,
)
from recallrai_integrations.local import LocalRecallrAI, running
from tests.conftest import Call

from .conftest import Texts, eventually

Make = Callable[..., Connection]
ADD = {"method": "POST", "path": "*/add-message"}
HANGS = 60.0
LESS = 40.0


@pytest.fixture(autouse=True)
def _short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """For requests that hang when the test's service stops."""
    monkeypatch.setattr(running, "_GRACE_SECONDS", 1)


@pytest.fixture(params=["memory", "file"])
def outbox(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path / "outbox.db" if request.param == "file" else None


# --- reads


async def test_reads_wait_for_no_delivery_that_hangs(
    make_connection: Make, server: LocalRecallrAI, call: Call
) -> None:
    events: list[Event] = []
    connection = make_connection(timeout=HANGS, deliver={"mode": "background", "on_event": events.append})
    conversation = connection.conversation("ada", "t1")
    for text in ("one", "two"):  # two sessions, which are read at the same time
        await call(conversation.record, ("user", text))
        await call(conversation.finish)
    await call(conversation.record, ("user", "three"))
    await call(connection.flush)
    server.faults.add(**ADD, hang=True)
    for number in range(20):
        await call(connection.conversation("bob", f"t{number}").record, ("user", "hangs"))
    eventually(lambda: sum(one.path.endswith("/users/bob/sessions") for one in server.requests) >= 16)
    assert not (await call(conversation.recall)).degraded
    assert [one.content for one in await call(conversation.history)] == ["one", "two", "three"]
    assert "degraded" not in [event.kind for event in events], "by then the deliveries had given up"
    assert await call(connection.close, timeout=0) == 20


def suppressed(function: Callable[[], object]) -> None:
    with suppress(RecallrAIIntegrationError):
        function()


@pytest.fixture
def few_connections(server: LocalRecallrAI, monkeypatch: pytest.MonkeyPatch) -> Iterator[FewConnections]:
    with monkeypatch.context() as patch:
        patch.setattr(resilience, "_WRITES_AT_ONCE", 3)
        few = FewConnections(server)
    yield few
    server.stop()  # ends what hangs
    for thread in few.threads:
        thread.join()
    few.sync._http.client.close()


class FewConnections:
    """A connection whose clients open five sockets at most, and which writes they have begun."""

    def __init__(self, server: LocalRecallrAI) -> None:
        arguments = {"api_key": server.api_key, "project_id": server.project_id, "base_url": server.base_url}
        self.sync, self.asynchronous = sync, asynchronous = (
            RecallrAI(**arguments),
            AsyncRecallrAI(**arguments),
        )
        self.writes: list[str] = []
        self.threads: list[threading.Thread] = []
        headers = sync._http.client.headers
        sync._http.client.close()
        limits = httpx.Limits(max_connections=5)
        sync._http.client = httpx.Client(
            headers=headers, timeout=HANGS, limits=limits, event_hooks={"request": [self._note]}
        )
        asynchronous._http._client = httpx.AsyncClient(
            headers=headers, timeout=HANGS, limits=limits, event_hooks={"request": [self._anote]}
        )
        self.connection = connect(client=sync, async_client=asynchronous)
        self.conversations = [self.connection.conversation("ada", f"t{number}") for number in range(6)]
        for conversation in self.conversations:
            conversation.record(("user", "hi"))
        self.writes.clear()
        server.faults.add(**ADD, hang=True)

    def _note(self, request: httpx.Request) -> None:
        if request.url.path.endswith("/add-message"):
            self.writes.append(request.url.path)

    async def _anote(self, request: httpx.Request) -> None:
        self._note(request)


def test_writes_of_threads_that_hang_leave_connections_for_a_recall(few_connections: FewConnections) -> None:
    recalling, *others = few_connections.conversations

    def record(conversation: Conversation) -> None:
        with suppress(ConnectionClosedError):  # closed meanwhile
            conversation.record(("user", "hangs"))

    few_connections.threads = threads = [threading.Thread(target=record, args=[one]) for one in others]
    for thread in threads:
        thread.start()
    eventually(lambda: len(few_connections.writes) >= 3)
    assert not recalling.recall().degraded
    assert all(thread.is_alive() for thread in threads), "by then writes had given up"
    assert few_connections.connection.close(timeout=0) == 5


async def test_writes_of_tasks_that_hang_leave_connections_for_a_recall(
    few_connections: FewConnections,
) -> None:
    recalling, *others = few_connections.conversations
    tasks = [asyncio.create_task(one.arecord(("user", "hangs"))) for one in others]
    await asyncio.to_thread(eventually, lambda: len(few_connections.writes) >= 3)
    assert not (await recalling.arecall()).degraded
    assert not any(task.done() for task in tasks), "by then writes had given up"
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert await few_connections.connection.aclose(timeout=0) == 5
    await few_connections.asynchronous.close()


# --- a sync call on the thread of an event loop


@pytest.mark.parametrize("used", ["record", "recall", "flush", "flush_all", "close"])
async def test_a_sync_call_that_an_async_one_of_its_loop_would_keep_waiting_for_ever_says_so(
    make_connection: Make, server: LocalRecallrAI, texts: Texts, used: str, caplog: pytest.LogCaptureFixture
) -> None:
    connection = make_connection()
    conversations = [connection.conversation("ada", f"t{number}") for number in range(2)]
    server.faults.add(**ADD, delay=1)
    tasks = [asyncio.create_task(one.arecord(("user", "hi"))) for one in conversations]
    await asyncio.sleep(0.01)
    calls: dict[str, Callable[[], object]] = {
        "record": lambda: conversations[0].record(("user", "too soon")),
        "recall": conversations[0].recall,
        "flush": conversations[0].flush,
        "flush_all": connection.flush,
    }
    if used == "close":
        assert connection.close() == 2
        assert "Await the async method" in caplog.text
        await asyncio.gather(*tasks, return_exceptions=True)
        return
    with pytest.raises(DeadlockError, match="Await the async method"):
        calls[used]()
    await asyncio.gather(*tasks)
    calls[used]()
    assert set(texts()) == {"hi"} | ({"too soon"} if used == "record" else set[str]())


async def test_a_sync_call_behind_an_async_one_that_waits_for_a_worker_says_so(
    make_connection: Make, server: LocalRecallrAI, texts: Texts
) -> None:
    connection = make_connection(deliver={"mode": "background"})
    conversation = connection.conversation("ada", "t1")
    await conversation.arecord(("user", "hi"))
    await connection.aflush()
    server.faults.add(**ADD, delay=1)
    await conversation.arecord(("user", "slow"))
    await asyncio.to_thread(eventually, lambda: conversation._state.lock)
    recalling = asyncio.create_task(conversation.arecall())
    await asyncio.sleep(0.01)
    with pytest.raises(DeadlockError, match="Await the async method"):
        conversation.recall()
    await recalling
    assert texts() == ["hi", "slow"]


async def test_a_sync_call_on_the_thread_of_a_loop_waits_for_other_threads(
    make_connection: Make, server: LocalRecallrAI, texts: Texts
) -> None:
    connection = make_connection(deliver={"mode": "background"})
    conversation = connection.conversation("ada", "t1")
    server.faults.add(**ADD, delay=0.5)
    conversation.record(("user", "hi"))
    assert conversation.flush() == 0
    assert texts() == ["hi"]


async def test_a_sync_call_waits_for_no_write_of_a_task_of_its_loop(
    make_connection: Make, server: LocalRecallrAI, monkeypatch: pytest.MonkeyPatch, texts: Texts
) -> None:
    monkeypatch.setattr(resilience, "_WRITES_AT_ONCE", 1)
    connection = make_connection()
    server.faults.add(**ADD, delay=0.5)
    task = asyncio.create_task(connection.conversation("ada", "t1").arecord(("user", "slow")))
    await asyncio.sleep(0.1)
    connection.conversation("ada", "t2").record(("user", "sync"))
    await task
    assert set(texts()) == {"slow", "sync"}


# --- flush and close


@pytest.mark.parametrize("timeout", ["x", -1, float("nan"), float("inf"), True])
async def test_a_timeout_that_is_none_is_refused_and_nothing_is_closed(
    connection: Connection, call: Call, timeout: float
) -> None:
    for method in (connection.flush, connection.close):
        with pytest.raises(InvalidInputError, match="timeout must be"):
            await call(method, timeout=timeout)
    assert not connection.closed


async def test_flush_delivers_a_conversation_beside_others_that_hang(
    make_connection: Make, server: LocalRecallrAI, texts: Texts, call: Call
) -> None:
    connection = make_connection(timeout=HANGS, deliver={"retries": 0})
    server.faults.add(status=503)
    for number in range(4):
        await call(connection.conversation("ada", f"t{number}").record, ("user", str(number)))
    server.faults.clear()
    server.faults.add(**ADD, hang=True, times=3)
    assert await call(connection.flush, timeout=3) == 3
    assert len(texts()) == 1
    left = await call(connection.close, timeout=0)
    assert left in {2, 3}, "a worker that waited for its turn may get one more through at last"


@pytest.mark.parametrize(
    ("mode", "deadline", "when"),
    [("inline", None, "before"), ("background", 0, "before"), ("background", 0.5, "after")],
)
async def test_closing_is_bounded_and_what_is_left_is_told_and_kept_in_a_file(  # noqa: PLR0917 - fixtures
    make_connection: Make,
    server: LocalRecallrAI,
    texts: Texts,
    call: Call,
    mode: str,
    deadline: float | None,
    when: str,
    outbox: Path | None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(runtime, "_CLOSE_PATIENCE", 0.2)
    options = {"mode": mode, "retries": 0, "outbox": outbox, "settling_time": 0.1}
    connection = make_connection(timeout=HANGS, deliver=options)
    server.faults.add(**ADD, status=503, times=4 * (mode == "inline"))
    server.faults.add(**ADD, hang=True, when=when)
    for number in range(4):
        await call(connection.conversation("ada", f"t{number}").record, ("user", str(number)))
    started = time.monotonic()
    left = await call(connection.close, timeout=deadline)
    assert left == 4 or when == "after"  # a cancelled delivery looks whether it arrived
    assert time.monotonic() - started < LESS
    assert connection.closed
    told = "could not be delivered and are lost" if outbox is None else "stay in the outbox"
    assert not left or f"{left} messages {told}" in caplog.text
    server.faults.clear()
    if outbox is not None:
        following = make_connection(deliver=options)
        while await call(following.flush):
            pass  # what got no answer settles first
        assert sorted(texts()) == ["0", "1", "2", "3"]


async def test_a_task_in_a_request_has_its_answer_although_the_connection_is_closed(
    make_connection: Make, server: LocalRecallrAI, texts: Texts, call: Call
) -> None:
    connection = make_connection()
    conversation = connection.conversation("ada", "t1")
    await conversation.arecord(("user", "one"))
    server.faults.add(**ADD, delay=1)
    recording = asyncio.create_task(conversation.arecord(("user", "two")))
    await asyncio.sleep(0.3)
    assert await call(connection.close, timeout=0) == 1
    await recording
    assert texts() == ["one", "two"]


async def test_closing_goes_on_as_long_as_messages_get_through(
    make_connection: Make, server: LocalRecallrAI, texts: Texts, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "_CLOSE_PATIENCE", 3.0)
    connection = make_connection(deliver={"mode": "background"})
    server.faults.add(**ADD, delay=0.5)
    said = [str(number) for number in range(10)]
    await call(connection.conversation("ada", "t1").record, [("user", text) for text in said])
    assert await call(connection.close) == 0
    assert texts() == said


@pytest.mark.parametrize("threads_can_be_started", [True, False])
@pytest.mark.parametrize("mode", ["inline", "background"])
def test_the_interpreter_exits_although_the_service_hangs(
    server: LocalRecallrAI, mode: str, threads_can_be_started: bool
) -> None:
    server.faults.add(**ADD, status=503, times=int(mode == "inline"))
    server.faults.add(**ADD, hang=True)
    program = f"""
        import atexit, threading
        from recallrai_integrations import connect, DeliveryOptions
        from recallrai_integrations._engine import runtime

        def refuse(thread):
            raise RuntimeError("can't start new thread at interpreter shutdown")  # Python 3.12 and newer

        runtime._CLOSE_PATIENCE = 0.5
        one = connect(api_key={server.api_key!r}, project_id={server.project_id!r}, timeout={HANGS},
                      base_url={server.base_url!r}, delivery=DeliveryOptions(mode={mode!r}, retries=0))
        one.conversation("ada", "t1").record(("user", "hi"))
        if not {threads_can_be_started}:
            atexit.register(setattr, threading.Thread, "start", refuse)
        """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        check=False,
        capture_output=True,
        text=True,
        timeout=LESS,
    )
    assert done.returncode == 0
    assert "1 message could not be delivered" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("mode", ["inline", "background"])
@pytest.mark.parametrize("on_error", ["degrade", "raise"])
async def test_while_the_account_has_no_balance_what_is_stored_can_be_read(  # noqa: PLR0917 - fixtures
    make_connection: Make, server: LocalRecallrAI, call: Call, texts: Texts, mode: str, on_error: str
) -> None:
    connection = make_connection(deliver={"mode": mode, "on_error": on_error})
    conversation = connection.conversation("ada", "t1")
    await call(conversation.record, ("user", "I moved to Lisbon."))
    await call(conversation.flush)
    server.faults.add(status=402, method="POST")
    for known in (conversation, make_connection(deliver={"mode": mode}).conversation("ada", "t1")):
        with suppress(RequestRejectedError):
            await call(known.record, ("user", "Where do I live?"))
        recall = await call(known.recall)
        assert recall.degraded
        assert "Lisbon" in recall.text
        said = [one.content for one in await call(known.history)]
        assert said == ["I moved to Lisbon.", "Where do I live?"]
    exported = [line async for line in connection.aexport("ada")]
    assert [line["type"] for line in exported] == ["user", "session", "session"]
    server.faults.clear()
    await call(connection.flush)
    assert texts()[:2] == ["I moved to Lisbon.", "Where do I live?"]


async def test_closing_waits_no_longer_than_it_may_for_instructions_that_hang(
    make_connection: Make, server: LocalRecallrAI, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instructions, "_SETTLE_SECONDS", 3600.0)
    connection = make_connection(timeout=600.0)
    conversation = connection.conversation("ada", "t1")
    await call(conversation.record, ("user", "hi"))
    server.faults.add(hang=True, path="*system-prompt")
    connection.runtime.instructions.start("low_latency")
    assert await call(connection.close, timeout=0.2) == 0, "at all, and not after an hour"
    assert not connection.runtime.instructions.start("low_latency").done()
    server.faults.clear()


async def test_closing_waits_no_longer_than_it_may_for_requests_in_the_embedded_service(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "_GRACE_SECONDS", 15)
    connection = connect(local=":memory:", delivery=DeliveryOptions(on_error="raise", retries=0))
    server = connection._server
    assert server is not None
    server.faults.add(delay=10, path="*/context")
    conversation = connection.conversation("ada", "t1")
    await call(conversation.record, ("user", "hi"))
    recalling = threading.Thread(target=lambda: suppressed(conversation.recall), daemon=True)
    recalling.start()
    eventually(lambda: any(server.faults._struck.values()))
    running_server = server._running
    assert await call(connection.close, timeout=0.2) == 0
    assert running_server._thread.is_alive()


async def test_what_a_closed_connection_says_has_a_name_of_its_own(make_connection: Make, call: Call) -> None:
    connection = make_connection()
    conversation = connection.conversation("ada", "t1")
    await call(connection.close)
    for method, *arguments in (
        (conversation.record, ("user", "hi")),
        (conversation.recall,),
        (connection.flush,),
    ):
        with pytest.raises(ConnectionClosedError, match="make another"):
            await call(method, *arguments)

"""An outbox in PostgreSQL: many hosts, a server that fails, and what is said then."""

from __future__ import annotations

import logging
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from bench.postgres import PostgresServer
from recallrai_integrations import Connection, DeliveryOptions, connect
from recallrai_integrations.errors import OutboxError, OutboxUnavailableError
from recallrai_integrations.local import LocalRecallrAI
from recallrai_integrations.outbox import export, init, status

from .conftest import Conversations, Texts, eventually, new_database

Open = Callable[..., Connection]


@pytest.fixture
def own(tmp_path: Path) -> Iterator[PostgresServer]:
    """A server that a test may stop."""
    pytest.importorskip("psycopg", reason='the extra "postgres" is not installed')
    from bench.postgres import programs

    if programs() is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    with PostgresServer() as server:
        yield server


@pytest.fixture
def open_one(server: LocalRecallrAI) -> Iterator[Open]:
    opened = []

    def open_it(url: str, **delivery: object) -> Connection:
        options = DeliveryOptions(outbox=url, retries=0, **delivery)  # type: ignore[arg-type]
        account = {"api_key": server.api_key, "project_id": server.project_id}
        opened.append(connect(**account, base_url=server.base_url, timeout=5.0, delivery=options))
        return opened[-1]

    yield open_it
    for one in opened:
        one.close(timeout=5)


@pytest.mark.parametrize("colour", ["sync", "async"])
async def test_two_hosts_that_open_a_thread_at_once_settle_on_one_session(
    database: str, open_one: Open, conversations: Conversations, colour: str
) -> None:
    import asyncio

    hosts = [open_one(database) for _ in range(4)]
    threads = [one.conversation("ada", "t1") for one in hosts]
    if colour == "async":
        await asyncio.gather(*(one.arecord(("user", f"{n}")) for n, one in enumerate(threads)))
        await asyncio.gather(*(one.aflush() for one in threads))
    else:
        started = [
            threading.Thread(target=one.record, args=(("user", f"{n}"),)) for n, one in enumerate(threads)
        ]
        for thread in started:
            thread.start()
        for thread in started:
            await asyncio.to_thread(thread.join)
        for one in threads:
            await asyncio.to_thread(one.flush)
    (session,) = await asyncio.to_thread(conversations)
    assert sorted(session) == ["0", "1", "2", "3"]
    for one in hosts:
        await one.aclose()


def test_what_a_killed_process_left_is_delivered_by_another_without_a_restart(
    database: str, open_one: Open, server: LocalRecallrAI, texts: Texts, monkeypatch: pytest.MonkeyPatch
) -> None:
    from recallrai_integrations.outbox import postgres

    monkeypatch.setattr(postgres, "LEASE_SECONDS", 1.0)
    monkeypatch.setattr(postgres.PostgresOutbox, "poll_seconds", 0.2)
    living = open_one(database)
    living.conversation("bob", "t1").record(("user", "hello"))
    code = f"""
        import os, signal
        from recallrai_integrations import connect, DeliveryOptions
        from recallrai_integrations.outbox import postgres, SessionCursor
        postgres.LEASE_SECONDS = 1.0
        c = connect(api_key={server.api_key!r}, project_id={server.project_id!r}, base_url={server.base_url!r},
                    delivery=DeliveryOptions(outbox={database!r}))
        conversation = c.conversation("ada", "t1")
        key = conversation.state.key if hasattr(conversation, "state") else None
        from recallrai_integrations.outbox import ConversationKey
        from recallrai_integrations import Message
        key = ConversationKey("t1", "ada", "t1")
        c.runtime.outbox.put(key, [Message("user", "left behind")])
        assert c.runtime.outbox.claim(key, SessionCursor()) is not None
        os.kill(os.getpid(), signal.SIGKILL)
    """
    died = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert died.returncode == -9, died.stderr
    eventually(lambda: texts() == ["left behind"])


def test_while_the_server_is_away_messages_are_kept_in_the_process_and_go_in_order_afterwards(
    own: PostgresServer, open_one: Open, texts: Texts, caplog: pytest.LogCaptureFixture
) -> None:
    url = new_database(own)
    init(url)
    connection = open_one(url, breaker_reset=0.5)
    conversation = connection.conversation("ada", "t1")
    conversation.record(("user", "0"))
    own.stop()
    with caplog.at_level(logging.WARNING, "recallrai_integrations"):
        for number in (1, 2, 3):
            conversation.record(("user", f"{number}"))
        conversation.finish()
        assert conversation.recall().degraded
    told = [one for one in caplog.records if one.name == "recallrai_integrations"]
    assert len(told) == 1, [one.getMessage() for one in told]
    assert "kept in this process" in told[0].getMessage()
    own.start()
    eventually(lambda: texts() == ["0", "1", "2", "3"], 40)
    conversation.record(("user", "4"))
    assert texts() == ["0", "1", "2", "3", "4"]


def test_a_server_that_is_down_at_the_start_holds_up_nobody(
    own: PostgresServer, open_one: Open, texts: Texts
) -> None:
    url = new_database(own)
    init(url)
    own.stop()
    with pytest.raises(OutboxUnavailableError, match=r"127\.0\.0\.1/test_\w+ cannot be reached"):
        open_one(url, on_error="raise")
    connection = open_one(url, breaker_reset=0.5)
    connection.conversation("ada", "t1").record(("user", "early"))
    own.start()
    eventually(lambda: texts() == ["early"], 40)


async def test_on_an_event_loop_a_database_without_an_outbox_is_an_error_at_the_first_use(
    postgres: PostgresServer, open_one: Open
) -> None:
    connection = open_one(new_database(postgres))
    with pytest.raises(OutboxError, match="outbox init"):
        await connection.conversation("ada", "t1").arecord(("user", "hi"))


def test_with_raise_the_message_is_the_callers_again(own: PostgresServer, open_one: Open) -> None:
    url = new_database(own)
    init(url)
    connection = open_one(url, on_error="raise")
    conversation = connection.conversation("ada", "t1")
    conversation.record(("user", "0"))
    own.stop()
    with pytest.raises(OutboxUnavailableError, match="cannot be reached"):
        conversation.record(("user", "1"))
    own.start()

    def flushed() -> bool:
        with suppress(OutboxUnavailableError):
            return connection.flush() == 0
        return False

    eventually(flushed)
    assert [one.content for one in conversation.history()] == ["0"]


def test_a_restart_of_the_server_between_two_messages_is_not_noticed(
    own: PostgresServer, open_one: Open, texts: Texts
) -> None:
    url = new_database(own)
    init(url)
    conversation = open_one(url, on_error="raise").conversation("ada", "t1")
    for number, how in enumerate(("fast", "immediate")):
        conversation.record(("user", f"{number}"))
        own.restart(how)
    conversation.record(("user", "2"))
    assert texts() == ["0", "1", "2"]


def test_errors_name_host_and_database_and_no_password(postgres: PostgresServer, open_one: Open) -> None:
    import psycopg

    url = new_database(postgres)
    with pytest.raises(OutboxError, match=r"no outbox of this release.*outbox init"):
        open_one(url)
    init(url)
    with psycopg.connect(url) as db:
        db.execute("UPDATE recallrai_integrations.format SET version = 99")
    with pytest.raises(OutboxError, match=r"format 99.*format 1"):
        open_one(url)
    with psycopg.connect(url) as db:
        db.execute("UPDATE recallrai_integrations.format SET version = 1")
        db.execute("DO $$ BEGIN CREATE ROLE app LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
        db.execute(f"ALTER DATABASE {url.rpartition('/')[2]} SET default_transaction_read_only = on".encode())
    with pytest.raises(OutboxError, match=r"read-only.*target_session_attrs"):
        open_one(url)
    assert status(url) == list(export(url)) == []
    with psycopg.connect(url, options="-c default_transaction_read_only=off") as db:
        db.execute(f"ALTER DATABASE {url.rpartition('/')[2]} RESET default_transaction_read_only".encode())
    as_app = url.replace("postgres@", "app:s3cret@")
    with pytest.raises(OutboxError, match="--grant"):
        open_one(as_app)
    init(url, grant=["app"])
    open_one(as_app).conversation("ada", "t1").record(("user", "as app"))
    with pytest.raises(OutboxError, match="create it first") as caught:
        open_one(as_app + "x")
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in repr(DeliveryOptions(outbox=as_app))


def test_a_wrong_password_is_named_and_never_printed(own: PostgresServer, open_one: Open) -> None:
    import psycopg

    url = new_database(own)
    init(url)
    with psycopg.connect(url) as db:
        db.execute("CREATE ROLE app LOGIN PASSWORD 'right'")
    rules = own.folder / "data" / "pg_hba.conf"
    rules.write_text("host all app 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n")
    own.restart()
    with pytest.raises(OutboxError, match="refuses the login") as caught:
        open_one(url.replace("postgres@", "app:s3cret@"))
    error: BaseException | None = caught.value
    while error is not None:
        assert "s3cret" not in str(error)
        trace = error.__traceback__
        while trace is not None:
            if "/tests/" not in trace.tb_frame.f_code.co_filename:
                assert "s3cret" not in repr(trace.tb_frame.f_locals), trace.tb_frame
            trace = trace.tb_next
        error = error.__cause__ or error.__context__


def test_status_and_export_tell_what_waits(database: str, server: LocalRecallrAI, open_one: Open) -> None:
    server.faults.add(status=503)
    connection = open_one(database)
    connection.conversation("ada", "t1").record(("user", "waits"))
    (one,) = status(database)
    assert (one.user_id, one.thread_id, one.waiting, one.rejected) == ("ada", "t1", 1, 0)
    (line,) = export(database)
    assert (line["content"], line["kind"], line["rejected"]) == ("waits", "message", None)
    server.faults.clear()
    assert connection.flush() == 0
    assert status(database) == []


def test_forgetting_says_that_the_database_keeps_what_was_deleted_for_a_while(
    database: str, open_one: Open
) -> None:
    connection = open_one(database)
    connection.conversation("ada", "t1").record(("user", "secret"))
    forgotten = connection.forget("ada")
    assert len(forgotten.remains_in) == 1
    assert forgotten.remains_in[0].startswith("postgresql://127.0.0.1/test_")


def test_a_worker_that_wakes_up_after_its_lease_sends_nothing(
    database: str, open_one: Open, texts: Texts
) -> None:
    from recallrai_integrations import Message
    from recallrai_integrations.outbox import ConversationKey, SessionCursor

    late, other = open_one(database), open_one(database)
    conversation = late.conversation("ada", "t1")
    conversation.record(("user", "0"))
    outbox, key = late.runtime.outbox, ConversationKey("t1", "ada", "t1")
    keep = outbox.keep

    def paused(*arguments: object, **named: object) -> None:
        """The process is stopped here; meanwhile its lease ends, and another one delivers."""
        outbox.keep = keep  # type: ignore[method-assign]
        import psycopg

        with psycopg.connect(database) as db:
            db.execute("UPDATE recallrai_integrations.conversations SET lease_until = '-infinity'")
        assert other.runtime.outbox.claim(key, SessionCursor()) is not None
        keep(*arguments, **named)  # type: ignore[arg-type]

    outbox.keep = paused  # type: ignore[method-assign]
    conversation.record(Message("user", "1"))
    assert texts() == ["0"]
    other.runtime.outbox.release(key, other.runtime.outbox.cursor(key, SessionCursor()))
    time.sleep(0)
    assert other.flush() == 0
    assert texts() == ["0", "1"]

"""What waits: the same contract in memory and in a file, and what only a file can do."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timezone
from math import inf
from pathlib import Path

import pytest

from recallrai_integrations import Message
from recallrai_integrations.errors import OutboxError, OutboxFullError
from recallrai_integrations.outbox import (
    ConversationKey,
    ConversationStatus,
    MemoryOutbox,
    Outbox,
    SessionCursor,
    Unconfirmed,
    export,
    owners,
    rows,
    status,
)
from recallrai_integrations.outbox.file import FileOutbox

ADA = ConversationKey("t1", "ada", "t1", {"topic": "food"}, 900)
BOB = ConversationKey("t1", "bob", "t1")
NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
Make = Callable[..., Outbox]


def users(*texts: str) -> list[Message]:
    return [Message("user", text) for text in texts]


def contents(outbox: Outbox, key: ConversationKey) -> list[str | None]:
    return [one.message and one.message.content for one in outbox.waiting(key)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


@pytest.fixture(params=["memory", "file"])
def outbox(request: pytest.FixtureRequest, file: Path) -> Iterator[Outbox]:
    made: Outbox = (
        MemoryOutbox(limit=5) if request.param == "memory" else FileOutbox(file, project="p", limit=5)
    )
    yield made
    made.close()


def deliver_all(outbox: Outbox, key: ConversationKey, cursor: SessionCursor) -> list[str]:
    """Takes everything out, as a delivery does."""
    claimed = outbox.claim(key, cursor)
    assert claimed is not None
    sent = []
    while (waiting := outbox.next(key)) is not None:
        assert outbox.holds(key, waiting)
        if waiting.message is not None:
            sent.append(waiting.message.content)
            claimed.acknowledge(waiting)
        outbox.done(key, waiting, claimed)
        assert not outbox.holds(key, waiting)
    outbox.release(key, claimed)
    return sent


def test_what_was_put_comes_out_in_order_and_once(outbox: Outbox) -> None:
    outbox.put(ADA, users("a", "b"))
    outbox.put(BOB, users("x"))
    outbox.put(ADA, ["process", *users("c")])
    assert contents(outbox, ADA) == ["a", "b", None, "c"]
    assert outbox.count() == 5
    assert outbox.keys() == [ADA, BOB]
    assert deliver_all(outbox, ADA, SessionCursor()) == ["a", "b", "c"]
    assert outbox.keys() == [BOB]
    assert outbox.count() == 1


def test_the_same_id_is_taken_once_also_after_it_was_delivered_and_the_same_text_always(
    outbox: Outbox,
) -> None:
    hi = Message("user", "hi", id="m1")
    assert len(outbox.put(ADA, [hi, hi, *users("ok", "ok")])) == 3
    deliver_all(outbox, ADA, SessionCursor())
    assert outbox.put(ADA, [hi]) == []
    assert len(outbox.put(BOB, [hi])) == 1


def test_what_is_withdrawn_may_be_put_again(outbox: Outbox) -> None:
    hi = Message("user", "hi", id="m1")
    outbox.put(ADA, users("before"))
    outbox.withdraw(ADA, outbox.put(ADA, [hi]))
    assert contents(outbox, ADA) == ["before"]
    assert len(outbox.put(ADA, [hi])) == 1


def test_past_the_limit_nothing_of_a_batch_is_taken(outbox: Outbox) -> None:
    outbox.put(ADA, users("a", "b", "c"))
    with pytest.raises(OutboxFullError, match="outbox_limit=5"):
        outbox.put(BOB, [Message("user", "x", id="x"), *users("y", "z")])
    assert outbox.count() == 3
    assert len(outbox.put(BOB, [Message("user", "x", id="x")])) == 1


def test_what_was_rejected_is_out_of_the_way(outbox: Outbox) -> None:
    outbox.put(ADA, users("a", "b"))
    outbox.claim(ADA, SessionCursor())
    bad = outbox.next(ADA)
    assert bad is not None
    outbox.reject(ADA, bad, "HTTP 422")
    assert contents(outbox, ADA) == ["b"]


def test_a_purge_drops_what_waits_and_no_id_is_taken_again(outbox: Outbox) -> None:
    outbox.put(ADA, [Message("user", "a", id="a"), *users("b")])
    outbox.put(BOB, users("x"))
    assert [one.user_id for one in outbox.keys(user_id="ada")] == ["ada"]
    assert outbox.purge(ADA) == 2
    assert outbox.waiting(ADA) == []
    assert outbox.put(ADA, [Message("user", "a", id="a")]) == []
    assert contents(outbox, BOB) == ["x"]


# --- the file


def make(file: Path, **options: object) -> FileOutbox:
    return FileOutbox(file, **{"project": "p", "limit": 100, **options})  # type: ignore[arg-type]


def test_a_file_keeps_texts_times_ids_and_places_for_the_next_process(file: Path) -> None:
    first = make(file)
    first.put(
        ADA, [Message("assistant", "grüß dich \x00 😀", id="m1", created_at=NOON), *users("b"), "process"]
    )
    cursor = first.claim(ADA, SessionCursor())
    assert cursor is not None
    cursor.enter("s1", stored=0, unreconciled=True)
    cursor.target = SessionCursor(session_id="s0", stored=7)
    waiting = first.next(ADA)
    assert waiting is not None
    assert waiting.message is not None
    cursor.acknowledge(waiting)
    first.done(ADA, waiting, cursor)
    following = first.next(ADA)
    assert following is not None
    cursor.unconfirmed = Unconfirmed(following, 123.5)
    first.release(ADA, cursor)
    recorded = first.waiting(ADA)
    first.close()
    second = make(file)
    assert second.waiting(ADA) == recorded
    (key,) = second.keys()
    assert (key, key.metadata, key.auto_process_after_seconds) == (ADA, {"topic": "food"}, 900)
    assert second.claim(ADA, SessionCursor()) == cursor
    assert waiting.message == Message("assistant", "grüß dich \x00 😀", id="m1", created_at=NOON)
    assert second.put(ADA, [waiting.message]) == []
    second.close()


def test_closing_leaves_no_claim_behind_whatever_is_claimed_at_the_same_moment(tmp_path: Path) -> None:
    for number in range(10):
        outbox = make(tmp_path / f"{number}.db")
        outbox.put(ADA, users("a"))

        def claim_until_closed(outbox: FileOutbox = outbox) -> None:
            with suppress(OutboxError):
                while True:
                    outbox.claim(ADA, SessionCursor())

        worker = threading.Thread(target=claim_until_closed)
        worker.start()
        outbox.close()
        worker.join()
        following = make(tmp_path / f"{number}.db")
        assert following.claim(ADA, SessionCursor()) is not None
        following.close()


def test_projects_in_one_file_never_mix(file: Path) -> None:
    one, two = make(file, project="one"), make(file, project="two", limit=1)
    one.put(ADA, users("for one", "more"))
    two.put(ADA, users("for two"))
    assert (contents(one, ADA), contents(two, ADA)) == (["for one", "more"], ["for two"])
    assert (one.count(), two.count()) == (2, 1)
    one.purge(ADA)
    assert contents(two, ADA) == ["for two"]
    one.close()
    two.close()


def test_a_conversation_by_itself_and_a_thread_of_the_same_key_are_two(file: Path) -> None:
    outbox = make(file)
    outbox.put(ADA, users("thread"))
    outbox.put(ConversationKey("t1", "ada", None), users("alone"))
    assert contents(outbox, ADA) == ["thread"]
    outbox.close()


def test_one_at_a_time_delivers_a_conversation_and_other_conversations_are_free(file: Path) -> None:
    first, second = make(file), make(file)
    first.put(ADA, users("a"))
    first.put(BOB, users("x"))
    assert first.claim(ADA, SessionCursor()) is not None
    assert second.claim(ADA, SessionCursor()) is None
    assert second.next(ADA) is None
    assert second.claim(BOB, SessionCursor()) is not None
    left = SessionCursor(session_id="s1", stored=4)
    first.release(ADA, left)
    assert second.claim(ADA, SessionCursor(session_id="stale")) == left
    first.close()
    second.close()


def test_where_a_conversation_stands_is_kept_before_its_first_message_and_not_by_those_without_the_claim(
    file: Path,
) -> None:
    first, second = make(file), make(file)
    first.put(ADA, users("a"))
    first.claim(ADA, SessionCursor())
    first.keep(ADA, SessionCursor(session_id="s1", stored=0))
    second.keep(ADA, SessionCursor(session_id="other"))
    second.release(ADA, SessionCursor(session_id="other"))
    assert second.claim(ADA, SessionCursor()) is None
    first.release(ADA, SessionCursor(session_id="s1", stored=0))
    taken = second.claim(ADA, SessionCursor())
    assert taken is not None
    assert (taken.session_id, taken.unconfirmed) == ("s1", None)
    first.close()
    second.close()


def in_another_process(file: Path, code: str, **run: object) -> subprocess.CompletedProcess[str]:
    program = (
        "import os, signal\nfrom pathlib import Path\nfrom tests.delivery.test_outbox import *\n"
        + textwrap.dedent(code)
    )
    return subprocess.run(
        [sys.executable, "-c", program, str(file)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=Path(__file__).parents[2],
        **run,  # type: ignore[call-overload]
    )


def test_the_claim_of_a_killed_process_is_free_at_once_and_what_it_was_sending_is_unconfirmed(
    file: Path,
) -> None:
    died = in_another_process(
        file,
        """
        outbox = make(Path(sys.argv[1]))
        outbox.put(ADA, users("a", "b"))
        cursor = outbox.claim(ADA, SessionCursor())
        cursor.enter("s1", stored=0)
        outbox.done(ADA, outbox.next(ADA), cursor)
        cursor.unconfirmed = Unconfirmed(outbox.next(ADA), 123.5)
        outbox.keep(ADA, cursor, synced=False)
        os.kill(os.getpid(), signal.SIGKILL)
        """,
    )
    assert died.returncode == -9, died.stderr
    outbox = make(file)
    cursor = outbox.claim(ADA, SessionCursor())
    assert cursor is not None
    assert cursor.session_id == "s1"
    assert cursor.unconfirmed is not None
    assert (cursor.unconfirmed.entry, cursor.unconfirmed.settled_at) == (outbox.next(ADA), 123.5)
    assert contents(outbox, ADA) == ["b"]
    outbox.close()


HOLDS_A_CLAIM = """
import sys
from pathlib import Path
from tests.delivery.test_outbox import *
outbox = make(Path(sys.argv[1]))
outbox.put(ADA, users("a"))
outbox.claim(ADA, SessionCursor())
print("claimed", flush=True)
sys.stdin.read()
"""


def test_no_clock_takes_a_claim_from_a_living_process(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            HOLDS_A_CLAIM,
            str(file),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "claimed\n"
        for jump in (700.0, -700.0):
            wall, monotonic = time.time() + jump, time.monotonic() + owners.LEASE_SECONDS + 1
            monkeypatch.setattr(time, "time", lambda wall=wall: wall)
            monkeypatch.setattr(time, "monotonic", lambda monotonic=monotonic: monotonic)
            # What psutil tells of a process' start moves with the wall clock.
            monkeypatch.setattr("psutil.Process.create_time", lambda _, wall=wall: wall)
            outbox = make(file)
            assert outbox.claim(ADA, SessionCursor()) is None
            outbox.close()
            monkeypatch.undo()
        holder.kill()
    outbox = make(file)
    assert outbox.claim(ADA, SessionCursor()) is not None
    outbox.close()


def test_a_claim_of_another_container_ends_with_its_lease(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = make(file), make(file)
    first.put(ADA, users("a"))
    first._owner = owners.Owner("x", "another container", owners.boot(), os.getpid(), 0.0)
    assert first.claim(ADA, SessionCursor()) is not None
    assert second.claim(ADA, SessionCursor()) is None
    later = time.monotonic() + owners.LEASE_SECONDS + 1
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert second.claim(ADA, SessionCursor()) is not None
    assert first.next(ADA) is None, "the claim was lost"
    first.close()
    second.close()


def test_after_the_machine_started_again_the_next_message_is_unconfirmed(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = make(file)
    outbox.put(ADA, users("a", "b"))
    assert outbox.claim(ADA, SessionCursor()) is not None
    outbox.keep(ADA, SessionCursor(session_id="s1", stored=0, opening=1.0))
    outbox.close()
    monkeypatch.setattr(owners, "boot", lambda: "another start")
    for _ in range(
        2
    ):  # with the claim in the file, and without: the power may have failed before it was synced
        outbox = make(file)
        cursor = outbox.claim(ADA, SessionCursor())
        assert cursor is not None
        assert cursor.unconfirmed is not None
        assert cursor.unconfirmed.settled_at == inf, "counted from the next look"
        outbox.release(ADA, SessionCursor(session_id="s1", stored=0))
        with sqlite3.connect(file) as db:
            db.execute("UPDATE conversations SET boot = 'an earlier start'")
        db.close()
        outbox.close()


def test_many_threads_and_processes_put_and_deliver_at_once(file: Path) -> None:
    code = """
        outbox = make(Path(sys.argv[1]), limit=100_000)
        lock = threading.Lock()  # as a conversation has one within its process
        def deliver():
            if (cursor := outbox.claim(ADA, SessionCursor())) is None:
                return
            while (waiting := outbox.next(ADA)):
                print(waiting.message.content)
                outbox.done(ADA, waiting, cursor)
            outbox.release(ADA, cursor)
        def work(number):
            for turn in range(20):
                outbox.put(ADA, [Message("user", f"{os.getpid()} {number} {turn}", id=f"{os.getpid()}-{number}-{turn}")])
                with lock:
                    deliver()
        threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        outbox.close()
        """
    outputs: list[subprocess.CompletedProcess[str]] = []
    deliverer = [
        threading.Thread(target=lambda: outputs.append(in_another_process(file, code))) for _ in range(3)
    ]
    for worker in deliverer:
        worker.start()
    for worker in deliverer:
        worker.join()
    assert [one.stderr for one in outputs] == [""] * 3
    outbox = make(file)
    taken = [line for one in outputs for line in one.stdout.splitlines()] + [
        str(one) for one in contents(outbox, ADA)
    ]
    assert len(taken) == len(set(taken)) == 3 * 3 * 20
    outbox.close()


def test_a_fork_uses_the_file_by_its_own_connection(file: Path) -> None:
    forked = in_another_process(
        file,
        """
        outbox = make(Path(sys.argv[1]))
        outbox.put(ADA, users("parent"))
        if (child := os.fork()) == 0:
            outbox.put(ADA, users("child"))
            assert outbox.claim(ADA, SessionCursor()) is not None
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert outbox.claim(ADA, SessionCursor()) is not None
        outbox.close()
        """,
    )
    assert forked.returncode == 0, forked.stderr
    outbox = make(file)
    assert contents(outbox, ADA) == ["parent", "child"]
    outbox.close()


def test_what_a_fork_puts_after_its_parent_has_closed_the_file_is_kept(file: Path) -> None:
    forked = in_another_process(
        file,
        """
        outbox = make(Path(sys.argv[1]))
        outbox.put(ADA, users("parent"))
        closed, tell = os.pipe()
        if (child := os.fork()) == 0:
            outbox.put(ADA, users("child"))
            os.read(closed, 1)
            outbox.put(ADA, users("later"))
            os._exit(0)
        while outbox.count() == 1:
            time.sleep(0.01)
        outbox.close()
        os.write(tell, b"!")
        assert os.waitpid(child, 0)[1] == 0
        """,
    )
    assert forked.returncode == 0, forked.stderr
    outbox = make(file)
    assert contents(outbox, ADA) == ["parent", "child", "later"]
    outbox.close()


def test_a_fork_in_the_middle_of_a_write_can_use_the_file(file: Path) -> None:
    forked = in_another_process(
        file,
        """
        from recallrai_integrations.outbox import database, rows

        def slow(*arguments, **options):
            writing.set()
            time.sleep(0.5)
            return insert(*arguments, **options)

        database.BUSY_SECONDS = 2.0
        outbox, writing = make(Path(sys.argv[1])), threading.Event()
        insert, rows.insert = rows.insert, slow
        writer = threading.Thread(target=outbox.put, args=(ADA, users("parent")))
        writer.start()
        writing.wait()
        if (child := os.fork()) == 0:
            outbox.put(ADA, users("child"))
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        writer.join()
        assert contents(outbox, ADA) == ["parent", "child"]
        outbox.close()
        """,
    )
    assert forked.returncode == 0, forked.stderr


def test_old_conversations_in_which_nothing_waits_are_forgotten_with_their_ids(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = make(file)
    outbox.put(BOB, users("waits"))
    outbox.put(ADA, [Message("user", "a", id="a")])
    deliver_all(outbox, ADA, SessionCursor())
    outbox.close()
    later = time.time() + 31 * 24 * 3600
    monkeypatch.setattr(time, "time", lambda: later)
    outbox = make(file)
    assert outbox.keys(user_id="ada") == []
    assert contents(outbox, BOB) == ["waits"]
    outbox.close()


def test_only_so_many_ids_are_kept(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "IDS_PER_CONVERSATION", 3)
    outbox = make(file)
    outbox.put(ADA, [Message("user", "x", id=str(n)) for n in range(5)])
    again = outbox.put(ADA, [Message("user", "x", id=str(n)) for n in (4, 3, 2, 1)])
    assert [one.message and one.message.id for one in again] == ["1"]
    outbox.close()


def test_a_purged_text_is_nowhere_in_the_file(file: Path) -> None:
    outbox = make(file)
    outbox.put(ADA, [Message("user", "my secret is a rose", id="m1")])
    assert any(b"a rose" in path.read_bytes() for path in file.parent.iterdir())
    cursor = outbox.claim(ADA, SessionCursor())
    assert cursor is not None
    waiting = outbox.next(ADA)
    assert waiting is not None
    cursor.unconfirmed = Unconfirmed(waiting, 0.0)
    outbox.release(ADA, cursor)
    outbox.purge(ADA)
    assert outbox.erase() == ()
    assert not any(b"a rose" in path.read_bytes() for path in file.parent.iterdir())
    outbox.close()


def test_status_and_export_tell_what_waits_and_what_was_rejected(file: Path) -> None:
    outbox = make(file)
    outbox.put(ADA, [Message("user", "bad", id="m1", created_at=NOON), *users("good"), "process"])
    outbox.put(ADA, ["clear"])
    outbox.put(BOB, users("x"))
    outbox.claim(ADA, SessionCursor())
    bad = outbox.next(ADA)
    assert bad is not None
    outbox.reject(ADA, bad, "HTTP 422")
    outbox.claim(BOB, SessionCursor())
    delivered = outbox.next(BOB)
    assert delivered is not None
    outbox.done(BOB, delivered, SessionCursor())
    outbox.release(BOB, SessionCursor())
    oldest = outbox.waiting(ADA)[0].recorded_at
    assert status(file) == [ConversationStatus("p", "ada", "t1", waiting=3, oldest=oldest, rejected=1)]
    lines = list(export(file))
    assert [(one["kind"], one["content"], one["rejected"]) for one in lines] == [
        ("message", "bad", "HTTP 422"),
        ("message", "good", None),
        ("process", None, None),
        ("clear", None, None),
    ]
    assert (lines[0]["id"], lines[0]["said_at"], lines[0]["user_id"]) == ("m1", NOON.isoformat(), "ada")
    outbox.close()


def damaged(file: Path) -> None:
    outbox = make(file)
    outbox.put(ADA, users(*(f"message {n} " + "x" * 500 for n in range(90))))
    outbox.close()
    whole = bytearray(file.read_bytes())
    whole[4096 * 4 : 4096 * 12] = os.urandom(4096 * 8)
    file.write_bytes(whole)


def newer(file: Path) -> None:
    make(file).close()
    with sqlite3.connect(file) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()


def foreign(file: Path) -> None:
    with sqlite3.connect(file) as db:
        db.execute("CREATE TABLE recipes (name TEXT)")
    db.close()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (
            lambda file: file.write_text("this is no database, it is a letter " * 100),
            "no SQLite file.*move it away",
        ),
        (damaged, "damaged.*recover"),
        (newer, "format 99.*outbox flush"),
        (foreign, "another program.*another file"),
        (lambda file: file.mkdir(), "folder"),
    ],
)
def test_an_unusable_file_is_named_with_a_remedy_and_left_as_it_was(
    file: Path, spoil: Callable[[Path], object], said: str
) -> None:
    spoil(file)
    before = file.read_bytes() if file.is_file() else b""
    for use in (make, status, lambda path: list(export(path))):
        with pytest.raises(OutboxError, match=said) as caught:
            use(file)
        assert str(file) in str(caught.value)
    assert (file.read_bytes() if file.is_file() else b"") == before


def test_of_a_damaged_file_all_is_exported_that_can_be_read_before_the_error(file: Path) -> None:
    outbox = make(file, limit=1000)
    said = [f"message {n} " + "x" * 500 for n in range(200)]
    outbox.put(ADA, users(*said))
    outbox.close()
    whole = bytearray(file.read_bytes())
    hurt = whole.index(b"message 100 ") // 4096 * 4096
    whole[hurt : hurt + 4096] = b"\xff" * 4096
    file.write_bytes(whole)
    read = []
    with pytest.raises(OutboxError, match=r"damaged.*recover"):
        read.extend(one["content"] for one in export(file))
    assert read == [text for text in said if text in read]
    assert 180 < len(read) < 200
    assert (said[0] in read, said[100] in read, said[-1] in read) == (True, False, True)


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("writable", [False, True])
def test_looking_needs_no_right_to_write_and_leaves_the_files_as_they_were(
    file: Path, *, killed: bool, writable: bool
) -> None:
    outbox = make(file)
    outbox.put(ADA, users("a", "b"))
    alive = {one: one.read_bytes() for one in file.parent.iterdir() if not one.name.endswith("-shm")}
    outbox.close()
    if killed:  # and moved elsewhere, without what SQLite needs beside a log to read it
        for path, content in alive.items():
            path.write_bytes(content)
    before = {one: one.read_bytes() for one in file.parent.iterdir()}
    assert len(before) == 1 + killed
    if writable:
        looked = f"{status(file)[0].waiting} {[one['content'] for one in export(file)]}"
    else:
        looked = read_only(file, "print(status(file)[0].waiting, [one['content'] for one in export(file)])")
    assert looked.strip() == "2 ['a', 'b']"
    assert {one: one.read_bytes() for one in before} == before
    assert [one.name for one in file.parent.iterdir() if one not in before] in ([], ["outbox.db-shm"])


def read_only(file: Path, code: str) -> str:
    """What code prints in a process that may only read the file and its folder."""
    modes = {file: 0o444, file.parent: 0o555}
    for path, mode in modes.items():
        path.chmod(mode)
    for folder in file.parents[1 : len(file.parents) - len(Path(tempfile.gettempdir()).parents) - 1]:
        folder.chmod(folder.stat().st_mode | 0o055)
    nobody = "file = Path(sys.argv[1])\nif os.getuid() == 0:\n    os.seteuid(65534)\n"
    ended = in_another_process(file, nobody + textwrap.dedent(code))
    for path in modes:
        path.chmod(0o755)
    assert ended.returncode == 0, ended
    return ended.stdout


def test_in_an_empty_file_nothing_waits_and_looking_leaves_it_empty(file: Path) -> None:
    file.touch()
    assert status(file) == list(export(file)) == []
    assert file.read_bytes() == b""
    assert list(file.parent.iterdir()) == [file]


def test_a_missing_folder_and_a_missing_file_are_told(tmp_path: Path) -> None:
    with pytest.raises(OutboxError, match="create the folder"):
        make(tmp_path / "nowhere" / "outbox.db")
    with pytest.raises(OutboxError, match="no outbox"):
        status(tmp_path / "outbox.db")
    assert list(tmp_path.iterdir()) == []


def test_a_read_only_file_is_told(file: Path) -> None:
    outbox = make(file)
    outbox.put(ADA, users("a"))
    outbox.close()
    told = read_only(
        file,
        """
        try:
            make(file)
        except OutboxError as error:
            print(error)
        """,
    )
    assert "read-only" in told, told
    outbox = make(file)
    assert contents(outbox, ADA) == ["a"]
    outbox.close()


def test_a_full_disk_is_told_and_what_was_in_the_file_is_still_there(file: Path) -> None:
    outbox = make(file, limit=10**6)
    outbox.put(ADA, users("before"))
    outbox._writer.execute(
        f"PRAGMA max_page_count = {outbox._writer.execute('PRAGMA page_count').fetchone()[0] + 3}"
    )
    with pytest.raises(OutboxError, match="make room"):
        outbox.put(ADA, users("x" * 100_000))
    assert contents(outbox, ADA) == ["before"]
    outbox._writer.execute("PRAGMA max_page_count = 100000")
    outbox.put(ADA, users("after"))
    assert contents(outbox, ADA) == ["before", "after"]
    outbox.close()


FORMAT_1 = """
CREATE TABLE conversations (pk INTEGER PRIMARY KEY, project TEXT NOT NULL, user_id TEXT NOT NULL, thread_id TEXT,
    key TEXT NOT NULL, metadata TEXT NOT NULL, auto_process_after_seconds INTEGER NOT NULL, used_at REAL NOT NULL,
    place TEXT, boot TEXT NOT NULL, owner TEXT, machine TEXT, pid INTEGER, started REAL, lease_until REAL);
CREATE UNIQUE INDEX conversations_by_key ON conversations (project, user_id, key, thread_id IS NULL);
CREATE TABLE entries (seq INTEGER PRIMARY KEY AUTOINCREMENT,
    conversation INTEGER NOT NULL REFERENCES conversations (pk) ON DELETE CASCADE,
    role TEXT, content TEXT, id TEXT, said_at TEXT, recorded_at TEXT NOT NULL);
CREATE INDEX entries_by_conversation ON entries (conversation, seq);
CREATE TABLE rejected (seq INTEGER PRIMARY KEY,
    conversation INTEGER NOT NULL REFERENCES conversations (pk) ON DELETE CASCADE,
    role TEXT, content TEXT, id TEXT, said_at TEXT, recorded_at TEXT NOT NULL, reason TEXT NOT NULL,
    rejected_at TEXT NOT NULL);
CREATE TABLE ids (conversation INTEGER NOT NULL REFERENCES conversations (pk) ON DELETE CASCADE,
    id TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (conversation, id)) WITHOUT ROWID;
PRAGMA application_id = 0x5241494F;
PRAGMA user_version = 1;
"""


@pytest.mark.parametrize("words", [("doubt", "unsettled"), ("unconfirmed", "unreconciled")])
def test_what_waits_in_a_file_of_format_1_is_migrated(file: Path, words: tuple[str, str]) -> None:
    said = NOON.isoformat()
    place = {"session_id": "s1", "stored": 2, "since": said, "sent": {"x": 1}, "target": None, "moved": 0}
    place |= {
        words[0]: {"seq": 1, "recorded_at": said, "role": "user", "content": "a", "id": None},
        words[1]: True,
    }
    with sqlite3.connect(file) as db:
        db.executescript(FORMAT_1)
        db.execute(
            "INSERT INTO conversations VALUES (1, 'p', 'ada', 't1', 't1', '{}', 600, 1e12, ?, ?, 'x', 'm', 1, 1.0, 9e99)",
            (json.dumps(place), owners.boot()),
        )
        for role, content in (("user", "a"), (None, None), (None, "clear")):
            db.execute(
                "INSERT INTO entries (conversation, role, content, recorded_at) VALUES (1, ?, ?, ?)",
                (role, content, said),
            )
    db.close()
    assert [line["kind"] for line in export(file)] == ["message", "process", "clear"], (
        "looking changes nothing"
    )
    outbox = make(file)
    assert [(one.kind, one.message and one.message.content) for one in outbox.waiting(ADA)] == [
        ("message", "a"),
        ("process", None),
        ("clear", None),
    ]
    cursor = outbox.claim(ADA, SessionCursor())
    assert cursor is not None
    assert (cursor.session_id, cursor.stored, cursor.sent.total(), cursor.unreconciled) == ("s1", 2, 1, True)
    assert cursor.unconfirmed is not None
    assert (cursor.unconfirmed.entry.seq, cursor.unconfirmed.settled_at) == (1, inf)
    outbox.close()

"""What the steps of an outbox for one recorded message cost, in PostgreSQL and in a file."""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path
from statistics import median

from bench.postgres import PostgresServer, programs
from recallrai_integrations import DeliveryOptions, Message
from recallrai_integrations.outbox import ConversationKey, Outbox, SessionCursor, init, open_outbox

WAITING, WORKERS = 100_000, 64


def run(*, quick: bool) -> list[tuple[str, str]]:
    """Rows of a table; none where PostgreSQL is not installed."""
    if programs() is None:
        return []
    rounds = 20 if quick else 200
    with tempfile.TemporaryDirectory() as folder, PostgresServer() as server:
        init(server.url())
        file = _opened(str(Path(folder) / "outbox.db"))
        database = _opened(server.url())
        in_file = _cycle(file, "ada", rounds)
        in_database = _cycle(database, "ada", rounds)
        waiting = WAITING // 100 if quick else WAITING
        for start in range(0, waiting, 1000):
            database.put(ConversationKey(f"t{start}", "bob", f"t{start}"), [Message("user", "x")] * 1000)
        later = _cycle(database, "ada", rounds)
        started = time.perf_counter()
        threads = [
            threading.Thread(target=_cycle, args=(database, f"user-{number}", rounds // 10))
            for number in range(WORKERS)
        ]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        a_second = WORKERS * (rounds // 10) / (time.perf_counter() - started)
        file.close()
        database.close()
    return [
        ("a recorded message, outbox in a file", f"{in_file * 1000:.1f} ms"),
        ("the same in PostgreSQL", f"{in_database * 1000:.1f} ms, {in_database / in_file:.2f} times"),
        (f"the same while {waiting:,} wait", f"{later * 1000:.1f} ms"),
        (f"messages a second, {WORKERS} threads of one process", f"{a_second:.0f}"),
    ]


def _opened(outbox: str) -> Outbox:
    delivery = DeliveryOptions(outbox=outbox, on_error="raise", outbox_limit=10**7)
    return open_outbox(delivery, project="bench")


def _cycle(outbox: Outbox, user: str, rounds: int) -> float:
    """Median seconds of all that the outbox does for one message."""
    key = ConversationKey("t", user, "t")

    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        _deliver(outbox, key)
        times.append(time.perf_counter() - started)
    return median(times)


def _deliver(outbox: Outbox, key: ConversationKey) -> None:
    outbox.put(key, [Message("user", "I moved to Lisbon.")])
    outbox.is_empty(key)
    cursor = outbox.claim(key, SessionCursor())
    assert cursor is not None
    while (waiting := outbox.next(key)) is not None:
        outbox.keep(key, cursor, synced=False)
        outbox.done(key, waiting, cursor)
    outbox.release(key, cursor)


if __name__ == "__main__":
    for name, value in run(quick=False):
        print(f"{name:<50} {value}")

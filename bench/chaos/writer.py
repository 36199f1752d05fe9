"""An application's process: `python -m bench.chaos.writer FOLDER PORT NUMBER WRITERS CONVERSATIONS TURNS`.

It keeps a journal of the turns it finished and, started again, goes on behind the last one: what it was
doing when it was killed it does again, with the same message ids.
"""

from __future__ import annotations

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from recallrai_integrations import Connection, DeliveryOptions, connect

from .script import said, thread_of, user_of

DEADLINE = 1.0  # seconds
THREADS = 8
MODEL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Turn:
    """A finished turn.

    Args:
        conversation: its number.
        turn: its number in the conversation.
        recalled: seconds that the turn waited for memories.
        recorded: seconds that it took to have question and answer kept, on this machine.
        degraded: whether memories were not fresh.
    """

    conversation: int
    turn: int
    recalled: float
    recorded: float
    degraded: bool


class Journal:
    """Finished turns, one line each."""

    def __init__(self, file: Path) -> None:
        self._file = file.open("ab", buffering=0)
        self._lock = threading.Lock()

    def note(self, done: Turn) -> None:
        times = f"{done.recalled:.6f} {done.recorded:.6f}"
        with self._lock:
            self._file.write(f"{done.conversation} {done.turn} {times} {int(done.degraded)}\n".encode())


def note_stalls(file: Path) -> None:
    """Keeps the longest time for which this process was not let run although it wanted to."""
    longest = 0.0
    while True:
        wanted = time.perf_counter() + 0.02
        time.sleep(0.02)
        late = time.perf_counter() - wanted
        if late > longest:
            longest = late
            file.write_text(f"{longest:.6f}")


def read_journal(file: Path) -> list[Turn]:
    lines = file.read_text().splitlines() if file.exists() else []
    rows = [row for row in (line.split() for line in lines) if len(row) == 5]
    return [Turn(int(a), int(b), float(c), float(d), e == "1") for a, b, c, d, e in rows]


def converse(connection: Connection, journal: Journal, number: int, turns: range) -> None:
    conversation = connection.conversation(user_of(number), thread_of(number))
    for turn in turns:
        question, answer = said(number, turn)
        asked = time.perf_counter()
        conversation.record(question)
        kept = time.perf_counter()
        recall = conversation.recall()
        recalled = time.perf_counter() - kept
        time.sleep(MODEL_SECONDS)
        answered = time.perf_counter()
        conversation.record(answer)
        recorded = kept - asked + time.perf_counter() - answered
        journal.note(Turn(number, turn, recalled, recorded, recall.degraded))
        if number % 10 == 0 and turn % 10 == 9:
            conversation.end_run()  # its policy has the session processed: the thread goes on in another


def main(folder: Path, port: int, number: int, writers: int, *sizes: int) -> None:
    conversations, turns = sizes
    file = folder / f"journal-{number}"
    done = {one.conversation: one.turn for one in read_journal(file)}
    journal = Journal(file)
    stalls = folder / f"stall-{number}-{time.time_ns()}"
    threading.Thread(target=note_stalls, args=(stalls,), daemon=True).start()
    connection = connect(
        api_key="rai_local",
        project_id="local",
        base_url=f"http://127.0.0.1:{port}",
        timeout=1.0,
        delivery=DeliveryOptions(
            mode="background",
            outbox=folder / "outbox.db",
            recall_deadline=DEADLINE,
            breaker_reset=1.0,
        ),
    )
    with connection, ThreadPoolExecutor(THREADS) as pool:
        mine = range(number, conversations, writers)
        left = [
            pool.submit(converse, connection, journal, one, range(done.get(one, -1) + 1, turns))
            for one in mine
        ]
        for future in left:
            future.result()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))

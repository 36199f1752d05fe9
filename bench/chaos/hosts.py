"""Eight workers of four hosts over one PostgreSQL: `python -m bench.chaos.hosts '{"url": …}'` is one worker.

Workers are killed and started again, stopped for longer than their claims hold, and the database's server
is restarted and crashed, while a fifth of all requests fails or takes effect late. A worker tries a message
again, with its id, until `record` has returned.
"""

from __future__ import annotations

import itertools
import json
import platform
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from bench.postgres import PostgresServer
from recallrai_integrations import DeliveryOptions, Message, connect
from recallrai_integrations.errors import RecallrAIIntegrationError
from recallrai_integrations.local import LocalRecallrAI
from recallrai_integrations.outbox import init, status

from . import checking
from .service import Chaos, Counts

ROOT = Path(__file__).parents[2]
HOSTS, WORKERS, THREADS = 4, 8, 12
LEASE = 3.0
TIMEOUT, SETTLING = 1.0, 4.0
WRONGS = ("lost", "twice", "out of order")


@dataclass(frozen=True, slots=True)
class Worker:
    """One process: where the service and the outbox are, and what it says."""

    url: str
    outbox: str
    journal: str
    number: int
    count: int


@dataclass
class Report:
    """What was done, and what became of the messages."""

    messages: int = 0
    kills: int = 0
    pauses: int = 0
    restarts: int = 0
    requests: int = 0
    failed: int = 0
    wrong: Counter[str] = field(default_factory=Counter[str])

    @property
    def row(self) -> str:
        figures = ", ".join(f"{self.wrong[wrong]} {wrong}" for wrong in WRONGS)
        return (
            f"{self.messages} messages, {self.kills} kills, {self.pauses} pauses, "
            f"{self.restarts} restarts of PostgreSQL, {self.failed} of {self.requests} requests failed: "
            f"{figures}"
        )


def run(folder: Path, *, count: int, seconds: float = 300.0, seed: int = 0) -> Report:
    """Runs it to its end.

    Raises:
        TimeoutError: it did not end in time.
    """
    report, ends = Report(messages=WORKERS * count), time.monotonic() + seconds
    faults = Chaos(folder, seed)
    with PostgresServer() as postgres, LocalRecallrAI(folder / "service.db", faults=faults) as service:
        init(postgres.url())
        orders = [
            Worker(service.base_url, postgres.url(), str(folder / f"journal-{number}"), number, count)
            for number in range(WORKERS)
        ]
        workers = [_start(order, folder) for order in orders]
        try:
            _disturb(
                report,
                postgres=postgres,
                workers=workers,
                start=lambda number: _start(orders[number], folder),
                seed=seed,
                ends=ends,
            )
        finally:
            for one in workers:
                one.kill()
                one.wait()
        if any(one.returncode for one in workers):
            raise RuntimeError((folder / "worker.log").read_text()[-2000:])
        report.requests, report.failed = Counts(folder).read()
        (folder / "calm").touch()
        while sum(one.waiting for one in status(postgres.url())):
            if time.monotonic() > ends:
                raise TimeoutError("messages still wait although all is well")
            _work(Worker(service.base_url, postgres.url(), str(folder / "last"), WORKERS, 0))
        _judge(report, checking.stored(urlsplit(service.base_url).port or 80), count)
    return report


def _disturb(
    report: Report,
    *,
    postgres: PostgresServer,
    workers: list[subprocess.Popen[bytes]],
    start: Callable[[int], subprocess.Popen[bytes]],
    seed: int,
    ends: float,
) -> None:
    """Disturbs one worker after the other, and the database, until all are through."""
    dice = random.Random(seed)
    for step in itertools.count(1):
        working = [number for number, one in enumerate(workers) if one.poll() is None]
        if not working:
            return
        if time.monotonic() > ends:
            raise TimeoutError("the workers were not through in time")
        time.sleep(0.5)
        victim = dice.choice(working)
        if step % 3 == 0 and report.kills < 2 * WORKERS:
            workers[victim].kill()
            workers[victim].wait()
            workers[victim] = start(victim)
            report.kills += 1
        elif step % 7 == 1 and report.pauses < WORKERS:
            workers[victim].send_signal(signal.SIGSTOP)
            time.sleep(LEASE * 1.7)
            workers[victim].send_signal(signal.SIGCONT)
            report.pauses += 1
        elif step % 10 == 5 and report.restarts < WORKERS:
            postgres.restart(dice.choice(("fast", "immediate")))
            report.restarts += 1


def _judge(report: Report, found: dict[tuple[str, str], checking.Said], count: int) -> None:
    texts = Counter(text for said in found.values() for _, text in said)
    due = Counter(text(number, turn) for number in range(WORKERS) for turn in range(count))
    report.wrong["lost"] = (due - texts).total()
    report.wrong["twice"] = (texts - due).total()
    for said in found.values():
        for number in range(WORKERS):
            own = [one for _, one in said if one.startswith(f"worker {number} ")]
            report.wrong["out of order"] += own != sorted(own)


def text(number: int, turn: int) -> str:
    return f"worker {number} says {turn:05d}"


def _start(order: Worker, folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-W", "ignore", "-m", "bench.chaos.hosts", json.dumps(asdict(order))]
    with (folder / "worker.log").open("ab") as log:
        return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)


def _work(order: Worker) -> None:
    from recallrai_integrations.outbox import postgres

    postgres.LEASE_SECONDS = LEASE  # type: ignore[misc]
    postgres.PostgresOutbox.poll_seconds = LEASE / 3
    platform.node = lambda: f"host-{order.number % HOSTS}"
    journal = Path(order.journal)
    done = int(journal.read_text() or 0) if journal.exists() else 0
    delivery = DeliveryOptions(
        mode="background",
        on_error="raise",
        outbox=order.outbox,
        settling_time=SETTLING,
        breaker_threshold=1_000_000,
        breaker_reset=0.5,
    )
    account = {"api_key": "rai_local", "project_id": "local", "base_url": order.url}
    while True:
        try:
            connection = connect(**account, timeout=TIMEOUT, delivery=delivery)
            break
        except RecallrAIIntegrationError:  # the database is being restarted
            time.sleep(0.2)
    for turn in range(done, order.count):
        thread = turn % THREADS
        conversation = connection.conversation(f"user-{thread % 3}", f"thread-{thread}")
        message = Message("user", text(order.number, turn), id=f"{order.number}-{turn}")
        while True:
            try:
                conversation.record(message)
                break
            except RecallrAIIntegrationError:
                time.sleep(0.2)
        journal.write_text(f"{turn + 1}")
        time.sleep(0.05)
    with suppress(RecallrAIIntegrationError):
        connection.flush()
    connection.close()


if __name__ == "__main__":
    _work(Worker(**json.loads(sys.argv[1])))

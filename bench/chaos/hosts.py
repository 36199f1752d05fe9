"""Eight workers of four hosts over one PostgreSQL: `python -m bench.chaos.hosts '{"url": …}'` is one worker.

Workers are killed and started again, stopped for longer than their claims hold, and the database's server is
restarted and crashed, while a fifth of all requests fails or takes effect late. A worker tries a message again,
with its id, until `record` has returned.
"""

from __future__ import annotations

import json
import platform
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.postgres import PostgresServer
from recallrai_integrations import DeliveryOptions, Message, connect
from recallrai_integrations.errors import RecallrAIIntegrationError
from recallrai_integrations.local import LocalRecallrAI
from recallrai_integrations.outbox import init, status

from . import checking
from .service import Chaos

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
            f"{self.messages} messages, {self.kills} kills, {self.pauses} pauses, {self.restarts} restarts of "
            f"PostgreSQL, {self.failed} of {self.requests} requests failed: {figures}"
        )


def run(folder: Path, *, count: int, seconds: float = 300.0, seed: int = 0) -> Report:
    """Runs it to its end.

    Raises:
        TimeoutError: it did not end in time.
    """
    dice, report, ends = random.Random(seed), Report(messages=WORKERS * count), time.monotonic() + seconds
    with (
        PostgresServer() as postgres,
        LocalRecallrAI(folder / "service.db", faults=Chaos(folder, seed)) as service,
    ):
        init(postgres.url())
        orders = [
            Worker(service.base_url, postgres.url(), str(folder / f"journal-{number}"), number, count)
            for number in range(WORKERS)
        ]
        workers = [_start(order, folder) for order in orders]
        try:
            steps = 0
            while any(one.poll() is None for one in workers):
                if time.monotonic() > ends:
                    raise TimeoutError(f"the workers were not through after {seconds} s")
                time.sleep(0.5)
                steps += 1
                victim = dice.randrange(WORKERS)
                if workers[victim].poll() is not None:
                    continue
                if steps % 3 == 0:
                    workers[victim].kill()
                    workers[victim].wait()
                    workers[victim] = _start(orders[victim], folder)
                    report.kills += 1
                elif steps % 7 == 1:
                    workers[victim].send_signal(signal.SIGSTOP)
                    time.sleep(LEASE * 1.7)
                    workers[victim].send_signal(signal.SIGCONT)
                    report.pauses += 1
                elif steps % 10 == 5:
                    postgres.restart(dice.choice(("fast", "immediate")))
                    report.restarts += 1
            if any(one.returncode for one in workers):
                raise RuntimeError((folder / "worker.log").read_text()[-2000:])
            (folder / "calm").touch()
            while sum(one.waiting for one in status(postgres.url())):
                if time.monotonic() > ends:
                    raise TimeoutError("messages still wait although all is well")
                _work(Worker(service.base_url, postgres.url(), str(folder / "last"), WORKERS, 0))
        finally:
            for one in workers:
                one.kill()
                one.wait()
        report.requests, report.failed = service.faults._counts.read()  # type: ignore[attr-defined]
        found = checking.stored(service.port)
    texts = [text for said in found.values() for _, text in said]
    due = Counter(text(number, turn) for number in range(WORKERS) for turn in range(count))
    report.wrong["lost"] = (due - Counter(texts)).total()
    report.wrong["twice"] = (Counter(texts) - due).total()
    for said in found.values():
        for number in range(WORKERS):
            own = [text for _, text in said if text.startswith(f"worker {number} ")]
            report.wrong["out of order"] += own != sorted(own)
    return report


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

"""Starts service and writers, kills them by plan, and reports what became of what was said."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from recallrai_integrations import DeliveryOptions, connect

from . import checking
from .service import SHARE, Counts
from .writer import DEADLINE, read_journal

ROOT = Path(__file__).parents[2]
ALLOWANCE = 0.1
"""Seconds past the deadline in which a recall has come back; stalls of the machine itself come on top."""
ON_DISK = 0.5
"""Seconds in which question and answer are in the outbox's file, which all writers share."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is said and what is killed."""

    conversations: int = 200
    turns: int = 25
    writers: int = 4
    writer_kills: int = 20
    service_kills: int = 5
    seconds: float = 540.0

    @property
    def messages(self) -> int:
        return self.conversations * self.turns * 2


@dataclass
class Report:
    """Figures, and what was not as promised."""

    plan: Plan
    seconds: float = 0.0
    requests: int = 0
    failed: int = 0
    writer_kills: int = 0
    service_kills: int = 0
    recalled: list[float] = field(default_factory=list)
    recorded: list[float] = field(default_factory=list)
    stall: float = 0.0
    degraded: int = 0
    answered: int = 0
    wrong: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def rows(self) -> list[tuple[str, str]]:
        return [
            ("conversations, messages", f"{self.plan.conversations}, {self.plan.messages:,}"),
            ("requests, of which failed", f"{self.requests:,}, {self.failed:,} ({self._share():.0%})"),
            ("writers and services killed", f"{self.writer_kills}, {self.service_kills}"),
            ("turns answered, of which without fresh memories", f"{self.answered:,}, {self.degraded:,}"),
            ("wait for a recall: median, 99 %, longest (s)", _spread(self.recalled)),
            ("beside it, on the disk: median, 99 %, longest (s)", _spread(self.recorded)),
            ("deadline; longest stall of the machine itself (s)", f"{DEADLINE:.1f}; {self.stall:.3f}"),
            *((name, str(self.wrong[name])) for name in _WRONGS),
            ("duration (s)", f"{self.seconds:.0f}"),
        ]

    def judge(self) -> None:
        plan = self.plan
        self.problems += [f"{self.wrong[name]} {name}" for name in _WRONGS if self.wrong[name]]
        if self.answered != plan.conversations * plan.turns:
            self.problems.append(f"{self.answered} turns were answered")
        for what, waits, most in (
            ("for a recall", self.recalled, DEADLINE + ALLOWANCE),
            ("for the disk", self.recorded, ON_DISK),
        ):
            if max(waits, default=0.0) > most + self.stall:
                self.problems.append(f"a turn waited {max(waits):.2f} s {what}")
        if (self.writer_kills, self.service_kills) != (plan.writer_kills, plan.service_kills):
            self.problems.append("not all were killed that should have been")
        if abs(self._share() - SHARE) > SHARE / 4:
            self.problems.append(f"{self._share():.0%} of the requests failed instead of {SHARE:.0%}")

    def _share(self) -> float:
        return self.failed / max(1, self.requests)


_WRONGS = ("messages lost", "messages twice", "messages in a wrong thread", "threads out of order")


def run(plan: Plan, folder: Path) -> Report:
    """The whole day; processes it started are ended in any case.

    Raises:
        TimeoutError: it did not end within `plan.seconds`.
    """
    started = time.monotonic()
    processes = _Processes(plan, folder)
    report = Report(plan)
    try:
        _disturb(processes, report, started)
        report.requests, report.failed = Counts(folder).read()
        (folder / "calm").touch()
        _deliver_the_rest(folder, processes.port, started + plan.seconds)
        wanted = checking.expected(plan.conversations, plan.turns)
        report.wrong = checking.differences(wanted, checking.stored(processes.port))
    finally:
        processes.end()
    turns = {}
    for number in range(plan.writers):
        for turn in read_journal(folder / f"journal-{number}"):
            turns[turn.conversation, turn.turn] = turn.degraded
            report.recalled.append(turn.recalled)
            report.recorded.append(turn.recorded)
    report.stall = max(float(file.read_text() or 0) for file in folder.glob("stall-*"))
    report.answered, report.degraded = len(turns), sum(turns.values())
    report.seconds = time.monotonic() - started
    report.judge()
    return report


class _Processes:
    """The service on a fixed port and the writers, each started again after it was killed."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan, self.folder, self.port = plan, folder, _free_port()
        self.service = self._start_service()
        self.writers = [self._start_writer(number) for number in range(plan.writers)]

    def kill_service(self) -> None:
        self.service.send_signal(signal.SIGKILL)
        self.service.wait()
        time.sleep(0.3)
        self.service = self._start_service()

    def kill_writer(self, turn: int) -> bool:
        """Kills one that still works, each in its turn; False when all are through."""
        working = [number for number, writer in enumerate(self.writers) if writer.poll() is None]
        if not working:
            return False
        number = working[turn % len(working)]
        self.writers[number].send_signal(signal.SIGKILL)
        self.writers[number].wait()
        self.writers[number] = self._start_writer(number)
        return True

    def end(self) -> None:
        for process in (*self.writers, self.service):
            if process.poll() is None:
                process.kill()
            process.wait()

    def _start_service(self) -> subprocess.Popen[bytes]:
        service = self._start("service", self.folder, self.port)
        ends = time.monotonic() + 30
        while not _accepts(self.port):
            if service.poll() is not None or time.monotonic() > ends:
                raise TimeoutError(f"the service did not start; see {self.folder}/service.log")
            time.sleep(0.02)
        return service

    def _start_writer(self, number: int) -> subprocess.Popen[bytes]:
        plan = self.plan
        sizes = (plan.writers, plan.conversations, plan.turns)
        return self._start("writer", self.folder, self.port, number, *sizes)

    def _start(self, module: str, *arguments: object) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-W", "ignore", "-m", f"bench.chaos.{module}", *map(str, arguments)]
        with (self.folder / f"{module}.log").open("ab") as log:
            return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)


def _disturb(processes: _Processes, report: Report, started: float) -> None:
    """Kills writers and services, evenly over the turns to be done, until the writers are through."""
    plan = processes.plan
    total = plan.conversations * plan.turns
    journals = [processes.folder / f"journal-{number}" for number in range(plan.writers)]
    while any(writer.poll() is None for writer in processes.writers):
        if time.monotonic() - started > plan.seconds:
            raise TimeoutError(f"the writers were not through after {plan.seconds} s")
        done = sum(file.read_bytes().count(b"\n") for file in journals if file.exists()) / total
        if _is_due(report.writer_kills, plan.writer_kills, done):
            report.writer_kills += processes.kill_writer(report.writer_kills)
        if _is_due(report.service_kills, plan.service_kills, done):
            processes.kill_service()
            report.service_kills += 1
        time.sleep(0.02)
    failed = [writer.returncode for writer in processes.writers if writer.returncode]
    if failed:
        report.problems.append(f"writers ended with {failed}; see {processes.folder}/writer.log")


def _is_due(killed: int, planned: int, done: float) -> bool:
    return killed < planned and done > (killed + 1) / (planned + 2)


def _deliver_the_rest(folder: Path, port: int, ends: float) -> None:
    """What still waits when the service is well again, delivered by one more process of the application."""
    delivery = DeliveryOptions(outbox=folder / "outbox.db", breaker_threshold=1_000_000)
    with connect(
        api_key="rai_local", project_id="local", base_url=f"http://127.0.0.1:{port}", delivery=delivery
    ) as connection:
        while connection.flush():
            if time.monotonic() > ends:
                raise TimeoutError("messages still wait although the service is well")


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _spread(waits: list[float]) -> str:
    ordered = sorted(waits)
    places = [min(len(ordered) - 1, int(share * len(ordered))) for share in (0.5, 0.99, 1.0)]
    return " ".join(f"{ordered[place]:.3f}" for place in places) if ordered else "none"

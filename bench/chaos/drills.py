"""Drills: calls interrupted, cancelled and killed while requests take effect late, and what became of it."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from recallrai_integrations.local import Fault, LocalRecallrAI

from . import checking
from .drill import DUE, ENDED, LATE, LOCKED, MAYBE, Order, journal_of

ROOT = Path(__file__).parents[2]
Mode = Literal["inline", "background"]
Disturbed = Literal["signals", "cancellations", "kills"]
WRONGS = ("lost", "twice", "out of order", "of another user", "locks left")
KILLED = 0.05
"""Share of looks, 50 a second, at which a writer that records is killed, up to once in three messages."""
FAULTS = (
    *(
        Fault(path=path, method="POST", probability=0.04, when="late", delay=delay, **end)  # type: ignore[arg-type]
        for path in ("*/add-message", "*/sessions")
        for delay in (0.02, LATE)
        for end in ({"drop": True}, {"status": 502}, {"hang": True})
    ),
    Fault(path="*/add-message", method="POST", probability=0.04, status=200, body={"error": "busy"}),
    Fault(path="*/add-message", method="POST", probability=0.04, drop=True, when="after"),
)


@dataclass
class Drill:
    """One combination, and what became of it."""

    disturbed: Disturbed
    mode: Mode
    outbox: Literal["memory", "file"]
    messages: int = 0
    ended_early: int = 0
    wrong: Counter[str] = field(default_factory=Counter)

    @property
    def name(self) -> str:
        return f"{self.disturbed}, {self.mode}, {self.outbox}"

    @property
    def row(self) -> str:
        figures = ", ".join(f"{self.wrong[wrong]} {wrong}" for wrong in WRONGS)
        return f"{self.messages} messages, {self.ended_early} calls ended early: {figures}"


def combinations() -> list[Drill]:
    """All of them; a process that is killed with its outbox in memory has promised nothing."""
    return [
        Drill(disturbed, mode, outbox)
        for disturbed, mode in itertools.product(get_args(Disturbed), get_args(Mode))
        for outbox in (("file",) if disturbed == "kills" else ("memory", "file"))
    ]


def run_drill(drill: Drill, folder: Path, *, count: int, seconds: float = 300.0) -> Drill:
    """Two writers in one thread for those with a common outbox, else one.

    Raises:
        TimeoutError: a writer did not end in time.
    """
    folder.mkdir()
    dice = random.Random(drill.name)
    with LocalRecallrAI(folder / "service.db") as service:
        for fault in FAULTS:
            service.faults._append(fault)  # noqa: SLF001 - a rule that is ready
        orders = [
            Order(
                url=service.base_url,
                journal=str(folder / f"journal-{name}"),
                user="ada",
                name=name,
                count=count,
                disturbed=drill.disturbed,
                mode=drill.mode,
                outbox=None if drill.outbox == "memory" else str(folder / "outbox.db"),
                seed=number,
            )
            for number, name in enumerate(("first", "second")[: 1 if drill.outbox == "memory" else 2])
        ]
        writers = {order.name: _start(order, folder) for order in orders}
        sizes = {order.name: 0 for order in orders}
        ends = time.monotonic() + seconds
        while any(writer.poll() is None for writer in writers.values()):
            if time.monotonic() > ends:
                for writer in writers.values():
                    writer.kill()
                raise TimeoutError(f"{drill.name}: a writer did not end within {seconds} s")
            time.sleep(0.02)
            order = dice.choice(orders)
            is_due = dice.random() < KILLED and drill.ended_early < len(orders) * count // 3
            if drill.disturbed == "kills" and is_due and writers[order.name].poll() is None:
                size = _size(order)
                if size > sizes[order.name]:  # it has begun to record something, which may be on its way
                    writers[order.name].kill()
                    writers[order.name].wait()
                    sizes[order.name] = _size(order)
                    writers[order.name] = _start(order, folder)
                    drill.ended_early += 1
        service.faults.clear()
        stored = checking.stored(int(service.base_url.rpartition(":")[2]))
        journals = {order.name: journal_of(Path(order.journal)) for order in orders}
        _judge(drill, stored, journals)
    return drill


def _judge(
    drill: Drill,
    stored: dict[tuple[str, str], checking.Said],
    journals: dict[str, list[tuple[str, str]]],
) -> None:
    texts = [text for (user, _), said in stored.items() if user == "ada" for _, text in said]
    others = [text for (user, _), said in stored.items() if user != "ada" for _, text in said]
    drill.wrong["of another user"] += sum(not text.startswith("imported") for text in others)
    drill.wrong["of another user"] += sum(text.startswith("imported") for text in texts)
    for name, journal in journals.items():
        mine = [text for text in texts if text.startswith(name)]
        counts = Counter(mine)
        due = {text for fate, text in journal if fate == DUE}
        drill.messages += len({text for fate, text in journal if fate == "begun"})
        drill.ended_early += sum(fate == MAYBE for fate, _ in journal)
        drill.wrong["lost"] += len(due - counts.keys())
        drill.wrong["twice"] += counts.total() - len(counts)
        drill.wrong["out of order"] += list(counts) != sorted(counts)
        fates = [fate for fate, _ in journal]
        drill.wrong["locks left"] += LOCKED in fates or ENDED not in fates


def _size(order: Order) -> int:
    journal = Path(order.journal)
    return journal.stat().st_size if journal.exists() else 0


def _start(order: Order, folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-W", "ignore", "-m", "bench.chaos.drill", order.text()]
    with (folder / f"{order.name}.log").open("ab") as log:
        return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)

"""`python -m bench.chaos`: the whole run, about ten minutes."""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path

from bench.postgres import programs

from .drills import WRONGS, combinations, run_drill
from .growth import MOST_MIB, measure
from .hosts import run as hosts_drill
from .run import Plan, run

MESSAGES = 150
"""Of each writer of a drill."""
TURNS = 10_000
"""Over which growth is measured."""


def main() -> int:
    problems: list[str] = []
    with tempfile.TemporaryDirectory(prefix="recallrai-chaos-") as folder:
        report = run(Plan(), Path(folder))
    _tell(*report.rows())
    problems += report.problems
    total: Counter[str] = Counter()
    for number, drill in enumerate(combinations()):
        with tempfile.TemporaryDirectory(prefix="recallrai-drill-") as folder:
            run_drill(drill, Path(folder) / f"{number}", count=MESSAGES)
        _tell((drill.name, drill.row))
        total.update(drill.wrong)
    problems += [f"{total[wrong]} {wrong}" for wrong in WRONGS if total[wrong]]
    if programs() is None:
        _tell(("hosts over PostgreSQL", "left out: it is not installed"))
    else:
        with tempfile.TemporaryDirectory(prefix="recallrai-hosts-") as folder:
            hosts = hosts_drill(Path(folder), count=MESSAGES)
        _tell(("hosts over PostgreSQL", hosts.row))
        problems += [f"{wrong} {name} over PostgreSQL" for name, wrong in hosts.wrong.items() if wrong]
    threads, descriptors, memory = measure(TURNS)
    grown = f"{threads:.0f} threads, {descriptors:.0f} descriptors, {memory:.0f} MiB"
    _tell((f"growth from turn {TURNS // 10:,} to {TURNS:,}", grown))
    if threads > 0 or descriptors > 0 or memory > MOST_MIB:
        problems.append(f"a process grew by {grown}")
    for problem in problems:
        print(f"NOT AS PROMISED: {problem}", file=sys.stderr)
    return 1 if problems else 0


def _tell(*rows: tuple[str, str]) -> None:
    for name, value in rows:
        print(f"{name:<50} {value}", flush=True)


if __name__ == "__main__":
    sys.exit(main())

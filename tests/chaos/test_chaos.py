"""The short form of `make chaos`: real processes, killed, with one request in five failing."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.chaos.drills import Drill, combinations, run_drill
from bench.chaos.run import Plan, run


def test_nothing_is_lost_doubled_or_misplaced_when_writers_and_service_are_killed(tmp_path: Path) -> None:
    plan = Plan(conversations=24, turns=8, writers=2, writer_kills=3, service_kills=1, seconds=100.0)
    report = run(plan, tmp_path)
    assert report.problems == [], report.rows()


@pytest.mark.parametrize("drill", combinations(), ids=lambda drill: drill.name)
def test_calls_that_are_interrupted_cancelled_or_killed_lose_and_double_nothing(
    drill: Drill, tmp_path: Path
) -> None:
    run_drill(drill, tmp_path / "drill", count=20)
    assert drill.wrong.total() == 0, drill.row

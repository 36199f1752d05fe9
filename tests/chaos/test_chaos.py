"""The short form of `make chaos`: real processes, killed, with one request in five failing."""

from __future__ import annotations

from pathlib import Path

from bench.chaos.run import Plan, run


def test_nothing_is_lost_doubled_or_misplaced_when_writers_and_service_are_killed(tmp_path: Path) -> None:
    plan = Plan(conversations=24, turns=8, writers=2, writer_kills=3, service_kills=1, seconds=100.0)
    report = run(plan, tmp_path)
    assert report.problems == [], report.rows()

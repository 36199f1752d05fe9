"""`python -m bench`: measures, prints, and with `--write` puts the figures into docs/benchmarks.md."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from bench import core, local_service, outboxes, turns
from bench.report import Table, circumstances, rewrite

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"

Measured = tuple[list[Table], list[str]]


def _core(quick: bool) -> Measured:
    return core.run(quick=quick), []


def _turns(quick: bool) -> Measured:
    return turns.run(quick=quick)


def _local(_: bool) -> Measured:
    return [Table("The local service", ("", "measured"), local_service.run())], []


def _outboxes(quick: bool) -> Measured:
    return [Table("The outbox of many hosts", ("", "measured"), outboxes.run(quick=quick))], []


PARTS: dict[str, Callable[[bool], Measured]] = {
    "turns": _turns,
    "core": _core,
    "local": _local,
    "outboxes": _outboxes,
}


def main() -> int:
    """Measures the parts asked for.

    Returns:
        The exit code: 1 when something remembered or said was missing in a prompt.
    """
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few turns and rounds: to see that it runs")
    parser.add_argument("--only", choices=PARTS, action="append", help="one part; may be repeated")
    parser.add_argument("--write", action="store_true", help="rewrite the tables in docs/benchmarks.md")
    options = parser.parse_args()
    os.environ.update(NO_PROXY="*", no_proxy="*")  # all that is asked is on this machine
    tables: list[Table] = []
    lost: list[str] = []
    for name in options.only or PARTS:
        measured, missing = PARTS[name](options.quick)
        for table in measured:
            print(table.markdown(), end="\n\n", flush=True)
        tables += measured
        lost += missing
    print(circumstances())
    for line in lost:
        print(f"LOST: {line}", file=sys.stderr)
    if lost:
        print(f"{len(lost)} things were missing in prompts; the figures mean nothing.", file=sys.stderr)
        return 1
    if options.write:
        rewrite(PAGE, "\n\n".join(["", *(table.markdown() for table in tables), circumstances(), ""]))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`python -m bench.chaos`: the whole run, about three minutes."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from .run import Plan, run


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="recallrai-chaos-") as folder:
        report = run(Plan(), Path(folder))
    for name, value in report.rows():
        print(f"{name:<50} {value}")
    for problem in report.problems:
        print(f"NOT AS PROMISED: {problem}", file=sys.stderr)
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main())

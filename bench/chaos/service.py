"""The service's process: `python -m bench.chaos.service FOLDER PORT`."""

from __future__ import annotations

import mmap
import struct
import sys
import threading
import time
from pathlib import Path

from typing_extensions import override

from recallrai_integrations.local import Fault, Faults, LocalRecallrAI

KINDS: dict[str, Fault] = {
    "429 with Retry-After": Fault(status=429, retry_after=1),
    "500 before the write": Fault(status=500),
    "500 after the write": Fault(status=500, when="after"),
    "502 with HTML before": Fault(status=502, body="<html>bad gateway</html>"),
    "502 with HTML after": Fault(status=502, body="<html>bad gateway</html>", when="after"),
    "reset before the write": Fault(drop=True),
    "reset, answer lost after": Fault(drop=True, when="after"),
    "hang before the write": Fault(hang=True),
    "hang after the write": Fault(hang=True, when="after"),
    "reset, written 0.3 s later": Fault(drop=True, when="late", delay=0.3),
    "502, written 1.5 s later": Fault(status=502, when="late", delay=1.5),
    "hang, written 2 s later": Fault(hang=True, when="late", delay=2.0),
    "200 that says something else": Fault(status=200, body={"error": "busy"}),
}
SHARE = 0.2


class Chaos(Faults):
    """A fifth of all requests fails, each kind as often, until the file `calm` is there; counts in a file."""

    def __init__(self, folder: Path, seed: int) -> None:
        super().__init__(seed=seed)
        self._calm = folder / "calm"
        self._counts = Counts(folder)
        self._kinds = list(KINDS.values())

    @override
    def strike(self, method: str, path: str) -> Fault | None:
        self._counts.add(struck := not self._calm.exists() and self._dice.random() < SHARE)
        return self._dice.choice(self._kinds) if struck else None


class Counts:
    """Requests and failed ones, in a mapped file that outlives a killed process."""

    def __init__(self, folder: Path) -> None:
        file = folder / "counts"
        if not file.exists():
            file.write_bytes(bytes(16))
        with file.open("r+b") as opened:
            self._map = mmap.mmap(opened.fileno(), 16)
        self._lock = threading.Lock()

    def add(self, struck: bool) -> None:
        with self._lock:
            requests, failed = self.read()
            struct.pack_into("qq", self._map, 0, requests + 1, failed + struck)

    def read(self) -> tuple[int, int]:
        requests, failed = struct.unpack_from("qq", self._map, 0)
        return requests, failed


def main(folder: Path, port: int) -> None:
    seed = time.time_ns() % 1_000_000
    with LocalRecallrAI(folder / "service.db", port=port, faults=Chaos(folder, seed)):
        threading.Event().wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

"""What a process grows by over many turns; it is one of its own: `python -m bench.chaos.growth …`."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import psutil

from recallrai_integrations import DeliveryOptions, connect
from recallrai_integrations.local import LocalRecallrAI

ROOT = Path(__file__).parents[2]
THREADS = 100
MOST_MIB = 20.0
"""Of memory, by which a process may grow after its first tenth: the latest messages of 100 conversations, and
what the allocator keeps."""


def _measured() -> tuple[int, int, float]:
    process = psutil.Process()
    return threading.active_count(), process.num_fds(), process.memory_info().rss / 2**20


def main(url: str, turns: int, outbox: str) -> None:
    delivery = DeliveryOptions(outbox=outbox)
    with connect(api_key="rai_local", project_id="local", base_url=url, delivery=delivery) as connection:
        for turn in range(turns):
            if turn == turns // 10:
                before = _measured()
            conversation = connection.conversation("ada", f"thread-{turn % THREADS}")
            conversation.record(("user", f"question {turn}"))
            conversation.recall()
            conversation.record(("assistant", f"answer {turn}"))
        after = _measured()
    print(json.dumps([round(late - early, 1) for early, late in zip(before, after, strict=True)]))


def measure(turns: int) -> tuple[float, float, float]:
    """By how many threads, descriptors and MiB a process grows between a tenth of its turns and all."""
    with tempfile.TemporaryDirectory() as folder, LocalRecallrAI(Path(folder) / "service.db") as service:
        command = [
            sys.executable,
            "-m",
            "bench.chaos.growth",
            service.base_url,
            str(turns),
            f"{folder}/outbox.db",
        ]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    threads, descriptors, memory = json.loads(done.stdout)
    return threads, descriptors, memory


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])

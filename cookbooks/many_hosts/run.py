"""The example on one machine, without Docker: `python cookbooks/many_hosts/run.py`, with PostgreSQL installed."""

import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from bench.postgres import PostgresServer  # noqa: E402
from recallrai_integrations.local import LocalRecallrAI  # noqa: E402
from recallrai_integrations.outbox import init, status  # noqa: E402


def main() -> None:
    with PostgresServer() as database, LocalRecallrAI(":memory:") as service:
        init(database.url())
        environment = {
            **os.environ,
            "OUTBOX": database.url(),
            "RECALLRAI_API_KEY": service.api_key,
            "RECALLRAI_PROJECT_ID": service.project_id,
            "RECALLRAI_BASE_URL": service.base_url,
            "PYTHONPATH": str(HERE.parents[1]),
        }

        def start(role: str) -> "subprocess.Popen[bytes]":
            return subprocess.Popen([sys.executable, str(HERE / "host.py"), role], env=environment)

        service.faults.add(status=503)  # an outage, in which messages pile up
        first, second = start("web"), start("web")
        while sum(one.waiting for one in status(database.url())) < 20:
            time.sleep(0.1)
        for one in (first, second):  # and both pods are gone
            one.kill()
            one.wait()
        print(sum(one.waiting for one in status(database.url())), "messages wait, their processes are dead")
        service.faults.clear()
        worker = start("worker")
        while status(database.url()):
            time.sleep(0.1)
        worker.kill()
        worker.wait()
        print("all of them were delivered by a worker that recorded none")


if __name__ == "__main__":
    main()

"""A PostgreSQL server of one's own, from the system's packages, in a temporary folder."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from typing_extensions import Self

SETTINGS = "max_connections=200\nshared_buffers=64MB\nlisten_addresses='127.0.0.1'\n"


def programs() -> Path | None:
    """The folder of `initdb` and `postgres`; None where PostgreSQL is not installed."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((one for one in folders if (one / "initdb").exists() and (one / "postgres").exists()), None)


class PostgresServer:
    """Started on entering, gone with its data on leaving; its superuser needs no password.

    Raises:
        RuntimeError: it did not start.
    """

    def __init__(self) -> None:
        folder = programs()
        if folder is None:
            raise RuntimeError("PostgreSQL is not installed: apt-get install postgresql")
        self._programs = folder
        self.folder = Path(tempfile.mkdtemp(prefix="recallrai-postgres-"))
        self.port = _free_port()
        self._user = {}
        if os.getuid() == 0:  # the server refuses to run as root
            nobody = next((one for one in ("postgres", "nobody") if _exists(one)), "nobody")
            shutil.chown(self.folder, nobody)
            self._user = {"user": nobody, "group": pwd.getpwnam(nobody).pw_gid, "extra_groups": []}
        data = self.folder / "data"
        self._run("initdb", "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-locale", "-N")
        with (data / "postgresql.conf").open("a") as settings:
            settings.write(f"{SETTINGS}port={self.port}\nunix_socket_directories='{self.folder}'\n")
        self.start()

    def url(self, database: str = "postgres", user: str = "postgres") -> str:
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        data, log = self.folder / "data", self.folder / "log"
        self._run("pg_ctl", "-D", data, "-l", log, "-w", "-t", "60", "start")

    def stop(self, how: str = "fast") -> None:
        """Ends it: `fast` cuts connections off, `immediate` is a crash."""
        self._run("pg_ctl", "-D", self.folder / "data", "-m", how, "-w", "stop")

    def restart(self, how: str = "fast") -> None:
        self.stop(how)
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if (self.folder / "data" / "postmaster.pid").exists():
            self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, program: str, *arguments: object) -> None:
        command: Sequence[str] = [str(self._programs / program), *map(str, arguments)]
        with (self.folder / f"{program}.{time.time_ns()}.out").open("wb") as out:
            ended = subprocess.run(
                command,
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                cwd=self.folder,
                check=False,
                **self._user,
            )  # type: ignore[call-overload]
        if ended.returncode:
            raise RuntimeError(f"{program}: {Path(out.name).read_text(errors='replace')[-500:]}")


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

"""Builds the wheel and the sdist and tries the wheel in clean environments: `make package`.

One environment without any extra, one for each extra alone, one with all of them, for each Python asked for.
In every one of them `smoke.py` runs against a local service, which itself comes from the wheel. Nothing of
the checkout can be imported there.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator
from contextlib import contextmanager
from email.parser import HeaderParser
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
SMOKE = ROOT / "scripts" / "smoke.py"


def main() -> None:
    """Builds, installs and tries; exits with 1 at the first environment that fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--python", action="append", help="a Python to try it with, as uv names them; may be repeated"
    )
    pythons = parser.parse_args().python or [sys.executable]
    wheel = build()
    for python in pythons:
        with tempfile.TemporaryDirectory(prefix="recallrai-package-") as folder:
            try_wheel(wheel, python, Path(folder))
    print(f"{wheel.name} works: no extra, each extra alone, all; {len(pythons)} Python(s).")


def build() -> Path:
    """Fills `dist/` with the sdist and the wheel built from that sdist; returns the wheel."""
    shutil.rmtree(DIST, ignore_errors=True)
    run("uv", "build", "--quiet", "--out-dir", str(DIST), str(ROOT))
    run(sys.executable, "-m", "twine", "check", "--strict", *map(str, DIST.glob("recallrai*")))
    (wheel,) = DIST.glob("*.whl")
    return wheel


def extras_of(wheel: Path) -> list[str]:
    """The extras that the wheel's metadata names."""
    with ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = HeaderParser().parsestr(archive.read(name).decode())
    return metadata.get_all("Provides-Extra") or []


def try_wheel(wheel: Path, python: str, folder: Path) -> None:
    """Installs the wheel with every choice of extras and smokes it."""
    complete = install(wheel, "all", python, folder)
    with local_service(complete, folder) as credentials:
        smoke(complete, "all", folder, credentials)
        for extra in ["", *(extra for extra in extras_of(wheel) if extra != "all")]:
            smoke(install(wheel, extra, python, folder), extra, folder, credentials)


def install(wheel: Path, extra: str, python: str, folder: Path) -> Path:
    """Makes an environment that holds the wheel with one extra or none; returns its Python."""
    environment = folder / (extra or "none")
    run("uv", "venv", "--quiet", "--python", python, str(environment))
    found = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    wanted = f"recallrai-integrations[{extra}] @ {wheel.as_uri()}" if extra else str(wheel)
    run("uv", "pip", "install", "--quiet", "--python", str(found), wanted)
    return found


def smoke(python: Path, extra: str, folder: Path, credentials: dict[str, str]) -> None:
    """Imports and uses what the extra brings, and sees that the rest says what is missing."""
    # Isolated (-I): neither the folder it runs in nor PYTHONPATH may lend it the checkout.
    subprocess.run(
        [str(python), "-I", "-W", "error", "-c", "import recallrai_integrations"], check=True, cwd=folder
    )
    subprocess.run(
        [str(python), "-I", str(SMOKE), extra], check=True, cwd=folder, env={**os.environ, **credentials}
    )
    print(f"  {extra or 'no extra'}: fine", flush=True)


@contextmanager
def local_service(python: Path, folder: Path) -> Generator[dict[str, str]]:
    """The local service of the installed wheel, as a process; yields the environment that leads to it."""
    serve = ["-m", "recallrai_integrations.cli", "serve", "--port", "0", "--db", ":memory:"]
    command = [str(python), "-I", *serve]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        draining = threading.Thread(target=process.stderr.read)  # or its log would fill the pipe and stop it
        try:
            first = process.stderr.readline()
            try:
                url = json.loads(first)["url"]
            except (ValueError, KeyError):
                said = first + process.communicate(timeout=10)[1]
                sys.exit(f"The local service of the wheel did not start:\n{said}")
            draining.start()
            yield {
                "RECALLRAI_BASE_URL": url,
                "RECALLRAI_API_KEY": "rai_local",
                "RECALLRAI_PROJECT_ID": "local",
            }
        finally:
            process.terminate()
            if draining.is_alive():
                draining.join()


def run(*command: str) -> None:
    """Runs a command and stops here when it fails."""
    subprocess.run(command, check=True, cwd=ROOT)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as failed:  # it has said why; our own trace would bury it
        sys.exit(f"Failed: {' '.join(failed.cmd)}")

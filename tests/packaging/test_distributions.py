"""What is in the wheel and the sdist, and what is nowhere in the repository."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

import recallrai_integrations

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "recallrai_integrations"


def build(source: Path, target: str, folder: Path) -> Path:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)],
        cwd=source,
        check=True,
        capture_output=True,
    )
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> ZipFile:
    return ZipFile(build(ROOT, "wheel", tmp_path_factory.mktemp("wheel")))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the sdist unpacks to."""
    with tarfile.open(build(ROOT, "sdist", tmp_path_factory.mktemp("sdist"))) as archive:
        folder = tmp_path_factory.mktemp("unpacked")
        archive.extractall(folder, filter="data")
    (unpacked,) = folder.iterdir()
    return unpacked


@pytest.fixture(scope="module")
def metadata(wheel: ZipFile) -> Message:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return HeaderParser().parsestr(wheel.read(name).decode())


def test_the_wheel_holds_the_package_with_its_types_and_page_and_nothing_else(wheel):
    names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    in_checkout = {
        path.relative_to(ROOT).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert names == in_checkout
    assert {"recallrai_integrations/py.typed", "recallrai_integrations/local/api/page.html"} <= names
    assert not [name for name in names if Path(name).suffix not in {".py", ".typed", ".html"}]


def test_the_wheel_brings_its_licence_and_command(wheel, metadata):
    info = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")).rpartition("/")[0]
    assert wheel.read(f"{info}/licenses/LICENSE").decode() == (ROOT / "LICENSE").read_text()
    assert (
        "recallrai-integrations = recallrai_integrations.cli:main"
        in wheel.read(f"{info}/entry_points.txt").decode()
    )
    assert metadata["License-Expression"] == "MIT"


def test_the_version_is_written_once(metadata):
    assert metadata["Version"] == recallrai_integrations.__version__
    literal = re.compile(rf"[\"']{re.escape(recallrai_integrations.__version__)}[\"']")
    written = [
        path.name
        for path in [*PACKAGE.rglob("*.py"), ROOT / "pyproject.toml"]
        if literal.search(path.read_text())
    ]
    assert written == ["_version.py"]


def test_the_metadata_says_what_it_needs_and_shows_the_readme(metadata):
    assert metadata["Requires-Python"] == ">=3.10"
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata.get_payload() == (ROOT / "README.md").read_text()
    assert {one.partition(",")[0] for one in metadata.get_all("Project-URL")} >= {"Homepage", "Repository"}
    needed = [one for one in metadata.get_all("Requires-Dist") if "extra ==" not in one]
    assert not re.search(r"langchain|langgraph|llama|fastapi|typer|rich|opentelemetry", " ".join(needed))
    assert all(re.search(r"[<>=]", one) for one in needed), "a dependency without a range"


def test_every_extra_is_part_of_all_or_of_the_agent_frameworks(metadata):
    extras = set(metadata.get_all("Provides-Extra"))
    frameworks = {"openai-agents", "pydantic-ai", "mcp", "google-adk"}
    of_all = {"langchain", "langchain-classic", "llama-index", "local", "cli", "otel"}
    alone = {"semantic", "postgres"}  # a model of 100 MB, and libpq, which nobody gets unasked
    assert extras == of_all | frameworks | alone | {"all", "frameworks"}
    requirements = [Requirement(one) for one in metadata.get_all("Requires-Dist")]

    def brought_by(extra: str) -> set[str]:
        return {
            one.name for one in requirements if one.marker is None or one.marker.evaluate({"extra": extra})
        }

    assert set.union(*map(brought_by, of_all)) == brought_by("all")
    assert set.union(*map(brought_by, frameworks)) == brought_by(
        "frameworks"
    )  # nobody needs all of them for a demo
    assert "fastapi" in brought_by("cli") - brought_by("langchain")


def test_the_sdist_builds_the_same_wheel_and_can_run_the_checks(wheel, sdist, tmp_path):
    rebuilt = ZipFile(build(sdist, "wheel", tmp_path))
    assert {name: rebuilt.read(name) for name in rebuilt.namelist()} == {
        name: wheel.read(name) for name in wheel.namelist()
    }
    for needed in ("Makefile", "mkdocs.yml", "constraints.txt", "tests/conftest.py", "scripts/package.py"):
        assert (sdist / needed).is_file(), f"{needed} is missing"


def test_the_sdist_holds_no_leftovers(sdist):
    leftover = re.compile(r"(^|/)(\.[a-z]|__pycache__|site/|dist/)|\.(pyc|db|db-wal|db-shm|lock)$")
    names = [path.relative_to(sdist).as_posix() for path in sdist.rglob("*") if path.is_file()]
    assert [name for name in names if leftover.search(name)] == [".gitignore"]


def test_no_file_names_a_machine_or_a_package_registry(sdist):
    # What is distributed is read from the sdist; the rest of the repository is small and read here.
    forbidden = re.compile(
        rf"/(root|home)/(?!\$)\w+|{re.escape(str(ROOT))}/|/Users/\w+|[A-Z]:\\\\Users"
        r"|pypi\.org|pythonhosted\.org|npmjs|registry\.(?!of)\w+\.(com|org)|conda\.anaconda|--(extra-)?index-url|--find-links"
    )
    rest = [*ROOT.glob("*.toml"), *ROOT.glob(".github/**/*.yml"), *ROOT.glob(".ci/*"), ROOT / ".gitignore"]
    found = []
    for path in [*(path for path in sdist.rglob("*") if path.is_file()), *rest]:
        if path.name == Path(__file__).name:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if forbidden.search(line):
                found.append(f"{path.name}:{number}: {line[:120]}")
    assert not found, "\n".join(found)

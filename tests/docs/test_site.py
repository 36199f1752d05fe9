"""The site builds without a warning, fetches nothing, and shows what is public."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import public_names, screenshots

pytestmark = pytest.mark.timeout(300)  # the build runs the demo and a browser
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return folder


def test_every_page_is_there(site):
    assert {path.relative_to(site).as_posix() for path in site.rglob("*.html")} >= {
        "index.html",
        "architecture.html",
        "failure.html",
        "strategies.html",
        "benchmarks.html",
        "changelog.html",
        *(f"reference/{page.stem}.html" for page in (ROOT / "docs" / "reference").glob("*.md")),
        *(f"cookbooks/{notebook.stem}.html" for notebook in (ROOT / "cookbooks").glob("*.ipynb")),
    }


def test_cookbooks_show_what_their_cells_print_and_plot(site):
    page = (site / "cookbooks" / "cheaper_prompts.html").read_text(encoding="utf-8")
    plots = list((site / "cookbooks" / "cheaper_prompts_files").glob("*.png"))
    assert plots
    assert all(f"cheaper_prompts_files/{plot.name}" in page for plot in plots)
    agent = (site / "cookbooks" / "langchain_agent.html").read_text(encoding="utf-8")
    assert "(offline model) My memory of you says" in agent  # said by no cell, printed by one


def test_links_between_pages_lead_somewhere_in_the_repository_too():
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "cookbooks").glob("*.md")]
    links = {
        (page, target)
        for page in pages
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if "://" not in target
    }
    assert links
    assert [(page.name, target) for page, target in links if not (page.parent / target).exists()] == []


def test_pages_fetch_nothing_from_elsewhere(site):
    fetched = re.compile(
        r"""(?:src=|@import\s|<link[^>]+(?:stylesheet|preconnect|preload)[^>]+href=)["']?https?://"""
    )
    files = [path for suffix in ("html", "css", "svg") for path in site.rglob(f"*.{suffix}")]
    assert len(files) > 15
    assert [path.name for path in files if fetched.search(path.read_text(encoding="utf-8"))] == []
    assert "url(http" not in "".join(path.read_text() for path in site.rglob("*.svg"))


def test_the_command_line_is_shown_with_its_help_and_in_pictures(site):
    page = (site / "reference" / "command_line.html").read_text(encoding="utf-8")
    for command in ("demo", "chat", "serve", "doctor", "import", "export", "forget", "memories list"):
        assert f"recallrai-integrations {command}" in page
    for name in screenshots.SCENES:
        picture = (site / "screenshots" / f"{name}.svg").read_text(encoding="utf-8")
        assert "recallrai-integrations" in picture
    assert "Biscuit" in (site / "screenshots" / "memories.svg").read_text(encoding="utf-8")


def test_the_local_page_is_pictured_where_a_browser_is(site):
    pytest.importorskip("playwright", reason="playwright is not installed")
    if not any(map(shutil.which, screenshots.BROWSERS)):
        pytest.skip("no Chromium is installed")
    assert (site / "screenshots" / "page.png").read_bytes().startswith(b"\x89PNG")
    assert "screenshots/page.png" in (site / "index.html").read_text(encoding="utf-8")


def test_the_changelog_is_the_projects_own(site):
    assert "Keep a Changelog" in (site / "changelog.html").read_text(encoding="utf-8")


def test_every_public_name_has_a_docstring_an_example_a_test_and_its_place():
    assert public_names.findings() == []


def test_a_name_that_lacks_everything_is_listed(monkeypatch):
    monkeypatch.setattr("recallrai_integrations.adapter.__all__", ["Stray"])
    monkeypatch.setattr("recallrai_integrations.adapter.Stray", type("Stray", (), {}), raising=False)
    assert [line for line in public_names.findings() if "Stray" in line] == [
        "recallrai_integrations.adapter.Stray has no docstring",
        "recallrai_integrations.adapter.Stray has no example",
        "recallrai_integrations.adapter.Stray is not in the reference",
    ]

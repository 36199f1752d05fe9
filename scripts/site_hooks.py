"""What `mkdocs` puts into the site besides `docs/`: see `hooks` in `mkdocs.yml`.

Nothing is written into `docs/`: each build makes screenshots, cookbooks with their outputs, the changelog and
the commands' help.
"""

from __future__ import annotations

import logging
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # mkdocs loads this file by its path

from scripts import cookbooks, screenshots

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

logger = logging.getLogger("mkdocs.hooks.site")

PICTURE = re.compile(r"^<!-- picture: (?P<name>\S+) \| (?P<alt>.+) -->$", re.MULTILINE)
CHANGELOG = "<!-- CHANGELOG.md -->"
HELP = "<!-- help of the commands -->"


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Adds the screenshots; one that cannot be made here is left out, and the log says why."""
    from mkdocs.structure.files import File

    with tempfile.TemporaryDirectory(prefix="recallrai-site-") as folder:
        for name, content in screenshots.commands(Path(folder)).items():
            files.append(File.generated(config, f"screenshots/{name}.svg", content=content))
        try:
            page = screenshots.local_page()
        except screenshots.NoBrowserError as reason:
            logger.info("Skipped: no screenshot of the local service's page, because %s", reason)
        else:
            files.append(File.generated(config, "screenshots/page.png", content=page))
    for name, content in cookbooks.executed().items():
        files.append(File.generated(config, name, content=content))
    return files


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Gives each cookbook its place in the navigation."""
    nav = config.nav or []
    nav.insert(
        -1, {"Cookbooks": [cookbooks.INDEX, *(cookbooks.page_of(path) for path in cookbooks.NOTEBOOKS)]}
    )
    return config


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fills in the changelog and the commands' help, and drops pictures that could not be made."""
    if CHANGELOG in markdown:
        root = Path(config.config_file_path).parent
        markdown = markdown.replace(CHANGELOG, (root / "CHANGELOG.md").read_text(encoding="utf-8"))
    if HELP in markdown:
        markdown = markdown.replace(HELP, help_of_the_commands())
    up = "../" * page.file.src_uri.count("/")

    def picture(found: re.Match[str]) -> str:
        there = files.get_file_from_path(f"screenshots/{found['name']}")
        return f"![{found['alt']}]({up}screenshots/{found['name']})" if there else ""

    return PICTURE.sub(picture, markdown)


def help_of_the_commands() -> str:
    """The help of all commands as Markdown, one level of headings below the page's."""
    typer = [sys.executable, "-m", "typer", "recallrai_integrations.cli.app"]
    made = subprocess.run(
        [*typer, "utils", "docs", "--name", "recallrai-integrations"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return made.partition("\n")[2]  # the page has a title of its own

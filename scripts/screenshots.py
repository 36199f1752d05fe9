"""Pictures of the command line and of the local service's page, taken from the real ones."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

WIDTH = 100
"""Columns of the pictured terminal."""

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
"""Commands, of which one is enough to picture the local service's page."""

SCENES: dict[str, list[tuple[list[str], str]]] = {
    "demo": [(["demo"], "")],
    "memories": [
        (["import", "monday.json", "--user", "ada", "--local", "memory.db"], ""),
        (["memories", "list", "--user", "ada", "--local", "memory.db"], ""),
    ],
    "chat": [
        (
            ["chat", "--user", "ada", "--local", "memory.db"],
            "What is my dog called?\nWhat am I allergic to?\n",
        ),
    ],
    "doctor": [(["doctor", "--local", "memory.db"], "")],
}
"""Of each picture: the commands run one after the other, and what is typed into each."""

MONDAY = """[
  {"role": "user", "content": "I moved to Lisbon last month and I am allergic to peanuts."},
  {"role": "assistant", "content": "Noted."},
  {"role": "user", "content": "My dog is called Biscuit."},
  {"role": "assistant", "content": "A fine name."}
]"""
"""The conversation that is imported."""

SAID = (
    ["I live in Porto.", "My dog is called Biscuit.", "I am allergic to peanuts."],
    ["I moved to Lisbon last month."],
)
"""What the user of the pictured page has told, conversation by conversation."""


class NoBrowserError(Exception):
    """There is nothing here to take a picture of a page with; the text says what is missing."""


def commands(folder: Path) -> dict[str, str]:
    """Pictures (SVG) of the command line by name.

    Args:
        folder: an empty one, where the commands run and which is their home.
    """
    (folder / "monday.json").write_text(MONDAY, encoding="utf-8")
    return {name: _scene(scene, folder) for name, scene in SCENES.items()}


def _scene(scene: list[tuple[list[str], str]], folder: Path) -> str:
    terminal = Console(record=True, width=WIDTH, file=io.StringIO())
    # Nothing of the machine that builds: no credentials, proxies or home; no animation either.
    environment = {key: os.environ[key] for key in ("PATH", "SYSTEMROOT") if key in os.environ} | {
        "HOME": str(folder),
        "COLUMNS": str(WIDTH),
        "FORCE_COLOR": "1",
        "TTY_INTERACTIVE": "0",
        "PYTHONIOENCODING": "utf-8",
    }
    for arguments, typed in scene:
        ran = subprocess.run(
            [sys.executable, "-m", "recallrai_integrations.cli", *arguments],
            check=False,
            cwd=folder,
            env=environment,
            input=typed,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        if ran.returncode:
            raise RuntimeError(f"{' '.join(arguments)} failed, and no picture of it was taken:\n{ran.stdout}")
        terminal.print(Text(f"$ recallrai-integrations {' '.join(arguments)}", style="bold"))
        terminal.print(Text.from_ansi(ran.stdout))
    return terminal.export_svg(title="recallrai-integrations", theme=MONOKAI, code_format=_without_fonts())


def _without_fonts() -> str:
    # Rich's template names a font on a CDN; our pages fetch nothing from elsewhere.
    return re.sub(r"@font-face\s*{{.*?}}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


def local_page() -> bytes:
    """A picture (PNG) of the local service's page, showing one user.

    Raises:
        NoBrowserError: neither playwright nor Chromium is here.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError as error:
        raise NoBrowserError("playwright is not installed.") from error
    chromium = next(filter(None, map(shutil.which, BROWSERS)), None)
    if chromium is None:
        raise NoBrowserError("no Chromium is installed.")
    from recallrai_integrations import connect
    from recallrai_integrations.local import LocalRecallrAI

    with LocalRecallrAI() as server, sync_playwright() as driver:
        with (
            warnings.catch_warnings(),
            connect(
                api_key=server.api_key, project_id=server.project_id, base_url=server.base_url
            ) as connection,
        ):
            warnings.simplefilter("ignore", DeprecationWarning)  # of the SDK's own models
            for said in SAID:
                conversation = connection.conversation("ada")
                conversation.record([("user", text) for text in said])
                conversation.finish(wait=True)
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1000, "height": 800})
        page.goto(server.base_url)
        page.get_by_role("button", name="ada").click()
        page.get_by_label("What would be recalled for").fill("Where do I live?")
        page.get_by_role("button", name="Recall").click()
        page.locator("#user pre").wait_for()
        picture = page.screenshot(full_page=True)
        browser.close()
    return picture

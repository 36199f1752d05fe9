"""The cookbooks as pages of the site, executed, with their outputs and plots."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

COOKBOOKS = Path(__file__).resolve().parent.parent / "cookbooks"
NOTEBOOKS = sorted(COOKBOOKS.glob("*.ipynb"))
INDEX = "cookbooks/index.md"


def page_of(path: Path) -> str:
    """Where a notebook's page is in the site's sources."""
    return f"cookbooks/{path.stem}.md"


def executed() -> dict[str, str | bytes]:
    """The pages and their pictures, by their names in the site's sources.

    Raises:
        CellExecutionError: a notebook fails; the site is not built then.
    """
    index = (COOKBOOKS / "README.md").read_text(encoding="utf-8").replace(".ipynb)", ".md)")
    files: dict[str, str | bytes] = {INDEX: index}
    with ThreadPoolExecutor(max_workers=2) as pool:  # each runs in a kernel, a process of its own
        for made in pool.map(_executed, NOTEBOOKS):
            files.update(made)
    return files


def _executed(path: Path) -> dict[str, str | bytes]:
    import nbformat
    from nbclient import NotebookClient
    from nbconvert import MarkdownExporter

    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory(prefix="recallrai-cookbook-") as folder:
        NotebookClient(notebook, timeout=100, resources={"metadata": {"path": folder}}).execute()
    named = {"unique_key": path.stem, "output_files_dir": f"{path.stem}_files"}
    page, resources = MarkdownExporter().from_notebook_node(notebook, resources=named)
    pictures = {f"cookbooks/{name}": content for name, content in resources["outputs"].items()}
    return {page_of(path): page, **pictures}

"""Every cookbook runs from top to bottom in an empty folder, in a kernel of its own."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

COOKBOOKS = Path(__file__).parents[2] / "cookbooks"
NOTEBOOKS = sorted(COOKBOOKS.glob("*.ipynb"))
STRICT = "import warnings\nwarnings.filterwarnings('error', module='recallrai_integrations')"

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def test_the_table_lists_every_notebook_and_nothing_else() -> None:
    listed = re.findall(
        r"^\| \[(\w+)]\((\w+)\.ipynb\) \| .+ \|$", (COOKBOOKS / "README.md").read_text(), re.MULTILINE
    )
    assert sorted(listed) == [(path.stem, path.stem) for path in NOTEBOOKS]
    assert len(NOTEBOOKS) >= 12


@each_notebook
def test_a_notebook_is_short_begins_with_its_job_and_holds_no_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert len(notebook.cells) <= 20
    assert notebook.cells[0].cell_type == "markdown"
    assert notebook.cells[0].source.startswith("# ")
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert any("assert " in cell.source for cell in code)
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)


@each_notebook
def test_a_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RECALLRAI_API_KEY", "RECALLRAI_PROJECT_ID", "RECALLRAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(STRICT))
    client = NotebookClient(
        notebook,
        timeout=100,
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute()
    written = [
        output.text
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "stream" and output.name == "stderr"
    ]
    assert not [text for text in written if "Warning:" in text]

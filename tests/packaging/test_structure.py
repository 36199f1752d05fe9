"""The structure that the listing of the package promises."""

from __future__ import annotations

from graphlib import TopologicalSorter
from pathlib import Path

import grimp

PACKAGE = "recallrai_integrations"
ADAPTERS = ("google_adk", "langchain", "llama_index", "mcp", "openai_agents", "pydantic_ai")
MOST_LINES, MOST_LINES_OF_ADAPTERS = 400, 300


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = grimp.build_graph(PACKAGE, exclude_type_checking_imports=True)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(list(TopologicalSorter(imports).static_order())) == len(graph.modules)


def test_a_module_is_read_in_one_sitting() -> None:
    root = Path(__file__).parents[2] / PACKAGE
    lines = {path.relative_to(root): len(path.read_text().splitlines()) for path in root.rglob("*.py")}
    too_long = {
        str(path): count
        for path, count in lines.items()
        if count > (MOST_LINES_OF_ADAPTERS if path.parts[0] in ADAPTERS else MOST_LINES)
    }
    assert len(lines) > len(ADAPTERS)
    assert too_long == {}

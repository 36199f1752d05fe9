"""The structure that the listing of the package promises."""

from __future__ import annotations

from graphlib import TopologicalSorter

import grimp

PACKAGE = "recallrai_integrations"
MOST_LINES = 400


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = grimp.build_graph(PACKAGE, exclude_type_checking_imports=True)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(list(TopologicalSorter(imports).static_order())) == len(graph.modules)

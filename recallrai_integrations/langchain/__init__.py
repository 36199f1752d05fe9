"""Long-term memory for LangChain and LangGraph.

```text
middleware.py   RecallrAIMiddleware: agents made with create_agent
runnable.py     with_recallrai_memory: chains and chat models
history.py      RecallrAIChatMessageHistory: for RunnableWithMessageHistory and the like
memory.py       RecallrAIMemory: the chains of langchain-classic
graph.py        recall_node, remember_node, finish_node: plain StateGraphs
conflicts.py    MergeConflictMiddleware, merge_conflict_nodes: contradictions put to the user
retriever.py    RecallrAIRetriever: memories as documents
tools.py        RecallrAIToolkit: search, list, forget, settle contradictions
```

Beneath them: `_identity` knows where LangChain keeps identity, `_messages` what is stored, `_asked` what is
new, `_provenance` whether the user wrote it, `_prompting` where memories go in a request, `_chain` where in a
chain that request is. What all frameworks share is in `recallrai_integrations.adapter`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recallrai_integrations.errors import MissingDependencyError

try:
    import langchain as _langchain
    import langchain_core as _langchain_core
    import langgraph as _langgraph
except ModuleNotFoundError as _error:
    if _error.name not in ("langchain", "langchain_core", "langgraph"):
        raise
    raise MissingDependencyError.for_extra("langchain", _error.name) from _error

from ._turns import Storing
from .conflicts import MergeConflictMiddleware, merge_conflict_nodes
from .graph import RecalledText, finish_node, recall_node, remember_node
from .history import RecallrAIChatMessageHistory
from .middleware import RecallrAIMiddleware
from .retriever import RecallrAIRetriever
from .runnable import with_recallrai_memory
from .tools import RecallrAIToolkit

if TYPE_CHECKING:
    from .memory import RecallrAIMemory as RecallrAIMemory

del _langchain, _langchain_core, _langgraph

__all__ = [
    "MergeConflictMiddleware",
    "RecalledText",
    "RecallrAIChatMessageHistory",
    "RecallrAIMiddleware",
    "RecallrAIRetriever",
    "RecallrAIToolkit",
    "Storing",
    "finish_node",
    "merge_conflict_nodes",
    "recall_node",
    "remember_node",
    "with_recallrai_memory",
]


def __getattr__(name: str) -> Any:
    """`RecallrAIMemory` when it is asked for: langchain-classic is an extra of its own."""
    if name != "RecallrAIMemory":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .memory import RecallrAIMemory  # noqa: PLC0415

    return RecallrAIMemory

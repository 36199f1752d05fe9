"""Long-term memory for LangChain and LangGraph.

```text
middleware.py   RecallrAIMiddleware: agents made with create_agent
runnable.py     with_recallrai_memory: chains and chat models
history.py      RecallrAIChatMessageHistory: for RunnableWithMessageHistory and the like
```
"""

from __future__ import annotations

from recallrai_integrations.errors import MissingDependencyError

try:
    import langchain as _langchain
    import langchain_core as _langchain_core
    import langgraph as _langgraph
except ModuleNotFoundError as _error:
    if _error.name not in ("langchain", "langchain_core", "langgraph"):
        raise
    raise MissingDependencyError.for_extra("langchain", _error.name) from _error

from .history import RecallrAIChatMessageHistory
from .middleware import RecallrAIMiddleware
from .runnable import with_recallrai_memory

del _langchain, _langchain_core, _langgraph

__all__ = ["RecallrAIChatMessageHistory", "RecallrAIMiddleware", "with_recallrai_memory"]

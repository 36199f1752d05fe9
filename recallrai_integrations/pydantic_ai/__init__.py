"""Long-term memory for Pydantic AI.

```text
capability.py   RecallrAIMemory: Agent(capabilities=[…]) remembers by itself
toolset.py      RecallrAIToolset: search, list, forget, settle contradictions
```

Beneath them: `_messages` decides what was said, `_model` puts memories into a request.
"""

from __future__ import annotations

from recallrai_integrations.errors import MissingDependencyError

try:
    import pydantic_ai as _pydantic_ai
except ModuleNotFoundError as _error:
    if _error.name != "pydantic_ai":
        raise
    raise MissingDependencyError.for_extra("pydantic-ai", _error.name) from _error

from .capability import RecallrAIMemory
from .toolset import RecallrAIToolset

del _pydantic_ai

__all__ = ["RecallrAIMemory", "RecallrAIToolset"]

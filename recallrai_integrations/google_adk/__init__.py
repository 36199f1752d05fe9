"""Long-term memory for agents of Google's Agent Development Kit.

```text
plugin.py    RecallrAIPlugin: memory for all agents of an app, without a line in them
service.py   RecallrAIMemoryService: behind the framework's own seam, for `load_memory`
```

Beneath them: `_events` is what is read from events and put into requests.
"""

from __future__ import annotations

from recallrai_integrations.errors import MissingDependencyError

try:
    import google.adk as _adk
except ModuleNotFoundError as _error:
    if _error.name not in ("google", "google.adk"):
        raise
    raise MissingDependencyError.for_extra("google-adk", _error.name) from _error

from .plugin import RecallrAIPlugin
from .service import RecallrAIMemoryService

del _adk

__all__ = ["RecallrAIMemoryService", "RecallrAIPlugin"]

"""Long-term memory for agents of the OpenAI Agents SDK.

```text
memory.py    RecallrAIMemory: for_run() gives the arguments of Runner.run, run_sync and run_streamed
session.py   RecallrAISession: the conversation that RecallrAI keeps, as a Session
tools.py     recallrai_tools: search, list, forget, settle contradictions
```

Beneath them: `_run` is what one run keeps between the SDK's hooks, `_watching` how the hooks and the session
of an application are watched, `_items` what is read from and put into items.
"""

from __future__ import annotations

from recallrai_integrations.errors import MissingDependencyError

try:
    import agents as _agents
except ModuleNotFoundError as _error:
    if _error.name != "agents":
        raise
    raise MissingDependencyError.for_extra("openai-agents", _error.name) from _error

from .memory import RecallrAIMemory
from .session import RecallrAISession
from .tools import recallrai_tools

del _agents

__all__ = ["RecallrAIMemory", "RecallrAISession", "recallrai_tools"]

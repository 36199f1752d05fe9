"""What a memory for LangChain has to do: suites to subclass, and a scripted chat model to run them with.

```python
from recallrai_integrations.testing.langchain import ChatHistoryContract

class TestMyHistory(ChatHistoryContract):
    def make_history(self, user_id, thread_id):
        return MyHistory(user_id, thread_id)
```

Every behaviour is tested in both colours, in plain functions: no plugin of pytest is needed. The suites need
the extra `langchain` and pytest. `ScriptedChatModel` is of use in your own tests too.
"""

from __future__ import annotations

from recallrai_integrations.testing._missing import naming_what_is_missing

with naming_what_is_missing():
    from ._colours import Colour, run
    from .history import ChatHistoryContract
    from .memory import MemoryContract
    from .middleware import MiddlewareContract
    from .model import ScriptedChatModel, tool_call

__all__ = [
    "ChatHistoryContract",
    "Colour",
    "MemoryContract",
    "MiddlewareContract",
    "ScriptedChatModel",
    "run",
    "tool_call",
]

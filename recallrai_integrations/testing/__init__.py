"""Test suites for your own adapters and memories, which this package's own pass too.

`AdapterContract` is for an adapter to any framework, with pytest and the extra `local`:

```python
from recallrai_integrations.testing import AdapterContract, Answered


class TestMyAdapter(AdapterContract):
    async def turn(self, connection, user_id, thread_id, text):
        model = MyFakeModel()
        agent = MyFramework(model, memory=MyAdapter(connection))
        answer = await agent.ask(text, user_id=user_id, thread_id=thread_id)
        return Answered(answer, model.prompts)
```

What a framework itself expects of its memories is in `testing.langchain` and `testing.llama_index`. The small
model that needs no key is in `testing.offline`.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from ._missing import naming_what_is_missing

if TYPE_CHECKING:
    from .adapter import AdapterContract, Answered, RunFailed

__all__ = ["AdapterContract", "Answered", "RunFailed"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(name)
    # Not before it is asked for: `testing.offline` runs in applications, where there is no pytest.
    module = f"{__name__}.adapter"
    if module not in sys.modules:
        with naming_what_is_missing():
            import pytest  # noqa: PLC0415

        pytest.register_assert_rewrite(module)  # so that what fails shows both sides, as in your own tests
    return getattr(importlib.import_module(module), name)

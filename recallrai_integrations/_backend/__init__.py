"""The only place that knows the SDK: requests go out here, answers and errors are translated here.

```text
client      Backend: sends an op, in either colour; one async client for each event loop
requests    op -> call of the SDK
answers     answer of the SDK -> our values
errors      error of the SDK, of httpx or of its parsing -> our errors
sdk         the SDK's objects, made without a request
transport   what only the transport sees
bounds      how long a request and how large an answer may be
```
"""

from .client import Backend

__all__ = ["Backend"]

"""The only place that knows the SDK: requests go out here, answers and errors are translated here.

```text
client      Backend: sends an op, in either colour; one async client for each event loop
requests    op -> call of the SDK
answers     answer of the SDK -> our values
errors      error of the SDK, of httpx or of its parsing -> our errors
sdk         the SDK's objects, made without a request
opening     HTTP clients: proxies and certificates
transport   what only the transport sees
bounds      how long a request and how large an answer may be
```
"""

import warnings

with warnings.catch_warnings():
    # The SDK's models are written for an older pydantic. Only their first import says so; without this it
    # would be an error for whoever runs with warnings as errors.
    warnings.simplefilter("ignore", DeprecationWarning)
    import recallrai.models as _  # noqa: F401

from .client import Backend
from .sdk import credentials_of

__all__ = ["Backend", "credentials_of"]

"""The embedded local service: the RecallrAI API on this machine, for development, tests and planes.

```python
from recallrai_integrations.local import LocalRecallrAI

with LocalRecallrAI("memory.db") as server:
    print(server.base_url, server.api_key, server.project_id)
```

Code written against it runs unchanged against the hosted service. Its parts:

```text
server.py     LocalRecallrAI and serve: a port, a thread, one service per database file
front.py      before the application: faults on demand, limits, the request log
api/          the endpoints, one module per part of the API; the page at /
wire.py       request and answer bodies, ranges
service.py    what requests share;  jobs.py  processing and the inactivity timer
users.py, sessions.py, metadata.py     rows and their rules
database.py   threads, transactions, group commit;  schema.py  tables and opening
memory/       extraction, versions, conflicts, recall
```
"""

from __future__ import annotations

from recallrai_integrations.errors import MissingDependencyError

try:
    import fastapi as _fastapi
    import uvicorn as _uvicorn
except ModuleNotFoundError as _error:
    if _error.name not in ("fastapi", "uvicorn"):
        raise
    raise MissingDependencyError.for_extra("local", _error.name) from _error

from .faults import Fault, Faults
from .front import RequestRecord
from .server import LocalRecallrAI, serve

del _fastapi, _uvicorn

__all__ = ["Fault", "Faults", "LocalRecallrAI", "RequestRecord", "serve"]

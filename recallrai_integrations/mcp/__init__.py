"""Long-term memory for any MCP client: a desktop assistant, an editor, an agent.

```text
server.py     create_server: the tools, the resource and the prompts over one user's memories
__main__.py   python -m recallrai_integrations.mcp: the same server as a process, on stdio or HTTP
```

Beneath them: `_caller` decides whose memories a request is about, `_conversing` has the tools of a turn,
`_tools` those that look things up, `_settling` puts contradictions to the user, `_results` is what tools
answer, `_serving` runs a server for the command line.
"""

from __future__ import annotations

from recallrai_integrations.errors import MissingDependencyError

try:
    import mcp as _mcp
except ModuleNotFoundError as _error:
    if _error.name != "mcp":
        raise
    raise MissingDependencyError.for_extra("mcp", _error.name) from _error

from .server import MemoryServer, create_server

del _mcp

__all__ = ["MemoryServer", "create_server"]

"""The tools of the adapter wing as tools of a server."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any, Final, Protocol, cast

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult, ToolAnnotations
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from recallrai_integrations.adapter import MEMORY_TOOLS, MemoryTool

from ._caller import Caller, telling
from ._results import Conflicts, Forgotten, Memories, answered

__all__ = ["add_memory_tools", "hints"]


class _Result(Protocol):
    def of(self, found: Any, /) -> BaseModel: ...


_RESULTS: Final[dict[str, tuple[str, _Result]]] = {
    "search_memory": ("Search memory", Memories),
    "list_memories": ("List memories", Memories),
    "forget_memory": ("Forget a memory", Forgotten),
    "list_merge_conflicts": ("List contradictions", Conflicts),
}
"""Titles and results. The tool that answers a contradiction is left out: its answers are a model's."""


def add_memory_tools(server: MCPServer[Any], caller: Caller) -> None:
    """Adds the tools that look into the memory and correct it."""
    for tool in MEMORY_TOOLS:
        if tool.name in _RESULTS:
            title, result = _RESULTS[tool.name]
            server.add_tool(
                _function(tool, result, caller),
                name=tool.name,
                title=title,
                description=tool.description,
                annotations=hints(read_only=tool.read_only, destructive=tool.destructive),
            )


def hints(*, read_only: bool = False, destructive: bool = False) -> ToolAnnotations:
    """What a client may go by when it decides whether to ask its user first."""
    return ToolAnnotations(
        read_only_hint=read_only,
        destructive_hint=destructive,
        idempotent_hint=read_only or destructive,
        open_world_hint=False,
    )


def _function(tool: MemoryTool, result: _Result, caller: Caller) -> Callable[..., Any]:
    async def function(**arguments: Any) -> CallToolResult:
        with telling(ToolError):
            found = await tool.aresult(caller.binding(), arguments)
        return answered(found.text, result.of(found.value))

    described = cast("Any", function)
    described.__name__ = tool.name
    described.__signature__ = inspect.Signature(
        [_parameter(name, field) for name, field in tool.arguments.model_fields.items()],
        return_annotation=Annotated[CallToolResult, result],
    )
    return function


def _parameter(name: str, field: FieldInfo) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[cast("Any", field.annotation), field]
    )

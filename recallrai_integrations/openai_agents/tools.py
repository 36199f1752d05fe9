"""`recallrai_tools`: tools by which a model looks into its user's memory and corrects it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agents import FunctionTool, Tool
from agents.tool_context import ToolContext

from recallrai_integrations.adapter import MEMORY_TOOLS, Binding, MemoryTool
from recallrai_integrations.connection import Connection
from recallrai_integrations.options import RecallOptions

from .session import WHERE

__all__ = ["recallrai_tools"]


def recallrai_tools(
    connection: Connection | None = None,
    *,
    user_id: str | None = None,
    recall: RecallOptions | None = None,
    forget_needs_approval: bool = False,
) -> list[Tool]:
    """Tools over the memories of the user of a run.

    `search_memory`, `list_memories`, `forget_memory`, `list_merge_conflicts` and `answer_merge_conflict`. The
    model neither sees nor sets a user id: it comes from the argument, else from `user_id` of the run's
    context, else from the run, where that has a `RecallrAIMemory`.

    Failure: what the service refuses or cannot do now, and arguments that are wrong, are told to the model,
    so that the run goes on. A missing user and wrong credentials are raised; the SDK makes a `UserError` of
    them, with ours as its cause.

    Args:
        connection: from `connect()`; None makes one from the environment on first use.
        user_id: the user, when the agent serves only one.
        recall: strategy and thresholds of searches; replaces the connection's options.
        forget_needs_approval: a run that would delete a memory is interrupted until somebody approves.

    Example:
        ```python
        from agents import Agent

        from recallrai_integrations import connect
        from recallrai_integrations.openai_agents import recallrai_tools

        with connect(local=":memory:") as connection:
            agent = Agent("Archivist", tools=recallrai_tools(connection))
        ```
    """
    binding = Binding.of(connection, user_id, recall=recall, where=WHERE)
    return [
        FunctionTool(
            name=tool.name,
            description=tool.description,
            params_json_schema={"properties": {}, **tool.parameters},
            on_invoke_tool=_invoking(tool, binding),
            strict_json_schema=False,  # defaults stay defaults
            needs_approval=tool.destructive and forget_needs_approval,
        )
        for tool in MEMORY_TOOLS
    ]


def _invoking(tool: MemoryTool, binding: Binding) -> Callable[[ToolContext[Any], str], Any]:
    async def invoke(context: ToolContext[Any], arguments: str) -> str:
        return await tool.acall(binding, arguments, context.context)

    return invoke

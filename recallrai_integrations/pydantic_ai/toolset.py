"""`RecallrAIToolset`: tools by which a model looks into its user's memory."""

from __future__ import annotations

from typing import Any

from pydantic_ai import FunctionToolset, RunContext, Tool

from recallrai_integrations.adapter import MEMORY_TOOLS, Binding, MemoryTool
from recallrai_integrations.connection import Connection
from recallrai_integrations.options import RecallOptions

from ._identity import WHERE, places

__all__ = ["RecallrAIToolset"]


class RecallrAIToolset(FunctionToolset[Any]):
    """Tools to search, list and forget memories and to settle contradictions, for the user of each run.

    The model never chooses the user, who is found as for `RecallrAIMemory`. Each tool's `metadata` has
    `read_only` and `destructive`, for `filtered(…)` and `approval_required(…)`.

    Failure: the model is told in a line when an argument is wrong or the service cannot do it now. A missing
    user and refused credentials are raised from the run.

    Args:
        connection: from `connect()`; None makes one from the environment on first use.
        user_id: the user, when the agent serves only one.
        recall: how to search; replaces the connection's options.
        id: of the toolset, for durable execution.

    Raises:
        InvalidInputError: a wrong option or id.

    Example:
        ```python
        from pydantic_ai import Agent
        from pydantic_ai.models.test import TestModel
        from recallrai_integrations import connect
        from recallrai_integrations.pydantic_ai import RecallrAIToolset

        with connect(local=":memory:") as connection:
            toolset = RecallrAIToolset(connection).filtered(lambda ctx, tool: tool.metadata["read_only"])
            agent = Agent(TestModel(), deps_type=dict, toolsets=[toolset])
            print(agent.run_sync("What do you know about me?", deps={"user_id": "ada"}).output)
        ```
    """

    def __init__(
        self,
        connection: Connection | None = None,
        *,
        user_id: str | None = None,
        recall: RecallOptions | None = None,
        id: str | None = "recallrai_tools",  # noqa: A002 - as all toolsets have it
    ) -> None:
        binding = Binding.of(connection, user_id, recall=recall, where=WHERE)
        super().__init__([_tool(tool, binding) for tool in MEMORY_TOOLS], id=id)


def _tool(tool: MemoryTool, binding: Binding) -> Tool[Any]:
    async def call(ctx: RunContext[Any], **arguments: Any) -> str:
        return await tool.acall(binding, arguments, *places(ctx))

    kind: Any = Tool  # type checkers that look at Python 3.10 do not know typing.Self, which it returns
    made: Tool[Any] = kind.from_schema(call, tool.name, tool.description, tool.parameters, takes_ctx=True)
    made.metadata = {"read_only": tool.read_only, "destructive": tool.destructive}
    return made

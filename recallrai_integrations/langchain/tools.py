"""`RecallrAIToolkit`: tools with which a model searches, shows and corrects what is remembered."""

from __future__ import annotations

from typing import Any

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.utils import ConfigurableFieldSpec
from langchain_core.tools import BaseTool, BaseToolkit, StructuredTool, ToolException
from pydantic import Field
from typing_extensions import override

from recallrai_integrations.adapter import MEMORY_TOOLS, Binding, MemoryTool, ToolRefusal
from recallrai_integrations.adapter.copies import SharingConnection
from recallrai_integrations.options import RecallOptions

from ._identity import bind, config_specs, places

__all__ = ["RecallrAIToolkit"]


class RecallrAIToolkit(SharingConnection, BaseToolkit):
    """Tools for agents that manage a memory on the user's request.

    `search_memory`, `list_memories`, `forget_memory`, `list_merge_conflicts` and `answer_merge_conflict`.
    The model neither sees nor sets a user id: it comes from the arguments here, else from the runtime
    context or the `configurable` of the run.

    Failure: what the service refuses or cannot do now is told to the model as the tool's result, so that the
    run goes on. A missing identity and wrong credentials are raised.

    Attributes:
        connection: from `connect()`; None takes the one from the environment.
        user_id: the user, when the agent serves only one.
        recall: strategy and thresholds of searches; replaces the connection's options.

    Example:
        ```python
        from recallrai_integrations import connect
        from recallrai_integrations.langchain import RecallrAIToolkit

        with connect(local=":memory:") as connection:
            tools = RecallrAIToolkit(connection=connection).get_tools()
            config = {"configurable": {"user_id": "ada"}}
            print(tools[0].invoke({"question": "What is my dog's name?"}, config))
        ```
    """

    user_id: str | None = None
    recall: RecallOptions | None = None

    @override
    def model_post_init(self, context: Any, /) -> None:
        super().model_post_init(context)
        self._binding()

    @override
    def get_tools(self) -> list[BaseTool]:
        """The five tools, each with a sync and an async form, for the user that the toolkit has now."""
        binding = self._binding()
        return [_tool(tool, binding) for tool in MEMORY_TOOLS]

    def _binding(self) -> Binding:
        return bind(self.connection, self.user_id, recall=self.recall)


class _Tool(StructuredTool):
    """A tool that says what it reads of a run's config."""

    binding: Any = Field(exclude=True, repr=False)

    @property
    @override
    def config_specs(self) -> list[ConfigurableFieldSpec]:
        return [one for one in config_specs(self.binding) if one.id == "user_id"]


class _Calling:
    """What a tool does; an object of a module, so that tools can be pickled."""

    def __init__(self, tool: MemoryTool, binding: Binding) -> None:
        self._name = tool.name
        self._binding = binding

    def call(self, config: RunnableConfig, **arguments: Any) -> str:
        try:
            return self._tool.invoke(self._binding, arguments, *places(config))
        except ToolRefusal as refusal:
            raise ToolException(str(refusal)) from refusal

    async def acall(self, config: RunnableConfig, **arguments: Any) -> str:
        try:
            return await self._tool.ainvoke(self._binding, arguments, *places(config))
        except ToolRefusal as refusal:
            raise ToolException(str(refusal)) from refusal

    @property
    def _tool(self) -> MemoryTool:
        return next(one for one in MEMORY_TOOLS if one.name == self._name)


def _tool(tool: MemoryTool, binding: Binding) -> BaseTool:
    calling = _Calling(tool, binding)
    return _Tool(
        name=tool.name,
        description=tool.description,
        args_schema=tool.arguments,
        func=calling.call,
        coroutine=calling.acall,
        handle_tool_error=True,
        binding=binding,
    )

"""Merge conflicts: contradictions in the memory, put to the user with one interrupt.

A graph needs a checkpointer for it. The interrupt's value is

```json
{"type": "recallrai.merge_conflicts", "conflicts": [
    {"conflict_id": "…", "proposed": "…", "conflicting": ["…"],
     "questions": [{"question": "…", "options": ["…", "…"]}]}]}
```

and `Command(resume={conflict_id: {question: answer}})` answers it. Answers are matched by their ids, never by
their order. What fits nothing resolves nothing, and the run goes on; conflicts that stay open are asked again
at the next run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain.agents.middleware import AgentMiddleware, AgentState
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.config import set_config_context
from langgraph.runtime import Runtime
from langgraph.types import interrupt
from typing_extensions import override

from recallrai_integrations.adapter import MergeConflictQuestions
from recallrai_integrations.adapter.wording import conflicts_value
from recallrai_integrations.connection import Connection
from recallrai_integrations.models import MergeConflict

from ._identity import Bound, bind, configurable, places
from ._nodes import MemoryNode
from ._provenance import is_within_tool

__all__ = ["MergeConflictMiddleware", "merge_conflict_nodes"]

_NO_CONFIG: RunnableConfig = {}  # hooks called by hand; LangGraph hands over its own


class MergeConflictMiddleware(Bound, AgentMiddleware[AgentState[Any], Any]):
    """Asks the user about pending merge conflicts before an agent begins.

    Costs one request per run. A sub-agent that a tool calls asks nothing. See the module for the form of
    questions and answers.

    Failure: in an outage nothing is asked or resolved, with `on_error="degrade"`; the conflicts stay
    pending. A conflict that was resolved elsewhere meanwhile is passed over.

    Args:
        connection: from `connect()`; None takes the one from the environment.
        user_id: the user; None reads the runtime context or `configurable`.
        limit: ask at most so many at once, the oldest first; None for all.

    Example:
        ```python
        from langchain.agents import create_agent
        from langgraph.checkpoint.memory import InMemorySaver

        from recallrai_integrations import connect
        from recallrai_integrations.langchain import MergeConflictMiddleware, RecallrAIMiddleware
        from recallrai_integrations.testing.langchain import ScriptedChatModel

        with connect(local=":memory:") as connection:
            agent = create_agent(
                ScriptedChatModel(script=["Hello!"]),
                middleware=[MergeConflictMiddleware(connection), RecallrAIMiddleware(connection)],
                checkpointer=InMemorySaver(),
            )
            config = {"configurable": {"user_id": "ada", "thread_id": "thread-1"}}
            state = agent.invoke({"messages": [("user", "Hi")]}, config)
            for question in state.get("__interrupt__", []):  # Command(resume=…) answers
                print(question.value["conflicts"])
        ```
    """

    def __init__(
        self, connection: Connection | None = None, *, user_id: str | None = None, limit: int | None = None
    ) -> None:
        super().__init__()
        self.tools = []
        self._asking = _Asking(connection, user_id, limit)
        self._binding = self._asking.binding

    @override
    def before_agent(
        self, state: AgentState[Any], runtime: Runtime[Any], config: RunnableConfig = _NO_CONFIG
    ) -> None:
        """Asks and resolves."""
        if not is_within_tool(config):
            self._asking.ask(config, runtime.context, configurable(config))

    @override
    async def abefore_agent(
        self, state: AgentState[Any], runtime: Runtime[Any], config: RunnableConfig = _NO_CONFIG
    ) -> None:
        """The async twin of `before_agent`."""
        if not is_within_tool(config):
            await self._asking.aask(config, runtime.context, configurable(config))


def merge_conflict_nodes(
    connection: Connection | None = None, *, user_id: str | None = None, limit: int | None = None
) -> dict[str, Runnable[Any, dict[str, Any]]]:
    """The same for a plain `StateGraph`: nodes by name, to be run in this order.

    Args:
        connection: from `connect()`; None takes the one from the environment.
        user_id: the user; None reads the runtime context or `configurable`.
        limit: ask at most so many at once, the oldest first; None for all.

    Example:
        ```python
        from langgraph.checkpoint.memory import InMemorySaver
        from langgraph.graph import MessagesState, StateGraph
        from recallrai_integrations import connect
        from recallrai_integrations.langchain import merge_conflict_nodes

        with connect(local=":memory:") as connection:
            graph = StateGraph(MessagesState)
            nodes = merge_conflict_nodes(connection)
            graph.add_sequence(list(nodes.items()))
            graph.set_entry_point(next(iter(nodes)))
            config = {"configurable": {"user_id": "ada", "thread_id": "thread-1"}}
            graph.compile(InMemorySaver()).invoke({"messages": []}, config)
        ```
    """
    name = "ask_merge_conflicts"
    return {name: MemoryNode(_Asking(connection, user_id, limit), name)}


class _Asking:
    """One step: list, ask all at once, settle. A resumed step lists again and finds what is still open."""

    def __init__(self, connection: Connection | None, user_id: str | None, limit: int | None) -> None:
        self.binding = bind(connection, user_id)
        self._questions = MergeConflictQuestions(self.binding, limit)

    def ask(self, config: RunnableConfig, *at: Any) -> None:
        if conflicts := self._questions.pending(*at):
            self._questions.settle(conflicts, _ask(conflicts, config), *at)

    async def aask(self, config: RunnableConfig, *at: Any) -> None:
        if conflicts := await self._questions.apending(*at):
            await self._questions.asettle(conflicts, _ask(conflicts, config), *at)

    def run(self, _: Any, config: RunnableConfig) -> dict[str, Any]:
        self.ask(config, *places(config))
        return {}

    async def arun(self, _: Any, config: RunnableConfig) -> dict[str, Any]:
        await self.aask(config, *places(config))
        return {}


def _ask(conflicts: Sequence[MergeConflict], config: RunnableConfig) -> Any:
    """One interrupt for all; on Python 3.10 an async step finds its run only through the config."""
    question = conflicts_value(conflicts)
    with set_config_context(config) as context:
        return context.run(interrupt, question)

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

import logging
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

from langchain.agents.middleware import AgentMiddleware, AgentState
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda
from langchain_core.runnables.config import set_config_context
from langgraph.runtime import Runtime
from langgraph.types import interrupt
from typing_extensions import override

from recallrai_integrations.adapter.wording import conflicts_value
from recallrai_integrations.connection import Connection
from recallrai_integrations.errors import ServiceUnavailableError
from recallrai_integrations.models import MergeConflict

from ._binding import Binding, runtime_context
from ._provenance import is_within_tool

__all__ = ["MergeConflictMiddleware", "merge_conflict_nodes"]

logger = logging.getLogger("recallrai_integrations")

_NO_CONFIG: RunnableConfig = {}  # hooks called by hand; LangGraph hands over its own


class MergeConflictMiddleware(AgentMiddleware):
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

    @override
    def before_agent(
        self, state: AgentState[Any], runtime: Runtime[Any], config: RunnableConfig = _NO_CONFIG
    ) -> None:
        """Asks and resolves."""
        if not is_within_tool(config):
            self._asking.run(config, runtime.context)

    @override
    async def abefore_agent(
        self, state: AgentState[Any], runtime: Runtime[Any], config: RunnableConfig = _NO_CONFIG
    ) -> None:
        """The async twin of `before_agent`."""
        if not is_within_tool(config):
            await self._asking.arun(config, runtime.context)


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
    asking = _Asking(connection, user_id, limit)

    def node(_: Any, config: RunnableConfig) -> dict[str, Any]:
        asking.run(config, runtime_context(config))
        return {}

    async def anode(_: Any, config: RunnableConfig) -> dict[str, Any]:
        await asking.arun(config, runtime_context(config))
        return {}

    name = "ask_merge_conflicts"
    return {name: RunnableLambda(node, afunc=anode, name=name)}


class _Asking:
    """One step: list, ask all at once, resolve. A resumed step lists again and finds what is still open."""

    def __init__(self, connection: Connection | None, user_id: str | None, limit: int | None) -> None:
        self._binding = Binding.of(connection, user_id, None)
        self._limit = limit

    def run(self, config: RunnableConfig, context: Any) -> None:
        connection = self._binding.source.get()
        user = connection.user(self._binding.identity(config, context).user_id)
        conflicts: list[MergeConflict] = []
        with _degrading(connection):
            conflicts = user.conflicts()[: self._limit]
        if conflicts:
            answers = _ask(conflicts, config)
            with _degrading(connection):
                for conflict, answer in _answered(conflicts, answers):
                    user.resolve(conflict, answer)

    async def arun(self, config: RunnableConfig, context: Any) -> None:
        connection = await self._binding.source.aget()
        user = connection.user(self._binding.identity(config, context).user_id)
        conflicts: list[MergeConflict] = []
        with _degrading(connection):
            conflicts = (await user.aconflicts())[: self._limit]
        if conflicts:
            answers = _ask(conflicts, config)
            with _degrading(connection):
                for conflict, answer in _answered(conflicts, answers):
                    await user.aresolve(conflict, answer)


@contextmanager
def _degrading(connection: Connection) -> Generator[None]:
    try:
        yield
    except ServiceUnavailableError as error:
        if connection.delivery_options.on_error == "raise":
            raise
        logger.warning("RecallrAI is not available (%s) Merge conflicts stay as they are.", error)


def _ask(conflicts: Sequence[MergeConflict], config: RunnableConfig) -> Any:
    """One interrupt for all; on Python 3.10 an async step finds its run only through the config."""
    question = conflicts_value(conflicts)
    with set_config_context(config) as context:
        return context.run(interrupt, question)


def _answered(
    conflicts: Sequence[MergeConflict], answers: Any
) -> Iterator[tuple[MergeConflict, dict[str, str]]]:
    """The conflicts that were answered in the agreed form; whatever else came is no answer."""
    given: dict[Any, Any] = dict(cast("dict[Any, Any]", answers)) if isinstance(answers, Mapping) else {}
    for conflict in conflicts:
        answer: Any = given.get(conflict.conflict_id)
        if isinstance(answer, Mapping):
            pairs = cast("dict[Any, Any]", answer)
            yield conflict, {str(question): str(chosen) for question, chosen in pairs.items()}

"""Watching an application's hooks and session, which go on as they are.

The SDK tells sessions apart by their class, and asks some for more than the protocol names. So what a run is
given is no wrapper but another view of the very object: an instance of a subclass of its class, with the same
`__dict__`. Methods and state are the application's; a few calls are noticed on the way.
"""

from __future__ import annotations

import types
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from agents import (
    Agent,
    AgentHookContext,
    ModelResponse,
    RunContextWrapper,
    RunHooks,
    Tool,
    TResponseInputItem,
)
from agents.lifecycle import RunHooksBase
from agents.memory import SessionABC, SQLiteSession
from typing_extensions import override

from recallrai_integrations.errors import InvalidInputError

if TYPE_CHECKING:
    SessionBase = SQLiteSession  # stands for all: what is called must not be abstract
    HooksBase = RunHooksBase[Any, Any]
else:
    SessionBase = HooksBase = object

__all__ = ["NoSession", "Watcher", "watched_hooks", "watched_session"]

T = TypeVar("T")


class Watcher(Protocol):
    """What is told of a run."""

    keeps_items: bool
    """Whether the session is to get what is added to it."""

    def agent_starts(self) -> None: ...
    def hands_over(self) -> None: ...
    def model_answers(self) -> None: ...
    def tool_starts(self) -> None: ...
    def tool_ends(self, result: object) -> None: ...
    def reads_history(self) -> None: ...
    async def has_output(self, output: object) -> None: ...
    async def keeps(self, items: list[TResponseInputItem]) -> None: ...


class _WatchedSession(SessionBase):
    __slots__ = ("_recallrai",)
    _recallrai: Watcher

    # `wrapper` is named, since a session gets it only when all of its methods do, the inherited ones too.
    @override
    async def get_items(self, limit: int | None = None, *, wrapper: Any = None) -> list[TResponseInputItem]:
        self._recallrai.reads_history()
        return await super().get_items(limit, **_given(wrapper))

    @override
    async def add_items(self, items: list[TResponseInputItem], *, wrapper: Any = None) -> None:
        if self._recallrai.keeps_items:
            await super().add_items(items, **_given(wrapper))
        await self._recallrai.keeps(items)


class _WatchedHooks(HooksBase):
    __slots__ = ("_recallrai",)
    _recallrai: Watcher

    @override
    async def on_agent_start(self, context: AgentHookContext[Any], agent: Agent[Any]) -> None:
        self._recallrai.agent_starts()
        await super().on_agent_start(context, agent)

    @override
    async def on_agent_end(self, context: AgentHookContext[Any], agent: Agent[Any], output: Any) -> None:
        await super().on_agent_end(context, agent, output)
        await self._recallrai.has_output(output)

    @override
    async def on_handoff(
        self, context: RunContextWrapper[Any], from_agent: Agent[Any], to_agent: Agent[Any]
    ) -> None:
        self._recallrai.hands_over()
        await super().on_handoff(context, from_agent=from_agent, to_agent=to_agent)

    @override
    async def on_llm_end(
        self, context: RunContextWrapper[Any], agent: Agent[Any], response: ModelResponse
    ) -> None:
        self._recallrai.model_answers()
        await super().on_llm_end(context, agent, response)

    @override
    async def on_tool_start(self, context: RunContextWrapper[Any], agent: Agent[Any], tool: Tool) -> None:
        self._recallrai.tool_starts()
        await super().on_tool_start(context, agent, tool)

    @override
    async def on_tool_end(
        self, context: RunContextWrapper[Any], agent: Agent[Any], tool: Tool, result: Any
    ) -> None:
        self._recallrai.tool_ends(result)
        await super().on_tool_end(context, agent, tool, result)


class NoSession(SessionABC):
    """Keeps nothing: stands for the session of a run that has none, so that the run's end is noticed."""

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id

    @override
    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        return []

    @override
    async def add_items(self, items: list[TResponseInputItem]) -> None: ...

    @override
    async def pop_item(self) -> TResponseInputItem | None:
        return None

    @override
    async def clear_session(self) -> None: ...


def watched_session(session: T, watcher: Watcher) -> T:
    """A view of a session that tells the watcher.

    Raises:
        InvalidInputError: not a session, or one that a view cannot be made of.
    """
    missing = [name for name in _SESSION if not callable(getattr(session, name, None))]
    if missing:
        raise InvalidInputError(
            f"session must be a Session of the Agents SDK; {type(session).__name__} has no {missing[0]}()."
        )
    return _view(session, _WatchedSession, watcher)


def watched_hooks(hooks: RunHooks[Any], watcher: Watcher) -> RunHooks[Any]:
    """A view of run hooks that tells the watcher.

    Raises:
        InvalidInputError: not `RunHooks`, or some that a view cannot be made of.
    """
    if not isinstance(cast("object", hooks), RunHooksBase):
        raise InvalidInputError(
            f"hooks must be RunHooks of the Agents SDK, not a {type(hooks).__name__}. "
            "The hooks of an agent belong to Agent(hooks=…)."
        )
    return _view(hooks, _WatchedHooks, watcher)


_SESSION = ("get_items", "add_items", "pop_item", "clear_session")


def _view(original: T, watching: type, watcher: Watcher) -> T:
    kind: Any = type(original)
    try:
        view = object.__new__(_kind(kind, watching))
        object.__setattr__(view, "__dict__", vars(original))
    except TypeError as error:
        raise InvalidInputError(
            f"{type(original).__name__} keeps its attributes in __slots__, so no view of it can be made. "
            "Derive a class without __slots__ from it."
        ) from error
    object.__setattr__(view, "_recallrai", watcher)
    return cast("T", view)


@lru_cache(maxsize=128)
def _kind(original: type, watching: type) -> type[object]:
    return types.new_class(original.__name__, (watching, original))


def _given(wrapper: Any) -> dict[str, Any]:
    return {} if wrapper is None else {"wrapper": wrapper}

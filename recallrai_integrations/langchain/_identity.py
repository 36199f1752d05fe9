"""Where LangChain keeps identity: in a run's config, and in the runtime context of a graph."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final, cast

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import set_config_context
from langchain_core.runnables.utils import ConfigurableFieldSpec
from langgraph.config import get_config
from typing_extensions import Unpack, override

from recallrai_integrations.adapter import Binding, Identity, Steps
from recallrai_integrations.connection import Connection
from recallrai_integrations.conversation import Conversation
from recallrai_integrations.options import MemoryOptions

__all__ = [
    "Bound",
    "OwnConversation",
    "bind",
    "config_specs",
    "configurable",
    "current_config",
    "identity_of",
    "places",
]

_WHERE: Final = 'config={"configurable": {"user_id": …}} or the runtime context'


def bind(
    connection: Connection | None,
    user_id: object,
    thread_id: object = None,
    **options: Unpack[MemoryOptions],
) -> Binding:
    """The arguments of a surface, checked; see `Binding.of`."""
    return Binding.of(connection, user_id, thread_id, where=_WHERE, **options)


def configurable(config: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The `configurable` part of a run's config."""
    return cast("Mapping[str, Any]", (config or {}).get("configurable") or {})


def current_config() -> RunnableConfig:
    """The config of the run around a hook that is not handed one; empty where LangGraph cannot tell."""
    with suppress(RuntimeError):  # outside of a run; in async runs on Python 3.10
        return get_config()
    return {}


def places(config: RunnableConfig) -> tuple[Any, ...]:
    """The places of a run, for `Binding.identity`: the runtime context of its graph, then `configurable`."""
    return _runtime_context(config), configurable(config)


def identity_of(binding: Binding, config: RunnableConfig, context: Any) -> Identity:
    """User and thread of a run whose hook is handed the runtime context."""
    return binding.identity(context, configurable(config))


def config_specs(binding: Binding) -> list[ConfigurableFieldSpec]:
    """What is read of `configurable`, for servers that pass on what is declared, and for introspection."""
    specs = [
        ConfigurableFieldSpec(
            id="user_id",
            annotation=str,
            name="User id",
            description="Whose memory it is.",
            default="",
            is_shared=True,
        ),
        ConfigurableFieldSpec(
            id="thread_id",
            annotation=str | None,
            name="Thread id",
            description="The ongoing conversation; without one, each call is a separate conversation.",
            default=None,
            is_shared=True,
        ),
    ]
    return [one for one in specs if getattr(binding, one.id) is None]


class Bound:
    """An object with a binding for good: it serves another user as another object."""

    _binding: Binding

    @property
    def user_id(self) -> str | None:
        """The user that it was made for; None when each run says."""
        return self._binding.user_id

    @property
    def thread_id(self) -> str | None:
        """The thread that it was made for; None when each run says."""
        return self._binding.thread_id


class OwnConversation:
    """The conversation of an object that stands for one; without a thread it lasts as long as the object.

    A copy of the object has one of its own.
    """

    def __init__(self) -> None:
        self._kept: tuple[Identity, Conversation] | None = None

    def opening(self, binding: Binding) -> Steps[Conversation]:
        """The conversation, for the user and the thread that the object has now."""
        identity = binding.identity()
        if identity.thread_id is not None:
            return (yield from binding.opening(identity))
        if self._kept is None or self._kept[0] != identity:
            self._kept = (identity, (yield from binding.opening(identity)))
        return self._kept[1]

    def __deepcopy__(self, memo: dict[int, Any]) -> OwnConversation:
        return OwnConversation()

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        return (OwnConversation, ())


def _runtime_context(config: RunnableConfig) -> Any:
    from langgraph.runtime import get_runtime  # noqa: PLC0415 - only graphs have one

    with suppress(RuntimeError, KeyError, AttributeError), set_config_context(config) as context:
        return context.run(lambda: cast("Any", get_runtime()).context)
    return None

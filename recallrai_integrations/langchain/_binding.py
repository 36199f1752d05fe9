"""Whose memory a run is about, and which conversation it belongs to: decided here for all surfaces."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import set_config_context
from langchain_core.runnables.utils import ConfigurableFieldSpec

from recallrai_integrations.adapter import ConnectionSource
from recallrai_integrations.connection import Connection
from recallrai_integrations.conversation import Conversation
from recallrai_integrations.errors import InvalidInputError
from recallrai_integrations.identity import thread_id_text, user_id_text
from recallrai_integrations.options import ProcessPolicy

__all__ = ["Binding", "Identity", "configurable", "runtime_context"]


@dataclass(frozen=True, slots=True)
class Identity:
    """The user of a run, and its thread; `thread_id` is None for a run that is a conversation by itself."""

    user_id: str
    thread_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """The arguments that all surfaces share: a connection, an identity, and how sessions are kept.

    Args:
        source: the connection, or the promise of one from the environment.
        user_id: wins over what the run says.
        thread_id: wins over what the run says.
        metadata: for the sessions that are opened.
        process: when a session is processed after a run; see `Connection.conversation`.
        process_every: n of `process="every_n_turns"`.
        auto_process_after_seconds: of inactivity, by the service.
    """

    source: ConnectionSource
    user_id: str | None = None
    thread_id: str | None = None
    metadata: Mapping[str, Any] | None = None
    process: ProcessPolicy | None = None
    process_every: int = 10
    auto_process_after_seconds: int = 600

    @classmethod
    def of(
        cls,
        connection: Connection | None,
        user_id: str | None,
        thread_id: str | None,
        **sessions: Any,
    ) -> Binding:
        """A binding of checked arguments.

        Raises:
            InvalidInputError: not a connection, or an id that cannot be sent.
        """
        if connection is not None and not isinstance(cast("object", connection), Connection):
            raise InvalidInputError(
                f"connection must be what connect() returns, not a {type(connection).__name__}."
            )
        return cls(
            source=ConnectionSource(connection),
            user_id=None if user_id is None else user_id_text(user_id),
            thread_id=thread_id_text(thread_id),
            **sessions,
        )

    def identity(self, config: Mapping[str, Any] | None, context: Any = None) -> Identity:
        """User and thread of a run: the argument, else the runtime context, else `configurable`.

        Raises:
            MissingIdentityError: nobody says who the user is.
            InvalidInputError: an id that cannot be sent.
        """
        places = (context, configurable(config))
        user, thread = self.user_id, self.thread_id
        return Identity(
            user_id_text(_first("user_id", places)) if user is None else user,
            thread_id_text(_first("thread_id", places)) if thread is None else thread,
        )

    @property
    def config_specs(self) -> list[ConfigurableFieldSpec]:
        """What is read of `configurable`, for servers that pass on what is declared, and for introspection."""
        return [
            ConfigurableFieldSpec(
                id=name,
                annotation=kind,
                name=name.replace("_", " ").capitalize(),
                description=description,
                default=default,
                is_shared=True,
            )
            for name, kind, description, default, fixed in (
                ("user_id", str, "Whose memory it is.", "", self.user_id),
                ("thread_id", str | None, "The ongoing conversation.", None, self.thread_id),
            )
            if fixed is None
        ]

    def conversation(self, identity: Identity) -> Conversation:
        """The conversation of an identity; no I/O unless the connection has still to be made."""
        return self._conversation(self.source.get(), identity)

    async def aconversation(self, identity: Identity) -> Conversation:
        """The async twin of `conversation`."""
        return self._conversation(await self.source.aget(), identity)

    def _conversation(self, connection: Connection, identity: Identity) -> Conversation:
        return connection.conversation(
            identity.user_id,
            identity.thread_id,
            metadata=self.metadata,
            process=self.process,
            process_every=self.process_every,
            auto_process_after_seconds=self.auto_process_after_seconds,
        )


def configurable(config: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The `configurable` part of a run's config."""
    return cast("Mapping[str, Any]", (config or {}).get("configurable") or {})


def runtime_context(config: RunnableConfig) -> Any:
    """The LangGraph runtime context of the run that a config belongs to; None outside of a graph."""
    from langgraph.runtime import get_runtime  # noqa: PLC0415 - only graphs have one

    with suppress(RuntimeError, KeyError, AttributeError), set_config_context(config) as context:
        return context.run(lambda: cast("Any", get_runtime()).context)
    return None


def _first(name: str, places: tuple[Any, ...]) -> Any:
    for place in places:
        value = (
            cast("Mapping[str, Any]", place).get(name)
            if isinstance(place, Mapping)
            else getattr(place, name, None)
        )
        if value is not None:
            return value
    return None

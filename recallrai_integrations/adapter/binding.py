"""`Binding`: the connection, identity and options of an adapter, and the user and thread of each run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from typing_extensions import Self, Unpack

from recallrai_integrations.connection import Connection
from recallrai_integrations.conversation import Conversation
from recallrai_integrations.errors import MissingIdentityError
from recallrai_integrations.identity import thread_id_text, user_id_text
from recallrai_integrations.options import ContextOptions, MemoryOptions, ProcessPolicy, RecallOptions
from recallrai_integrations.user import UserMemory

from .connections import ConnectionSource
from .nesting import outer_turn
from .steps import Steps, Twin, arun, run

__all__ = ["Binding", "Identity", "look_up"]


@dataclass(frozen=True, slots=True)
class Identity:
    """The user of a run, and its thread.

    Args:
        user_id: as text, checked.
        thread_id: None for a run that is a separate conversation.

    Example:
        ```python
        from recallrai_integrations.adapter import Identity

        assert Identity("ada") == Identity("ada", None)
        ```
    """

    user_id: str
    thread_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """The arguments that all adapters share: a connection, an identity, and the options for sessions.

    Frozen: an adapter whose fields may change makes a new binding from its fields each time, which is cheap.
    `MemoryOptions` describes the other fields.

    Args:
        source: the connection, which may be made later from the environment.
        user_id: takes precedence over the run.
        thread_id: takes precedence over the run.
        where: where this framework keeps the user's id, such as `'Runner.run(…, context={"user_id": …})'`;
            the error for a missing id quotes it.
        missing: class of that error, for frameworks that let only their own errors through: a subclass of
            `MissingIdentityError` and of the framework's error.

    Example:
        ```python
        from recallrai_integrations import connect
        from recallrai_integrations.adapter import Binding, Identity

        with connect(local=":memory:") as connection:
            binding = Binding.of(connection, where='run(state={"user_id": …})')
            state, session = {"user_id": "ada"}, {"thread_id": "thread-1"}
            assert binding.identity(state, session) == Identity("ada", "thread-1")
        ```
    """

    source: ConnectionSource
    user_id: str | None = None
    thread_id: str | None = None
    metadata: Mapping[str, Any] | None = None
    process: ProcessPolicy | None = None
    process_every: int = 10
    auto_process_after_seconds: int = 600
    recall: RecallOptions | None = None
    context: ContextOptions | None = None
    where: str = ""
    missing: type[MissingIdentityError] = MissingIdentityError

    @classmethod
    def of(
        cls,
        connection: Connection | ConnectionSource | None,
        user_id: object = None,
        thread_id: object = None,
        *,
        where: str = "",
        missing: type[MissingIdentityError] = MissingIdentityError,
        **options: Unpack[MemoryOptions],
    ) -> Self:
        """Returns a binding of checked arguments; no I/O.

        Args:
            connection: the application's, or None for one from the environment.
            user_id: text, int or UUID; None if it comes with each run.
            thread_id: the same.
            where: see `Binding`.
            missing: see `Binding`.
            **options: the other fields; see `MemoryOptions`.

        Raises:
            InvalidInputError: not a connection, or an invalid id.
            MissingIdentityError: an empty user id.
        """
        source = connection if isinstance(connection, ConnectionSource) else ConnectionSource(connection)
        thread = thread_id_text(thread_id)
        binding = cls(source=source, thread_id=thread, where=where, missing=missing, **options)
        return binding if user_id is None else binding.with_user(user_id)

    def with_user(self, user_id: object) -> Self:
        """Returns the same binding for one user, whom runs cannot change.

        Raises:
            MissingIdentityError: an empty user id.
            InvalidInputError: an invalid id.
        """
        return replace(self, user_id=self._user(user_id))

    def identity(self, *places: Any) -> Identity:
        """Returns the user and thread of a run: the arguments, else the first place that has them.

        A run inside a tool of another run often has no user id; it gets the user of that run.

        Args:
            places: where the framework keeps identity, the most specific first: mappings or objects that may
                have `user_id` or `thread_id`. None is skipped.

        Raises:
            MissingIdentityError: there is no user id.
            InvalidInputError: an invalid id.
        """
        user = self.user_id or look_up("user_id", *places)
        thread = self.thread_id or look_up("thread_id", *places)
        outer = outer_turn()
        if user is None and outer is not None:
            user = outer.identity.user_id
        return Identity(self._user(user), thread_id_text(thread))

    def conversation(self, identity: Identity) -> Conversation:
        """Returns the conversation of an identity; no I/O unless the connection has to be made."""
        return run(self.opening(identity))

    async def aconversation(self, identity: Identity) -> Conversation:
        """The async twin of `conversation`."""
        return await arun(self.opening(identity))

    def opening(self, identity: Identity) -> Steps[Conversation]:
        """`conversation` as steps."""
        connection = yield from self.connecting()
        return connection.conversation(
            identity.user_id,
            identity.thread_id,
            metadata=self.metadata,
            process=self.process,
            process_every=self.process_every,
            auto_process_after_seconds=self.auto_process_after_seconds,
        )

    def user(self, *places: Any) -> UserMemory:
        """Returns the memories of the user of a run.

        Raises:
            MissingIdentityError: there is no user id.
        """
        return run(self.remembering(*places))

    async def auser(self, *places: Any) -> UserMemory:
        """The async twin of `user`."""
        return await arun(self.remembering(*places))

    def remembering(self, *places: Any) -> Steps[UserMemory]:
        """`user` as steps."""
        user_id = self.identity(*places).user_id
        connection = yield from self.connecting()
        return connection.user(user_id)

    def connecting(self) -> Steps[Connection]:
        """Returns the connection, as steps."""
        return (yield from Twin(self.source.get, self.source.aget))

    def _user(self, user_id: object) -> str:
        if user_id is None or user_id == "":
            where = f", or set it where it is read from: {self.where}" if self.where else ""
            raise self.missing(f"No user id. Pass user_id=…{where}.")
        return user_id_text(user_id)


def look_up(name: str, *places: Any) -> Any:
    """Returns the first value of a name in mappings (by key) or other objects (by attribute); else None.

    Example:
        ```python
        from recallrai_integrations.adapter import look_up

        assert look_up("user_id", None, {"user_id": "ada"}) == "ada"
        ```
    """
    for place in places:
        value = (
            cast("Mapping[str, Any]", place).get(name)
            if isinstance(place, Mapping)
            else getattr(place, name, None)
        )
        if value is not None:
            return value
    return None

"""What a flow can ask for: one small frozen value per request to the service or step of the engine.

`result = yield from AddMessage(...)` has the right type for the reader and the type checkers, in both
colours, because every op names the type of its answer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Hashable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, fields
from datetime import datetime
from functools import cache
from typing import Any, Generic, TypeAlias, TypeVar, cast

from typing_extensions import override

from recallrai_integrations.identity import encode_id, service_id_text
from recallrai_integrations.messages import Message
from recallrai_integrations.models import (
    Answer,
    ContextAnswer,
    Memory,
    MergeConflict,
    MessagePage,
    Page,
    SessionInfo,
    UserInfo,
)
from recallrai_integrations.options import RecallOptions

from .locks import ConversationLock

__all__ = [
    "AddMessage",
    "Await",
    "Call",
    "CreateSession",
    "CreateUser",
    "DeleteMemory",
    "DeleteSession",
    "DeleteUser",
    "Flow",
    "Gather",
    "GetConflict",
    "GetContext",
    "GetMemory",
    "GetSession",
    "GetUser",
    "ListConflicts",
    "ListMemories",
    "ListSessions",
    "Locked",
    "Op",
    "Process",
    "ReadMessages",
    "ResolveConflict",
    "ServiceOp",
    "Sleep",
    "Spawn",
    "Spawned",
    "UpdateSession",
    "WaitAny",
    "Write",
]

T = TypeVar("T")
R = TypeVar("R")


class Op(Generic[T]):
    """Something a flow asks its driver to do; the result is a `T`."""

    def __iter__(self) -> Generator[Op[Any], Any, T]:
        answer: T = yield self
        return answer


Flow: TypeAlias = Generator[Op[Any], Any, R]


@dataclass(frozen=True, slots=True)
class ServiceOp(Op[T]):
    """One request to the service on behalf of one user.

    Every field whose name ends in `_id` is a segment of the URL path, in the order of the fields. An op with
    an id that cannot be a path segment raises when it is created, before any request. The transport refuses
    paths with other segments than those of the op.

    Args:
        user_id: the application's id; it is encoded for the path.

    Raises:
        InvalidInputError: an id that cannot be a path segment.
    """

    user_id: str

    def __post_init__(self) -> None:
        self.path_ids  # noqa: B018 - raises

    @property
    def path_ids(self) -> tuple[str, ...]:
        """The checked ids in the path of the request: the encoded user id, then ids of the service.

        Raises:
            InvalidInputError: see the class.
        """
        return (
            encode_id(self.user_id),
            *(
                service_id_text(what, getattr(self, name))
                for name, what in _service_ids(cast("Hashable", type(self)))  # mypy takes it for another
            ),
        )

    @property
    def repeatable(self) -> bool:
        """Whether the request may be sent again although it may have taken effect."""
        return True


@cache
def _service_ids(op: Any) -> tuple[tuple[str, str], ...]:
    """Returns the names of the fields with ids of the service, each with its name for error messages."""
    names = [one.name for one in fields(op) if one.name.endswith("_id") and one.name != "user_id"]
    return tuple((name, name.replace("_", " ")) for name in names)


class Write(ServiceOp[T]):
    """A request that changes something."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class CreateUser(Write[None]):
    """Creates the user; an existing user stays unchanged."""

    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    merge_conflict_enabled: bool | None = None


@dataclass(frozen=True, slots=True)
class GetUser(ServiceOp[UserInfo]):
    """Reads the user."""


@dataclass(frozen=True, slots=True)
class DeleteUser(Write[None]):
    """Deletes the user and everything of theirs."""


@dataclass(frozen=True, slots=True)
class CreateSession(Write[SessionInfo]):
    """Opens a session. If no answer comes, it is looked up by its metadata.

    Args:
        created_at: backdates it and must be UTC (service).
    """

    metadata: Mapping[str, Any]
    auto_process_after_seconds: int
    created_at: datetime | None = None

    @property
    @override
    def repeatable(self) -> bool:
        """Never blindly."""
        return False


@dataclass(frozen=True, slots=True)
class ListSessions(ServiceOp[Page]):
    """Sessions, newest first, `limit` 1 to 100; statuses () for all."""

    metadata_filter: Mapping[str, Any] | None = None
    statuses: Sequence[str] = ()
    offset: int = 0
    limit: int = 100


@dataclass(frozen=True, slots=True)
class GetSession(ServiceOp[SessionInfo]):
    """Reads one session."""

    session_id: str


@dataclass(frozen=True, slots=True)
class UpdateSession(Write[None]):
    """Replaces a session's metadata whole."""

    session_id: str
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DeleteSession(Write[None]):
    """Deletes a session, its messages and the memories made from it."""

    session_id: str


@dataclass(frozen=True, slots=True)
class AddMessage(Write[None]):
    """Appends one message. The API has no idempotency keys, so an unconfirmed message is looked up first.

    Raises:
        RequestRejectedError: status 400 when the session takes no messages any more.
        NotFoundError: there is no such session.
        ServiceUnavailableError: see `ServiceUnavailableError.may_have_taken_effect`.
    """

    session_id: str
    message: Message

    @property
    @override
    def repeatable(self) -> bool:
        """Never blindly."""
        return False


@dataclass(frozen=True, slots=True)
class ReadMessages(ServiceOp[MessagePage]):
    """A page of messages, oldest first, `limit` 1 to 500."""

    session_id: str
    offset: int = 0
    limit: int = 500


@dataclass(frozen=True, slots=True)
class GetContext(ServiceOp[ContextAnswer]):
    """Recalls; `on_progress` is called with the service's status texts (a streamed request)."""

    session_id: str
    options: RecallOptions
    on_progress: Callable[[str], object] | None = None


@dataclass(frozen=True, slots=True)
class Process(Write[None]):
    """Starts turning a session into memories; harmless when that has been done."""

    session_id: str


@dataclass(frozen=True, slots=True)
class ListMemories(ServiceOp[Page]):
    """Current memories, newest first, `limit` 1 to 200."""

    offset: int = 0
    limit: int = 200
    categories: Sequence[str] = ()
    session_ids: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class GetMemory(ServiceOp[Memory]):
    """One memory with its versions and connections."""

    memory_id: str


@dataclass(frozen=True, slots=True)
class DeleteMemory(Write[None]):
    """Deletes one version of a memory, or it and all older ones."""

    memory_id: str
    previous_versions: bool


@dataclass(frozen=True, slots=True)
class ListConflicts(ServiceOp[Page]):
    """Merge conflicts, oldest first, `limit` 1 to 100; status None for all."""

    status: str | None = "PENDING"
    offset: int = 0
    limit: int = 100


@dataclass(frozen=True, slots=True)
class GetConflict(ServiceOp[MergeConflict]):
    """One merge conflict."""

    conflict_id: str


@dataclass(frozen=True, slots=True)
class ResolveConflict(Write[None]):
    """Answers all questions of a merge conflict."""

    conflict_id: str
    answers: Sequence[Answer]


@dataclass(frozen=True, slots=True)
class Call(Op[T]):
    """Calls `call()` in this process; off the event loop if it may use a disk (`blocking`)."""

    call: Callable[[], T]
    blocking: bool = False


@dataclass(frozen=True, slots=True)
class Sleep(Op[None]):
    """Waits."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Locked(Op[T]):
    """Runs a flow under the lock. Once begun, the flow runs to its end, even if the caller leaves."""

    lock: ConversationLock
    flow: Generator[Op[Any], Any, T]


@dataclass(frozen=True, slots=True)
class Await(Op["T | None"]):
    """Waits for a future of this process, at most `seconds`; the result is None after that."""

    future: Future[T]
    seconds: float


@dataclass(frozen=True, slots=True)
class Gather(Op[list[T]]):
    """Sends requests in parallel; the results have their order.

    The first error is raised after all have ended.
    """

    ops: Sequence[ServiceOp[T]]


class Spawned(ABC, Generic[T]):
    """A flow that runs in parallel with another: `Spawn` starts it, `WaitAny` waits for it.

    Its result need not be read: the flow runs to its end, and an error is then dropped.
    """

    @abstractmethod
    def result(self) -> T:
        """Returns the result, after `WaitAny` has returned this flow.

        Raises:
            ServiceError: the error of the flow.
        """

    @property
    @abstractmethod
    def done(self) -> bool:
        """Whether the flow has ended, or can no longer end."""


@dataclass(frozen=True, slots=True)
class Spawn(Op[Spawned[T]]):
    """Starts a flow without waiting for it."""

    flow: Generator[Op[Any], Any, T]


@dataclass(frozen=True, slots=True)
class WaitAny(Op["list[Spawned[T]]"]):
    """Waits until a flow has ended, at most `seconds` (None: no limit); the result is the ended flows."""

    pending: Sequence[Spawned[T]]
    seconds: float | None

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
    """Something a flow asks its driver to do; the answer is a `T`."""

    def __iter__(self) -> Generator[Op[Any], Any, T]:
        answer: T = yield self
        return answer


Flow: TypeAlias = Generator[Op[Any], Any, R]


@dataclass(frozen=True, slots=True)
class ServiceOp(Op[T]):
    """One request to the service on behalf of one user.

    Every field whose name ends in `_id` is a segment of the URL path, in the order of the fields. An op with
    an id that fits no segment cannot be made, so nothing is sent, tried again or degraded because of it; the
    transport refuses any path with other segments than those of its op.

    Args:
        user_id: the application's id; it is mapped to a safe one.

    Raises:
        InvalidInputError: an id that fits no segment of a path.
    """

    user_id: str

    def __post_init__(self) -> None:
        self.path_ids  # noqa: B018 - raises

    @property
    def path_ids(self) -> tuple[str, ...]:
        """The ids in the path of the request, checked: the user's as it is sent, then the service's.

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
        """Whether the request may be sent again when it is not known if it took effect."""
        return True


@cache
def _service_ids(op: Any) -> tuple[tuple[str, str], ...]:
    """Names of the fields that hold ids of the service, each with its words for a message."""
    names = [one.name for one in fields(op) if one.name.endswith("_id") and one.name != "user_id"]
    return tuple((name, name.replace("_", " ")) for name in names)


class Write(ServiceOp[T]):
    """A request that changes something."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class CreateUser(Write[None]):
    """Creates the user; one that exists already is fine, and stays as it is."""

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
    """Opens a session, which is looked for by its metadata when no answer came.

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
    """Appends one message. The API has no idempotency key: what is not acknowledged is looked for first.

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
    """Recalls. `on_progress` is told status texts while the service works (a streamed request)."""

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
    """Work of this process: `call()`, kept off the event loop where it may touch a disk (`blocking`)."""

    call: Callable[[], T]
    blocking: bool = False


@dataclass(frozen=True, slots=True)
class Sleep(Op[None]):
    """Waits."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Locked(Op[T]):
    """Runs a flow when its turn has come. Once begun it goes on to its end, also when its caller leaves."""

    lock: ConversationLock
    flow: Generator[Op[Any], Any, T]


@dataclass(frozen=True, slots=True)
class Await(Op["T | None"]):
    """The result of a future of this process, or None when it is not there within `seconds`."""

    future: Future[T]
    seconds: float


@dataclass(frozen=True, slots=True)
class Gather(Op[list[T]]):
    """Requests sent at the same time, several connections at once; answers in their order.

    The first error is raised after all have ended.
    """

    ops: Sequence[ServiceOp[T]]


class Spawned(ABC, Generic[T]):
    """A flow under way beside another one: started by `Spawn`, waited for by `WaitAny`.

    Nobody has to collect it: it goes on to its end by itself, and its error is told to nobody then.
    """

    @abstractmethod
    def result(self) -> T:
        """The answer, once `WaitAny` has said that it is there.

        Raises:
            ServiceError: what went wrong.
        """

    @property
    @abstractmethod
    def done(self) -> bool:
        """Whether it has ended, or never will."""


@dataclass(frozen=True, slots=True)
class Spawn(Op[Spawned[T]]):
    """Starts a flow and goes on."""

    flow: Generator[Op[Any], Any, T]


@dataclass(frozen=True, slots=True)
class WaitAny(Op["list[Spawned[T]]"]):
    """Waits until one of them has ended, at most `seconds` (None: as long as it takes); those that have."""

    pending: Sequence[Spawned[T]]
    seconds: float | None

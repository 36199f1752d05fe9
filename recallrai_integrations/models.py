"""What the service tells, as plain frozen values: sessions, memories, merge conflicts, pages of messages.

No object of the SDK leaves `backend`; these are what the rest of the package, and its users, see.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .messages import Message

__all__ = [
    "Answer",
    "ConflictingMemory",
    "ContextAnswer",
    "Memory",
    "MemoryVersion",
    "MergeConflict",
    "MessagePage",
    "Page",
    "Question",
    "SessionInfo",
    "UserInfo",
]


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """One session of a user: a conversation between two `process()` calls.

    Args:
        session_id: the service's UUID.
        user_id: the application's id of the user.
        status: `"pending"`, `"processing"`, `"processed"`, `"failed"` or `"insufficient_balance"`.
        metadata: as stored, this package's own keys included (`thread_id`, `recallrai_integrations`).
        created_at: timezone-aware.

    Example:
        ```python
        from recallrai_integrations import connect

        with connect(local=":memory:") as connection:
            conversation = connection.conversation("ada", "thread-1", metadata={"topic": "travel"})
            conversation.record(("user", "I moved to Lisbon."))
            session = conversation.info()
            assert session.status == "pending"
            assert session.metadata["topic"] == "travel"
        ```
    """

    session_id: str
    user_id: str
    status: str
    metadata: Mapping[str, Any]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class UserInfo:
    """A user of the project. `merge_conflict_enabled` None inherits the project's setting."""

    user_id: str
    metadata: Mapping[str, Any]
    merge_conflict_enabled: bool | None
    created_at: datetime
    last_active_at: datetime


@dataclass(frozen=True, slots=True)
class MemoryVersion:
    """An older version of a memory and why it was superseded."""

    memory_id: str
    version: int
    content: str
    created_at: datetime
    expired_at: datetime | None
    reason: str | None
    event_start: datetime | None = None
    event_end: datetime | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """A fact about the user. `similarity` (0 to 1) is set where the memory was recalled for a question.

    Example:
        ```python
        from recallrai_integrations import connect

        with connect(local=":memory:") as connection:
            with connection.conversation("ada") as conversation:
                conversation.record(("user", "My dog is called Biscuit."))
                conversation.finish(wait=True)
            (memory,) = connection.user("ada").memories()
            print(memory.content, memory.categories, memory.created_at, memory.version)
        ```
    """

    memory_id: str
    content: str
    categories: tuple[str, ...]
    created_at: datetime
    event_start: datetime | None
    event_end: datetime | None
    version: int
    session_id: str | None
    previous_versions: tuple[MemoryVersion, ...] = ()
    connected: tuple[tuple[str, str], ...] = ()
    similarity: float | None = None
    expired_at: datetime | None = None
    in_conflict: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """A clarifying question of a merge conflict; an answer must be one of its options."""

    question: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ConflictingMemory:
    """A stored memory that a proposed one contradicts."""

    memory_id: str
    content: str
    reason: str


@dataclass(frozen=True, slots=True)
class MergeConflict:
    """A new fact that contradicts what is known, waiting for the user's word.

    `status` is `"PENDING"`, `"IN_QUEUE"`, `"RESOLVING"`, `"RESOLVED"` or `"FAILED"`.

    Example:
        ```python
        from recallrai_integrations import connect

        with connect(local=":memory:") as connection:
            user = connection.user("ada")
            for conflict in user.conflicts():
                print(conflict.proposed, "or", [one.content for one in conflict.conflicting])
                # Here a person would choose; this takes the first option of each question.
                user.resolve(conflict, {asked.question: asked.options[0] for asked in conflict.questions})
        ```
    """

    conflict_id: str
    proposed: str
    conflicting: tuple[ConflictingMemory, ...]
    questions: tuple[Question, ...]
    status: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Answer:
    """The user's answer to one question of a merge conflict, with an optional remark."""

    question: str
    answer: str
    message: str | None = None


@dataclass(frozen=True, slots=True)
class MessagePage:
    """A page of a session's messages, oldest first; `total` counts the whole session."""

    messages: tuple[Message, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Page:
    """A page of sessions, memories, conflicts or users; `total` counts all that match."""

    items: tuple[Any, ...]
    total: int
    has_more: bool


@dataclass(frozen=True, slots=True)
class ContextAnswer:
    """What the service answered to a recall: the text without instructions, and what it was made from."""

    text: str = field(repr=False)
    strategy: str
    memory_ids: tuple[str, ...]
    session_ids: tuple[str, ...]

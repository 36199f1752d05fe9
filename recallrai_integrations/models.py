"""The data of the service as frozen values: sessions, memories, merge conflicts, pages of messages.

No object of the SDK leaves `_backend`; the rest of the package and its users see these values.
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
    "Forgotten",
    "Imported",
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
        metadata: as stored, including the keys of this package (`thread_id`, `recallrai_integrations`).
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
    """A user of the project.

    Args:
        user_id: the application's id of the user.
        metadata: as stored.
        merge_conflict_enabled: whether contradictions become merge conflicts; None uses the project's
            setting.
        created_at: timezone-aware.
        last_active_at: timezone-aware.

    Example:
        ```python
        from recallrai_integrations import UserInfo, connect

        with connect(local=":memory:") as connection:
            connection.conversation("ada").record(("user", "I moved to Lisbon."))
            user: UserInfo = connection.user("ada").info()
            print(user.created_at, user.last_active_at)
        ```
    """

    user_id: str
    metadata: Mapping[str, Any]
    merge_conflict_enabled: bool | None
    created_at: datetime
    last_active_at: datetime


@dataclass(frozen=True, slots=True)
class MemoryVersion:
    """An older version of a memory.

    Args:
        memory_id: of this version.
        version: its number, from 1.
        content: the text of this version.
        created_at: timezone-aware.
        expired_at: when it was superseded, timezone-aware; None if the service does not say.
        reason: why it was superseded, in the service's words.
        event_start: when the described event began, timezone-aware; None if unknown.
        event_end: when the described event ended, timezone-aware; None if unknown.

    Example:
        ```python
        from recallrai_integrations import MemoryVersion, connect

        with connect(local=":memory:") as connection:
            for fact in ("I live in Lisbon.", "I live in Porto."):
                with connection.conversation("ada") as conversation:
                    conversation.record(("user", fact))
                    conversation.finish(wait=True)
            (memory,) = connection.user("ada").memories()
            older: MemoryVersion = memory.previous_versions[0]
            print(older.content, "until", older.expired_at, "because", older.reason)
        ```
    """

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
    """A fact about the user. `similarity` (0 to 1) is set if the memory was recalled for a question.

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
    """A clarifying question of a merge conflict.

    Args:
        question: for the user.
        options: an answer must be one of them.

    Example:
        ```python
        from recallrai_integrations import Question

        def ask(asked: Question) -> str:
            print(asked.question)
            return asked.options[0]  # here a person would choose

        assert ask(Question("Where do you live?", ("Lisbon", "Porto"))) == "Lisbon"
        ```
    """

    question: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ConflictingMemory:
    """A stored memory that a proposed one contradicts.

    Args:
        memory_id: of the stored one.
        content: what it says.
        reason: how they contradict each other, in the service's words.

    Example:
        ```python
        from recallrai_integrations import ConflictingMemory

        def told(old: ConflictingMemory) -> str:
            return f"So far: {old.content} ({old.reason})"
        ```
    """

    memory_id: str
    content: str
    reason: str


@dataclass(frozen=True, slots=True)
class MergeConflict:
    """A new fact that contradicts known ones, until the user decides.

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


def remaining_until(place: str) -> str:
    """Until when deleted text remains in one of the places of `Forgotten.remains_in`."""
    if place.startswith("postgresql://"):
        return (
            f"{place} until its server has vacuumed its pages and dropped their write-ahead log; its "
            "replicas and backups keep it as long as you keep those"
        )
    return f"{place} as long as another program reads that file"


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was deleted, and is gone.

    Args:
        user_id: the application's id of the user.
        sessions: ids of the deleted sessions.
        memories: ids of the deleted memories, those made from the sessions or the one you named.
        waiting: number of pending messages that were dropped.
        user_deleted: whether the whole user was deleted.
        remains_in: where deleted text remains. A file of this machine (the outbox, the embedded service's
            database), as long as another program reads it; none as a rule. The database of an outbox in
            PostgreSQL, always, since every message passes through it: in its pages until they are vacuumed,
            in its write-ahead log, replicas and backups as long as its server keeps those.

    Example:
        ```python
        from recallrai_integrations import Forgotten, connect

        with connect(local=":memory:") as connection:
            connection.conversation("ada", "thread-1").record(("user", "I moved to Lisbon."))
            gone: Forgotten = connection.forget("ada", thread_id="thread-1")
            assert len(gone.sessions) == 1
            assert not gone.user_deleted
        ```
    """

    user_id: str
    sessions: tuple[str, ...] = ()
    memories: tuple[str, ...] = ()
    waiting: int = 0
    user_deleted: bool = False
    remains_in: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Imported:
    """The result of importing a conversation.

    Args:
        session_ids: the sessions that hold it: one, plus one for each time it was processed before it was
            complete; empty if it is still in the session it was exported from.
        stored: messages stored by this import; 0 if all were there.
        already: messages that were there before.

    Example:
        ```python
        from recallrai_integrations import Imported, connect

        with connect(local=":memory:") as connection:
            connection.conversation("ada", "thread-1").record(("user", "I moved to Lisbon."))
            copied: list[Imported] = connection.import_user("ada at home", connection.export("ada"))
            assert [one.stored for one in copied] == [1]
        ```
    """

    session_ids: tuple[str, ...]
    stored: int
    already: int


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
    """The service's answer to a recall: the text without instructions, and the ids of its sources."""

    text: str = field(repr=False)
    strategy: str
    memory_ids: tuple[str, ...]
    session_ids: tuple[str, ...]

"""The bodies of the API: what is accepted, checked within the service's ranges, and what is answered.

The answers are built as plain dictionaries; their models here describe them in the OpenAPI document.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)
from pydantic.config import JsonDict

from . import metadata

LARGEST_INTEGER: Final = 2**63 - 1  # SQLite's
MAX_USER_ID_CHARS: Final = 1_000  # ours

_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")
_LEAST: Final[JsonDict] = {"minimum": 600}  # the check is the endpoint's: a service for tests allows less

Status = Literal["pending", "processing", "processed", "failed", "insufficient_balance"]
ConflictStatus = Literal["PENDING", "IN_QUEUE", "RESOLVING", "RESOLVED", "FAILED"]
Metadata = Annotated[dict[str, Any], AfterValidator(metadata.checked)]
UserId = Annotated[str, StringConstraints(min_length=1, max_length=MAX_USER_ID_CHARS)]


def _is_text(when: object) -> object:
    if not isinstance(when, str) or not _DATE.match(when):  # pydantic also takes seconds since 1970
        raise ValueError("must be text in the form of ISO 8601")
    return when


def _in_utc(when: datetime) -> datetime:
    try:
        return when.astimezone(timezone.utc)
    except OverflowError:
        raise ValueError("lies outside the years 1 to 9999 in UTC") from None


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore")


class UserToCreate(_Body):
    """Body of `POST users`."""

    custom_user_id: UserId
    metadata: Metadata | None = None
    merge_conflict_enabled: bool | None = None


class UserChanges(_Body):
    """Body of `PUT U`; metadata are replaced as a whole."""

    new_metadata: Metadata | None = None
    new_custom_user_id: UserId | None = None
    merge_conflict_enabled: bool | None = None


class SessionToCreate(_Body):
    """Body of `POST U/sessions`; a backdating needs a zone."""

    auto_process_after_seconds: Annotated[int, Field(le=2**31 - 1, json_schema_extra=_LEAST)] = 600
    metadata: Metadata | None = None
    custom_created_at_utc: (
        Annotated[AwareDatetime, BeforeValidator(_is_text), AfterValidator(_in_utc)] | None
    ) = None


class SessionChanges(_Body):
    """Body of `PUT S`; without `new_metadata` nothing changes."""

    new_metadata: Metadata | None = None


class MessageToAdd(_Body):
    """Body of `POST S/add-message`; an empty text is accepted, and one as long as a body may be."""

    message: str
    role: Literal["user", "assistant"]


class QuestionAnswer(_Body):
    """One answer to a clarifying question."""

    question: str
    answer: str
    message: str | None = None


class Answers(_Body):
    """Answers to all questions of a merge conflict."""

    question_answers: list[QuestionAnswer]


class WrappedAnswers(_Body):
    """The same in the form that the SDKs send."""

    answers: Answers


class Detail(BaseModel):
    """An error, or the word that something was done."""

    detail: str


class UnknownCategories(BaseModel):
    """Which categories of a filter there are not."""

    message: str
    invalid_categories: list[str]


class UnknownCategoriesDetail(BaseModel):
    """The error for a filter by categories that there are not."""

    detail: UnknownCategories


class UserOut(BaseModel):
    """U."""

    custom_user_id: str
    metadata: dict[str, Any]
    merge_conflict_enabled: bool | None
    created_at: datetime
    last_active_at: datetime


class UserAnswer(BaseModel):
    """One user."""

    user: UserOut


class _PageOut(BaseModel):
    total: int
    has_more: bool


class UsersAnswer(_PageOut):
    """A page of users."""

    users: list[UserOut]


class SessionOut(BaseModel):
    """S; the last two only on request."""

    session_id: str
    status: Status
    created_at: datetime
    metadata: dict[str, Any]
    processed_at: datetime | None
    auto_process_after_seconds: int
    session_summary: str | None = None
    memories: list[dict[str, Any]] | None = None


class SessionAnswer(BaseModel):
    """One session."""

    session: SessionOut


class SessionsAnswer(_PageOut):
    """A page of sessions."""

    sessions: list[SessionOut]


class MessageOut(BaseModel):
    """A stored message."""

    role: Literal["user", "assistant"]
    content: str
    timestamp: datetime


class MessagesAnswer(_PageOut):
    """A page of messages."""

    messages: list[MessageOut]


class UserMessageOut(MessageOut):
    """A stored message with its session."""

    session_id: str


class UserMessagesAnswer(BaseModel):
    """The last messages of a user."""

    messages: list[UserMessageOut]


class ContextOut(BaseModel):
    """A context; in streams also a status update or an error."""

    is_final: bool
    status_update_message: str | None
    error_message: str | None
    context: str | None
    metadata: dict[str, Any]


class SystemPromptAnswer(BaseModel):
    """The instruction prompt."""

    system_prompt: str


class PreviousVersionOut(BaseModel):
    """A superseded version of a memory."""

    memory_id: str
    version_number: int
    content: str
    event_date_start: datetime
    event_date_end: datetime
    created_at: datetime
    expired_at: datetime | None
    expiration_reason: str | None
    merge_conflict_id: str | None


class ConnectedMemoryOut(BaseModel):
    """A memory connected with another."""

    memory_id: str
    content: str


class MemoryOut(BaseModel):
    """M."""

    memory_id: str
    categories: list[str]
    content: str
    event_date_start: datetime
    event_date_end: datetime
    created_at: datetime
    version_number: int
    total_versions: int
    has_previous_versions: bool
    previous_versions: list[PreviousVersionOut] | None = None
    connected_memories: list[ConnectedMemoryOut] | None = None
    merge_conflict_in_progress: bool
    merge_conflict_id: str | None = None
    expired_at: datetime | None = None
    expiration_reason: str | None = None
    session_id: str


class MemoriesAnswer(_PageOut):
    """A page of memories."""

    items: list[MemoryOut]


class ConflictingMemoryOut(BaseModel):
    """A memory that a new fact contradicts."""

    memory_id: str
    content: str
    reason: str
    event_date_start: datetime
    event_date_end: datetime
    created_at: datetime


class QuestionOut(BaseModel):
    """What the user has to settle."""

    question: str
    options: list[str]


class ConflictOut(BaseModel):
    """C; newer docs of the service name its key `conflict_id`."""

    id: str
    conflict_id: str
    project_user_session_id: str
    proposed_memory_content: str | None
    new_memories: list[dict[str, Any]] | None
    conflicting_memories: list[ConflictingMemoryOut]
    clarifying_questions: list[QuestionOut]
    status: ConflictStatus
    resolution_data: dict[str, Any] | None
    created_at: datetime
    resolved_at: datetime | None


class ConflictAnswer(BaseModel):
    """One merge conflict."""

    conflict: ConflictOut


class ConflictsAnswer(_PageOut):
    """A page of merge conflicts."""

    conflicts: list[ConflictOut]

"""What the tools answer: text for a model, and the same as structured values."""

from __future__ import annotations

from datetime import datetime

from mcp.types import CallToolResult, TextContent
from pydantic import BaseModel, Field

from recallrai_integrations.adapter.wording import conflicts_value
from recallrai_integrations.models import Memory, MergeConflict

__all__ = ["Conflicts", "Forgotten", "Memories", "Recalled", "Remembered", "Settled", "answered"]


class Recalled(BaseModel):
    """What `recall` answers."""

    conversation_id: str = Field(description="For `remember`, and for later turns of this conversation.")
    memories: str = Field(description="What is remembered that helps; empty when there is nothing.")
    memory_ids: list[str] = Field(description="Of the memories among it.")
    degraded: bool = Field(description="Whether the memory could not be asked, or not in time.")


class Remembered(BaseModel):
    """What `remember` answers."""

    conversation_id: str = Field(description="For later turns of this conversation.")
    delivered: bool = Field(description="False while the memory cannot be reached: it is stored later.")


class RememberedFact(BaseModel):
    """One memory."""

    memory_id: str
    content: str
    categories: list[str]
    created_at: datetime
    event_start: datetime | None
    event_end: datetime | None
    version: int


class Memories(BaseModel):
    """What a search or a list answers."""

    memories: list[RememberedFact]

    @classmethod
    def of(cls, found: list[Memory]) -> Memories:
        """From what the memory tools found."""
        names = RememberedFact.model_fields
        return cls(
            memories=[
                RememberedFact.model_validate({name: getattr(one, name) for name in names}) for one in found
            ]
        )


class Forgotten(BaseModel):
    """What `forget_memory` answers."""

    memory_id: str

    @classmethod
    def of(cls, memory_id: str) -> Forgotten:
        """From what the memory tools did."""
        return cls(memory_id=memory_id)


class AskedQuestion(BaseModel):
    """A question of a contradiction."""

    question: str
    options: list[str]


class Conflict(BaseModel):
    """A contradiction that waits for the user."""

    conflict_id: str
    proposed: str | None
    conflicting: list[str]
    questions: list[AskedQuestion]


class Conflicts(BaseModel):
    """What `list_merge_conflicts` answers."""

    conflicts: list[Conflict]

    @classmethod
    def of(cls, found: list[MergeConflict]) -> Conflicts:
        """From what the memory tools found."""
        return cls.model_validate(conflicts_value(found))


class Settled(BaseModel):
    """What `settle_merge_conflict` answers."""

    conflict_id: str
    settled: bool
    action: str = Field(description="What the user did: accept, decline or cancel.")


def answered(text: str, value: BaseModel) -> CallToolResult:
    """The answer of a tool: text for the model, beside the structured value."""
    return CallToolResult(
        content=[TextContent(type="text", text=text)], structured_content=value.model_dump(mode="json")
    )

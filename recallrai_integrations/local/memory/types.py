"""The values that cross the boundary between the HTTP side of the local service and its memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias

Json: TypeAlias = dict[str, Any]
Role: TypeAlias = Literal["user", "assistant"]
Strategy: TypeAlias = Literal["low_latency", "balanced", "agentic", "auto"]


@dataclass(frozen=True, slots=True)
class Message:
    """One stored message.

    Args:
        role: who said it.
        content: the text as it was sent.
        created_at: when it was stored, timezone-aware.
    """

    role: Role
    content: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class SessionView:
    """The session for which a context is asked.

    Args:
        session_id: its public id.
        status: `pending`, `processing`, `processed`, `failed` or `insufficient_balance`.
        created_at: when it began (backdated if its creator said so), timezone-aware.
        messages: everything said in it so far, oldest first; the last user message is the query.
    """

    session_id: str
    status: str
    created_at: datetime
    messages: Sequence[Message] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextQuery:
    """The parameters of one context request, within the service's ranges (checked by the HTTP side).

    Args:
        recall_strategy: which pipeline answers; `auto` lets the service choose.
        min_top_k: 5 to 50. The service does not pad below the threshold, and neither do we.
        max_top_k: 10 to 100, the most memories that are listed by their own similarity.
        memories_threshold: 0.2 to 0.8, the least similarity of a memory.
        summaries_threshold: 0.2 to 0.8, the least similarity of a session summary.
        last_n_messages: 1 to 100 messages of earlier sessions to append, or None.
        last_n_summaries: 1 to 20 summaries of recent sessions to append, or None.
        timezone: IANA name in which times are written.
    """

    recall_strategy: Strategy = "balanced"
    min_top_k: int = 15
    max_top_k: int = 50
    memories_threshold: float = 0.6
    summaries_threshold: float = 0.5
    last_n_messages: int | None = None
    last_n_summaries: int | None = None
    timezone: str = "UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class DateRange:
    """A span of whole days by which a recall was narrowed.

    Args:
        filter_type: which date of a memory it is compared with.
        start: its first moment.
        end: its last moment.
    """

    filter_type: Literal["event_date", "created_at"]
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextAnswer:
    """What a recall found.

    Args:
        context: the text for the model, in the service's structure.
        strategy_used: the strategy that produced it, never `auto`.
        memory_ids: the current version of every memory in it, best first.
        session_ids: the sessions whose summaries are in it, best first.
        agent_reasoning: how the agentic strategy came to its answer, otherwise None.
        vector_search_queries: the texts that were searched for by meaning.
        keywords: the words that were searched for.
        session_summaries_search_queries: the texts that were searched for among the summaries.
        date_range_filters: the wire form of the date filters that were in force.
    """

    context: str
    strategy_used: Literal["low_latency", "balanced", "agentic"]
    memory_ids: list[str] = field(default_factory=list[str])
    session_ids: list[str] = field(default_factory=list[str])
    agent_reasoning: str | None = None
    vector_search_queries: list[str] = field(default_factory=list[str])
    keywords: list[str] = field(default_factory=list[str])
    session_summaries_search_queries: list[str] = field(default_factory=list[str])
    date_range_filters: list[Json] = field(default_factory=list[Json])


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list, in wire form.

    Args:
        items: the objects of this page.
        total: how many match in all.
    """

    items: list[Json]
    total: int


class ConflictError(Exception):
    """A merge conflict cannot be resolved as asked; `detail` is the text for the 400 answer."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class ModelError(Exception):
    """A configured chat or embedding model failed or answered with something unusable."""

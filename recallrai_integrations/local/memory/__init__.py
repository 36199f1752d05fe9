"""The memory of the local service.

Plain functions over a `sqlite3.Connection`. They never commit: the caller owns the transaction, and rolls
back when one of them raises.
"""

from __future__ import annotations

from .browsing import get_memory, known_categories, list_memories, session_summary
from .conflicts import get_conflict, list_conflicts, resolve_conflict
from .deletion import delete_memory, delete_session, delete_user
from .engine import Engine
from .processing import Known, Reading, known_memories, process_session, read_session
from .prompts import system_prompt
from .recalling import recall, recall_steps
from .schema import create_tables
from .types import (
    ConflictError,
    ContextAnswer,
    ContextQuery,
    DateRange,
    Message,
    ModelError,
    Page,
    SessionView,
)

__all__ = [
    "ConflictError",
    "ContextAnswer",
    "ContextQuery",
    "DateRange",
    "Engine",
    "Known",
    "Message",
    "ModelError",
    "Page",
    "Reading",
    "SessionView",
    "create_tables",
    "delete_memory",
    "delete_session",
    "delete_user",
    "get_conflict",
    "get_memory",
    "known_categories",
    "known_memories",
    "list_conflicts",
    "list_memories",
    "process_session",
    "read_session",
    "recall",
    "recall_steps",
    "resolve_conflict",
    "session_summary",
    "system_prompt",
]

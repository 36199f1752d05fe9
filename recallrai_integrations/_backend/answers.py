"""The SDK's answers as our own values.

A 200 is no proof that the service did what it was asked for: gateways, caches and captive portals answer as
well. What an answer must say, and what no true one can say, is checked here; whatever fails that is an
outage, and writes are then looked for as after any lost answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from recallrai_integrations._flows import ops, rules
from recallrai_integrations._flows.ops import ServiceOp
from recallrai_integrations.errors import InvalidInputError, ServiceUnavailableError
from recallrai_integrations.identity import service_id_text
from recallrai_integrations.messages import Message, Role
from recallrai_integrations.models import (
    ConflictingMemory,
    ContextAnswer,
    Memory,
    MemoryVersion,
    MergeConflict,
    MessagePage,
    Page,
    Question,
    SessionInfo,
    UserInfo,
)

from .transport import json_seen, status_seen

__all__ = ["final", "read"]


def read(op: ServiceOp[Any], raw: Any) -> Any:
    """The answer of an op as its own type; None for those that answer nothing.

    Raises:
        ServiceUnavailableError: it does not say what an answer to this request says.
    """
    reader = _READERS.get(type(op))
    return None if reader is None else reader(op, raw)


def _require(op: ServiceOp[Any], holds: bool, what: str) -> None:
    if not holds:
        raise ServiceUnavailableError(
            f"{type(op).__name__} failed: the service's answer could not be read ({what}).",
            status=status_seen(),
        )


def _acknowledgement(op: ServiceOp[Any], _: Any) -> None:
    """What the SDK takes for success by its status alone."""
    said = json_seen()
    if said is None and status_seen() is None:
        return  # a client whose transport cannot be watched
    known = cast("dict[str, Any]", said) if isinstance(said, dict) else {}
    _require(op, isinstance(known.get("detail"), str) and "error" not in known, "no acknowledgement")


def _holds(metadata: Any, wanted: Mapping[str, Any]) -> bool:
    """Whether metadata hold all of what is wanted, nested ones too."""
    if not isinstance(metadata, Mapping):
        return False
    held = cast("Mapping[str, Any]", metadata)
    return all(
        _holds(held.get(key), cast("Mapping[str, Any]", value))
        if isinstance(value, Mapping)
        else key in held and held[key] == value
        for key, value in wanted.items()
    )


def _session_info(op: ServiceOp[Any], raw: Any) -> SessionInfo:
    try:
        session_id = service_id_text("session id", raw.session_id)
    except InvalidInputError as error:  # everything of the session would be asked for by it
        raise ServiceUnavailableError(
            "The service answered with a session id that cannot be part of a URL."
        ) from error
    return SessionInfo(session_id, op.user_id, raw.status.value, raw.metadata, raw.created_at)


def _session_read(op: ops.GetSession, raw: Any) -> SessionInfo:
    _require(op, raw.session_id.lower() == op.session_id.lower(), "another session")
    return _session_info(op, raw)


def _session_created(op: ops.CreateSession, raw: Any) -> SessionInfo:
    ours = {key: op.metadata[key] for key in (rules.THREAD_KEY, rules.OWN_KEY) if key in op.metadata}
    _require(op, raw.status.value == "pending" and _holds(raw.metadata, ours), "another session")
    return _session_info(op, raw)


def _session_updated(op: ops.UpdateSession, _: Any) -> None:
    """The SDK reads the session of the answer and drops it."""
    said: Any = json_seen()
    if said is None and status_seen() is None:
        return  # a client whose transport cannot be watched
    session = said.get("session", said) if isinstance(said, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - anybody's JSON
    known = cast("dict[str, Any]", session) if isinstance(session, dict) else {}
    is_this = str(known.get("session_id")).lower() == op.session_id.lower()
    _require(op, is_this and _holds(known.get("metadata"), op.metadata), "another session")


def _user_info(op: ServiceOp[Any], raw: Any) -> UserInfo:
    return UserInfo(op.user_id, raw.metadata, raw.merge_conflict_enabled, raw.created_at, raw.last_active_at)


def _sessions(op: ops.ListSessions, raw: Any) -> Page:
    items = tuple(_session_info(op, item) for item in raw.sessions)
    fits = all(
        _holds(one.metadata, op.metadata_filter or {}) and (not op.statuses or one.status in op.statuses)
        for one in items
    )
    _require(op, fits and len(items) <= op.limit, "other sessions")
    return Page(items, raw.total, raw.has_more)


def _messages(op: ops.ReadMessages, raw: Any) -> MessagePage:
    end = op.offset + len(raw.messages)
    is_page = len(raw.messages) <= op.limit and (end <= raw.total if raw.messages else op.offset >= raw.total)
    _require(op, is_page and raw.total >= 0, "another page")
    return MessagePage(
        tuple(
            Message(cast("Role", item.role.value), item.content, created_at=item.timestamp)
            for item in raw.messages
        ),
        raw.total,
    )


def _context(op: ops.GetContext, raw: Any) -> ContextAnswer:
    if raw.context is None and raw.error_message:
        raise ServiceUnavailableError("The service could not recall; it answered with an error message.")
    _require(op, isinstance(raw.context, str), "no context")
    seen = raw.metadata
    used = getattr(seen, "recall_strategy_used", None)
    return ContextAnswer(
        cast("str", raw.context),
        used.value if used is not None else op.options.wire_strategy,
        tuple(getattr(seen, "memory_ids", None) or ()),
        tuple(getattr(seen, "session_ids", None) or ()),
    )


def _memory(_: ServiceOp[Any], raw: Any) -> Memory:
    return Memory(
        memory_id=raw.memory_id,
        content=raw.content,
        categories=tuple(raw.categories),
        created_at=raw.created_at,
        event_start=raw.event_date_start,
        event_end=raw.event_date_end,
        version=raw.version_number,
        session_id=raw.session_id,
        previous_versions=tuple(
            MemoryVersion(
                memory_id=getattr(old, "memory_id", raw.memory_id),
                version=old.version_number,
                content=old.content,
                created_at=old.created_at,
                expired_at=old.expired_at,
                reason=old.expiration_reason,
                event_start=old.event_date_start,
                event_end=old.event_date_end,
            )
            for old in raw.previous_versions or ()
        ),
        connected=tuple((other.memory_id, other.content) for other in raw.connected_memories or ()),
        expired_at=getattr(raw, "expired_at", None),
        in_conflict=raw.merge_conflict_in_progress,
    )


def _memories(op: ops.ListMemories, raw: Any) -> Page:
    return Page(tuple(_memory(op, item) for item in raw.items), raw.total, raw.has_more)


def _conflict(_: ServiceOp[Any], raw: Any) -> MergeConflict:
    return MergeConflict(
        conflict_id=raw.conflict_id,
        proposed=raw.proposed_memory_content or "",
        conflicting=tuple(
            ConflictingMemory(getattr(old, "memory_id", ""), old.content, old.reason)
            for old in raw.conflicting_memories
        ),
        questions=tuple(Question(asked.question, tuple(asked.options)) for asked in raw.clarifying_questions),
        status=raw.status.value,
        created_at=raw.created_at,
    )


def _conflict_read(op: ops.GetConflict, raw: Any) -> MergeConflict:
    _require(op, raw.conflict_id.lower() == op.conflict_id.lower(), "another merge conflict")
    return _conflict(op, raw)


def _conflicts(op: ops.ListConflicts, raw: Any) -> Page:
    return Page(tuple(_conflict(op, item) for item in raw.conflicts), raw.total, raw.has_more)


_READERS: dict[type[ServiceOp[Any]], Callable[[Any, Any], Any]] = {
    ops.GetUser: _user_info,
    ops.CreateSession: _session_created,
    ops.ListSessions: _sessions,
    ops.GetSession: _session_read,
    ops.AddMessage: _acknowledgement,
    ops.Process: _acknowledgement,
    ops.ReadMessages: _messages,
    ops.GetContext: _context,
    ops.ListMemories: _memories,
    ops.UpdateSession: _session_updated,
    ops.GetMemory: _memory,
    ops.ListConflicts: _conflicts,
    ops.GetConflict: _conflict_read,
}


def final(op: ops.GetContext, event: Any | None) -> ContextAnswer:
    """The answer at the end of a stream.

    Raises:
        ServiceUnavailableError: the stream ended without one.
    """
    if event is None:
        # An API error in a stream, or a stream cut short, looks like an empty one (SDK).
        raise ServiceUnavailableError(
            "The stream of the recall ended without an answer.", status=status_seen(success=False)
        )
    return _context(op, event)

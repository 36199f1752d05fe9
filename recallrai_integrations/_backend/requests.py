"""Each op's request, written once for both colours.

The SDK's sync and async classes have the same methods: what `send` returns is a value from a sync object and
an awaitable from an async one.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from recallrai.models import (
    MergeConflictAnswer,
    MergeConflictStatus,
    MessageRole,
    RecallStrategy,
    SessionStatus,
)

from recallrai_integrations._flows import ops
from recallrai_integrations._flows.ops import ServiceOp
from recallrai_integrations.identity import encode_id

from .sdk import Sdk

__all__ = ["send", "stream"]


@singledispatch
def send(op: ServiceOp[Any], sdk: Sdk) -> Any:  # noqa: ARG001 - the signature that all share
    """The request of an op: its answer, or an awaitable of it.

    Raises:
        TypeError: no request is known for the op; a bug of ours.
    """
    raise TypeError(f"no request is known for {type(op).__name__}")


@send.register
def _(op: ops.CreateUser, sdk: Sdk) -> Any:
    return sdk.client.create_user(
        encode_id(op.user_id),
        metadata=dict(op.metadata),
        merge_conflict_enabled=op.merge_conflict_enabled,
    )


@send.register
def _(op: ops.GetUser, sdk: Sdk) -> Any:
    return sdk.client.get_user(encode_id(op.user_id))


@send.register
def _(op: ops.DeleteUser, sdk: Sdk) -> Any:
    return sdk.user(op.user_id).delete()


@send.register
def _(op: ops.CreateSession, sdk: Sdk) -> Any:
    return sdk.user(op.user_id).create_session(
        auto_process_after_seconds=op.auto_process_after_seconds,
        metadata=dict(op.metadata),
        custom_created_at_utc=op.created_at,
    )


@send.register
def _(op: ops.ListSessions, sdk: Sdk) -> Any:
    return sdk.user(op.user_id).list_sessions(
        offset=op.offset,
        limit=op.limit,
        metadata_filter=None if op.metadata_filter is None else dict(op.metadata_filter),
        status_filter=[SessionStatus(status) for status in op.statuses] or None,
    )


@send.register
def _(op: ops.GetSession, sdk: Sdk) -> Any:
    return sdk.user(op.user_id).get_session(op.session_id)


@send.register
def _(op: ops.UpdateSession, sdk: Sdk) -> Any:
    return sdk.session(op.user_id, op.session_id).update(new_metadata=dict(op.metadata))


@send.register
def _(op: ops.DeleteSession, sdk: Sdk) -> Any:
    return sdk.session(op.user_id, op.session_id).delete()


@send.register
def _(op: ops.AddMessage, sdk: Sdk) -> Any:
    role = MessageRole(op.message.role)
    return sdk.session(op.user_id, op.session_id).add_message(role=role, content=op.message.content)


@send.register
def _(op: ops.ReadMessages, sdk: Sdk) -> Any:
    return sdk.session(op.user_id, op.session_id).get_messages(offset=op.offset, limit=op.limit)


def _context_arguments(op: ops.GetContext) -> dict[str, Any]:
    options = op.options
    return {
        "recall_strategy": RecallStrategy(options.wire_strategy),
        "min_top_k": options.min_top_k,
        "max_top_k": options.max_top_k,
        "memories_threshold": options.memories_threshold,
        "summaries_threshold": options.summaries_threshold,
        "last_n_messages": options.last_n_messages,
        "last_n_summaries": options.last_n_summaries,
        "timezone": options.timezone,
        "include_system_prompt": False,  # fetched beside the turn and cached by the connection
        "include_metadata_ids": True,
    }


@send.register
def _(op: ops.GetContext, sdk: Sdk) -> Any:
    return sdk.session(op.user_id, op.session_id).get_context(**_context_arguments(op))


@send.register
def _(op: ops.Process, sdk: Sdk) -> Any:
    return sdk.session(op.user_id, op.session_id).process()


@send.register
def _(op: ops.ListMemories, sdk: Sdk) -> Any:
    return sdk.user(op.user_id).list_memories(
        offset=op.offset,
        limit=op.limit,
        categories=list(op.categories) or None,
        session_id_filter=list(op.session_ids) or None,
    )


@send.register
def _(op: ops.GetMemory, sdk: Sdk) -> Any:
    return sdk.user(op.user_id).get_memory(op.memory_id)


@send.register
def _(op: ops.DeleteMemory, sdk: Sdk) -> Any:
    return sdk.user(op.user_id).delete_memory(op.memory_id, delete_previous_versions=op.previous_versions)


@send.register
def _(op: ops.ListConflicts, sdk: Sdk) -> Any:
    return sdk.user(op.user_id).list_merge_conflicts(
        offset=op.offset,
        limit=op.limit,
        status=None if op.status is None else MergeConflictStatus(op.status),
        sort_order="asc",
    )


@send.register
def _(op: ops.GetConflict, sdk: Sdk) -> Any:
    return sdk.user(op.user_id).get_merge_conflict(op.conflict_id)


@send.register
def _(op: ops.ResolveConflict, sdk: Sdk) -> Any:
    conflict = sdk.conflict(op.user_id, op.conflict_id)
    return conflict.resolve(
        [
            MergeConflictAnswer(question=given.question, answer=given.answer, message=given.message)
            for given in op.answers
        ]
    )


def stream(op: ops.GetContext, sdk: Sdk) -> Any:
    """The events of a recall, as a generator of the SDK's colour; the last one is the answer."""
    return sdk.session(op.user_id, op.session_id).get_context_stream(**_context_arguments(op))

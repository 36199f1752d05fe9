"""A user's memories: searching, listing, deleting, and answering merge conflicts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from recallrai_integrations.errors import (
    ForgetIncompleteError,
    InvalidInputError,
    NotFoundError,
    RequestRejectedError,
    ServiceError,
)
from recallrai_integrations.messages import Message
from recallrai_integrations.models import ContextAnswer, Memory, MergeConflict
from recallrai_integrations.options import RecallOptions

from . import rules
from .ops import (
    AddMessage,
    CreateSession,
    DeleteMemory,
    DeleteSession,
    Flow,
    Gather,
    GetContext,
    GetMemory,
    ListConflicts,
    ListMemories,
    ResolveConflict,
)

__all__ = ["all_conflicts", "all_memories", "delete_memory", "resolve", "search"]

_ROOT_ENTRY = re.compile(r"^\d+\. (?P<content>.+) \(Similarity: (?P<similarity>[01]\.\d+)\)", re.MULTILINE)
_STATUSES = ("PENDING", "IN_QUEUE", "RESOLVING", "RESOLVED", "FAILED")
_SEARCH_MARK = {rules.OWN_KEY: {"search": True}}


def search(user_id: str, query: str, k: int, options: RecallOptions) -> Flow[list[Memory]]:
    """Returns the memories that a question recalls, most similar first.

    The service has no search: it recalls by the messages of a session. So the question is asked in a session
    of its own, which is deleted again. A user who does not exist has no memories.
    """
    try:
        session = yield from CreateSession(user_id, _SEARCH_MARK, 600)
    except NotFoundError:
        return []
    try:
        yield from AddMessage(user_id, session.session_id, Message("user", query))
        answer = yield from GetContext(user_id, session.session_id, options)
    except ServiceError:
        with suppress(ServiceError):
            yield from DeleteSession(user_id, session.session_id)
        raise
    with suppress(ServiceError):  # if it stays, the timer processes it; a question makes no memory
        yield from DeleteSession(user_id, session.session_id)
    similarities = _similarities(answer)
    memories = yield from _read_all(user_id, answer.memory_ids[:k])
    found = [replace(memory, similarity=similarities.get(_key(memory.content))) for memory in memories]
    return sorted(found, key=lambda one: one.similarity or 0.0, reverse=True)


def _read_all(user_id: str, memory_ids: Sequence[str]) -> Flow[list[Memory]]:
    if not memory_ids:
        return []
    return (yield from Gather([GetMemory(user_id, memory_id) for memory_id in memory_ids]))


def _similarities(answer: ContextAnswer) -> dict[str, float]:
    """Returns similarities by content, from the text; the service's metadata has none."""
    return {_key(entry["content"]): float(entry["similarity"]) for entry in _ROOT_ENTRY.finditer(answer.text)}


def _key(content: str) -> str:
    return " ".join(content.split())


def all_memories(
    user_id: str, *, categories: Sequence[str], session_ids: Sequence[str], limit: int | None
) -> Flow[list[Memory]]:
    """Returns the current memories, newest first; none for a user who does not exist."""
    found: list[Memory] = []
    while limit is None or len(found) < limit:
        page_size = 200 if limit is None else min(200, limit - len(found))
        try:
            page = yield from ListMemories(
                user_id,
                offset=len(found),
                limit=page_size,
                categories=categories,
                session_ids=session_ids,
            )
        except NotFoundError:
            break
        found.extend(page.items)
        if not page.has_more or not page.items:
            break
    return found


def all_conflicts(user_id: str, status: str | None) -> Flow[list[MergeConflict]]:
    """Returns merge conflicts of a status, oldest first; none for a user who does not exist.

    Raises:
        InvalidInputError: a status that there is not.
    """
    if status is not None and status not in _STATUSES:
        raise InvalidInputError(f"status must be one of {', '.join(_STATUSES)} or None, not {status!r}.")
    found: list[MergeConflict] = []
    while True:
        try:
            page = yield from ListConflicts(user_id, status=status, offset=len(found))
        except NotFoundError:
            return found
        found.extend(page.items)
        if not page.has_more or not page.items:
            return found


def delete_memory(user_id: str, memory_id: str, *, previous_versions: bool) -> Flow[None]:
    """Deletes a memory and checks that it is gone. It is read first, because a missing one is an error."""
    yield from GetMemory(user_id, memory_id)
    with suppress(NotFoundError):  # a repeated request found its work done
        yield from DeleteMemory(user_id, memory_id, previous_versions)
    with suppress(NotFoundError):
        yield from GetMemory(user_id, memory_id)
        raise ForgetIncompleteError(
            f"Memory {memory_id} was deleted, but the service still returns it. Try again."
        )


def resolve(user_id: str, conflict: MergeConflict, answers: Mapping[str, str]) -> Flow[bool]:
    """Answers a merge conflict; False if it is already resolved or the answers do not fit."""
    chosen = rules.fitting_answers(conflict, answers)
    if chosen is None:
        return False
    try:
        yield from ResolveConflict(user_id, conflict.conflict_id, chosen)
    except (RequestRejectedError, NotFoundError):
        return False
    return True

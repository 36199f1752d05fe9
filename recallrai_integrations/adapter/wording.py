"""Texts about memories and merge conflicts for models and users, the same in every adapter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from recallrai_integrations.models import Memory, MergeConflict

__all__ = ["conflicts_text", "conflicts_value", "memories_text", "settled_text"]


def memories_text(memories: Sequence[Memory]) -> str:
    """Returns memories for a model, one per line, each with the id by which it can be deleted."""
    if not memories:
        return "Nothing is remembered."
    return "\n".join(f"- [{one.memory_id}] {one.content} ({', '.join(_details(one))})" for one in memories)


def conflicts_text(conflicts: Sequence[MergeConflict]) -> str:
    """Returns merge conflicts for a model, each with its id, questions and options."""
    if not conflicts:
        return "There are no contradictions to settle."
    lines: list[str] = []
    for conflict in conflicts:
        known = " / ".join(one.content for one in conflict.conflicting)
        lines.append(f"- [{conflict.conflict_id}] New: {conflict.proposed} Known: {known}")
        lines += [f"  Ask: {one.question} Options: {' | '.join(one.options)}" for one in conflict.questions]
    return "\n".join(lines)


def settled_text(resolved: bool) -> str:
    """Returns what an answer to a merge conflict did."""
    if resolved:
        return "Settled."
    return "Nothing was settled: it was settled already, or an answer is none of the options, word for word."


def conflicts_value(conflicts: Sequence[MergeConflict]) -> dict[str, Any]:
    """Returns merge conflicts as JSON values, for an application that asks its user.

    The application answers with `{conflict_id: {question: answer}}`.
    """
    return {
        "type": "recallrai.merge_conflicts",
        "conflicts": [
            {
                "conflict_id": one.conflict_id,
                "proposed": one.proposed,
                "conflicting": [memory.content for memory in one.conflicting],
                "questions": [
                    {"question": asked.question, "options": list(asked.options)} for asked in one.questions
                ],
            }
            for one in conflicts
        ],
    }


def _details(memory: Memory) -> list[str]:
    about = [] if memory.event_start is None else [f"about {memory.event_start:%Y-%m-%d}"]
    return [*memory.categories, f"noted {memory.created_at:%Y-%m-%d}", *about]

"""Putting memories into one request, and into nothing that outlives it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar, cast

from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

from recallrai_integrations.recall import Recall

from ._messages import conversation_of, is_user

__all__ = ["with_memories", "with_memories_in_messages"]

M = TypeVar("M", bound=BaseMessage)


def with_memories(
    recall: Recall, system: SystemMessage | None, messages: Sequence[BaseMessage]
) -> tuple[SystemMessage | None, list[BaseMessage]]:
    """A request's system message and messages, with what was recalled; the given ones stay as they are.

    With placement `"system"` there is one system message afterwards (providers refuse or move further
    ones), the memories at its end, so that all before them is the same from turn to turn. With `"user"`
    they go into the user's last message, before its text, and all that comes earlier stays as it was.

    Args:
        recall: what was recalled for this turn.
        system: the system message that the framework keeps beside the messages, if any.
        messages: the messages of the request.
    """
    changed = list(messages)
    prompt = recall.prompt(sent=conversation_of(messages))
    if not prompt.text:
        return system, changed
    if recall.options.placement == "user":
        place = _last_user(messages)
        if place is not None:
            changed[place] = _prepended(changed[place], prompt.text)
        return system, changed
    parts = [part for part in (prompt.instructions, prompt.memories) if part]
    if system is None and changed and isinstance(changed[0], SystemMessage):
        changed[0] = _appended(changed[0], parts)
        return None, changed
    return _appended(system or SystemMessage(""), parts), changed


def with_memories_in_messages(recall: Recall, messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    """The messages of a request that keeps its system message among them, with what was recalled."""
    system, changed = with_memories(recall, None, messages)
    return changed if system is None else [system, *changed]


def _last_user(messages: Sequence[BaseMessage]) -> int | None:
    users = [place for place, message in enumerate(messages) if is_user(message)]
    humans = [place for place, message in enumerate(messages) if isinstance(message, HumanMessage)]
    places = users or humans
    return places[-1] if places else None


def _appended(message: M, parts: Sequence[str]) -> M:
    """Text stays text; to blocks, which may carry `cache_control`, blocks are added."""
    content = cast("str | list[Any]", message.content)  # pyright: ignore[reportUnknownMemberType] - untyped dict blocks
    if isinstance(content, str):
        return _replaced(message, "\n\n".join([*filter(None, [content]), *parts]))
    return _replaced(message, [*content, *({"type": "text", "text": f"\n\n{part}"} for part in parts)])


def _prepended(message: M, text: str) -> M:
    content = cast("str | list[Any]", message.content)  # pyright: ignore[reportUnknownMemberType] - untyped dict blocks
    if isinstance(content, str):
        return _replaced(message, f"{text}\n\n{content}")
    return _replaced(message, [{"type": "text", "text": f"{text}\n\n"}, *content])


def _replaced(message: M, content: str | list[Any]) -> M:
    return message.model_copy(update={"content": content})

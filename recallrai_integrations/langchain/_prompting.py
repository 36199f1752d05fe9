"""Putting memories into one request, and into nothing that outlives it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import takewhile
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

    With placement `"system"` the memories stand at the end of the system message, so that all before them is
    the same from turn to turn. System messages at the start become one, since providers refuse or move
    further ones; where the only ones are in the middle of the conversation, the last of them takes the
    memories. With `"user"` they go into the user's last message, before its text, and all that comes earlier
    stays as it was. With `"split"` the instructions go into the one, the memories into the other.

    Args:
        recall: what was recalled for this turn.
        system: the system message that the framework keeps beside the messages, if any.
        messages: the messages of the request.
    """
    changed = list(messages)
    prompt = recall.prompt(sent=conversation_of(messages))
    place = _last_user(messages) if prompt.beside else None
    if place is not None:
        changed[place] = _prepended(changed[place], prompt.beside)
    if not prompt.system:
        return system, changed
    parts = prompt.instructions, "" if prompt.beside else prompt.memories
    leading = list(takewhile(_is_system, changed))
    if system is not None or leading:
        beside = system is not None
        first, *further = [*([system] if system is not None else []), *cast("list[SystemMessage]", leading)]
        told = _appended(reduce(_joined, further, first), parts)
        rest = changed[len(leading) :]
        return (told, rest) if beside else (None, [told, *rest])
    for place in reversed(range(len(changed))):
        if _is_system(changed[place]):
            changed[place] = _appended(changed[place], parts)
            return None, changed
    return _appended(SystemMessage(""), parts), changed


def with_memories_in_messages(recall: Recall, messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    """The messages of a request that keeps its system message among them, with what was recalled."""
    system, changed = with_memories(recall, None, messages)
    return changed if system is None else [system, *changed]


def _is_system(message: BaseMessage) -> bool:
    return isinstance(message, SystemMessage)


def _joined(message: SystemMessage, other: SystemMessage) -> SystemMessage:
    """One system message that says what both say; blocks, which may carry `cache_control`, stay blocks."""
    contents = [cast("str | list[Any]", one.content) for one in (message, other)]  # pyright: ignore[reportUnknownMemberType] - untyped dict blocks
    if all(isinstance(content, str) for content in contents):
        return _replaced(message, "\n\n".join(filter(None, cast("list[str]", contents))))
    blocks = [
        block
        for content in contents
        for block in ([{"type": "text", "text": content}] if isinstance(content, str) else content)
    ]
    return _replaced(message, blocks)


def _last_user(messages: Sequence[BaseMessage]) -> int | None:
    users = [place for place, message in enumerate(messages) if is_user(message)]
    humans = [place for place, message in enumerate(messages) if isinstance(message, HumanMessage)]
    places = users or humans
    return places[-1] if places else None


def _appended(message: M, parts: tuple[str, str]) -> M:
    """Text stays text; to blocks, blocks are added.

    A `cache_control` mark on the last block says that everything up to it is to be cached. Instructions are
    the same in every turn, so the mark moves behind them.

    Args:
        message: a system message.
        parts: instructions and memories; either may be "".
    """
    content = cast("str | list[Any]", message.content)  # pyright: ignore[reportUnknownMemberType] - untyped dict blocks
    if isinstance(content, str):
        return _replaced(message, "\n\n".join(filter(None, (content, *parts))))
    blocks = list(content)
    added: list[dict[str, Any]] = [{"type": "text", "text": f"\n\n{part}"} for part in parts if part]
    if parts[0] and blocks and isinstance(blocks[-1], dict) and "cache_control" in blocks[-1]:
        last = dict(cast("dict[str, Any]", blocks.pop()))
        added[0]["cache_control"] = last.pop("cache_control")
        blocks.append(last)
    return _replaced(message, [*blocks, *added])


def _prepended(message: M, text: str) -> M:
    content = cast("str | list[Any]", message.content)  # pyright: ignore[reportUnknownMemberType] - untyped dict blocks
    if isinstance(content, str):
        return _replaced(message, f"{text}\n\n{content}")
    return _replaced(message, [{"type": "text", "text": f"{text}\n\n"}, *content])


def _replaced(message: M, content: str | list[Any]) -> M:
    return message.model_copy(update={"content": content})

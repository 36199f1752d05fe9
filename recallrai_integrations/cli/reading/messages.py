"""One message, in the forms of frameworks, of providers' APIs and of chat applications' exports, as ours.

Kept is what adapters keep as well: the words of the user, and those of the assistant that were meant for
the user. System and tool messages, calls of tools, reasoning and empty messages are left out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from recallrai_integrations.messages import Message, Role, clean_text
from recallrai_integrations.reasoning import without_reasoning

from .content import calls_tools, kind_of, text_of
from .located import Place, UnreadableError, is_object
from .times import as_time, time_in

__all__ = ["as_message", "as_messages", "looks_like_message"]

_ROLES: Final[dict[str, Role]] = {
    **dict.fromkeys(("user", "human", "humanmessagechunk"), "user"),
    **dict.fromkeys(
        (
            *("assistant", "ai", "aimessagechunk", "model", "chatbot", "bot"),
            *("gpt", "chatgpt", "claude", "gemini", "bard", "bing"),
        ),
        "assistant",
    ),
}
_LEFT_OUT: Final = frozenset(
    {
        *("system", "developer", "systemmessagechunk", "remove", "root"),
        *("tool", "toolmessagechunk", "tool_call", "tool_response", "tool_result"),
        *("function", "function_call", "function_response", "observation"),
    }
)
_ITEMS_BESIDE_MESSAGES: Final = re.compile(
    r"reasoning|compaction(_trigger)?|item_reference|configuration_update|additional_tools|program|"
    r"mcp_\w+|\w+_(call|output)"
)
"""What OpenAI's Responses have in a list with the messages, by type: they have no role."""
_SPEAKERS: Final = ("role_type", "role", "from", "sender", "author")
"""Where the role is: Zep's, everybody's, ShareGPT's, Claude's, ChatGPT's."""


def looks_like_message(item: object) -> bool:
    """Whether a value has the outline of a message, so that a list of such is a conversation."""
    if not is_object(item):
        return False
    if not {"role", "role_type"}.isdisjoint(item) or _is_beside_messages(item):
        return True
    if "from" in item or "sender" in item:
        return not {"value", "text", "content"}.isdisjoint(item)
    return "type" in item and not {"data", "kwargs", "content"}.isdisjoint(item)


def as_messages(items: Sequence[tuple[Place, object]], left_out: Counter[str]) -> list[Message]:
    """The messages of a conversation, in which several people are told apart by their names.

    Args:
        items: each with its place.
        left_out: counts what was said and is not kept.

    Raises:
        UnreadableError: an item is not a message of a known form.
    """
    found = [(as_message(item, place, left_out), _name(item)) for place, item in items]
    names = {name for message, name in found if message is not None and message.role == "user" and name}
    return [
        replace(message, content=f"{name}: {message.content}")
        if message.role == "user" and name and len(names) > 1
        else message
        for message, name in found
        if message is not None
    ]


def as_message(item: object, place: Place, left_out: Counter[str]) -> Message | None:
    """The message, or None when it is none of the user's or the assistant's words.

    Raises:
        UnreadableError: it is not a message of a known form.
    """
    if not is_object(item):
        raise UnreadableError(f"a message must be an object, not {kind_of(item)}", place)
    if _is_beside_messages(item):
        return None
    name, fields = _outline(item)
    if name.lower() in _LEFT_OUT or _is_hidden(item):
        return None
    role = _ROLES.get(name.lower())
    if role is None:
        raise UnreadableError(f"unknown role {name!r}; known are user, assistant, system and tool", place)
    if role == "assistant" and "sender" not in fields and calls_tools(fields):
        return None
    text = clean_text(text_of(fields, place, left_out))
    if not text.strip() and (fields.get("attachments") or fields.get("files")):
        text = "[file]"
    if role == "assistant" and text.strip():
        text = without_reasoning(text)
        if not text:
            left_out["an answer that is nothing but reasoning"] += 1
    identity = fields.get("id")
    if not text.strip():
        return None
    return Message(role, text, identity if isinstance(identity, str) else None, _time(item, fields, left_out))


def _is_beside_messages(item: Mapping[str, Any]) -> bool:
    return "role" not in item and _ITEMS_BESIDE_MESSAGES.fullmatch(str(item.get("type"))) is not None


def _is_hidden(item: Mapping[str, Any]) -> bool:
    """What ChatGPT shows to nobody: calls of tools, the system's notes, drafts of thoughts."""
    metadata = item.get("metadata")
    return (
        item.get("recipient") not in (None, "all")
        or item.get("channel") in ("analysis", "commentary")
        or item.get("isThought") is True
        or (is_object(metadata) and metadata.get("is_visually_hidden_from_conversation") is True)
    )


def _outline(item: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """A message's role, and where its content is."""
    fields, role = item, next((item[key] for key in _SPEAKERS if item.get(key)), item.get("type"))
    if is_object(role):  # ChatGPT's author
        role = role.get("role")
    elif role == "constructor" and is_object(item.get("kwargs")):  # LangChain's dumpd
        fields = item["kwargs"]
        role = fields.get("type")
    elif is_object(item.get("data")):  # LangChain's messages_to_dict
        fields = item["data"]
    if role == "chat":
        role = fields.get("role")
    return str(role).removeprefix("MessageRole."), fields


def _name(item: object) -> str:
    """Who of several people speaks; Zep has it where others have the role."""
    if not is_object(item):
        return ""
    fields = _outline(item)[1]
    name = item.get("role") if item.get("role_type") else fields.get("name")
    return name if isinstance(name, str) else ""


def _time(item: Mapping[str, Any], fields: Mapping[str, Any], left_out: Counter[str]) -> datetime | None:
    said = time_in(item, fields)
    if said is None:
        return None
    try:
        return as_time(said[1])
    except ValueError:
        left_out["a time that cannot be read"] += 1
        return None

"""Maps a message of a framework, a provider's API or a chat application's export to `Message`.

As in the adapters, the words of the user and the assistant's answers are kept. System and tool messages,
tool calls, reasoning and empty messages are left out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from recallrai_integrations.adapter import answer_of, named, question_of, role_of
from recallrai_integrations.messages import Message, Role

from .content import calls_tools, kind_of, text_of
from .located import JsonPath, UnreadableError, is_object
from .times import as_time, time_in

__all__ = ["as_message", "as_messages", "looks_like_message"]

_ASSISTANTS: Final = frozenset(
    {"aimessagechunk", "bard", "bing", "bot", "chatgpt", "claude", "gemini", "gpt"}
)
"""Names of the assistant in exports, besides those that `role_of` knows."""
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
    """Returns whether a value looks like a message, so that a list of them is a conversation."""
    if not is_object(item):
        return False
    if not {"role", "role_type"}.isdisjoint(item) or _is_beside_messages(item):
        return True
    if "from" in item or "sender" in item:
        return not {"value", "text", "content"}.isdisjoint(item)
    return "type" in item and not {"data", "kwargs", "content"}.isdisjoint(item)


def as_messages(items: Sequence[tuple[JsonPath, object]], left_out: Counter[str]) -> list[Message]:
    """Returns the messages of a conversation; if several people speak, each text has its speaker's name.

    Args:
        items: each with its path in the file.
        left_out: counts what was said and is not kept.

    Raises:
        UnreadableError: an item is not a message of a known form.
    """
    found = [(as_message(item, json_path, left_out), _name(item)) for json_path, item in items]
    names = {name for message, name in found if message is not None and message.role == "user" and name}
    return [
        replace(message, content=named(message.content, name))
        if message.role == "user" and name and len(names) > 1
        else message
        for message, name in found
        if message is not None
    ]


def as_message(item: object, json_path: JsonPath, left_out: Counter[str]) -> Message | None:
    """Returns the message, or None if it is not one of the user or the assistant.

    Raises:
        UnreadableError: it is not a message of a known form.
    """
    if not is_object(item):
        raise UnreadableError(f"a message must be an object, not {kind_of(item)}", json_path)
    if _is_beside_messages(item):
        return None
    name, fields = _outline(item)
    if name.lower() in _LEFT_OUT or _is_hidden(item):
        return None
    role = _role(name)
    if role is None:
        raise UnreadableError(f"unknown role {name!r}; known are user, assistant, system and tool", json_path)
    if role == "assistant" and "sender" not in fields and calls_tools(fields):
        return None
    text = text_of(fields, json_path, left_out)
    if not text.strip() and (fields.get("attachments") or fields.get("files")):
        text = "[file]"
    identity = fields.get("id")
    storable = question_of if role == "user" else answer_of
    message = storable(text, id=identity if isinstance(identity, str) else None)
    if message is None:
        if role == "assistant" and text.strip():
            left_out["an answer that is nothing but reasoning"] += 1
        return None
    return replace(message, created_at=_time(item, fields, left_out))


def _role(name: str) -> Role | None:
    if name.lower() == "humanmessagechunk":
        return "user"
    return "assistant" if name.lower() in _ASSISTANTS else role_of(name)


def _is_beside_messages(item: Mapping[str, Any]) -> bool:
    return "role" not in item and _ITEMS_BESIDE_MESSAGES.fullmatch(str(item.get("type"))) is not None


def _is_hidden(item: Mapping[str, Any]) -> bool:
    """Returns whether ChatGPT hides the message: tool calls, notes of the system, drafts."""
    metadata = item.get("metadata")
    return (
        item.get("recipient") not in (None, "all")
        or item.get("channel") in ("analysis", "commentary")
        or item.get("isThought") is True
        or (is_object(metadata) and metadata.get("is_visually_hidden_from_conversation") is True)
    )


def _outline(item: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Returns a message's role, and the object with its content."""
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
    """Returns the speaker's name; Zep has it in the field of the role."""
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

"""One message in the forms of OpenAI (chat completions and Responses), LangChain and LlamaIndex, as ours.

Kept is what adapters keep as well: the words of the user, and those of the assistant that were meant for
the user. System and tool messages, calls of tools and empty messages are left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from recallrai_integrations.messages import Message, Role, clean_text

from .located import Place, UnreadableError, is_list, is_object

__all__ = ["as_message", "looks_like_message"]

_ROLES: Final[dict[str, Role]] = {
    "user": "user",
    "human": "user",
    "HumanMessageChunk": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "AIMessageChunk": "assistant",
    "model": "assistant",
    "chatbot": "assistant",
}
_LEFT_OUT: Final = frozenset(
    {"system", "developer", "tool", "function", "SystemMessageChunk", "ToolMessageChunk", "remove"}
)
_ITEMS_BESIDE_MESSAGES: Final = re.compile(
    r"reasoning|compaction(_trigger)?|item_reference|configuration_update|additional_tools|program|"
    r"mcp_\w+|\w+_(call|output)"
)
"""What OpenAI's Responses have in a list with the messages, by type: they have no role."""
_TEXT_PARTS: Final = frozenset({"text", "input_text", "output_text", "text-plain"})
_MEDIA: Final = frozenset(
    {
        "image",
        "image_url",
        "input_image",
        "audio",
        "input_audio",
        "video",
        "document",
        "file",
        "input_file",
    }
)
_TOOL_CALLS: Final = ("tool_calls", "function_call")


def looks_like_message(item: object) -> bool:
    """Whether a value has the outline of a message, so that a list of such is a conversation."""
    if not is_object(item):
        return False
    if "role" in item or _is_beside_messages(item):
        return True
    return "type" in item and not {"data", "kwargs", "content"}.isdisjoint(item)


def as_message(item: object, place: Place) -> Message | None:
    """The message, or None when it is none of the user's or the assistant's words.

    Raises:
        UnreadableError: it is not a message of a known form.
    """
    if not is_object(item):
        raise UnreadableError(f"a message must be an object, not {_kind(item)}", place)
    if _is_beside_messages(item):
        return None
    role, fields = _outline(item)
    if role in _LEFT_OUT:
        return None
    if role not in _ROLES:
        raise UnreadableError(f"unknown role {role!r}; known are user, assistant, system and tool", place)
    if _ROLES[role] == "assistant" and _calls_tools(fields):
        return None
    text = clean_text(_text(fields, place))
    identity = fields.get("id")
    return (
        Message(_ROLES[role], text, identity if isinstance(identity, str) else None) if text.strip() else None
    )


def _is_beside_messages(item: Mapping[str, Any]) -> bool:
    return "role" not in item and _ITEMS_BESIDE_MESSAGES.fullmatch(str(item.get("type"))) is not None


def _outline(item: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """A message's role, and where its content is."""
    fields, role = item, item.get("role", item.get("type"))
    if role == "constructor" and is_object(item.get("kwargs")):  # LangChain's dumpd
        fields = item["kwargs"]
        role = fields.get("type")
    elif is_object(item.get("data")):  # LangChain's messages_to_dict
        fields = item["data"]
    if role == "chat":
        role = fields.get("role")
    return str(role), fields


def _calls_tools(fields: Mapping[str, Any]) -> bool:
    extra = fields.get("additional_kwargs")
    places = [fields, extra] if is_object(extra) else [fields]
    if any(place.get(name) for place in places for name in _TOOL_CALLS):
        return True
    blocks = fields.get("blocks")
    return is_list(blocks) and any(_part_type(one) == "tool_call" for one in blocks)


def _text(fields: Mapping[str, Any], place: Place) -> str:
    key = "blocks" if is_list(fields.get("blocks")) else "content"
    content = fields.get(key)
    if content is None and isinstance(fields.get("refusal"), str):
        content = fields["refusal"]
    if content is None and key not in fields:
        raise UnreadableError("a message without content", place)
    if content is None or isinstance(content, str):
        return content or ""
    if not is_list(content):
        raise UnreadableError(f"content must be text or a list of parts, not {_kind(content)}", (*place, key))
    text = "\n".join(text for text in map(_part_text, content) if text)
    media = [kind for kind in map(_part_type, content) if kind in _MEDIA]
    return text or (f"[{media[0].removeprefix('input_').removesuffix('_url')}]" if media else "")


def _part_text(part: object) -> str:
    if isinstance(part, str):
        return part
    if not is_object(part):
        return ""
    kind = _part_type(part)
    text = part.get("text") if kind in _TEXT_PARTS else part.get("refusal") if kind == "refusal" else None
    return text if isinstance(text, str) else ""


def _part_type(part: object) -> str:
    return str(part.get("block_type") or part.get("type") or "") if is_object(part) else ""


def _kind(value: object) -> str:
    return "null" if value is None else type(value).__name__

"""The text of one message, whatever parts its content is made of."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from recallrai_integrations.adapter import placeholder

from .located import JsonPath, UnreadableError, is_list, is_object

__all__ = ["calls_tools", "kind_of", "text_of"]

_KEYS: Final = ("blocks", "content", "parts", "value", "text", "message")
_TEXT: Final = frozenset({"text", "input_text", "output_text", "text-plain", "audio_transcription"})
_TOOL: Final = re.compile(
    r"(?:\w+_)?(?:tool|function|code_execution|executable)_?(?:use|calls?|result|response|code)|mcp_\w+",
    re.IGNORECASE,
)
_TOOL_CALL: Final = re.compile(r"(?:\w+_)?(?:tool|function|executable)_?(?:use|calls?|code)", re.IGNORECASE)
_LEFT_OUT: Final = re.compile(
    r"(?:redacted_)?(?:thinking|thoughts?|reasoning\w*)|non_standard|compaction|flag|token_budget",
    re.IGNORECASE,
)
"""Parts of an agent's work, besides tools, that are not text for the user."""
_NONE: Final[list[Any]] = []
_CHATGPT_TEXTS: Final = frozenset({"text", "multimodal_text"})
_CHATGPT_WORK: Final = re.compile(
    r"thoughts|reasoning_recap|\w+_editable_context|code|execution_output|system_error|tether_\w+|"
    r"computer_output|sonic_webpage|super_widget|citable_code_output"
)


def text_of(fields: Mapping[str, Any], json_path: JsonPath, left_out: Counter[str]) -> str:
    """Returns the text of a message; "" if there is none, and `[image]` for media only.

    Args:
        fields: of the message.
        json_path: of the message.
        left_out: counts the parts of unknown kinds.

    Raises:
        UnreadableError: it has no content, or content that is neither text nor a list of parts.
    """
    key = next(
        (one for one in _KEYS if fields.get(one) is not None and (one != "blocks" or is_list(fields[one]))),
        "",
    )
    content = fields.get(key)
    if content is None and isinstance(fields.get("refusal"), str):
        return str(fields["refusal"])
    if content is None:
        if {*_KEYS}.isdisjoint(fields):
            raise UnreadableError("a message without content", json_path)
        return ""
    if is_object(content):
        content = _from_object(content, left_out)
    if isinstance(content, str):
        return content
    if not is_list(content):
        raise UnreadableError(
            f"content must be text or a list of parts, not {kind_of(content)}", (*json_path, key)
        )
    return _from_parts(content, left_out)


def calls_tools(fields: Mapping[str, Any]) -> bool:
    """Returns whether an assistant's message calls tools, so that its text is narration, not an answer."""
    extra = fields.get("additional_kwargs")
    objects = [fields, extra] if is_object(extra) else [fields]
    if any(one.get(name) for one in objects for name in ("tool_calls", "function_call")):
        return True
    lists = (fields[key] for key in ("blocks", "content", "parts") if is_list(fields.get(key)))
    parts: list[Any] = next(lists, _NONE)
    tools = [n for n, one in enumerate(parts) if _TOOL_CALL.fullmatch(_type(one))]
    return bool(tools) and not any(_part_text(one, Counter()) for one in parts[tools[-1] :])


def kind_of(value: object) -> str:
    """Returns the name of a JSON value's type, for error messages."""
    return "null" if value is None else type(value).__name__


def _from_object(content: Mapping[str, Any], left_out: Counter[str]) -> object:
    """Returns the content of ChatGPT's exports, and of others that wrap it once."""
    kind = content.get("content_type")
    if kind is None or str(kind) in _CHATGPT_TEXTS:
        return next(
            (content[key] for key in ("parts", "value", "text") if content.get(key) is not None), content
        )
    if not _CHATGPT_WORK.fullmatch(str(kind)):
        left_out[f"content of the unknown type {kind!r}"] += 1
    return ""


def _from_parts(parts: Sequence[Any], left_out: Counter[str]) -> str:
    """Returns the text after the last use of a tool, else all text: text between tools is narration."""
    tools = [n for n, one in enumerate(parts) if _TOOL.fullmatch(_type(one))]
    for some in (parts[tools[-1] :] if tools else _NONE, parts):
        text = "\n".join(text for text in (_part_text(one, left_out) for one in some) if text)
        if text:
            return text
    return placeholder(map(_type, parts))


def _part_text(part: object, left_out: Counter[str]) -> str:
    if isinstance(part, str):
        return part
    if not is_object(part) or part.get("thought") is True or part.get("isThought") is True:
        return ""
    kind = _type(part)
    if kind not in _TEXT and kind != "refusal":
        if not placeholder([kind]) and not any(known.fullmatch(kind) for known in (_TOOL, _LEFT_OUT)):
            left_out[f"a part of the unknown type {kind!r}"] += 1
        return ""
    text = part.get("refusal") if kind == "refusal" else part.get("text")
    if is_object(text):  # OpenAI's threads
        text = text.get("value")
    return text if isinstance(text, str) else ""


def _type(part: object) -> str:
    if not is_object(part):
        return ""
    named = part.get("block_type") or part.get("type") or part.get("content_type")
    # Gemini and Bedrock name a part by its one key.
    return str(
        named or next((key for key in part if key not in {"thought", "thoughtSignature", "cachePoint"}), "")
    )

"""Maps a framework's messages to `Message`, by the rules that all adapters share.

```text
text parts                     joined by line breaks
no text, but an image          "[image]"; the same for audio, video and files
reasoning                      left out, also if a model writes it into its text, as <think>…</think>
a message that calls tools     left out: its text is narration, not an answer
a user's message with a name   "Pia: I love sushi", so that the text keeps its speaker
```
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, cast

from recallrai_integrations.messages import Message, Role, clean_text
from recallrai_integrations.reasoning import without_reasoning

__all__ = [
    "IMAGE_PLACEHOLDER",
    "answer_of",
    "from_openai",
    "from_openai_all",
    "named",
    "parts_text",
    "placeholder",
    "question_of",
    "role_of",
]

IMAGE_PLACEHOLDER: Final = "[image]"
"""Replaces a message that contains an image but no text."""
_MEDIA: Final = re.compile(
    r"(?:input_)?(image|audio|video|document|file)(?:_url|_file|_asset_pointer)?"
    r"|inline_?data|file_?data|\w+_asset_pointer",
    re.IGNORECASE,
)
_ROLES: Final[dict[str, Role]] = {
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "chatbot": "assistant",
    "model": "assistant",
}
_TEXT_PARTS: Final = frozenset({"text", "input_text", "output_text"})
_NOT_NAMES: Final = frozenset({"user", "human", "assistant", "ai"})
_LONGEST_NAME: Final = 64


def role_of(role: object) -> Role | None:
    """Returns the role for any of its usual names, in upper or lower case; None for system, tools and others.

    Example:
        ```python
        from recallrai_integrations.adapter import role_of

        assert (role_of("AI"), role_of("tool")) == ("assistant", None)
        ```
    """
    return _ROLES.get(str(getattr(role, "value", role)).lower())


def placeholder(kinds: Iterable[str]) -> str:
    """Returns the text for a message without text, by the kinds of its parts: "[image]", "[audio]" …, or "".

    Example:
        ```python
        from recallrai_integrations.adapter import placeholder

        assert placeholder(["text", "input_image"]) == "[image]"
        ```
    """
    media = next(filter(None, map(_MEDIA.fullmatch, kinds)), None)
    return "" if media is None else f"[{(media[1] or 'file').lower()}]"


def named(text: str, name: object) -> str:
    """Returns a user's text with its speaker, `"Pia: I love sushi"`; without a name, the text unchanged.

    Args:
        text: of the message.
        name: the name in the message, as in a group chat. The name of a role, such as "user", is ignored.

    Example:
        ```python
        from recallrai_integrations.adapter import named

        assert named("I love sushi.", "Pia") == "Pia: I love sushi."
        ```
    """
    who = " ".join(name.split())[:_LONGEST_NAME] if isinstance(name, str) else ""
    if not who or not text.strip() or who.lower() in _NOT_NAMES or text.startswith(f"{who}:"):
        return text
    return f"{who}: {text}"


def question_of(text: str, *, id: str | None = None, name: object = None) -> Message | None:  # noqa: A002 - as Message has it
    """Returns the user's text as a message to store; None if it is blank.

    Example:
        ```python
        from recallrai_integrations import Message
        from recallrai_integrations.adapter import question_of

        assert question_of("hi", id="m-1") == Message("user", "hi", id="m-1")
        ```
    """
    cleaned = named(clean_text(text), name)
    return Message("user", cleaned, id=id or None) if cleaned.strip() else None


def answer_of(text: str, *, id: str | None = None) -> Message | None:  # noqa: A002 - as Message has it
    """Returns a final answer as a message to store, without the reasoning in it; None if nothing is left.

    Example:
        ```python
        from recallrai_integrations import Message
        from recallrai_integrations.adapter import answer_of

        assert answer_of("<think>easy</think>Tofu curry.") == Message("assistant", "Tofu curry.")
        ```
    """
    cleaned = without_reasoning(clean_text(text))
    return Message("assistant", cleaned, id=id or None) if cleaned.strip() else None


def parts_text(content: object) -> str:
    """Returns the text of content in OpenAI's form; a placeholder if it contains only media.

    Args:
        content: text, or a list of parts as in chat completions and Responses, mappings or objects.

    Example:
        ```python
        from recallrai_integrations.adapter import parts_text

        assert parts_text([{"type": "input_text", "text": "hi"}]) == "hi"
        ```
    """
    if isinstance(content, str):
        return content
    if not isinstance(content, Iterable) or isinstance(content, Mapping):
        return ""
    parts = list(cast("Iterable[object]", content))
    texts = "\n".join(text for text in map(_part_text, parts) if text)
    return texts if texts.strip() else placeholder(str(_get(part, "type")) for part in parts)


def from_openai(item: object) -> Message | None:
    """Maps a message of chat completions or Responses; None if it is not the user's or the assistant's.

    Args:
        item: a mapping or an object with `role` and `content`. For tool calls, their outputs, reasoning and
            other items the result is None.

    Example:
        ```python
        from recallrai_integrations import Message
        from recallrai_integrations.adapter import from_openai

        assert from_openai({"role": "user", "content": "hi"}) == Message("user", "hi")
        assert from_openai({"role": "tool", "content": "42"}) is None
        ```
    """
    role = role_of(_get(item, "role"))
    if role is None or (role == "assistant" and (_get(item, "tool_calls") or _get(item, "function_call"))):
        return None
    text = parts_text(_get(item, "content"))
    identity = _get(item, "id")
    id_text = identity if isinstance(identity, str) else None
    if role == "user":
        return question_of(text, id=id_text, name=_get(item, "name"))
    refusal = _get(item, "refusal")
    return answer_of(text or (refusal if isinstance(refusal, str) else ""), id=id_text)


def from_openai_all(items: Sequence[object]) -> list[Message]:
    """Returns the messages of the user and the assistant in a list of items, in order.

    Example:
        ```python
        from recallrai_integrations.adapter import from_openai_all

        items = [{"role": "user", "content": "hi"}, {"type": "reasoning", "summary": []}]
        assert len(from_openai_all(items)) == 1
        ```
    """
    return [message for item in items if (message := from_openai(item)) is not None]


def _part_text(part: object) -> str:
    if isinstance(part, str):
        return part
    kind = _get(part, "type")
    text = _get(part, "text" if kind in _TEXT_PARTS else "refusal") if kind else None
    return text if isinstance(text, str) else ""


def _get(item: object, name: str) -> Any:
    if isinstance(item, Mapping):
        return cast("Mapping[str, Any]", item).get(name)
    return getattr(item, name, None)

"""LangChain messages to conversation text and back: what is stored, and what never is.

```text
Human                     its text blocks, one per line; "[image]" and the like when there is no text;
                          in a group, who said it stands before it
Human, a summary          never: a summarizer wrote it
AI with text              stored, without reasoning (blocks, and tags in the text); a refusal is text; an
                          audio answer is its transcript
AI with tool calls        not stored (its narration is no answer)
Chat                      user and assistant roles
Tool, Function, System, Remove    never
```
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any, Final, cast

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    ToolMessage,
)

from recallrai_integrations.adapter import answer_of, placeholder, question_of, role_of
from recallrai_integrations.messages import Message, Role, clean_text, fingerprint

__all__ = [
    "conversation_of",
    "from_langchain",
    "is_user",
    "last_user",
    "native_of",
    "question_keys",
    "text_of",
    "to_langchain",
    "turn_answer",
    "turn_questions",
    "versioned",
]

_SUMMARY_PREFIXES: Final = (
    "Here is a summary of the conversation to date:",
    "Here is a summary of the conversation so far:",
    "This is a summary of the conversation",
)


def from_langchain(message: BaseMessage) -> Message | None:
    """The conversation message that a LangChain message stands for; None when it is not stored."""
    role = _role(message)
    if role is None:
        return None
    text = text_of(message)
    if role == "assistant":
        return answer_of(text, id=message.id)
    return question_of(text, id=message.id, name=message.name)


def versioned(message: Message) -> Message:
    """The message as it is recorded: another text under the same id, an edited one, is another message."""
    return message if message.id is None else replace(message, id=f"{message.id}#{fingerprint(message)}")


def native_of(message: Message, messages: Sequence[BaseMessage]) -> BaseMessage:
    """The message that a recorded one was made of; the last of them for an answer that is none of them."""
    given = message.id and message.id.rpartition("#")[0]
    for native in reversed(messages):
        if native.id == given if given else from_langchain(native) == message:
            return native
    return messages[-1]


def question_keys(messages: Sequence[BaseMessage]) -> dict[int, str]:
    """What tells the user's messages apart, by their places: id and text; without an id, the ordinal."""
    keys: dict[int, str] = {}
    for place, message in enumerate(messages):
        if is_user(message):
            text = fingerprint(Message("user", text_of(message)))
            keys[place] = f"{message.id or f'#{len(keys)}'}#{text}"
    return keys


def conversation_of(messages: Iterable[BaseMessage]) -> list[Message]:
    """The conversation within a request: what its user and assistant said, in order."""
    return [one for message in messages if (one := from_langchain(message)) is not None]


def to_langchain(message: Message, *, id: str | None = None) -> BaseMessage:  # noqa: A002 - LangChain's name
    """A stored message as a LangChain message."""
    kind = HumanMessage if message.role == "user" else AIMessage
    return kind(content=message.content, id=id)


def is_user(message: BaseMessage) -> bool:
    """Whether the user said it: a human message that is not a summarizer's."""
    return _role(message) == "user"


def last_user(messages: Sequence[BaseMessage]) -> BaseMessage | None:
    """The user's latest message."""
    return next((one for one in reversed(messages) if is_user(one)), None)


def turn_questions(messages: Sequence[BaseMessage], seen: Collection[str] = ()) -> list[Message]:
    """What the user said since the last answer, oldest first.

    The frameworks hand over the whole conversation. New is what stands at its end: behind the last message
    of the model, and behind what was seen before. What a middleware puts further up is not the user's.

    Args:
        messages: the conversation, tool traffic included.
        seen: keys of user messages that were handled before, as `question_keys` gives them.
    """
    keys = question_keys(messages)
    found: list[Message] = []
    for place in reversed(range(len(messages))):
        message = messages[place]
        if isinstance(message, AIMessage) or _role(message) == "assistant" or keys.get(place) in seen:
            break
        if place in keys and (stored := from_langchain(message)) is not None:
            found.append(versioned(stored))
    return found[::-1]


def turn_answer(messages: Sequence[BaseMessage], *, direct: bool = False) -> Message | None:
    """The answer that a run ended with, or None: a tool call, no text, nothing new.

    Args:
        messages: the conversation when the run has ended.
        direct: a tool's result that the user got as the answer (`return_direct`) counts as one.
    """
    last = messages[-1] if messages else None
    if isinstance(last, ToolMessage):
        text = text_of(last)
        return versioned(Message("assistant", text, id=last.id or None)) if direct and text.strip() else None
    if last is None or _role(last) != "assistant":
        return None
    answer = from_langchain(last)
    return None if answer is None else versioned(answer)


def text_of(message: BaseMessage) -> str:
    """What a message says, as text that can be stored; "" when it says nothing."""
    content = cast("str | list[str | dict[str, Any]]", message.content)  # pyright: ignore[reportUnknownMemberType] - untyped dict blocks
    text = content if isinstance(content, str) else _joined(content, message)
    if not text or text.isspace():
        text = _told_otherwise(message)
        if not text.strip() and not isinstance(content, str) and _role(message) == "user":
            text = placeholder(str(block.get("type")) for block in content if isinstance(block, dict))
    return clean_text(text)


def _role(message: BaseMessage) -> Role | None:
    if isinstance(message, HumanMessage):
        return None if _is_summary(message) else "user"
    if isinstance(message, AIMessage):
        return None if message.tool_calls or message.invalid_tool_calls else "assistant"
    if isinstance(message, ChatMessage):
        return role_of(message.role)
    return None


def _is_summary(message: HumanMessage) -> bool:
    if message.additional_kwargs.get("lc_source"):
        return True
    content = cast("object", message.content)  # pyright: ignore[reportUnknownMemberType] - untyped dict blocks
    return isinstance(content, str) and content.startswith(_SUMMARY_PREFIXES)


def _joined(content: list[str | dict[str, Any]], message: BaseMessage) -> str:
    """Text blocks, one per line; those of an answer with citations are pieces of one sentence."""
    blocks = [block for block in content if isinstance(block, str) or _is_text(block)]
    cited = isinstance(message, AIMessage) and any(
        not isinstance(block, str) and (block.get("citations") or block.get("annotations"))
        for block in blocks
    )
    chunk = type(message).__name__.endswith("Chunk")
    texts = [block if isinstance(block, str) else str(block.get("text") or "") for block in blocks]
    return ("" if cited or chunk else "\n").join(text for text in texts if text)


def _is_text(block: dict[str, Any]) -> bool:
    return block.get("type") in ("text", "output_text", "input_text")


def _told_otherwise(message: BaseMessage) -> str:
    """A refusal or the transcript of an audio answer: providers put them beside the text."""
    content = cast("str | list[str | dict[str, Any]]", message.content)  # pyright: ignore[reportUnknownMemberType] - untyped dict blocks
    told = [message.additional_kwargs.get("refusal"), _transcript(message.additional_kwargs.get("audio"))]
    for block in content if isinstance(content, list) else ():
        if isinstance(block, dict):
            value = cast("Any", block.get("value") if block.get("type") == "non_standard" else block)
            if isinstance(value, dict):
                known = cast("dict[str, Any]", value)
                told += [known.get("refusal"), _transcript(known), _transcript(known.get("audio"))]
    return "\n".join(text for text in told if isinstance(text, str) and text)


def _transcript(audio: Any) -> Any:
    return cast("dict[str, Any]", audio).get("transcript") if isinstance(audio, dict) else None

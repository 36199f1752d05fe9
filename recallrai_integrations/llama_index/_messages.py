"""From LlamaIndex messages to what was said: the user's words and the final answers, nothing else.

```text
user                          the user's words; a CodeAct agent's "Result of executing …" is not theirs
assistant, chatbot, model     an answer, unless it calls tools or is followed by a tool's result
    written by a ReAct agent  the text after `Answer:` of its last step
system, developer, tool …     never sent
```

Of the blocks only text counts, without the reasoning that models write into it (`<think>`). A message without
any, but with media, is sent as a placeholder such as `[image]`; what holds neither (thinking, cache points,
white space) is not sent. A user's name, as in a group chat, stays with the text: "Pia: I love sushi."
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.schema import QueryBundle

from recallrai_integrations.adapter import answer_of, placeholder, question_of, role_of
from recallrai_integrations.messages import Message, clean_text

__all__ = ["Entry", "as_chat_message", "classify", "joined_text", "question_text"]

CODE_RESULT: Final = "Result of executing the code given:"
"""How a CodeActAgent begins the messages in which it tells itself, as the user, what its code printed."""
_CODE: Final = "<execute>"
_THOUGHT: Final = re.compile(r"^[ \t]*Thought:", re.MULTILINE)
_ACTION: Final = re.compile(r"^[ \t]*Action:", re.MULTILINE)
_ANSWER: Final = "Answer:"

_TOOL_ROLES: Final = frozenset({"tool", "function"})

Kind = Literal["question", "answer", "other"]


@dataclass(slots=True, eq=False)
class Entry:
    """A message and what it is in the conversation.

    Args:
        message: as the framework gave it.
        kind: `"question"` begins a turn of the user, `"answer"` ends it, all else is `"other"`.
        said: what is told to the service; None when there is nothing to tell.
        stripped: whether an agent that replaces system messages (ReAct, CodeAct) wrote it.
        tokens: of the message, once they were counted.
    """

    message: ChatMessage
    kind: Kind
    said: Message | None = None
    stripped: bool = False
    tokens: int | None = None

    @property
    def text(self) -> str:
        """What was said, or ""."""
        return "" if self.said is None else self.said.content


def classify(
    messages: Sequence[ChatMessage], previous: ChatMessage | None = None, *, narration: bool = False
) -> list[Entry]:
    """What each of these messages is.

    Args:
        messages: in order; those that are handed over together are judged together.
        previous: the message before them.
        narration: also tell the service what an agent says while it calls tools.
    """
    following = [*messages[1:], None][: len(messages)]
    entries: list[Entry] = []
    for message, after in zip(messages, following, strict=True):
        role = role_of(message.role)
        if role == "user":
            entries.append(_of_the_user(message, previous))
        elif role == "assistant":
            entries.append(_of_the_assistant(message, after, narration=narration))
        else:
            entries.append(Entry(message, "other"))
        previous = message
    return entries


def joined_text(message: ChatMessage) -> str:
    """The text of a message: its text and citable blocks, one below the other."""
    texts: list[str] = []
    for block in message.blocks:
        inside: Any = block.content if block.block_type == "citable" else [block]
        texts += [part.text for part in inside if part.block_type == "text" and part.text]
    return clean_text("\n".join(texts))


def question_text(asked: object) -> str:
    """The words that an engine asks with; "" for none. Engines are asked with bundles and messages too."""
    if isinstance(asked, ChatMessage):
        return joined_text(asked)
    if isinstance(asked, QueryBundle):
        return asked.query_str
    return "" if asked is None else str(asked)


def as_chat_message(message: Message) -> ChatMessage:
    """A message of the service for the framework."""
    return ChatMessage(role=message.role, content=message.content)


def _of_the_user(message: ChatMessage, previous: ChatMessage | None) -> Entry:
    text = joined_text(message)
    if text.startswith(CODE_RESULT) and previous is not None and _CODE in joined_text(previous):
        return Entry(message, "other", stripped=True)
    name = message.additional_kwargs.get("name")  # in a group, who of the users it is
    return Entry(message, "question", question_of(text or _placeholder(message), name=name))


def _of_the_assistant(message: ChatMessage, after: ChatMessage | None, *, narration: bool) -> Entry:
    text = joined_text(message)
    runs_code = (
        _CODE in text
        and after is not None
        and after.role.value == "user"
        and joined_text(after).startswith(CODE_RESULT)
    )
    if runs_code or _calls_tools(message) or (after is not None and after.role.value in _TOOL_ROLES):
        return Entry(message, "other", answer_of(text) if narration else None, stripped=runs_code)
    if _THOUGHT.match(text):
        answer = _answer_of_react(text)
        if answer is not None or _ACTION.search(text):
            kind: Kind = "answer" if answer else "other"
            return Entry(message, kind, answer_of(answer or ""), stripped=True)
    said = answer_of(text or _placeholder(message))
    return Entry(message, "other" if said is None else "answer", said)


def _answer_of_react(text: str) -> str | None:
    """The answer in a ReAct agent's last step; tools' results and earlier steps may hold the word too."""
    for thought in reversed(list(_THOUGHT.finditer(text))):
        _, found, answer = text[thought.end() :].partition(_ANSWER)
        if found:
            return answer.strip()
    return None


def _calls_tools(message: ChatMessage) -> bool:
    return any(block.block_type == "tool_call" for block in message.blocks) or any(
        message.additional_kwargs.get(key) for key in ("tool_calls", "function_call")
    )


def _placeholder(message: ChatMessage) -> str:
    return placeholder(block.block_type for block in message.blocks)

"""One request's messages: the history cut to its limit, with the memories in their place. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias

from llama_index.core import utils
from llama_index.core.base.llms.types import ChatMessage, TextBlock

from recallrai_integrations.context import neutralize
from recallrai_integrations.messages import Message
from recallrai_integrations.recall import Recall

from ._messages import Entry, joined_text

__all__ = ["Tokenizer", "assemble", "count_tokens", "default_tokenizer", "memory_text"]

TEMPLATE_VARIABLES: Final = ("query_str", "context_str", "context_msg", "existing_answer")
"""What chat engines substitute in all messages of a request, also in those that memory brings."""
_MEDIA: Final = frozenset({"image", "audio", "video", "document"})
_MEDIA_TOKENS: Final = 256
"""What an image counts for; the framework's own estimate."""

Tokenizer: TypeAlias = Callable[[str], Sequence[Any]]


def default_tokenizer() -> Tokenizer:
    """The framework's tokenizer, as it is set at the moment."""
    return utils.get_tokenizer()  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - typed List


def count_tokens(text: str) -> int:
    """The tokens of a text by the framework's tokenizer."""
    return len(default_tokenizer()(text))


def assemble(
    entries: Sequence[Entry],
    recall: Recall | None,
    *,
    pending: Message | None,
    token_limit: int,
    tokens_before: int,
    tokenizer: Tokenizer,
) -> list[ChatMessage]:
    """The messages for the model, as copies.

    Args:
        entries: the whole history.
        recall: what is remembered for this turn, with its placement; None for nothing.
        pending: the question, where the engine sends it without having put it into memory.
        token_limit: for the history and the memories.
        tokens_before: what the engine's own prompt takes.
        tokenizer: text in, tokens out.
    """
    room = token_limit - tokens_before
    parts = [] if recall is None else _parts(recall, entries, pending)
    size = _size(parts, room, entries, tokenizer)
    kept = _within(entries, room - size, tokenizer)
    left = room - sum(_tokens(entry, tokenizer) for entry in kept)
    if recall is not None and (len(kept) < len(entries) or size > left):
        # What is no longer sent may be told by the memories instead, as far as there is room for it.
        parts = _parts(_within_tokens(recall, left, tokenizer), kept, pending)
    messages = [entry.message.model_copy(deep=True) for entry in kept]
    if recall is None or not parts:
        return messages
    placement = recall.options.placement
    above = parts if placement == "system" else parts[:-1] if placement == "split" else []
    beside = parts[-1:] if placement == "split" else parts if placement == "user" else []
    if beside:
        messages = _into_question(messages, kept, "\n\n".join(beside), has_question=pending is None)
    return _into_system(messages, above) if above else messages


def memory_text(recall: Recall, entries: Sequence[Entry], pending: Message | None = None) -> str:
    """Instructions and memories for a request that sends these entries, safe for the engines' templates."""
    return "\n\n".join(_parts(recall, entries, pending))


def _parts(recall: Recall, entries: Sequence[Entry], pending: Message | None) -> list[str]:
    """Instructions, the same in every turn, and memories; nothing when nothing is remembered."""
    sent = [entry.said for entry in entries if entry.said is not None]
    if pending is not None:
        sent.append(pending)
    prompt = recall.prompt(sent=sent)
    texts = (prompt.instructions, prompt.memories) if prompt.memories else ()
    return [neutralize(text, TEMPLATE_VARIABLES) for text in texts if text]


def _within_tokens(recall: Recall, left: int, tokenizer: Tokenizer) -> Recall:
    """The recall with a budget beside the application's own: the tokens that the history leaves.

    Instructions that would take most of them are left out: memories are of more use without instructions than
    instructions without memories.
    """

    def count(text: str) -> int:
        return len(tokenizer(text))

    own = recall.options
    instructions = count(recall.prompt().instructions)
    if 2 * instructions > left:
        own, instructions = replace(own, instructions=""), 0
    budget = max(1, left - instructions)
    if own.max_tokens is not None:
        budget = min(budget, own.max_tokens)
    return replace(recall, options=replace(own, max_tokens=budget, count_tokens=count))


def _size(parts: Sequence[str], room: int, entries: Sequence[Entry], tokenizer: Tokenizer) -> int:
    """The tokens of the memories; their bytes, which are never fewer, where there is room even for those.

    Counting the tokens of some 20,000 characters takes longer than all else that is done here.
    """
    text = "\n\n".join(parts)
    size = len(text.encode())
    spent = sum(_tokens(entry, tokenizer) for entry in entries)
    return size if size + spent <= room else len(tokenizer(text))


def _within(entries: Sequence[Entry], budget: int, tokenizer: Tokenizer) -> list[Entry]:
    """The latest whole turns that fit, behind the system messages at the start; at least the last turn."""
    head = 0
    while head < len(entries) and entries[head].message.role.value in ("system", "developer"):
        head += 1
    left = budget - sum(_tokens(entry, tokenizer) for entry in entries[:head])
    start = latest = None
    for place in range(len(entries) - 1, head - 1, -1):
        left -= _tokens(entries[place], tokenizer)
        if left < 0 and latest is not None:
            break
        if entries[place].kind == "question":
            start = place
            latest = place if latest is None else latest
    else:
        if left >= 0 or start is None:
            return list(entries)
    return [*entries[:head], *entries[start:]]


def _tokens(entry: Entry, tokenizer: Tokenizer) -> int:
    if entry.tokens is None:
        message = entry.message
        calls = [str(block.tool_kwargs) for block in message.blocks if block.block_type == "tool_call"]
        extra = str(message.additional_kwargs) if message.additional_kwargs else ""
        media = sum(block.block_type in _MEDIA for block in message.blocks)
        text = "\n".join([joined_text(message), *calls, extra])
        entry.tokens = len(tokenizer(text)) + _MEDIA_TOKENS * media
    return entry.tokens


def _into_system(messages: list[ChatMessage], parts: Sequence[str]) -> list[ChatMessage]:
    """Behind what the first system message says, as blocks of their own: what is cached ends between them."""
    for message in messages:
        if message.role.value == "system":
            message.blocks = [*message.blocks, *(TextBlock(text=f"\n\n{part}") for part in parts)]
            return messages
    first, *further = parts
    blocks = [TextBlock(text=first), *(TextBlock(text=f"\n\n{part}") for part in further)]
    return [ChatMessage(role="system", blocks=blocks), *messages]


def _into_question(
    messages: list[ChatMessage], kept: Sequence[Entry], text: str, *, has_question: bool
) -> list[ChatMessage]:
    """Before the user's words; as a message of its own where the engine adds the question afterwards."""
    if has_question:
        for message, entry in zip(reversed(messages), reversed(kept), strict=True):
            if entry.kind == "question":
                message.blocks = [TextBlock(text=f"{text}\n\n"), *message.blocks]
                return messages
    return [*messages, ChatMessage(role="user", content=text)]

"""What the model was sent: how much, how much of it twice, at what price, and whether anything is lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench import dialogue
from bench.chats.base import Record

_CHARACTERS_PER_TOKEN = 4
_CACHED_FROM_TOKENS = 1024
_CACHED_PRICE = 0.1


@dataclass(frozen=True)
class Prompts:
    """The prompts of a chat.

    Args:
        characters: of a prompt, on average.
        repeated: share of them in conversation messages that the same prompt holds already.
        billed: tokens of a turn, on average: characters / 4, of which a prefix of at least 1,024 tokens that
            the request before had as well is paid at a tenth.
    """

    characters: float
    repeated: float
    billed: float


def summary(record: Record) -> Prompts:
    """The figures of a chat's prompts."""
    texts = [text for _, _, text in record.prompts]
    total = sum(map(len, texts))
    repeated = sum(_repeated(turn, text) for turn, _, text in record.prompts)
    billed = sum(_billed(text, before) for text, before in zip(texts, ["", *texts], strict=False))
    return Prompts(total / len(texts), repeated / total, billed / (len(record.begun) - 1))


def lost(record: Record) -> Iterator[str]:
    """What was remembered or said and is missing in a prompt, named."""
    for turn, _, prompt in record.prompts:
        told = [("remembered", text) for text in dialogue.remembered(turn)]
        said = [("said", text) for text in _said(turn)]
        for what, text in (*told, *said):
            if text not in prompt:
                yield f"turn {turn + 1}: {what}, and not in the prompt: {text!r}"


def _said(turn: int) -> list[str]:
    before = [text(n) for n in range(turn) for text in (dialogue.question, dialogue.answer)]
    return [*before, dialogue.question(turn)]


def _repeated(turn: int, prompt: str) -> int:
    return sum((prompt.count(text) - 1) * len(text) for text in _said(turn) if text in prompt)


def _billed(prompt: str, before: str) -> float:
    pairs = enumerate(zip(prompt, before, strict=False))
    shared = next((n for n, (one, other) in pairs if one != other), min(len(prompt), len(before)))
    cached = shared if shared >= _CACHED_FROM_TOKENS * _CHARACTERS_PER_TOKEN else 0
    return (len(prompt) - cached * (1 - _CACHED_PRICE)) / _CHARACTERS_PER_TOKEN

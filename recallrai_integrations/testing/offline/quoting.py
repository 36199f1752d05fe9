"""Choosing the line to quote."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, cast

import snowballstemmer  # type: ignore[import-untyped]  # it ships no types

from recallrai_integrations.context.fence import CLOSE, OPEN
from recallrai_integrations.context.reading import block_in, recalled_memories

__all__ = ["Said", "answer"]

_WORD: Final = re.compile(r"\w+")
_COMMON: Final = frozenset(
    """
    a about am an and any are as at be by can could did do does for from had has have how i in is it its know
    many me much my of on or our please s she should so t tell that the their them there they this to us user
    was we were what when where which who whom whose why will with would you your
    """.split()  # noqa: SIM905 - words as people write them, not a screen full of quotes
)


@dataclass(frozen=True, slots=True)
class Said:
    """One message of a request.

    Args:
        role: `"system"`, `"user"` or `"assistant"`.
        text: what it says.

    Example:
        ```python
        from recallrai_integrations.testing.offline import Said, answer

        assert "has asked me anything" in answer([Said("system", "You are a cook.")])
        ```
    """

    role: str
    text: str


def answer(request: Sequence[Said]) -> str:
    """Returns the answer to the last user message of a request.

    Args:
        request: all messages of the request; nothing else is used.

    Example:
        ```python
        from recallrai_integrations.testing.offline import Said, answer

        request = [Said("user", "My dog is called Biscuit."), Said("user", "What is my dog called?")]
        assert "Biscuit" in answer(request)
        ```
    """
    place = max((n for n, one in enumerate(request) if one.role == "user"), default=None)
    if place is None:
        return "(offline model) Nobody has asked me anything."
    memories = [one.content for one in recalled_memories(block_in(one.text for one in request))]
    earlier = [one.text for one in request[:place] if one.role == "user"]
    best = _best(_without_memories(request[place].text), [*memories, *earlier])
    if best is None:
        return "(offline model) Noted. Nothing that I was sent fits this."
    source = "My memory of you says" if best < len(memories) else "Earlier you said"
    return f"(offline model) {source}: “{[*memories, *earlier][best]}”"


def _best(question: str, lines: Sequence[str]) -> int | None:
    """Returns the line that shares most words with the question, weighted by rarity."""
    asked = _stems(question)
    stems = [_stems(line) for line in lines]
    frequency = Counter(stem for line in stems for stem in line)
    scores = [
        sum(math.log(1 + len(lines) / frequency[stem]) for stem in line & asked) / math.sqrt(4 + len(line))
        for line in stems
    ]
    best = max(range(len(lines)), key=lambda n: scores[n], default=None)
    return best if best is not None and scores[best] > 0 else None


def _without_memories(text: str) -> str:
    """Returns the question without memories that were put into the user's message."""
    start, end = text.find(OPEN), text.rfind(CLOSE)
    return text if start == -1 or end < start else text[:start] + text[end + len(CLOSE) :]


def _stems(text: str) -> frozenset[str]:
    return frozenset(
        _stem(word) for word in _WORD.findall(text.lower().replace("'s", "")) if word not in _COMMON
    )


@cache
def _stem(word: str) -> str:
    return cast("str", cast("Any", snowballstemmer).stemmer("english").stemWord(word))

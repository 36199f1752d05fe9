"""Removes the reasoning that a model writes into its answer; pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

__all__ = ["without_reasoning"]

_NAMES: Final = (
    r"(?:seed:)?(?:think(?:ing)?|thoughts?|reasoning|reflection|scratchpad|antthinking|"
    r"(?:inner|internal)_(?:thoughts?|monologue))"
)
_TOKENS: Final = re.compile(
    rf"(?P<open><{_NAMES}(?:\s[^<>]{{0,200}})?>|\[think\]|◁think▷|<\|begin_of_thought\|>|<\|start_thinking\|>"
    r"|(?:<\|start\|>assistant)?<\|channel\|>(?:analysis|commentary)[^<>]{0,200}<\|message\|>)"
    r"|(?P<details><details\s[^<>]{0,200}\btype=\"reasoning\"[^<>]{0,200}>)"
    rf"|(?P<close></{_NAMES}\s?>|\[/think\]|◁/think▷|<\|end_of_thought\|>|<\|end_thinking\|>"
    r"|(?:<\|end\|>)?(?:<\|start\|>assistant)?<\|channel\|>final[^<>]{0,200}<\|message\|>)"
    r"|(?P<end_details></details>)"
    r"|(?P<code>`+)",
    re.IGNORECASE,
)
"""How open models, their servers and chat applications mark reasoning; `details` is Open WebUI's."""
_SIGNS: Final = "<[◁"
"""Each mark begins with one of these."""
_CLOSED_BY: Final = {"open": "close", "details": "end_details"}
_AROUND_ANSWERS: Final = re.compile(
    r"<\|(?:begin_of_solution|end_of_solution|start_response|end_response|end|return)\|>", re.IGNORECASE
)
_BARE_HARMONY: Final = re.compile(r"\s*analysis(?=[A-Z]).*?assistant\s?final", re.DOTALL)
"""What remains of the marks of gpt-oss if a server drops special tokens."""
_FENCE: Final = 3


def without_reasoning(text: str) -> str:
    """Returns an answer without the reasoning in it, such as `<think>…</think>`.

    Reasoning ends at its closing tag. If there is none, a tag at the beginning of a line marks everything up
    to the end as reasoning. Text before a closing tag without an opening one is reasoning too, because some
    models start inside the reasoning. Tags in Markdown code are part of the answer. The time is proportional
    to the length of the text.

    Args:
        text: the complete text of the model.

    Returns:
        The same text if it contains no reasoning; "" if it contains nothing else.
    """
    bare = _BARE_HARMONY.match(text)
    if bare is not None:
        return text[bare.end() :].strip()
    if not any(sign in text for sign in _SIGNS):  # most answers; the search below takes far longer
        return text
    tokens = list(_TOKENS.finditer(text))
    if all(token.lastgroup == "code" for token in tokens):
        return text
    kept: list[str] = []
    position = 0
    for start, end in _spans(text, tokens):
        if start == 0:
            kept.clear()
        else:
            kept.append(text[position:start])
        position = end
    answer = "".join([*kept, text[position:]])
    return text if answer == text else _AROUND_ANSWERS.sub("", answer).strip()


def _spans(text: str, tokens: list[re.Match[str]]) -> Iterator[tuple[int, int]]:
    """Where reasoning begins and ends; it begins with the text where nothing opened what is closed."""
    last = {kind: _last(tokens, kind) for kind in _CLOSED_BY.values()}
    code_ends = _code_ends(text, tokens)
    started, closed_by, end = 0, "", 0
    for token in tokens:
        kind, start = str(token.lastgroup), token.start()
        if closed_by:
            if kind == closed_by:
                end, closed_by = token.end(), ""
                yield started, end
        elif start < end:
            continue  # inside code
        elif kind == "code":
            end = code_ends.get(start, end)
        elif kind == "close":
            end = token.end()
            yield 0, end
        elif kind in _CLOSED_BY and (last[_CLOSED_BY[kind]] > start or _begins_line(text, start)):
            started, closed_by = start, _CLOSED_BY[kind]
    if closed_by:
        yield started, len(text)


def _last(tokens: list[re.Match[str]], kind: str) -> int:
    return max((token.start() for token in reversed(tokens) if token.lastgroup == kind), default=-1)


def _begins_line(text: str, position: int) -> bool:
    before = text[max(0, position - 100) : position].rstrip(" \t")
    return not before or before.endswith("\n")


def _code_ends(text: str, tokens: list[re.Match[str]]) -> dict[int, int]:
    """Where the Markdown code ends that begins with a run of backticks, for each run that begins some."""
    ends: dict[int, int] = {}
    next_run: dict[int, re.Match[str]] = {}
    next_newline = len(text)
    position = len(text)
    for token in reversed(tokens):
        if token.lastgroup != "code":
            continue
        newline = text.find("\n", token.end(), position)
        next_newline = newline if newline >= 0 else next_newline
        position = token.start()
        length = len(token.group())
        run = next_run.get(length)
        if run is not None and (length >= _FENCE or run.start() < next_newline):
            ends[token.start()] = run.end()
        next_run[length] = token
    return ends

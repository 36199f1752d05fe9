"""A chat in progress, what its model was sent, and the record of how it went."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TypeAlias

from bench import dialogue
from bench.measuring import cost_of, no_collection


@dataclass
class Recorder:
    """Stands where the model would be: keeps each prompt with its moment, and gives the turn's answer.

    Args:
        turn: the turn that is going on, from 0.
        prompts: of each call: the turn, the moment on the monotonic clock, the whole prompt as one text.
    """

    turn: int = 0
    prompts: list[tuple[int, float, str]] = field(default_factory=list)

    def answer(self, messages: Iterable[tuple[str, str]]) -> str:
        """Takes a request's messages as pairs of role and text."""
        at = time.monotonic()
        self.prompts.append((self.turn, at, "".join(f"<|{role}|>\n{text}\n" for role, text in messages)))
        return dialogue.answer(self.turn)


def _nothing() -> None:
    return


def _no_history() -> str:
    return ""


@dataclass(frozen=True)
class Chat:
    """A chat that goes on turn by turn.

    Args:
        turn: answers the question of a turn; what a user waits for.
        settle: has delivered what was left for later; nobody waits for it.
        history: what the framework or the application keeps of the chat, as text.
    """

    turn: Callable[[int], object]
    settle: Callable[[], object] = _nothing
    history: Callable[[], str] = _no_history


Open: TypeAlias = Callable[[Recorder], AbstractContextManager[Chat]]
"""Opens a chat whose model is the recorder."""


@dataclass(frozen=True)
class Record:
    """How a chat went.

    Args:
        begun: of each turn, by the monotonic clock; and at the end, when the last one was settled.
        elapsed: of each turn, in seconds: what the user waited.
        processor: of each turn with what it left for later, in seconds.
        prompts: of each request to the model: the turn, the moment, the prompt.
        history: what the framework or the application keeps at the end.
    """

    begun: list[float] = field(default_factory=list)
    elapsed: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    prompts: list[tuple[int, float, str]] = field(default_factory=list)
    history: list[str] = field(default_factory=list)


def drive(open_chat: Open, turns: int = dialogue.TURNS) -> Record:
    """Goes through a chat."""
    record, recorder = Record(), Recorder()
    with open_chat(recorder) as chat, no_collection():
        for n in range(turns):
            recorder.turn = n
            record.begun.append(time.monotonic())
            answered = cost_of(chat.turn, n)
            left = cost_of(lambda _: chat.settle(), n)
            record.elapsed.append(answered.elapsed)
            record.processor.append(answered.processor + left.processor)
        record.begun.append(time.monotonic())
        record.history.append(chat.history())
    record.prompts.extend(recorder.prompts)
    return record

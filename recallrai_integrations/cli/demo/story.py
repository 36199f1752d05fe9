"""The story of the demo: what the user says on each day, and what the second day has to bring back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

__all__ = ["DAY_ONE", "DAY_TWO", "SYSTEM_PROMPT", "THREADS", "Exchange", "Line", "Talk"]

SYSTEM_PROMPT: Final = "You are a friendly assistant. Answer in one or two sentences."


@dataclass(frozen=True, slots=True)
class Line:
    """What the user says. `expects` is a word that the answer must hold, and can hold by memory only."""

    text: str
    expects: str = ""


DAY_ONE: Final = (
    Line("Hi, I'm Ada. I moved to Lisbon last month and I am allergic to peanuts."),
    Line("My dog is called Biscuit. I take him along wherever I go."),
)
DAY_TWO: Final = (
    Line("What is my dog called?", expects="Biscuit"),
    Line("What am I allergic to?", expects="peanut"),
)
THREADS: Final = {1: "monday", 2: "tuesday"}


@dataclass(frozen=True, slots=True)
class Exchange:
    """One turn.

    Args:
        answer: what the agent said.
        request: the texts of all messages that the model was sent, as its framework reports them.
    """

    answer: str
    request: Sequence[str]


class Talk(Protocol):
    """A conversation of the user with an agent of some framework."""

    def say(self, text: str) -> Exchange:
        """One turn."""
        ...

"""The states of a memory: how its history stands to the service's, and where the turn of the user stands."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import Enum

from recallrai_integrations.adapter import Turn as OuterTurn
from recallrai_integrations.adapter import outer_turn
from recallrai_integrations.adapter.repeats import REPEAT_SECONDS
from recallrai_integrations.messages import Message
from recallrai_integrations.recall import Recall

__all__ = ["History", "Stage", "Turn"]


class History(Enum):
    """How the history here stands to what the service holds of the thread.

    ```text
                  the service is read
      UNREAD ─────────────────────────▶ IN_STEP ◀── told what is new ── GIVEN
       │  ▲                                │ set()                        ▲
       │  └─ an outage ─┐                  └──────────────────────────────┤
       │ set()          │                                                 │
       └──────────▶ GIVEN_UNREAD ─────────── the service is read ─────────┘
    ```
    """

    UNREAD = "what the service holds comes before the history here"
    GIVEN_UNREAD = "a history was given; what the service holds is not known"
    GIVEN = "a history was given, and what is new in it was not told yet"
    IN_STEP = "the service was told all that is here"

    @property
    def is_read(self) -> bool:
        """Whether it is known what the service holds."""
        return self in (History.GIVEN, History.IN_STEP)

    @property
    def is_given(self) -> bool:
        """Whether what is new in a history has still to be told."""
        return self in (History.GIVEN, History.GIVEN_UNREAD)


class Stage(Enum):
    """Where a turn stands. The service knows its question from the first stage on.

    ```text
     get(question)          put(question)
    ──────────────▶ ANNOUNCED ─────────▶ OPEN ◀───────── put(question) anew
                        ▲                │ ▲ │
                        │  get(question) │ │ └──────────── put(answer) ───┐
     get(question)      │           ▼      │ put(question)                ▼
    REWOUND ────────────┘         RETRIED ─┘               ANSWERED ◀─ RESUMED
       ▲                             └───── put(answer) ────▶ │           ▲
       └─ set(what was said before the latest question)       └── get() ──┘
    ```
    """

    ANNOUNCED = "an engine asked for memories with the question, and has not put it yet"
    OPEN = "the question was put"
    RETRIED = (
        "an engine asks with a question that was put: where it puts it once more, it is the same message"
    )
    REWOUND = "the history was set back to before the question: the same words are the same message"
    ANSWERED = "the final answer was put"
    RESUMED = "after the answer an agent went on with the history"


@dataclass(slots=True, eq=False)
class Turn:
    """A turn of the user.

    Args:
        question: as it was told to the service.
        stage: where it stands.
        recall: what is remembered for it, asked for once.
        outer: the turn whose tool began this one: a model wrote the question, so nothing of it is stored.
        began: when, by the monotonic clock.
    """

    question: Message
    stage: Stage = Stage.OPEN
    recall: Recall | None = None
    outer: OuterTurn | None = field(default_factory=outer_turn)
    began: float = field(default_factory=time.monotonic)

    @property
    def is_answered(self) -> bool:
        """Whether the model has answered; an agent may go on all the same."""
        return self.stage in (Stage.ANSWERED, Stage.RESUMED)

    @property
    def is_announced(self) -> bool:
        """Whether the engine sends the question without having put it into the history."""
        return self.stage is Stage.ANNOUNCED

    def is_about(self, text: str) -> bool:
        """Whether an engine that asks with this text is in this turn still, or tries it once more."""
        return self.question.content == text and self.stage is not Stage.ANSWERED

    def asked_with(self) -> None:
        """An engine asks for memories with the words of this turn."""
        later = {Stage.OPEN: Stage.RETRIED, Stage.REWOUND: Stage.ANNOUNCED}
        self.stage = later.get(self.stage, self.stage)

    def put(self, text: str) -> Stage | None:
        """A question is put: the stage before, if it is this turn's own, which the service knows already."""
        before = self.stage
        if (
            before is Stage.OPEN
            and self.recall is not None
            and time.monotonic() - self.began < REPEAT_SECONDS
        ):
            before = Stage.RETRIED  # a model was asked with it, and gave no answer
        if not self.is_about(text) or before in (Stage.OPEN, Stage.RESUMED):
            return None
        self.stage = Stage.OPEN
        return before

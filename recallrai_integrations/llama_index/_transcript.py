"""What a memory knows of its conversation: the history as it was given, and where it stands."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from aiologic import Lock
from llama_index.core.base.llms.types import ChatMessage

from recallrai_integrations._flows import rules
from recallrai_integrations.adapter import Identity, Steps, Twin, arun, run
from recallrai_integrations.errors import RecallrAIIntegrationError
from recallrai_integrations.messages import Message
from recallrai_integrations.models import SessionInfo
from recallrai_integrations.options import ContextOptions, RecallOptions

from ._messages import Entry, as_chat_message, classify
from ._states import History, Stage, Turn
from ._stored import Stored, texts

__all__ = ["Transcript"]

T = TypeVar("T")

logger = logging.getLogger("recallrai_integrations.llama_index")

RESUMED_MESSAGES: Final = rules.MESSAGES_PER_PAGE
"""How many of a thread's latest messages are read when a memory takes it up."""


@dataclass(slots=True, eq=False)
class Transcript:
    """The history of one memory. Shared by its copies, guarded by its lock.

    Args:
        identity: whose conversation it is. A copy of a memory for somebody else gets another transcript.
        history: how it stands to what the service holds.
        narration: also tell what an agent says while it calls tools.
        ends_runs: tell the conversation when a run ended.
        entries: the history, as the framework gave it.
        borrowed: how many entries, at the start, are what this process knew of the thread in an outage; they
            make room for what the service holds as soon as that can be read.
        stored: what the service was told, by anybody, as far as it is known.
        turn: the latest turn of the user.
        warned: of an agent that drops system messages.
    """

    identity: Identity
    history: History
    narration: bool = False
    ends_runs: bool = False
    entries: list[Entry] = field(default_factory=list[Entry])
    borrowed: int = 0
    stored: Stored = field(default_factory=Stored)
    turn: Turn | None = None
    lock: Lock = field(default_factory=Lock)
    warned: bool = False

    def run(self, steps: Steps[T]) -> T:
        """Carries an operation out on this thread."""
        with self.lock:
            return run(steps)

    async def arun(self, steps: Steps[T]) -> T:
        """Carries an operation out on the running event loop; the twin of `run`."""
        async with self.lock:
            return await arun(steps)

    def messages(self) -> list[ChatMessage]:
        """The history, as copies."""
        return [entry.message.model_copy(deep=True) for entry in list(self.entries)]

    def replace(self, messages: Sequence[ChatMessage]) -> None:
        """Takes a history in place of its own; the next operation tells the service what is new in it."""
        self.entries = classify([one.model_copy(deep=True) for one in messages], narration=self.narration)
        self.borrowed = 0
        given, waiting = self.last_turn(), self.turn
        if waiting is None or not waiting.is_announced:
            self.turn = given
        elif given is not None and not given.is_answered:
            waiting.put(given.question.content)
        self.history = History.GIVEN if self.history.is_read else History.GIVEN_UNREAD

    def ready(self) -> Steps[None]:
        """Knows what the service holds, and has told it what was given and is not there."""
        known = yield from self.read()
        if self.history.is_given:
            given = self._said()
            if self.history.is_read:
                yield from self.stored.tell(self.stored.untold(given))
                self.history = History.IN_STEP
                self._rewind(given)
            else:  # what this process does not know either is taken to be stored, up to the last answer
                answered = max((n for n, one in enumerate(given, 1) if one.role == "assistant"), default=0)
                self.stored.told = known or self.stored.redacted(given[:answered])
                yield from self.stored.tell(self.stored.untold(given))
                self.history = History.UNREAD
        if self.stored.backlog:
            yield from self.stored.tell([])

    def put(self, messages: Sequence[ChatMessage]) -> Steps[None]:
        """Takes messages into the history, then tells the service what was said.

        Raises:
            RecallrAIIntegrationError: only where a user's message is among them, which is the caller's again
                then. An answer is often put by a stream's own thread, where raising would destroy it: it
                stays in the history, the error is logged, and the service is told with the next message.
        """
        failure: RecallrAIIntegrationError | None = None
        try:
            yield from self.ready()
        except RecallrAIIntegrationError as error:
            failure = error
        copies = [one.model_copy(deep=True) for one in messages]
        previous = self.entries[-1].message if self.entries else None
        new = classify(copies, previous, narration=self.narration)
        before = (self.entries, self.turn)
        try:
            if failure is None:
                yield from self.stored.tell(self._take(new))
        except RecallrAIIntegrationError as error:
            failure = error
        if failure is not None:
            if any(entry.kind == "question" for entry in new):
                self.entries, self.turn = before
                raise failure
            logger.error("The answer is not stored yet: %s", failure)
        elif self.ends_runs and any(entry.kind == "answer" for entry in new):
            yield from self._end_run()

    def ask(
        self, question: str, recall: RecallOptions | None, context: ContextOptions | None
    ) -> Steps[Turn | None]:
        """The turn that the model is about to answer, with its memories.

        Args:
            question: what the engine asks with, or "". Some engines put it afterwards, so it is told to the
                service now: the service recalls by the messages it holds.
            recall: what is asked for.
            context: how it is put into the prompt.
        """
        yield from self.ready()
        turn = self.turn
        if question.strip():
            (entry,) = classify([ChatMessage(role="user", content=question)])
            if turn is None or not turn.is_about(entry.text):
                assert entry.said is not None
                turn = Turn(entry.said, Stage.ANNOUNCED)
                yield from self.stored.tell([] if turn.outer else [entry.said])
                self.turn = turn
            else:
                turn.asked_with()
        elif turn is not None and turn.stage is Stage.REWOUND:
            return None
        elif turn is not None and turn.is_answered:
            turn.stage = Stage.RESUMED
        if turn is None or (turn.recall is None and turn.is_answered):
            return turn
        if turn.outer is not None:
            same = turn.outer.identity.user_id == self.identity.user_id
            turn.recall = turn.outer.recall if same else None
        elif turn.recall is None or (turn.recall.degraded and turn.is_announced):
            at = self.stored.conversation
            turn.recall = yield from Twin(at.recall, at.arecall, options=recall, context=context)
        return turn

    def finish(self, wait: bool | float) -> Steps[SessionInfo | None]:
        """Ends the conversation, once the service was told all of it."""
        yield from self.ready()
        conversation = self.stored.conversation
        return (yield from Twin(conversation.finish, conversation.afinish, wait))

    def restart(self, identity: Identity) -> None:
        """An empty history, of which the service knows all."""
        self.entries, self.turn, self.stored = [], None, Stored()
        self.identity, self.history, self.borrowed = identity, History.IN_STEP, 0

    def read(self) -> Steps[list[Message]]:
        """Reads what the service holds, if that is not known; in an outage, what this process knows of it."""
        if self.history.is_read:
            return self.stored.told
        conversation = self.stored.conversation
        stored = yield from Twin(conversation.history, conversation.ahistory, RESUMED_MESSAGES)
        was_given = self.history.is_given
        if conversation.connection.is_down:  # this is not all it holds; the next operation asks again
            if not was_given and not self.entries:
                self.entries = classify([as_chat_message(one) for one in stored])
                self.borrowed = len(self.entries)
                self._take_up(stored)
            return stored
        self.history = History.GIVEN if was_given else History.IN_STEP
        self.stored.told = list(stored)
        self.entries, self.borrowed = self.entries[self.borrowed :], 0
        given = self.stored.redacted(self._said())
        if was_given:
            ends_open = bool(stored) and stored[-1].role == "user"
            if ends_open and texts(given[-1:]) != texts(stored[-1:]):
                self.turn = Turn(stored[-1], Stage.ANNOUNCED)
            return stored
        # Nobody gave a history: it is the service's, with what was put since at its end.
        since = len(given) if texts(stored)[len(stored) - len(given) :] == texts(given) else 0
        earlier = stored[: len(stored) - since]
        self.entries = [*classify([as_chat_message(one) for one in earlier]), *self.entries]
        if not given:
            self._take_up(stored)
        self.turn = self.turn or self.last_turn()
        return stored

    def tell_leaving(self, messages: Sequence[ChatMessage]) -> Steps[None]:
        """Tells the service of messages that leave another memory, unless it has been told before."""
        yield from self.read()
        leaving = [entry.said for entry in classify(messages) if entry.said is not None]
        if not self.stored.knows(leaving):
            yield from self.stored.tell(self.stored.untold(leaving))

    def take_over(self, messages: Sequence[ChatMessage]) -> Steps[bool]:
        """Follows a history that another memory keeps, as it is shown from time to time.

        Args:
            messages: all that is shown, perhaps trimmed at its start.

        Returns:
            False while the service cannot be read: the other memory keeps the messages and shows them again.
        """
        before, known = self.turn, len(self.stored.told) if self.history.is_read else None
        yield from self.read()
        if not self.history.is_read:
            return False
        self.replace(messages)
        yield from self.ready()
        self.turn = self.last_turn()
        asked_again = known is None or any(one.role == "user" for one in self.stored.told[known:])
        if self.turn is not None and before is not None and not asked_again:
            self.turn.recall = before.recall
        return True

    def last_turn(self) -> Turn | None:
        """The turn that the history ends with."""
        turn: Turn | None = None
        for entry in self.entries:
            if entry.kind == "question":
                turn = None if entry.said is None else Turn(entry.said)
            elif entry.kind == "answer" and turn is not None:
                turn.stage = Stage.ANSWERED
        return turn

    def _take(self, new: Sequence[Entry]) -> list[Message]:
        """Takes entries into the history; what the service is to be told of them."""
        tell: list[Message] = []
        taken: list[Entry] = []
        for entry in new:
            if entry.kind == "question":
                own = None if self.turn is None else self.turn.put(entry.text)
                if own is not None:
                    taken += [] if own is Stage.RETRIED else [entry]
                    continue
                self.turn = None if entry.said is None else Turn(entry.said)
            elif entry.kind == "answer" and self.turn is not None:
                self.turn.stage = Stage.ANSWERED
            taken.append(entry)
            if entry.said is not None and (self.turn is None or self.turn.outer is None):
                tell.append(entry.said)
        self.entries = [*self.entries, *taken]
        return tell

    def _take_up(self, stored: Sequence[Message]) -> None:
        """Goes on with the latest turn of what is stored, where nothing was put here yet."""
        if self.turn is None or not self.turn.is_announced:
            self.turn = self.last_turn()
        if self.turn is not None and stored and stored[-1].role == "user":
            self.turn.stage = Stage.RETRIED  # a turn that failed, which its user may try once more

    def _rewind(self, given: Sequence[Message]) -> None:
        """Knows the latest question again, where the history was set back to before it."""
        latest = max((n for n, one in enumerate(self.stored.told) if one.role == "user"), default=None)
        if latest is None or (self.turn is not None and not self.turn.is_answered):
            return
        here, told = texts(self.stored.redacted(given)), texts(self.stored.told)
        # Where words repeat, both may fit: then the history is all of it, and a repeat is stored, not lost.
        if _ends_alike(here, told[:latest]) and not _ends_alike(here, told):
            self.turn = Turn(self.stored.told[latest], Stage.REWOUND)

    def _end_run(self) -> Steps[None]:
        try:
            yield from Twin(self.stored.conversation.end_run, self.stored.conversation.aend_run)
        except RecallrAIIntegrationError as error:
            logger.error("The session is not processed yet: %s", error)  # noqa: TRY400 - see `put`

    def _said(self) -> list[Message]:
        return [entry.said for entry in self.entries if entry.said is not None]


def _ends_alike(here: Sequence[object], there: Sequence[object]) -> bool:
    """Whether the shorter history is the end of the longer one; an empty one is no end of another."""
    shared = min(len(here), len(there))
    return here[len(here) - shared :] == there[len(there) - shared :] and (shared > 0 or not (here or there))

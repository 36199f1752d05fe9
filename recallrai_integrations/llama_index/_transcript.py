"""What a memory knows of its conversation: the history as it was given, and what the service was told of it.

Each operation is written once, as a generator that asks for calls of the core's `Conversation`; `run` carries
them out on a thread, `arun` on an event loop.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias, TypeVar, cast

from aiologic import Lock
from llama_index.core.base.llms.types import ChatMessage

from recallrai_integrations._flows import rules
from recallrai_integrations.conversation import Conversation
from recallrai_integrations.errors import RecallrAIIntegrationError, RequestRejectedError
from recallrai_integrations.messages import Message
from recallrai_integrations.recall import Recall

from ._messages import Entry, as_chat_message, classify
from ._snapshot import dump_messages, dump_said, load_messages, load_said

__all__ = ["Ask", "Talk", "Transcript", "Turn", "arun", "run"]

T = TypeVar("T")

logger = logging.getLogger("recallrai_integrations.llama_index")

RESUMED_MESSAGES: Final = rules.MESSAGES_PER_PAGE
"""How many of a thread's latest messages are read when a memory takes it up."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A call of the conversation: the name of its method, whose async twin has the prefix `a`."""

    method: str
    args: tuple[Any, ...] = ()
    options: dict[str, Any] = field(default_factory=dict[str, Any])


Talk: TypeAlias = Generator[Ask, Any, T]
"""An operation: asks for calls, is sent their answers, returns its own."""


def run(talk: Talk[T], transcript: Transcript, conversation: Conversation) -> T:
    """Carries an operation out on this thread."""
    with transcript.lock:
        answer, error = None, None
        while True:
            try:
                ask = talk.send(answer) if error is None else talk.throw(error)
            except StopIteration as end:
                return cast("T", end.value)
            answer = error = None
            try:
                answer = getattr(conversation, ask.method)(*ask.args, **ask.options)
            except BaseException as raised:  # noqa: BLE001 - the operation decides; what it leaves goes on
                error = raised


async def arun(talk: Talk[T], transcript: Transcript, conversation: Conversation) -> T:
    """Carries an operation out on the running event loop; the twin of `run`."""
    async with transcript.lock:
        answer, error = None, None
        while True:
            try:
                ask = talk.send(answer) if error is None else talk.throw(error)
            except StopIteration as end:
                return cast("T", end.value)
            answer = error = None
            try:
                answer = await getattr(conversation, f"a{ask.method}")(*ask.args, **ask.options)
            except BaseException as raised:  # noqa: BLE001 - as in `run`; cancellation too
                error = raised


@dataclass(slots=True, eq=False)
class Turn:
    """A turn of the user, from the question to the answer.

    Args:
        question: as it was told to the service.
        pending: an engine asked for memories with the question and has not put it yet.
        retried: an engine asked for memories once more with a question that was put already; where it puts it
            once more too, that is the same message.
        answered: the final answer was put.
        resumed: after the answer an agent went on with the history as it was given.
        recall: what is remembered for it, asked for once.
    """

    question: Message
    pending: bool = False
    retried: bool = False
    answered: bool = False
    resumed: bool = False
    recall: Recall | None = None

    def is_about(self, text: str) -> bool:
        """Whether an engine that asks with this text is in this turn still, or tries it once more."""
        return self.question.content == text and (self.resumed or not self.answered)


@dataclass(slots=True, eq=False)
class Transcript:
    """The history of one memory. Shared by its copies, guarded by its lock.

    Args:
        entries: the history, as the framework gave it.
        told: what the service was told, by anybody, as far as it is known.
        turn: the latest turn of the user.
        loaded: what the service holds of the thread is known.
        borrowed: how many entries, at the start, are what this process knew of the thread in an outage; they
            make room for what the service holds as soon as that can be read.
        aligned: what the service does not hold of the history was told to it.
        backlog: answers that the service could not be told yet.
        narration: also tell what an agent says while it calls tools.
        ends_runs: tell the conversation when a run ended.
        is_down: whether the service fails just now.
        redact: messages as they leave the process.
        warned: of an agent that drops system messages.
    """

    narration: bool
    ends_runs: bool
    loaded: bool
    aligned: bool = True
    borrowed: int = 0
    entries: list[Entry] = field(default_factory=list[Entry])
    told: list[Message] = field(default_factory=list[Message])
    turn: Turn | None = None
    backlog: list[Message] = field(default_factory=list[Message])
    lock: Lock = field(default_factory=Lock)
    is_down: Callable[[], bool] = lambda: False
    redact: Callable[[Sequence[Message]], list[Message]] = list
    warned: bool = False

    def bind(self, conversation: Conversation) -> None:
        """Takes from a conversation what is decided by its connection."""
        connection = conversation.connection
        self.is_down = lambda: connection.is_down
        self.redact = lambda messages: connection.runtime.redacted(
            conversation.user_id, conversation.thread_id, messages
        )

    def messages(self) -> list[ChatMessage]:
        """The history, as copies."""
        return [entry.message.model_copy(deep=True) for entry in list(self.entries)]

    def replace(self, messages: Sequence[ChatMessage]) -> None:
        """Takes a history in place of its own; the next operation tells the service what is new in it."""
        self.entries = classify([one.model_copy(deep=True) for one in messages], narration=self.narration)
        self.borrowed = 0
        given, waiting = self._last_turn(), self.turn
        if waiting is not None and waiting.pending:
            if given is not None and not given.answered and waiting.is_about(given.question.content):
                waiting.pending = False
        else:
            self.turn = given
        self.aligned = False

    def ready(self) -> Talk[None]:
        """Knows what the service holds, and has told it what was given and is not there."""
        if not self.loaded:
            yield from self._load()
        if not self.aligned:
            given = [entry.said for entry in self.entries if entry.said is not None]
            if not self.loaded:  # nobody knows what the service holds: what was given comes from there
                self.told = self.redact(given)
            yield from self._tell(self._untold(given))
            self.aligned = True
        if self.backlog:
            yield from self._tell([])

    def put(self, messages: Sequence[ChatMessage]) -> Talk[None]:
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
                yield from self._tell(self._take(new))
        except RecallrAIIntegrationError as error:
            failure = error
        if failure is not None:
            if any(entry.kind == "question" for entry in new):
                self.entries, self.turn = before
                raise failure
            logger.error("RecallrAI: an answer is not stored yet: %s", failure)
        elif self.ends_runs and any(entry.kind == "answer" for entry in new):
            yield from self._end_run()

    def _take(self, new: Sequence[Entry]) -> list[Message]:
        """Takes entries into the history; what the service is to be told of them."""
        tell: list[Message] = []
        taken: list[Entry] = []
        for entry in new:
            turn = self.turn
            if entry.kind == "question":
                if turn is not None and turn.is_about(entry.text) and (turn.pending or turn.retried):
                    taken += [entry] if turn.pending else []
                    turn.pending = turn.retried = False  # the service knows it already
                    continue
                self.turn = None if entry.said is None else Turn(entry.said)
            elif entry.kind == "answer" and turn is not None:
                turn.answered, turn.resumed, turn.retried = True, False, False
            taken.append(entry)
            if entry.said is not None:
                tell.append(entry.said)
        self.entries = [*self.entries, *taken]
        return tell

    def _end_run(self) -> Talk[None]:
        try:
            yield Ask("end_run")
        except RecallrAIIntegrationError as error:
            logger.error("RecallrAI: a session is not processed yet: %s", error)  # noqa: TRY400 - see `put`

    def ask(self, question: str | None, recall: dict[str, Any]) -> Talk[Turn | None]:
        """The turn that the model is about to answer, with its memories.

        Args:
            question: what the engine asks with. Some engines put it afterwards, so it is told to the
                service now: the service recalls by the messages it holds.
            recall: options of the recall.
        """
        yield from self.ready()
        turn = self.turn
        if question and question.strip():
            (entry,) = classify([ChatMessage(role="user", content=question)])
            if turn is None or not turn.is_about(entry.text):
                assert entry.said is not None
                turn = Turn(entry.said, pending=True)
                yield from self._tell([entry.said])
                self.turn = turn
            elif not turn.pending and not turn.answered:
                turn.retried = True
        elif turn is not None and turn.answered:
            turn.resumed = True
        if turn is None or (turn.recall is None and turn.answered):
            return turn
        if turn.recall is None or (turn.recall.degraded and not turn.answered and turn.pending):
            turn.recall = yield Ask("recall", options=recall)
        return turn

    def observe(self, messages: Sequence[ChatMessage], recall: dict[str, Any] | None) -> Talk[Turn | None]:
        """Follows a history that another memory keeps, as it is shown from time to time.

        Args:
            messages: all that is shown, perhaps trimmed at its start.
            recall: options of a recall for its last question; None for no recall.
        """
        before, known = self.turn, len(self.told) if self.loaded else None
        if not self.loaded:
            yield from self._load()
        if not self.loaded:
            return None  # the other memory keeps the messages, and shows them again
        self.replace(messages)
        yield from self.ready()
        self.turn = self._last_turn()
        asked_again = known is None or any(one.role == "user" for one in self.told[known:])
        if self.turn is not None and before is not None and not asked_again:
            self.turn.recall = before.recall
        return None if recall is None else (yield from self.ask(None, recall))

    def drain(self, messages: Sequence[ChatMessage]) -> Talk[None]:
        """Tells the service of messages that leave another memory, unless it has been told before."""
        if not self.loaded:
            yield from self._load()
        leaving = [entry.said for entry in classify(messages) if entry.said is not None]
        texts, known = _texts(self.redact(leaving)), _texts(self.told)
        if not any(known[n : n + len(texts)] == texts for n in range(len(known) - len(texts) + 1)):
            yield from self._tell(self._untold(leaving))

    def restart(self) -> None:
        """An empty history, of which the service knows all."""
        self.entries, self.told, self.turn, self.backlog = [], [], None, []
        self.loaded, self.aligned, self.borrowed = True, True, 0

    def to_dict(self) -> dict[str, Any]:
        """All but memories, as JSON values."""
        turn = self.turn
        return {
            "messages": dump_messages([entry.message for entry in self.entries]),
            "told": dump_said(self.told[-RESUMED_MESSAGES:]),
            "backlog": dump_said(self.backlog),
            "pending": dump_said([turn.question] if turn is not None and turn.pending else []),
            "loaded": self.loaded,
            "aligned": self.aligned,
            "borrowed": self.borrowed,
        }

    def load_dict(self, data: Mapping[str, Any]) -> None:
        """The twin of `to_dict`; a turn that is going on recalls anew."""
        self.entries = classify(load_messages(data["messages"]), narration=self.narration)
        self.told, self.backlog = load_said(data["told"]), load_said(data["backlog"])
        pending = load_said(data["pending"])
        self.turn = Turn(pending[0], pending=True) if pending else self._last_turn()
        self.loaded, self.aligned = data["loaded"], data["aligned"]
        self.borrowed = data.get("borrowed", 0)  # data of an earlier version has none

    def _load(self) -> Talk[None]:
        stored: list[Message] = yield Ask("history", (RESUMED_MESSAGES,))
        if self.is_down():  # this is not all that the service holds; the next operation asks again
            if self.aligned and not self.entries:
                self.entries = classify([as_chat_message(one) for one in stored])
                self.borrowed = len(self.entries)
                self._take_up(stored)
            return
        self.loaded = True
        self.told = list(stored)
        self.entries, self.borrowed = self.entries[self.borrowed :], 0
        given = self.redact([entry.said for entry in self.entries if entry.said is not None])
        ends_open = bool(stored) and stored[-1].role == "user"
        if not self.aligned:
            if ends_open and _texts(given[-1:]) != _texts(stored[-1:]):
                self.turn = Turn(stored[-1], pending=True)
            return
        # Nobody gave a history: it is the service's, with what was put since at its end.
        since = len(given) if _texts(stored)[len(stored) - len(given) :] == _texts(given) else 0
        earlier = stored[: len(stored) - since]
        self.entries = [*classify([as_chat_message(one) for one in earlier]), *self.entries]
        if not given:
            self._take_up(stored)
        self.turn = self.turn or self._last_turn()

    def _take_up(self, stored: Sequence[Message]) -> None:
        """Goes on with the latest turn of what is stored, where nothing was put here yet."""
        if self.turn is None or not self.turn.pending:
            self.turn = self._last_turn()
        if self.turn is not None:
            # A question without an answer is a turn that failed, which its user may try once more.
            self.turn.retried = bool(stored) and stored[-1].role == "user"

    def _untold(self, given: Sequence[Message]) -> list[Message]:
        """What of these messages is new to the service, which holds them redacted."""
        pairs = [(one, hidden) for one in given for hidden in self.redact([one])]
        new = rules.unsent([hidden for _, hidden in pairs], self.told)
        return [one for one, _ in pairs[len(pairs) - len(new) :]]

    def _tell(self, messages: Sequence[Message]) -> Talk[None]:
        """Tells the service, in order; answers that it could not take are told first the next time."""
        new = [replace(one, id=one.id or uuid.uuid4().hex) for one in messages]
        todo = [*self.backlog, *new]
        if not todo:
            return
        try:
            yield Ask("record", (todo,))
        except RequestRejectedError:
            self.backlog = []  # the service will never take one of them; it has taken the others
            self.told += self.redact(todo)
            raise
        except RecallrAIIntegrationError:
            if all(one.role == "assistant" for one in new):
                self.backlog = todo
            raise
        self.backlog = []
        self.told += self.redact(todo)

    def _last_turn(self) -> Turn | None:
        turn: Turn | None = None
        for entry in self.entries:
            if entry.kind == "question":
                turn = None if entry.said is None else Turn(entry.said)
            elif entry.kind == "answer" and turn is not None:
                turn.answered = True
        return turn


def _texts(messages: Sequence[Message]) -> list[tuple[str, str]]:
    return [(one.role, one.content) for one in messages]

"""What a conversation asks: its latest question, and whether that is stored already."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeAlias

from langchain_core.messages import BaseMessage

from recallrai_integrations.adapter import Identity, TurnCache, not_landed
from recallrai_integrations.messages import Message, fingerprint

from ._messages import conversation_of, question_keys, turn_questions

__all__ = ["Asked", "Handed", "Landed"]

Landed: TypeAlias = Callable[[Sequence[Message]], list[Message]]
"""Given the latest messages of a thread, those that are still to be stored."""

_SEEN_KEPT: Final = 50  # of the latest user messages; older ones stand before an answer anyway
_CONVERSATIONS_KEPT: Final = 10_000


@dataclass(frozen=True, slots=True)
class Asked:
    """What a conversation asks now: the user's latest message, and what stands around it.

    Args:
        native: that message; None where the user said nothing.
        key: tells it apart from all others.
        keys: of the latest user messages, itself included.
        before: the conversation up to it.
        behind: what stands behind it: nothing, a tool loop, a hand-over by another agent, an answer.
    """

    native: BaseMessage | None
    key: str
    keys: frozenset[str]
    before: Sequence[BaseMessage]
    behind: Sequence[BaseMessage]

    @classmethod
    def of(cls, messages: Sequence[BaseMessage]) -> Asked:
        """What is asked in the messages of a state."""
        keys = question_keys(messages)
        if not keys:
            return cls(None, "", frozenset(), messages, ())
        place = max(keys)
        latest = frozenset(islice(reversed(keys.values()), _SEEN_KEPT))
        return cls(messages[place], keys[place], latest, messages[: place + 1], messages[place + 1 :])

    @property
    def has_id(self) -> bool:
        """Whether it can be told apart from the same words, said at another time."""
        return self.native is not None and bool(self.native.id)

    def continues(self, turn: str) -> bool:
        """Whether a turn is under way: the model called tools, and has not answered yet.

        Its question may look otherwise by now, where a middleware behind us redacts it.
        """
        looping = bool(self.behind) and not conversation_of(self.behind)
        return self.key == turn or (looping and self.is_about(turn))

    def is_about(self, turn: str) -> bool:
        """Whether it is the message that a turn began with, in whatever form."""
        return self.key.rsplit("#", 1)[0] == turn.rsplit("#", 1)[0]

    def questions(self, seen: Collection[str] = ()) -> list[Message]:
        """What is new of what the user said, oldest first."""
        return turn_questions(self.before, seen)

    def not_landed(self, questions: Sequence[Message], tail: Sequence[Message]) -> list[Message]:
        """Those of the questions that are not in the thread yet.

        Args:
            questions: of this conversation, as they would be recorded.
            tail: the latest messages of the thread. What landed stands at its end. Behind it may be answers
                that this conversation has too; or another answer, where the one before the question is the
                same: then this one is generated anew.
        """
        if not questions or not tail:
            return list(questions)
        said = [(one.role, one.content) for one in tail]
        asked = [(one.role, one.content) for one in questions]
        earlier = conversation_of(self.before)[: -len(asked)]
        unanswered = len(said)
        while unanswered and said[unanswered - 1][0] == "assistant":
            unanswered -= 1
        if earlier and said[:unanswered][-len(asked) - 1 :] == [
            (earlier[-1].role, earlier[-1].content),
            *asked,
        ]:
            return []
        answered = {(one.role, one.content) for one in conversation_of(self.behind)}
        while said and said[-1] in answered:
            said.pop()
        return not_landed(questions, tail[: len(said)])


class Handed:
    """Conversations that were handed over whole, by servers that keep none.

    Such a server hands over the same conversation again when an answer is to be generated anew, with fresh
    ids or none; and the turn before may have been another process's.
    """

    def __init__(self) -> None:
        self._known = TurnCache[bool](_CONVERSATIONS_KEPT)

    def in_doubt(self, connection: object, identity: Identity, asked: Asked) -> bool:
        """Whether the question may be in the thread already, so that the thread has to be read."""
        if asked.behind or identity.thread_id is None:
            return bool(asked.behind)
        thread = (connection, identity)
        said = conversation_of(asked.before)
        digest = (thread, fingerprint(Message("user", "\n".join(map(fingerprint, said)))))
        known, again = self._known.get(thread), self._known.get(digest)
        self._known.put(thread, True)
        self._known.put(digest, True)
        handed_whole = any(one.role == "assistant" for one in said)
        return handed_whole and (again is not None or known is None)

"""Questions that are asked again: by retries, fallbacks, parallel branches and an application's loop."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Generator, Hashable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from recallrai_integrations.adapter import TurnCache
from recallrai_integrations.conversation import Conversation
from recallrai_integrations.messages import Message

__all__ = ["Question", "unanswered_on_error"]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, with ids: asked again it is stored once, in the conversation that it was stored in.

    Args:
        conversation: where it is stored.
        messages: what the user said; none in a call without a question.
        key: by which it is found again.
        shared: the calls of one run ask it, so that it stays known when one of them has an answer.
    """

    conversation: Conversation
    messages: list[Message]
    key: Hashable
    shared: bool

    @classmethod
    def asked(
        cls, conversation: Conversation, messages: Sequence[Message], *, within: Hashable
    ) -> tuple[Question, bool]:
        """The question, and whether it was asked before and is not answered.

        Args:
            conversation: where it is stored when it is new.
            messages: what the user says.
            within: the run around the call, the same for all its attempts and branches; None outside of runs.
        """
        said = tuple(one.content for one in messages)
        whose = (conversation.connection, conversation.user_id, conversation.thread_id)
        key = (*whose, within, said)
        with _lock:
            known = _unanswered.get(key)
            if known is not None:
                return known, True
            question = cls(conversation, list(map(_identified, messages)), key, shared=within is not None)
            if question.shared and messages:
                _unanswered.put(key, question)
        return question, False

    def without(self, history: list[Message], *, again: bool) -> list[Message]:
        """What was said before it, of a history that may end with it.

        Args:
            history: of the thread.
            again: it was asked before, and another branch may have its answer already.
        """
        said = [(one.role, one.content) for one in history]
        asked = [(one.role, one.content) for one in self.messages]
        end = len(said)
        while again and end and said[end - 1][0] == "assistant":
            end -= 1
        start = end - len(asked)
        return history[:start] if asked and start >= 0 and said[start:end] == asked else history

    def ended(self, *, answered: bool) -> None:
        """Takes note of how a call ended. A tool call is no answer: the application's loop asks again."""
        if not answered and self.messages:
            _unanswered.put(self.key, self)
        elif not self.shared:
            _unanswered.drop(self.key)


def _identified(message: Message) -> Message:
    return message if message.id is not None else replace(message, id=uuid.uuid4().hex)


@contextmanager
def unanswered_on_error(question: Question | None) -> Generator[None]:
    """Takes note of a question whose call fails, or is left."""
    try:
        yield
    except BaseException:
        if question is not None:
            question.ended(answered=False)
        raise


_unanswered = TurnCache[Question](10_000)
_lock = threading.Lock()

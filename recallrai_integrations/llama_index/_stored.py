"""What the service was told of a conversation, and telling it the rest."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from recallrai_integrations.adapter import Steps, Twin, unsent
from recallrai_integrations.conversation import Conversation
from recallrai_integrations.errors import RecallrAIIntegrationError, RequestRejectedError
from recallrai_integrations.messages import Message

__all__ = ["Stored", "texts"]


@dataclass(slots=True, eq=False)
class Stored:
    """What the service was told, by anybody, as far as it is known.

    Args:
        told: as it left the process, oldest first.
        backlog: answers that the service could not be told yet.
        at: where it is stored; set before each operation.
    """

    told: list[Message] = field(default_factory=list[Message])
    backlog: list[Message] = field(default_factory=list[Message])
    at: Conversation | None = None

    @property
    def conversation(self) -> Conversation:
        """Where it is stored."""
        assert self.at is not None
        return self.at

    def tell(self, messages: Sequence[Message]) -> Steps[None]:
        """Tells the service, in order; answers that it could not take are told first the next time."""
        new = [replace(one, id=one.id or uuid.uuid4().hex) for one in messages]
        todo = [*self.backlog, *new]
        if not todo:
            return
        try:
            yield from Twin(self.conversation.record, self.conversation.arecord, todo)
        except RequestRejectedError:
            self.backlog = []  # the service will never take one of them; it has taken the others
            self.told += self.redacted(todo)
            raise
        except RecallrAIIntegrationError:
            if all(one.role == "assistant" for one in new):
                self.backlog = todo
            raise
        self.backlog = []
        self.told += self.redacted(todo)

    def untold(self, given: Sequence[Message]) -> list[Message]:
        """What of these messages is new to the service, which holds them redacted."""
        pairs = [(one, hidden) for one in given for hidden in self.redacted([one])]
        new = unsent([hidden for _, hidden in pairs], self.told)
        return [one for one, _ in pairs[len(pairs) - len(new) :]]

    def knows(self, messages: Sequence[Message]) -> bool:
        """Whether the service was told all of these, one after the other."""
        some, known = texts(self.redacted(messages)), texts(self.told)
        return any(known[n : n + len(some)] == some for n in range(len(known) - len(some) + 1))

    def redacted(self, messages: Sequence[Message]) -> list[Message]:
        """Messages as they leave the process."""
        at = self.conversation
        return at.connection.runtime.redacted(at.user_id, at.thread_id, messages)


def texts(messages: Sequence[Message]) -> list[tuple[str, str]]:
    """What they say, without ids and times."""
    return [(one.role, one.content) for one in messages]

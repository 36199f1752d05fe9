"""What of a conversation that is handed over again has been stored already."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from recallrai_integrations._flows.rules import unsent
from recallrai_integrations.messages import Message

__all__ = ["new_questions", "not_landed", "unsent"]


def not_landed(messages: Sequence[Message], tail: Sequence[Message]) -> list[Message]:
    """Those of a repeated step's messages that its first try had not stored.

    Args:
        messages: questions, or an answer.
        tail: the latest messages of the conversation. What landed stands at its very end, with nothing of
            the other side behind it; the same words further up were said before.

    Example:
        ```python
        from recallrai_integrations import Message
        from recallrai_integrations.adapter import not_landed

        questions = [Message("user", "one"), Message("user", "two")]
        assert not_landed(questions, questions[:1]) == questions[1:]
        ```
    """
    if not messages or not tail:
        return list(messages)
    last = list(takewhile(lambda one: one.role == messages[0].role, reversed(tail)))
    return unsent(messages, last[::-1])


def new_questions(messages: Sequence[Message]) -> list[Message]:
    """What the user said since the last answer, of a conversation that is handed over whole.

    Args:
        messages: the conversation in the request, oldest first. Leave out what is neither the user's nor the
            assistant's; narration between tool calls too, which is no answer.

    Example:
        ```python
        from recallrai_integrations import Message
        from recallrai_integrations.adapter import new_questions

        answer, question = Message("assistant", "hello"), Message("user", "What shall I cook?")
        assert new_questions([answer, question]) == [question]
        ```
    """
    return list(takewhile(lambda one: one.role == "user", reversed(messages)))[::-1]

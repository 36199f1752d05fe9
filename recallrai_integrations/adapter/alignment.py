"""Finds the new messages in a conversation of which a part is stored already."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from recallrai_integrations._flows.rules import unsent
from recallrai_integrations.messages import Message

__all__ = ["new_questions", "not_landed", "unsent"]


def not_landed(messages: Sequence[Message], tail: Sequence[Message]) -> list[Message]:
    """Returns the messages of a repeated step that its first try did not store.

    Args:
        messages: questions, or an answer.
        tail: the latest messages of the conversation. Messages of the first try are at its end, with no
            message of the other side after them; equal messages further up are older.

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
    """Returns the user's messages since the last answer, from a complete conversation.

    Args:
        messages: the conversation in the request, oldest first, with messages of the user and the assistant
            only, and without narration between tool calls, which is not an answer.

    Example:
        ```python
        from recallrai_integrations import Message
        from recallrai_integrations.adapter import new_questions

        answer, question = Message("assistant", "hello"), Message("user", "What shall I cook?")
        assert new_questions([answer, question]) == [question]
        ```
    """
    return list(takewhile(lambda one: one.role == "user", reversed(messages)))[::-1]

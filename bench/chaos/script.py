"""What is said in which conversation: the same for writers and for the check."""

from __future__ import annotations

from recallrai_integrations import Message

USERS = 40


def user_of(conversation: int) -> str:
    """A few users have several threads each."""
    return f"user-{conversation % USERS}"


def thread_of(conversation: int) -> str:
    return f"thread-{conversation}"


def said(conversation: int, turn: int) -> tuple[Message, Message]:
    """The user's message and the assistant's; half of them are the same words again and again."""
    question = "ok" if turn % 2 else f"conversation {conversation} turn {turn}"
    answer = "And then?" if turn % 3 else f"answer to {conversation} {turn}"
    name = f"{conversation}-{turn}"
    return Message("user", question, id=f"{name}-q"), Message("assistant", answer, id=f"{name}-a")

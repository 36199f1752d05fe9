"""Questions that are asked again: a run that failed and is tried once more is one turn."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from weakref import WeakKeyDictionary

from recallrai_integrations.connection import Connection
from recallrai_integrations.conversation import Conversation
from recallrai_integrations.errors import RequestRejectedError
from recallrai_integrations.messages import Message

from .alignment import not_landed
from .cache import TurnCache
from .steps import Steps, Twin

__all__ = ["REPEAT_SECONDS", "TAIL", "ending_run", "recording"]

logger = logging.getLogger("recallrai_integrations.adapter")

REPEAT_SECONDS: Final = 600.0
"""How long after a question the same words, without an answer in between, are a retry of it."""
TAIL: Final = 20
"""How many of the latest stored messages those in doubt are compared with."""


@dataclass(frozen=True, slots=True)
class _Unanswered:
    messages: list[Message]
    at: float


def recording(
    conversation: Conversation,
    messages: Sequence[Message],
    *,
    in_doubt: Callable[[Sequence[Message]], list[Message]] | None = None,
) -> Steps[None]:
    """Stores messages; a question that is asked once more before it has an answer is stored once.

    Words that were the thread's last in this process less than ten minutes ago, and the same now under
    another id or none, are in doubt: a run failed and is tried again, or the user says the same once more.
    What the thread holds decides (one request): behind an answer they are new, whoever gave it. The same
    words twice in `messages` are two.

    An answer that the service refuses, as one that is too long, costs its user nothing: it was given, and is
    logged as an error here.

    Args:
        conversation: where.
        messages: to be stored; none is fine.
        in_doubt: they may be stored already for another reason: given the latest messages of the thread,
            those that are still to be stored.

    Raises:
        RequestRejectedError: the service refuses what the user said.
        RecallrAIIntegrationError: all else that `Conversation.record` raises.

    Example:
        ```python
        from recallrai_integrations import Message, connect
        from recallrai_integrations.adapter import recording, run

        with connect(local=":memory:") as connection:
            conversation = connection.conversation("ada", "thread-1")
            for _ in range(2):  # the model failed, and the application asks again
                run(recording(conversation, [Message("user", "What shall I cook?")]))
            assert len(conversation.history()) == 1
        ```
    """
    new = list(messages)
    if new and in_doubt is None and _is_repeat(conversation, new):
        tail = yield from Twin(conversation.history, conversation.ahistory, TAIL)
        redacted = conversation.connection.runtime.redacted
        stored_as = redacted(conversation.user_id, conversation.thread_id, new)
        new = new[len(new) - len(not_landed(stored_as, tail)) :]
    elif new and in_doubt is not None:
        new = in_doubt((yield from Twin(conversation.history, conversation.ahistory, TAIL)))
    if new:
        _note(conversation, new)
        try:
            yield from Twin(conversation.record, conversation.arecord, new)
        except RequestRejectedError as error:
            if any(one.role == "user" for one in new):
                raise
            characters = sum(len(one.content) for one in new)
            logger.error(  # noqa: TRY400 - the caller has the answer, and the text says what to do
                "RecallrAI: an answer of %s characters was given, and is not stored: %s", characters, error
            )


def ending_run(conversation: Conversation) -> Steps[None]:
    """Ends a run that came to its end: the same question is another one from now on.

    Example:
        ```python
        from recallrai_integrations import connect
        from recallrai_integrations.adapter import ending_run, run

        with connect(local=":memory:") as connection:
            run(ending_run(connection.conversation("ada", "thread-1")))
        ```
    """
    _threads(conversation).drop((conversation.user_id, conversation.thread_id))
    yield from Twin(conversation.end_run, conversation.aend_run)


def _is_repeat(conversation: Conversation, messages: list[Message]) -> bool:
    kept = _threads(conversation).get((conversation.user_id, conversation.thread_id))
    if kept is None or conversation.thread_id is None or time.monotonic() - kept.at > REPEAT_SECONDS:
        return False
    last = kept.messages[-len(messages) :]
    if [(one.role, one.content) for one in last] != [(one.role, one.content) for one in messages]:
        return False
    # With the id that it had, it is passed over anyway.
    return any(new.id is None or new.id != old.id for new, old in zip(messages, last, strict=True))


def _note(conversation: Conversation, messages: list[Message]) -> None:
    threads, key = _threads(conversation), (conversation.user_id, conversation.thread_id)
    answered = max((n for n, one in enumerate(messages, 1) if one.role == "assistant"), default=0)
    kept = threads.get(key)
    open_questions = [*(kept.messages if kept is not None and not answered else []), *messages[answered:]]
    if open_questions:
        threads.put(key, _Unanswered(open_questions[-TAIL:], time.monotonic()))
    else:
        threads.drop(key)


def _threads(conversation: Conversation) -> TurnCache[_Unanswered]:
    threads = _unanswered.get(conversation.connection)
    return threads or _unanswered.setdefault(conversation.connection, TurnCache(10_000))


_unanswered: WeakKeyDictionary[Connection, TurnCache[_Unanswered]] = WeakKeyDictionary()

"""Pure decisions, without I/O: which session is a thread's, what has landed, when to process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from recallrai_integrations.messages import Message, fingerprint
from recallrai_integrations.models import Answer, MergeConflict, SessionInfo
from recallrai_integrations.options import ProcessPolicy

__all__ = [
    "CONVERSATION_MARK",
    "MESSAGES_PER_PAGE",
    "OWN_KEY",
    "THREAD_KEY",
    "fitting_answers",
    "has_landed",
    "is_cleared",
    "oldest_open",
    "own_marks",
    "page_offsets",
    "session_metadata",
    "should_process",
    "unsent",
]

THREAD_KEY: Final = "thread_id"
"""Session metadata key that carries the application's thread id."""
OWN_KEY: Final = "recallrai_integrations"
"""Session metadata key of this package's own marks, such as `{"cleared": true}`."""
MESSAGES_PER_PAGE: Final = 500
"""The service's largest page of messages."""
CONVERSATION_MARK: Final = "conversation"
"""Key among our own marks by which the session of a conversation without a thread is found."""


def session_metadata(
    metadata: Mapping[str, Any], thread_id: str | None, *, marks: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """An application's metadata with our own keys, which win: marks that it read back are not taken over."""
    own: dict[str, Any] = {} if thread_id is None else {THREAD_KEY: thread_id}
    if marks:
        own[OWN_KEY] = dict(marks)
    return {**{key: value for key, value in metadata.items() if key != OWN_KEY}, **own}


def own_marks(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """This package's own marks in the metadata of a session."""
    marks = metadata.get(OWN_KEY)
    return {**marks} if isinstance(marks, Mapping) else {}  # pyright: ignore[reportUnknownVariableType] - anybody's JSON


def is_cleared(session: SessionInfo) -> bool:
    """Whether a chat history was cleared after this session, so that it is no part of the thread any more."""
    return bool(own_marks(session.metadata).get("cleared"))


def oldest_open(sessions: Iterable[SessionInfo]) -> SessionInfo | None:
    """The session that all workers of a thread settle on: the oldest pending one."""
    open_ones = [one for one in sessions if one.status == "pending" and not is_cleared(one)]
    return min(open_ones, key=lambda one: (one.created_at, one.session_id), default=None)


def has_landed(message: Message, tail: Sequence[Message], *, sent_before: Counter[str]) -> bool:
    """Whether a message whose answer was lost is among the messages that may be its own.

    Position and text decide, and no clock. Genuine repeats are told apart by counting: as many equal messages
    as are known to have been stored are those, one more is the unconfirmed one.

    Args:
        message: the unconfirmed message.
        tail: messages of the session, from where the knowledge of it begins.
        sent_before: how often each message, by its fingerprint, is known to have been stored in `tail`.
    """
    same = (message.role, message.content)
    count = sum((stored.role, stored.content) == same for stored in tail)
    return count > sent_before[fingerprint(message)]


def page_offsets(total: int, *, have: int, page: int = MESSAGES_PER_PAGE) -> range:
    """Offsets of the pages that are still to be read when the first `have` messages are there."""
    return range(have, total, page)


def should_process(policy: ProcessPolicy | None, *, has_thread: bool, turns: int, every: int) -> bool:
    """Whether the session is processed when a run has ended normally.

    Without a policy a run without a thread is a conversation by itself and is processed; a thread stays
    open until it is finished, or until the service's inactivity timer ends it.
    """
    if policy is None:
        return not has_thread
    if policy == "every_n_turns":
        return turns > 0 and turns % every == 0
    return policy == "every_run"


def fitting_answers(conflict: MergeConflict, answers: Mapping[str, str]) -> list[Answer] | None:
    """Answers to all questions of a conflict, each one of its options; None when they do not fit.

    An option is recognised in any case and with white space around it; the service wants it to the letter.
    """
    chosen: list[Answer] = []
    for asked in conflict.questions:
        given = answers.get(asked.question)
        if not isinstance(given, str):
            return None
        option = next((one for one in asked.options if one.strip().lower() == given.strip().lower()), None)
        if option is None:
            return None
        chosen.append(Answer(asked.question, option))
    return chosen or None


def unsent(given: Sequence[Message], sent: Sequence[Message]) -> list[Message]:
    """The messages of `given` that come after what has been sent.

    `given` is a framework's view of the conversation: whole, trimmed at its start, rewound to an earlier
    turn, or with new messages at its end. Texts repeat ("ok", "ok"), so the two are aligned as sequences.
    Either the longest end of `sent` found in `given` is the part that both know; where it is found more than
    once, the first place counts, so that a genuine repeat is stored rather than lost. Or, where that is
    longer, the start of `given` found anywhere in `sent`; it has to hold an answer, for the same reason, or
    to be followed by one in both: the same question with an answer that was generated anew.

    Example:
        ```python
        from recallrai_integrations import Message
        from recallrai_integrations.adapter import unsent

        one, answer, two = Message("user", "one"), Message("assistant", "a"), Message("user", "two")
        assert unsent([one, answer, two], [one, answer]) == [two]
        ```
    """
    texts = [(one.role, one.content) for one in given]
    known = [(one.role, one.content) for one in sent]
    common, cursor = _longest_start(known[::-1], texts[::-1])
    end_of_common = len(texts) - cursor + common
    rewound, end = _longest_start(texts, known)
    is_regenerated = _is_answer(texts[rewound : rewound + 1]) and _is_answer(known[end : end + 1])
    if not _is_answer(texts[:rewound]) and not is_regenerated:
        rewound = 0
    return list(given[rewound if rewound > common else end_of_common if common else 0 :])


def _is_answer(texts: Sequence[tuple[str, str]]) -> bool:
    """Whether an answer is among them."""
    return any(role == "assistant" for role, _ in texts)


def _longest_start(pattern: Sequence[object], text: Sequence[object]) -> tuple[int, int]:
    """How much of the start of `pattern` is in `text` at most, and where the last such place ends."""
    if not pattern:
        return 0, 0
    fallback = [0] * len(pattern)  # Knuth, Morris and Pratt: linear, however often texts repeat
    matched = 0
    for cursor in range(1, len(pattern)):
        while matched and pattern[cursor] != pattern[matched]:
            matched = fallback[matched - 1]
        matched += pattern[cursor] == pattern[matched]
        fallback[cursor] = matched
    longest = end = matched = 0
    for cursor, item in enumerate(text, start=1):
        if matched == len(pattern):
            matched = fallback[matched - 1]
        while matched and item != pattern[matched]:
            matched = fallback[matched - 1]
        matched += item == pattern[matched]
        if matched and matched >= longest:
            longest, end = matched, cursor
    return longest, end

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
"""Session metadata key of this package's marks, such as `{"cleared": true}`."""
MESSAGES_PER_PAGE: Final = 500
"""The service's largest page of messages."""
CONVERSATION_MARK: Final = "conversation"
"""Key among this package's marks by which a session without a thread is found."""


def session_metadata(
    metadata: Mapping[str, Any], thread_id: str | None, *, marks: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Returns an application's metadata with this package's keys, which win over those it has read back."""
    own: dict[str, Any] = {} if thread_id is None else {THREAD_KEY: thread_id}
    if marks:
        own[OWN_KEY] = dict(marks)
    return {**{key: value for key, value in metadata.items() if key != OWN_KEY}, **own}


def own_marks(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Returns this package's marks in the metadata of a session."""
    marks = metadata.get(OWN_KEY)
    return {**marks} if isinstance(marks, Mapping) else {}  # pyright: ignore[reportUnknownVariableType] - anybody's JSON


def is_cleared(session: SessionInfo) -> bool:
    """Returns whether the history was cleared after this session, which then left the thread."""
    return bool(own_marks(session.metadata).get("cleared"))


def oldest_open(sessions: Iterable[SessionInfo]) -> SessionInfo | None:
    """Returns the session that all processes use for a thread: the oldest pending one."""
    open_ones = [one for one in sessions if one.status == "pending" and not is_cleared(one)]
    return min(open_ones, key=lambda one: (one.created_at, one.session_id), default=None)


def has_landed(message: Message, tail: Sequence[Message], *, sent_before: Counter[str]) -> bool:
    """Returns whether an unconfirmed message is among the stored messages.

    Position and text decide, not the clock. Equal messages are counted: if there is one more than is known to
    have been stored, it is the unconfirmed one.

    Args:
        message: the unconfirmed message.
        tail: messages of the session, from the first one that this package has not counted.
        sent_before: number of messages in `tail` that are known to be stored, by fingerprint.
    """
    same = (message.role, message.content)
    count = sum((stored.role, stored.content) == same for stored in tail)
    return count > sent_before[fingerprint(message)]


def page_offsets(total: int, *, have: int, page: int = MESSAGES_PER_PAGE) -> range:
    """Returns the offsets of the pages that are still to be read after the first `have` messages."""
    return range(have, total, page)


def should_process(policy: ProcessPolicy | None, *, has_thread: bool, turns: int, every: int) -> bool:
    """Returns whether the session is processed when a run has ended normally.

    Without a policy, a run without a thread is a separate conversation and is processed; a thread stays open
    until it is finished, or until the service's inactivity timer ends it.
    """
    if policy is None:
        return not has_thread
    if policy == "every_n_turns":
        return turns > 0 and turns % every == 0
    return policy == "every_run"


def fitting_answers(conflict: MergeConflict, answers: Mapping[str, str]) -> list[Answer] | None:
    """Returns answers to all questions of a conflict, each one of its options; None if they do not fit.

    Upper and lower case and surrounding white space do not matter here; the service needs the exact option.
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
    """Returns the messages of `given` that come after what has been sent.

    `given` is a framework's view of the conversation: complete, trimmed at its start, rewound to an earlier
    turn, or with new messages at its end. Texts repeat ("ok", "ok"), so the two are aligned as sequences, by
    the longer of two matches:

    - The longest end of `sent` that occurs in `given`. If it occurs more than once, the first position
      counts, so a real repetition is stored, not lost.
    - The longest start of `given` that occurs in `sent`. For the same reason it must contain an answer, or be
      followed by an answer in both: the same question with an answer that was generated anew.

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
    """Returns whether one of the texts is an answer."""
    return any(role == "assistant" for role, _ in texts)


def _longest_start(pattern: Sequence[object], text: Sequence[object]) -> tuple[int, int]:
    """Returns the length of the longest start of `pattern` in `text`, and where its last occurrence ends."""
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

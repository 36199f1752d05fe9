"""The pure decisions."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recallrai_integrations import MergeConflict, Message, SessionInfo
from recallrai_integrations._flows import rules
from recallrai_integrations.models import Question

NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


def said(*texts: str, at: datetime | None = NOON) -> list[Message]:
    """Messages of alternating roles."""
    return [
        Message("user" if n % 2 == 0 else "assistant", text, created_at=at) for n, text in enumerate(texts)
    ]


def users(*texts: str, at: datetime | None = NOON) -> list[Message]:
    return [Message("user", text, created_at=at) for text in texts]


def session(name: str, *, minute: int = 0, status: str = "pending", cleared: bool = False) -> SessionInfo:
    marks = {rules.OWN_KEY: {"cleared": True}} if cleared else {}
    return SessionInfo(name, "ada", status, marks, NOON + timedelta(minutes=minute))


def test_workers_settle_on_the_oldest_pending_session() -> None:
    sessions = [session("c", minute=2), session("b", minute=1), session("a", status="processed")]
    chosen = rules.oldest_open(sessions)
    assert chosen is not None
    assert chosen.session_id == "b"
    assert rules.oldest_open(reversed(sessions)) == chosen


def test_sessions_of_the_same_moment_are_told_apart_by_id() -> None:
    chosen = rules.oldest_open([session("b"), session("a")])
    assert chosen is not None
    assert chosen.session_id == "a"


def test_a_cleared_session_takes_no_more_messages() -> None:
    assert rules.oldest_open([session("a", cleared=True)]) is None


@pytest.mark.parametrize(
    ("tail", "sent", "landed"),
    [
        ([], [], False),
        (["ok"], [], True),
        (["ok"], ["ok"], False),
        (["ok", "ok"], ["ok"], True),
        (["other"], [], False),
    ],
)
def test_a_message_in_doubt_has_landed_when_there_is_one_more_than_was_stored(
    tail: list[str], sent: list[str], landed: bool
) -> None:
    known = Counter(map(rules.fingerprint, users(*sent)))
    assert rules.has_landed(users("ok")[0], users(*tail), sent_before=known) is landed


@pytest.mark.parametrize(
    ("given_texts", "sent_texts", "unsent"),
    [
        ([], [], []),
        (["a", "b"], [], ["a", "b"]),
        (["a", "b", "c"], ["a", "b"], ["c"]),
        (["a", "b"], ["a", "b"], []),
        (["c", "d", "e"], ["a", "b", "c", "d"], ["e"]),
        (["ok", "ok"], ["ok"], ["ok"]),
        (["ok", "ok", "ok"], ["ok", "ok"], ["ok"]),
        (["x", "y"], ["a", "b"], ["x", "y"]),
        (["s", "a", "b", "c"], ["a", "b"], ["c"]),
    ],
)
def test_only_what_comes_after_the_common_part_is_unsent(
    given_texts: list[str], sent_texts: list[str], unsent: list[str]
) -> None:
    found = rules.unsent(users(*given_texts), users(*sent_texts))
    assert [one.content for one in found] == unsent


@pytest.mark.parametrize(
    ("given_texts", "sent_texts", "unsent"),
    [
        (["q", "b"], ["q", "a"], ["b"]),
        (["q", "b"], ["p", "1", "q", "a"], ["b"]),
        (["p", "1", "q", "b"], ["p", "1", "q", "a"], ["b"]),
        (["q"], ["q", "a"], ["q"]),
        (["q", "b", "r"], ["q", "a"], ["b", "r"]),
        (["x", "b"], ["q", "a"], ["x", "b"]),
    ],
)
def test_a_question_with_another_answer_is_the_same_question(
    given_texts: list[str], sent_texts: list[str], unsent: list[str]
) -> None:
    found = rules.unsent(turns(given_texts), turns(sent_texts))
    assert [one.content for one in found] == unsent


def turns(texts: list[str]) -> list[Message]:
    return [Message("assistant" if n % 2 else "user", text) for n, text in enumerate(texts)]


@given(
    st.lists(st.sampled_from(["ok", "no", "hm"])), st.lists(st.sampled_from(["ok", "no", "hm"]), max_size=3)
)
def test_the_whole_history_with_new_messages_leaves_the_new_ones(old: list[str], new: list[str]) -> None:
    assert rules.unsent(users(*old, *new), users(*old)) == users(*new)


@pytest.mark.parametrize(
    ("policy", "has_thread", "turns", "expected"),
    [
        (None, False, 1, True),
        (None, True, 1, False),
        ("every_run", True, 1, True),
        ("manual", False, 1, False),
        ("every_n_turns", True, 3, True),
        ("every_n_turns", True, 4, False),
    ],
)
def test_when_a_run_is_processed(
    policy: rules.ProcessPolicy | None, has_thread: bool, turns: int, expected: bool
) -> None:
    assert rules.should_process(policy, has_thread=has_thread, turns=turns, every=3) is expected


@given(st.integers(0, 3000), st.integers(0, 500))
def test_pages_cover_exactly_what_is_missing(total: int, have: int) -> None:
    have = min(have, total)
    covered = [
        n for offset in rules.page_offsets(total, have=have) for n in range(offset, min(offset + 500, total))
    ]
    assert covered == list(range(have, total))


CONFLICT = MergeConflict(
    "c1",
    "User is vegan",
    (),
    (Question("Which?", ("Vegan", "Eats fish")), Question("Since?", ("May", "June"))),
    "PENDING",
    NOON,
)


@pytest.mark.parametrize(
    ("answers", "fits"),
    [
        ({"Which?": "vegan ", "Since?": "MAY"}, True),
        ({"Which?": "Vegan"}, False),
        ({"Which?": "Vegan", "Since?": "July"}, False),
        ({}, False),
    ],
)
def test_answers_fit_when_each_names_an_option(answers: dict[str, str], fits: bool) -> None:
    chosen = rules.fitting_answers(CONFLICT, answers)
    assert (chosen is not None) is fits
    if chosen is not None:
        assert [one.answer for one in chosen] == ["Vegan", "May"]


def test_our_own_metadata_keys_win() -> None:
    made = rules.session_metadata({"thread_id": "theirs", "topic": "food"}, "t1", marks={"cleared": True})
    assert made == {"thread_id": "t1", "topic": "food", rules.OWN_KEY: {"cleared": True}}

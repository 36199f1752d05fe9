"""Contradictions, their resolution, and forgetting."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest

from recallrai_integrations.local import memory
from recallrai_integrations.local.memory import ConflictError

from .conftest import NOW

BLUE, RED = "My favourite colour is blue", "My favourite colour is red"


@pytest.fixture
def conflict(user) -> dict:
    user.tell("My favourite colour is blue", conflicts=True)
    user.tell("My favourite colour is red", conflicts=True)
    (found,) = user.conflicts()
    return found


def answer(conflict: dict, chosen: str, **changed) -> list[dict]:
    (question,) = conflict["clarifying_questions"]
    return [{"question": question["question"], "answer": chosen, "message": None} | changed]


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("My favourite colour is blue", "My favourite colour is red"),
        ("I like olives", "I don't like olives"),
        ("I'm single", "I am married"),
        ("I can swim", "I can't swim"),
        ("I'm allergic to nuts", "I'm not allergic to nuts"),
        ("Ana: My name is Ana", "Ana: My name is Anna"),
    ],
)
def test_a_plain_contradiction_is_a_conflict_where_enabled_and_otherwise_a_new_version(
    user, other_user, before, now
):
    for person, enabled in ((user, True), (other_user, False)):
        person.tell(before, conflicts=enabled)
        person.tell(now, conflicts=enabled)
    (conflict,) = user.conflicts()
    (known,) = user.items()
    (question,) = conflict["clarifying_questions"]
    assert question["options"] == [known["content"], conflict["proposed_memory_content"]]
    assert [c["memory_id"] for c in conflict["conflicting_memories"]] == [known["memory_id"]]
    assert (conflict["status"], conflict["resolution_data"], conflict["resolved_at"]) == (
        "PENDING",
        None,
        None,
    )
    assert conflict["id"] == conflict["conflict_id"] == known["merge_conflict_id"]
    assert known["merge_conflict_in_progress"] is True
    (replaced,) = other_user.items()
    assert other_user.history(replaced["content"]) == [(known["content"], "TEMPORAL_CONFLICT")]
    assert other_user.conflicts() == []


def test_a_pending_conflict_stands_in_the_context_between_ongoing_and_recent(user, conflict):
    text = user.ask("What is my favourite colour?").context
    block = text.index("# Here are some pending merge conflicts:")
    assert text.index("# Here are some ongoing") < block < text.index("# Here are some recent conversations")
    shown = text[block:]
    assert conflict["id"] in shown
    assert BLUE in shown
    assert RED in shown


@pytest.mark.parametrize(("chosen", "lost"), [(RED, BLUE), (BLUE, RED)])
def test_the_chosen_option_becomes_current_and_the_other_a_merge_conflict_version(
    user, conflict, chosen, lost
):
    resolved = memory.resolve_conflict(
        user.db, 1, conflict["id"], answer(conflict, chosen, message="sure"), NOW
    )
    (current,) = user.items()
    assert current["content"] == chosen
    (previous,) = current["previous_versions"]
    assert (previous["content"], previous["expiration_reason"]) == (lost, "MERGE_CONFLICT")
    assert previous["merge_conflict_id"] == conflict["id"]
    assert previous["expired_at"].startswith("2026-03-11T15:30:00")
    assert (current["merge_conflict_in_progress"], current["merge_conflict_id"]) == (False, None)
    assert resolved["status"] == "RESOLVED"
    assert resolved["resolved_at"].startswith("2026-03-11T15:30:00")
    assert resolved["resolution_data"] == {"question_answers": answer(conflict, chosen, message="sure")}
    assert [new["memory_id"] for new in resolved["new_memories"]] == [current["memory_id"]]
    assert user.recalled("What is my favourite colour?") == [chosen]
    assert "# Here are some pending merge conflicts:" not in user.ask("Hello").context


@pytest.mark.parametrize(
    ("changed", "detail"),
    [
        ({"answer": "green"}, r"Invalid answer 'green' for question 'You have told me"),
        ({"question": "Who are you?"}, "Invalid questions provided"),
        (None, "Missing answers for the following questions"),
    ],
)
def test_answers_must_match_questions_and_options(user, conflict, changed, detail):
    answers = [] if changed is None else answer(conflict, BLUE, **changed)
    with pytest.raises(ConflictError, match=detail) as raised:
        memory.resolve_conflict(user.db, 1, conflict["id"], answers, NOW)
    assert raised.value.detail == str(raised.value)
    assert user.conflicts()[0]["status"] == "PENDING"


def test_a_conflict_is_resolved_once_and_only_by_its_user(user, conflict):
    chosen = answer(conflict, BLUE)
    assert memory.resolve_conflict(user.db, 2, conflict["id"], chosen, NOW) is None
    assert memory.get_conflict(user.db, 2, conflict["id"]) is None
    memory.resolve_conflict(user.db, 1, conflict["id"], chosen, NOW)
    with pytest.raises(ConflictError, match="already resolved"):
        memory.resolve_conflict(user.db, 1, conflict["id"], chosen, NOW)


def test_the_same_contradiction_is_asked_about_once(user, conflict):
    user.tell("My favourite colour is red", conflicts=True)
    assert len(user.conflicts()) == 1


def test_conflicts_are_listed_by_status_and_time(user):
    for n, (one, other) in enumerate([("I like tea", "I don't like tea"), ("I can ski", "I can't ski")]):
        user.tell(one, conflicts=True)
        user.tell(other, conflicts=True, at=NOW + timedelta(hours=n))
    older, newer = user.conflicts()[::-1]
    memory.resolve_conflict(user.db, 1, older["id"], answer(older, older["proposed_memory_content"]), NOW)

    def listed(**query):
        page = memory.list_conflicts(user.db, user_pk=1, **query)
        return [c["id"] for c in page.items], page.total

    assert listed() == ([newer["id"], older["id"]], 2)
    assert listed(sort_order="asc") == ([older["id"], newer["id"]], 2)
    assert listed(status="PENDING") == ([newer["id"]], 1)
    assert listed(sort_by="resolved_at") == ([older["id"], newer["id"]], 2)
    assert listed(offset=1, limit=1) == ([older["id"]], 2)
    assert memory.list_conflicts(user.db, user_pk=2).total == 0


def test_a_proposed_fact_outlives_the_memory_it_contradicted(user, conflict):
    memory.delete_memory(user.db, 1, conflict["conflicting_memories"][0]["memory_id"])
    assert user.known() == {RED}
    assert user.conflicts() == []


def three_versions(user) -> list[str]:
    """The ids of three versions of one memory, oldest first."""
    for place in ("I live in Rome", "I moved to Oslo", "I moved to Lima"):
        user.tell(place)
    (item,) = user.items()
    return [*(old["memory_id"] for old in item["previous_versions"][::-1]), item["memory_id"]]


@pytest.mark.parametrize(
    ("deleted", "older_too", "left"),
    [
        (2, False, ["I moved to Oslo", "I live in Rome"]),
        (1, False, ["I moved to Lima", "I live in Rome"]),
        (0, False, ["I moved to Lima", "I moved to Oslo"]),
        (1, True, ["I moved to Lima"]),
        (2, True, []),
    ],
)
def test_deleting_a_version_relinks_the_others(user, deleted, older_too, left):
    ids = three_versions(user)
    assert memory.delete_memory(user.db, 1, ids[deleted], delete_previous_versions=older_too) is True
    items = user.items()
    assert [item["content"] for item in items] == left[:1]
    if items:
        (item,) = items
        assert [old["content"] for old in item["previous_versions"]] == left[1:]
        assert (item["version_number"], item["expired_at"]) == (len(left), None)
        assert [old["version_number"] for old in item["previous_versions"]] == [*range(len(left) - 1, 0, -1)]
    assert memory.get_memory(user.db, 1, ids[deleted]) is None
    gone = {"I live in Rome": "Rome", "I moved to Oslo": "Oslo", "I moved to Lima": "Lima"}
    text = user.ask("Did I live in Rome, Oslo or Lima?", memories_threshold=0.2).context
    assert {place for place in gone.values() if place in text} == {gone[content] for content in left}


def test_a_memory_is_deleted_by_its_own_user_only(user):
    user.tell("I live in Rome")
    (item,) = user.items()
    assert memory.delete_memory(user.db, 2, item["memory_id"]) is False
    assert memory.delete_memory(user.db, 1, str(uuid.uuid4())) is False
    assert user.items() == [item]


def rows_left(db) -> dict[str, int]:
    tables = ("chains", "memories", "postings", "vocabulary", "summaries", "connections", "restatements",
              "vectors", "merge_conflicts")  # fmt: skip
    counts = {table: db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables}
    return {table: count for table, count in counts.items() if count}


def fill(person) -> list[str]:
    """Sessions with versions, connections, a conflict and a fact told twice; their ids."""
    said = [
        "I live in Rome",
        "I moved to Oslo. My dog Rex loves Oslo",
        "I like tea",
        "I don't like tea",
        "I like tea",
    ]
    return [person.tell(text, conflicts=True) for text in said]


def test_deleting_all_sessions_leaves_nothing(user):
    for session_id in fill(user):
        memory.delete_session(user.db, 1, session_id)
    assert rows_left(user.db) == {}


def test_deleting_a_user_leaves_nothing_of_them_and_everything_of_others(user, other_user):
    fill(other_user)
    before = rows_left(user.db)
    fill(user)
    assert rows_left(user.db) != before
    memory.delete_user(user.db, 1)
    assert rows_left(user.db) == before
    assert user.items() == []


def test_deleting_a_session_takes_its_memories_and_makes_the_versions_before_current(user):
    user.tell("I live in Rome")
    second = user.tell("I moved to Oslo. I have a cat")
    memory.delete_session(user.db, 1, second)
    assert user.known() == {"I live in Rome"}
    assert user.recalled("Where do I live?") == ["I live in Rome"]
    assert user.recalled("Do I have a cat?") == []
    assert memory.session_summary(user.db, 1, second) is None

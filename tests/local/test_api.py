"""Every endpoint, through the unmodified official SDK in both colours."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta, timezone

import pytest
from recallrai.exceptions import (
    InvalidCategoriesError,
    InvalidSessionStateError,
    MergeConflictAlreadyResolvedError,
    MergeConflictInvalidAnswerError,
    MergeConflictInvalidQuestionsError,
    MergeConflictMissingAnswersError,
    MergeConflictNotFoundError,
    RecallrAIError,
    SessionNotFoundError,
    UserAlreadyExistsError,
    UserNotFoundError,
    ValidationError,
)
from recallrai.models import (
    MergeConflictAnswer,
    MergeConflictStatus,
    MessageRole,
    RecallStrategy,
    SessionStatus,
)

NOBODY = "nobody-at-all"
NOTHING = str(uuid.UUID(int=0))


async def told(do, processed, user, *texts, **session):
    """A processed session in which the user said these texts."""
    opened = await do(user.create_session(**session))
    for text in texts:
        await do(opened.add_message(MessageRole.USER, text))
    await do(opened.process())
    return await processed(opened)


async def test_a_user_is_created_found_changed_renamed_and_deleted(sdk, do, user_id):
    user = await do(sdk.create_user(user_id, metadata={"tier": "gold"}))
    assert (user.user_id, user.metadata, user.merge_conflict_enabled) == (user_id, {"tier": "gold"}, None)
    with pytest.raises(UserAlreadyExistsError):
        await do(sdk.create_user(user_id))

    await do(user.update(new_metadata={"tier": "silver"}, merge_conflict_enabled=True))
    found = await do(sdk.get_user(user_id))
    assert (found.metadata, found.merge_conflict_enabled) == ({"tier": "silver"}, True)
    assert found.last_active_at > found.created_at

    session = await do(user.create_session())
    await do(user.update(new_user_id=f"{user_id}-2"))
    assert (await do(user.get_session(session.session_id))).session_id == session.session_id
    with pytest.raises(UserNotFoundError):
        await do(sdk.get_user(user_id))

    await do(sdk.create_user(user_id))
    with pytest.raises(UserAlreadyExistsError):
        await do(user.update(new_user_id=user_id))
    await do(user.delete())
    with pytest.raises(UserNotFoundError):
        await do(user.refresh())


async def test_users_are_listed_newest_first_in_pages_and_by_nested_metadata(sdk, do, user_id):
    for n in range(5):
        await do(
            sdk.create_user(f"{user_id}-{n}", metadata={"of": user_id, "deep": {"n": n, "even": n % 2 == 0}})
        )
    mine = {"of": user_id}
    first = await do(sdk.list_users(limit=2, metadata_filter=mine))
    assert [u.user_id for u in first.users] == [f"{user_id}-4", f"{user_id}-3"]
    assert (first.total, first.has_more) == (5, True)
    last = await do(sdk.list_users(offset=4, limit=2, metadata_filter=mine))
    assert ([u.user_id for u in last.users], last.has_more) == ([f"{user_id}-0"], False)
    even = await do(sdk.list_users(metadata_filter={**mine, "deep": {"even": True}}))
    assert [u.user_id for u in even.users] == [f"{user_id}-{n}" for n in (4, 2, 0)]


async def test_a_session_takes_messages_until_it_is_processed(sdk, do, user_id, processed):
    user = await do(sdk.create_user(user_id))
    session = await do(user.create_session(metadata={"thread_id": "t-1"}))
    assert (session.status, session.metadata) == (SessionStatus.PENDING, {"thread_id": "t-1"})
    await do(session.add_message(MessageRole.USER, "I live in Lisbon."))
    await do(session.add_message(MessageRole.ASSISTANT, "How nice!"))
    await do(session.add_message(MessageRole.USER, ""))

    page = await do(session.get_messages(offset=1, limit=1))
    assert [(m.role, m.content) for m in page.messages] == [(MessageRole.ASSISTANT, "How nice!")]
    assert (page.total, page.has_more) == (3, True)

    await do(session.process())
    for again in (session.process, lambda: session.add_message(MessageRole.USER, "more")):
        with pytest.raises(InvalidSessionStateError):
            await do(again())
    assert (await processed(session)).status is SessionStatus.PROCESSED
    with pytest.raises(InvalidSessionStateError, match="processed"):
        await do(session.add_message(MessageRole.USER, "more"))
    assert (await do(session.get_messages())).total == 3

    await do(session.update(new_metadata={"archived": True}))
    await do(session.update())
    assert (await do(user.get_session(session.session_id))).metadata == {"archived": True}
    await do(session.delete())
    with pytest.raises(SessionNotFoundError):
        await do(session.refresh())


async def test_an_empty_session_is_processed_into_no_memories(sdk, do, user_id, processed):
    user = await do(sdk.create_user(user_id))
    session = await told(do, processed, user)
    assert session.status is SessionStatus.PROCESSED
    assert (await do(user.list_memories())).total == 0


async def test_a_session_that_nobody_writes_to_is_processed_by_itself(sdk, do, user_id, processed):
    user = await do(sdk.create_user(user_id))
    session = await do(user.create_session(auto_process_after_seconds=1))
    await do(session.add_message(MessageRole.USER, "I keep bees."))
    assert (await processed(session)).status is SessionStatus.PROCESSED
    assert [m.content for m in (await do(user.list_memories())).items] == ["I keep bees."]


async def test_sessions_are_listed_by_status_and_metadata_newest_first(sdk, do, user_id, processed):
    user = await do(sdk.create_user(user_id))
    old = datetime(2024, 5, 1, tzinfo=timezone.utc)
    newest = await do(user.create_session(metadata={"n": {"id": 1}}))
    backdated = await do(user.create_session(metadata={"n": {"id": 2}}, custom_created_at_utc=old))
    assert backdated.created_at == old
    done = await told(do, processed, user, metadata={"n": {"id": 3}})

    everything = await do(user.list_sessions())
    assert [s.session_id for s in everything.sessions] == [s.session_id for s in (done, newest, backdated)]
    pending = await do(user.list_sessions(status_filter=[SessionStatus.PENDING]))
    assert {s.session_id for s in pending.sessions} == {newest.session_id, backdated.session_id}
    two = await do(user.list_sessions(status_filter=[SessionStatus.PENDING, SessionStatus.PROCESSED]))
    assert two.total == 3
    second = await do(user.list_sessions(metadata_filter={"n": {"id": 2}}))
    assert [s.session_id for s in second.sessions] == [backdated.session_id]


async def test_the_last_messages_span_sessions_oldest_first(sdk, do, user_id):
    user = await do(sdk.create_user(user_id))
    for n in range(2):
        session = await do(user.create_session())
        await do(session.add_message(MessageRole.USER, f"question {n}"))
        await do(session.add_message(MessageRole.ASSISTANT, f"answer {n}"))
    found = await do(user.get_last_n_messages(3))
    assert [m.content for m in found.messages] == ["answer 0", "question 1", "answer 1"]
    assert found.messages[-1].session_id == session.session_id


@pytest.mark.parametrize("strategy", list(RecallStrategy))
async def test_what_was_told_is_recalled_in_a_later_session(sdk, do, user_id, processed, strategy):
    user = await do(sdk.create_user(user_id))
    await told(do, processed, user, "My favourite colour is blue.")
    session = await do(user.create_session())
    await do(session.add_message(MessageRole.USER, "What is my favourite colour?"))
    found = await do(session.get_context(recall_strategy=strategy, include_metadata_ids=True))
    assert found.context.startswith("# Instructions for using the Recallr AI's memory context")
    assert "favourite colour is blue" in found.context
    (memory,) = (await do(user.list_memories())).items
    assert found.metadata.memory_ids == [memory.memory_id]
    if strategy is not RecallStrategy.AUTO:
        assert found.metadata.recall_strategy_used is strategy

    bare = await do(session.get_context(recall_strategy=strategy, include_system_prompt=False))
    assert not bare.context.startswith("# Instructions")
    assert bare.metadata.memory_ids is None


async def test_a_streamed_context_tells_its_progress_and_ends_with_the_same_text(sdk, do, user_id, processed):
    user = await do(sdk.create_user(user_id))
    await told(do, processed, user, "My sister\u2028lives in Porto.")
    session = await do(user.create_session())
    await do(session.add_message(MessageRole.USER, "Where does my sister live?"))
    events = await do(session.get_context_stream())
    assert [e.is_final for e in events] == [False] * (len(events) - 1) + [True]
    assert len(events) > 1
    assert all(e.status_update_message for e in events[:-1])
    assert events[-1].context == (await do(session.get_context())).context


async def test_memories_are_listed_filtered_read_and_deleted(sdk, do, user_id, processed):
    user = await do(sdk.create_user(user_id))
    cooking = await told(do, processed, user, "I dislike olives.", metadata={"topic": "food"})
    await told(do, processed, user, "I live in Lisbon.", metadata={"topic": "home"})
    both = await do(user.list_memories(limit=1))
    assert (both.total, both.has_more, both.items[0].content) == (2, True, "I live in Lisbon")
    for wanted in (
        {"session_id_filter": [cooking.session_id]},
        {"session_metadata_filter": {"topic": "food"}},
        {"categories": ["food"]},
    ):
        (olives,) = (await do(user.list_memories(**wanted))).items
        assert (olives.content, olives.session_id) == ("I dislike olives", cooking.session_id)
    with pytest.raises(InvalidCategoriesError) as caught:
        await do(user.list_memories(categories=["no_such_thing"]))
    assert caught.value.invalid_categories == ["no_such_thing"]

    assert (await do(user.get_memory(olives.memory_id))).content == olives.content
    await do(user.delete_memory(olives.memory_id))
    for gone in (user.get_memory, user.delete_memory):
        with pytest.raises(RecallrAIError, match=f"Memory {olives.memory_id} not found") as caught:
            await do(gone(olives.memory_id))
        assert caught.value.http_status == 404


async def test_deleting_a_session_deletes_what_was_remembered_from_it(sdk, do, user_id, processed):
    user = await do(sdk.create_user(user_id))
    session = await told(do, processed, user, "I dislike olives.")
    await do(session.delete())
    assert (await do(user.list_memories())).total == 0
    assert (await do(user.get_last_n_messages(5))).messages == []


async def test_a_contradiction_becomes_a_conflict_and_is_resolved_by_an_answer(sdk, do, user_id, processed):
    user = await do(sdk.create_user(user_id, merge_conflict_enabled=True))
    await told(do, processed, user, "My favourite colour is blue.")
    await told(do, processed, user, "My favourite colour is red.")
    listed = await do(user.list_merge_conflicts(status=MergeConflictStatus.PENDING))
    assert listed.total == 1
    conflict = await do(user.get_merge_conflict(listed.conflicts[0].conflict_id))
    (question,) = conflict.clarifying_questions

    def answer(asked=question.question, chosen=question.options[-1]):
        return MergeConflictAnswer(question=asked, answer=chosen)

    for wrong, error in (
        ([answer(asked="What?")], MergeConflictInvalidQuestionsError),
        ([], MergeConflictMissingAnswersError),
        ([answer(chosen="neither")], MergeConflictInvalidAnswerError),
    ):
        with pytest.raises(error):
            await do(conflict.resolve(wrong))
    chosen = next(option for option in question.options if "red" in option)
    stale = await do(user.get_merge_conflict(conflict.conflict_id))
    await do(conflict.resolve([answer(chosen=chosen)]))
    assert conflict.status is MergeConflictStatus.RESOLVED
    with pytest.raises(MergeConflictAlreadyResolvedError):
        await do(stale.resolve([answer(chosen=chosen)]))
    assert [m.content for m in (await do(user.list_memories())).items] == ["My favourite colour is red"]


@pytest.mark.parametrize("enabled", [None, False])
async def test_without_conflicts_a_contradiction_is_a_new_version(sdk, do, user_id, processed, enabled):
    user = await do(sdk.create_user(user_id, merge_conflict_enabled=enabled))
    await told(do, processed, user, "My favourite colour is blue.")
    await told(do, processed, user, "My favourite colour is red.")
    (memory,) = (await do(user.list_memories())).items
    assert (memory.content, memory.version_number) == ("My favourite colour is red", 2)
    assert (await do(user.list_merge_conflicts())).total == 0


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda c, u, s: c.get_user(NOBODY), UserNotFoundError),
        (lambda c, u, s: u.get_session(NOTHING), SessionNotFoundError),
        (lambda c, u, s: u.get_merge_conflict(NOTHING), MergeConflictNotFoundError),
        (lambda c, u, s: u.get_memory(NOTHING), RecallrAIError),
        (lambda c, u, s: u.create_session(auto_process_after_seconds=0), ValidationError),
        (lambda c, u, s: u.list_sessions(limit=101), ValidationError),
        (lambda c, u, s: u.list_sessions(offset=-1), ValidationError),
        (lambda c, u, s: u.list_memories(limit=201), ValidationError),
        (lambda c, u, s: s.get_messages(limit=501), ValidationError),
        (lambda c, u, s: s.get_context(min_top_k=4), ValidationError),
        (lambda c, u, s: s.get_context(min_top_k=50, max_top_k=10), ValidationError),
        (lambda c, u, s: s.get_context(memories_threshold=0.1), ValidationError),
        (lambda c, u, s: s.get_context(summaries_threshold=0.9), ValidationError),
        (lambda c, u, s: s.get_context(last_n_messages=0), ValidationError),
        (lambda c, u, s: s.get_context(last_n_summaries=21), ValidationError),
        (lambda c, u, s: s.get_context(timezone="Atlantis/Capital"), ValidationError),
        (lambda c, u, s: s.get_context(timezone="../../etc/passwd"), ValidationError),
    ],
)
async def test_what_cannot_be_done_is_the_error_that_the_sdk_has_for_it(sdk, do, user_id, call, error):
    user = await do(sdk.create_user(user_id))
    session = await do(user.create_session())
    with pytest.raises(error):
        await do(call(sdk, user, session))


async def test_a_deleted_user_is_missed_by_every_call_on_their_sessions(sdk, do, user_id):
    user = await do(sdk.create_user(user_id))
    session = await do(user.create_session())
    await do(user.delete())
    for call in (
        session.refresh,
        session.process,
        session.get_context,
        session.get_messages,
        lambda: session.add_message(MessageRole.USER, "hello"),
        user.create_session,
        user.list_memories,
    ):
        with pytest.raises(UserNotFoundError):
            await do(call())


async def test_nobody_reaches_another_users_session_or_memory(sdk, do, user_id, processed):
    ada = await do(sdk.create_user(f"{user_id}-ada"))
    bob = await do(sdk.create_user(f"{user_id}-bob"))
    secret = await told(do, processed, ada, "I live in Lisbon.")
    (memory,) = (await do(ada.list_memories())).items
    with pytest.raises(SessionNotFoundError):
        await do(bob.get_session(secret.session_id))
    with pytest.raises(RecallrAIError, match="not found"):
        await do(bob.get_memory(memory.memory_id))
    asking = await do(bob.create_session())
    await do(asking.add_message(MessageRole.USER, "Where do I live? Lisbon?"))
    found = await do(asking.get_context(last_n_messages=10, last_n_summaries=10))
    assert "lives in Lisbon" not in found.context


async def test_a_backdated_session_dates_its_memories(sdk, do, user_id, processed):
    user = await do(sdk.create_user(user_id))
    when = datetime.now(timezone.utc) - timedelta(days=400)
    await told(do, processed, user, "I dislike olives.", custom_created_at_utc=when)
    (memory,) = (await do(user.list_memories())).items
    assert memory.created_at.date() == when.date()

"""A question that is asked again before it has an answer is one; after an answer it is another."""

from __future__ import annotations

import pytest

from recallrai_integrations import Message, RequestRejectedError
from recallrai_integrations.adapter import Binding, Turn, arun, ending_run, recording, repeats, run

QUESTION = Message("user", "What shall I cook?")


@pytest.fixture(params=["sync", "async"])
def carry_out(request):
    async def carried(steps):
        return run(steps) if request.param == "sync" else await arun(steps)

    return carried


def said(conversation):
    return [one.content for one in conversation.history()]


async def test_a_question_that_is_tried_again_is_stored_once(connection, carry_out):
    binding = Binding.of(connection, "ada", "t")
    for _ in range(3):
        turn = await carry_out(Turn.beginning(binding, QUESTION.content))
    await carry_out(turn.ending("Tofu curry."))
    assert said(turn.conversation) == [QUESTION.content, "Tofu curry."]


async def test_the_same_words_behind_an_answer_are_another_question(connection, carry_out):
    conversation = connection.conversation("ada", "t")
    for _ in range(2):
        await carry_out(recording(conversation, [Message("user", "yes")]))
        await carry_out(recording(conversation, [Message("assistant", "Next one?")]))
    assert said(conversation) == ["yes", "Next one?"] * 2


async def test_an_answer_that_another_process_stored_counts(connection, make_connection, carry_out):
    conversation = connection.conversation("ada", "t")
    await carry_out(recording(conversation, [QUESTION]))
    make_connection().conversation("ada", "t").record(("assistant", "Tofu curry."))
    await carry_out(recording(conversation, [QUESTION]))
    assert said(conversation) == [QUESTION.content, "Tofu curry.", QUESTION.content]


async def test_the_same_words_twice_at_once_are_two(connection, carry_out):
    conversation = connection.conversation("ada", "t")
    await carry_out(recording(conversation, [QUESTION, QUESTION]))
    assert said(conversation) == [QUESTION.content] * 2


async def test_a_run_that_came_to_its_end_without_an_answer_is_not_tried_again(connection, carry_out):
    conversation = connection.conversation("ada", "t")
    for _ in range(2):
        await carry_out(recording(conversation, [QUESTION]))
        await carry_out(ending_run(conversation))
    assert said(conversation) == [QUESTION.content] * 2


async def test_long_afterwards_it_is_another_question(connection, carry_out, monkeypatch):
    monkeypatch.setattr(repeats, "REPEAT_SECONDS", 0.0)
    conversation = connection.conversation("ada", "t")
    for _ in range(2):
        await carry_out(recording(conversation, [QUESTION]))
    assert said(conversation) == [QUESTION.content] * 2


async def test_a_question_that_a_hook_redacts_is_recognised(make_connection, carry_out):
    connection = make_connection(deliver={"redact": lambda given: given.text.replace("4711", "…")})
    conversation = connection.conversation("ada", "t")
    for _ in range(2):
        await carry_out(recording(conversation, [Message("user", "My card is 4711.")]))
    assert said(conversation) == ["My card is …."]


async def test_in_an_outage_too(connection, server, carry_out):
    conversation = connection.conversation("ada", "t")
    await carry_out(recording(conversation, [Message("user", "Hi."), Message("assistant", "Hello.")]))
    server.faults.add(status=503)
    for _ in range(2):
        await carry_out(recording(conversation, [QUESTION]))
    server.faults.clear()
    connection.flush()
    assert said(conversation) == ["Hi.", "Hello.", QUESTION.content]


async def test_an_answer_that_the_service_refuses_ends_no_turn_and_is_told(
    connection, server, carry_out, caplog
):
    turn = await carry_out(Turn.beginning(Binding.of(connection, "ada", "t"), QUESTION.content))
    server.faults.add(path="*/add-message", status=422)
    await carry_out(turn.ending("word " * 10))
    assert "an answer of 50 characters was given, and is not stored" in caplog.text
    assert said(turn.conversation) == [QUESTION.content]


async def test_a_question_that_the_service_refuses_is_an_error(connection, server, carry_out):
    server.faults.add(path="*/add-message", status=422)
    with pytest.raises(RequestRejectedError):
        await carry_out(Turn.beginning(Binding.of(connection, "ada", "t"), QUESTION.content))

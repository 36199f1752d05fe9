"""`outbox`: what waits in a file can be looked at, delivered and exported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recallrai_integrations import DeliveryOptions, connect

SAID = ["Hello!", "I live in Lisbon.", "Goodbye!"]


@pytest.fixture
def waiting(hosted):
    """An outbox file with three messages, from a day on which the service was down."""
    hosted.faults.add(status=503, path="*/users/*")
    with connect(delivery=DeliveryOptions(outbox="outbox.db", retries=0, breaker_threshold=1)) as connection:
        conversation = connection.conversation("ada", "t")
        for text in SAID:
            conversation.record(("user", text))
    hosted.faults.clear()
    return hosted


def _stored():
    with connect() as connection:
        return [one.content for one in connection.conversation("ada", "t").history()]


@pytest.mark.usefixtures("waiting")
def test_status_and_export_show_what_waits_and_leave_it_there(run):
    for _ in range(2):
        shown = run("outbox", "status", "outbox.db")
        assert "ada" in shown.out
        assert "3" in shown.out
        [status] = json.loads(run("outbox", "status", "outbox.db", "--json").out)
        assert (status["user_id"], status["thread_id"], status["waiting"]) == ("ada", "t", 3)
        exported = [json.loads(line) for line in run("outbox", "export", "outbox.db").out.splitlines()]
        assert [one["content"] for one in exported] == SAID


@pytest.mark.usefixtures("waiting")
def test_flush_delivers_in_order_and_once(run):
    for _ in range(2):
        ended = run("outbox", "flush", "outbox.db")
        assert (ended.code, ended.out) == (0, "Everything is delivered.\n")
    assert _stored() == SAID
    assert run("outbox", "status", "outbox.db").out == "No messages are pending.\n"


def test_while_the_service_is_down_flush_says_what_still_waits(run, waiting):
    waiting.faults.add(status=503, path="*/users/*")
    ended = run("outbox", "flush", "outbox.db")
    assert ended.code == 1
    assert "3 messages were not delivered" in ended.err
    waiting.faults.clear()
    assert run("outbox", "flush", "outbox.db").code == 0
    assert _stored() == SAID


def test_a_message_that_is_refused_for_good_is_told_and_the_others_go(run, waiting):
    waiting.faults.add(status=422, path="*/add-message", nth=2)
    ended = run("outbox", "flush", "outbox.db")
    ended.failed(1, "rejected", "set aside")
    assert ended.out == "Everything else is delivered.\n"
    assert _stored() == [SAID[0], SAID[2]]
    [status] = json.loads(run("outbox", "status", "outbox.db", "--json").out)
    assert (status["waiting"], status["rejected"]) == (0, 1)


def test_while_the_account_has_no_money_flush_says_so_and_ends(run, waiting):
    waiting.faults.add(status=402, path="*/add-message")
    run("outbox", "flush", "outbox.db").failed(1, "402", "stay in the outbox")
    waiting.faults.clear()
    assert run("outbox", "flush", "outbox.db").code == 0
    assert _stored() == SAID


@pytest.mark.usefixtures("waiting")
def test_flush_names_what_waits_for_others_and_leaves_it_to_them(run):
    Path("other.db").touch()
    ended = run("outbox", "flush", "outbox.db", "--local", "other.db")
    ended.failed(1, "3 for http://", "flush again")
    assert ended.out == "Everything for this project is delivered.\n"
    assert run("outbox", "flush", "outbox.db").code == 0
    assert _stored() == SAID
    assert run("outbox", "flush", "outbox.db", "--local", "other.db").out == "Everything is delivered.\n"


@pytest.mark.parametrize("command", ["status", "flush", "export"])
def test_bad_input_is_one_line_and_changes_nothing(run, hosted, command):
    Path("notes.txt").write_text("These are my notes, and no outbox. " * 100)
    run("outbox", command, "nowhere.db").failed(2, "nowhere.db", "DeliveryOptions(outbox=…)")
    run("outbox", command, "notes.txt").failed(2, "notes.txt")
    run("outbox", command).failed(2, "FILE")
    assert [one.name for one in Path().iterdir()] == ["notes.txt"]


@pytest.mark.usefixtures("waiting")
def test_flush_needs_to_know_where_to(run, monkeypatch):
    for name in ("RECALLRAI_API_KEY", "RECALLRAI_PROJECT_ID", "RECALLRAI_BASE_URL"):
        monkeypatch.delenv(name)
    run("outbox", "flush", "outbox.db").failed(2, "RECALLRAI_API_KEY", "--local")

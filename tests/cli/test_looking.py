"""`memories`, `conflicts`, `export` and `forget`: looking at what is remembered, and taking it out."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import threading
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest
from recallrai import RecallrAI

from recallrai_integrations import DeliveryOptions, connect
from recallrai_integrations.local import LocalRecallrAI

NO_ID = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def asking(monkeypatch):
    """A service that asks about contradictions, reached by the environment, and a connection to it."""
    with LocalRecallrAI(merge_conflict_enabled=True) as server:
        monkeypatch.setenv("RECALLRAI_API_KEY", server.api_key)
        monkeypatch.setenv("RECALLRAI_PROJECT_ID", server.project_id)
        monkeypatch.setenv("RECALLRAI_BASE_URL", server.base_url)
        with connect() as connection:
            yield connection


def _tell(connection, *texts, user="ada", thread=None):
    for text in texts:
        conversation = connection.conversation(user, thread)
        conversation.record(("user", text))
        conversation.finish(wait=True)


@pytest.fixture
def connection(hosted):
    with connect() as connection:
        _tell(connection, "My favourite colour is blue.", "My favourite colour is red now.", thread="colours")
        _tell(connection, "My parrot is called Kiwi.", thread="pets")
        yield connection


def test_memories_are_listed_with_what_is_needed_to_show_one(run, connection):
    listed = run("memories", "list", "--user", "ada")
    assert "red" in listed.out
    assert "Kiwi" in listed.out
    as_json = json.loads(run("memories", "list", "--user", "ada", "--json").out)
    assert len(as_json) == 2
    [red] = [one for one in as_json if "red" in one["content"]]
    shown = run("memories", "show", red["memory_id"], "--user", "ada")
    assert "version 2" in shown.out
    assert "version 1: " in shown.out
    assert "blue" in shown.out
    assert (
        json.loads(run("memories", "show", red["memory_id"], "--user", "ada", "--json").out)["version"] == 2
    )


def _times(value):
    """Whatever looks like a time, however deep."""
    if isinstance(value, str):
        return [value] if re.match(r"\d{4}-\d\d-\d\d", value) else []
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [time for one in inside for time in _times(one)]


def test_times_in_json_are_iso_8601_with_zone(run, asking):
    _tell(asking, "My favourite colour is blue", "My favourite colour is red")
    with LocalRecallrAI() as broken:
        broken.faults.add(status=503)
        delivery = DeliveryOptions(outbox="outbox.db", retries=0)
        with connect(base_url=broken.base_url, delivery=delivery) as connection:
            connection.conversation("ada", "t").record(("user", "Hello!"))
    [memory] = asking.user("ada").memories()
    for command, least in (
        (("memories", "list", "--user", "ada", "--json"), 3),
        (("memories", "show", memory.memory_id, "--user", "ada", "--json"), 3),
        (("conflicts", "list", "--user", "ada", "--json"), 1),
        (("outbox", "status", "outbox.db", "--json"), 1),
        (("outbox", "export", "outbox.db"), 1),
        (("export", "--user", "ada"), 8),
    ):
        ended = run(*command)
        lines = [ended.out] if "--json" in command else ended.out.splitlines()
        times = [time for line in lines for time in _times(json.loads(line))]
        assert len(times) >= least, ended
        for time in times:
            assert "T" in time
            assert datetime.fromisoformat(time).tzinfo is not None


def test_memories_are_narrowed(run, connection):
    assert len(json.loads(run("memories", "list", "--user", "ada", "--limit", "1", "--json").out)) == 1
    [kiwi] = [one for one in connection.user("ada").memories() if "Kiwi" in one.content]
    listed = run("memories", "list", "--user", "ada", "--category", kiwi.categories[0])
    assert "Kiwi" in listed.out


def test_what_is_counted_once_is_in_the_singular(run):
    said = {"timestamp_utc": "2026-01-05T10:00:00Z", "messages": [{"role": "user", "content": "I like tea."}]}
    Path("one.json").write_text(json.dumps(said))
    Path("torn.json").write_text("{")
    command = ("import", "one.json", "torn.json", "--user", "eve")
    assert run(*command).out == "1 conversation imported (1 message), 1 file could not be read.\n"
    assert run(*command).out == (
        "0 conversations imported (0 messages), 1 was there already, 1 file could not be read.\n"
    )
    assert "recalled: 1 memory, balanced" in run("chat", "--user", "eve", stdin="What do I like?\n").out
    assert "gone: 2 sessions, 1 memory." in run("forget", "--user", "eve", "--yes").out


def test_a_user_without_memories_has_none(run, connection):
    connection.conversation("bob").record(("user", "Hello!"))
    assert run("memories", "list", "--user", "bob").out == "No memories.\n"
    assert run("memories", "list", "--user", "bob", "--json").out == "[]\n"
    assert run("conflicts", "list", "--user", "bob").out == "No merge conflicts.\n"


def test_a_conflict_is_listed_and_answered(run, asking):
    _tell(asking, "My favourite colour is blue", "My favourite colour is red")
    [conflict] = json.loads(run("conflicts", "list", "--user", "ada", "--json").out)
    listed = run("conflicts", "list", "--user", "ada").out
    for word in ("blue", "red", conflict["conflict_id"], conflict["questions"][0]["question"]):
        assert word in listed
    number = 1 + next(n for n, one in enumerate(conflict["questions"][0]["options"]) if "red" in one)
    answer = ("conflicts", "answer", conflict["conflict_id"], "--user", "ada")
    run(*answer).failed(2, "--answer", "1 question,")
    run(*answer, "--answer", "green").failed(2, "green", "1 ", "2 ")
    assert run(*answer, "--answer", number).code == 0
    run(*answer, "--answer", number).failed(2, "can no longer be answered")
    assert run("conflicts", "list", "--user", "ada").out == "No merge conflicts.\n"
    assert conflict["conflict_id"] in run("conflicts", "list", "--user", "ada", "--status", "all").out
    assert ["red" in one.content for one in asking.user("ada").memories()] == [True]


@pytest.mark.usefixtures("connection")
def test_an_export_is_complete_and_comes_back_elsewhere(run, hosted):
    sdk = RecallrAI(api_key=hosted.api_key, project_id=hosted.project_id, base_url=hosted.base_url)
    sdk.get_user("ada").update(new_metadata={"plan": "pro"})
    sdk._http.client.close()
    lines = run("export", "--user", "ada").out.splitlines()
    assert [json.loads(line)["type"] for line in lines] == ["user", *["session"] * 3, *["memory"] * 2]
    ended = run("export", "--user", "ada", "-o", "ada.jsonl")
    assert (ended.code, ended.out) == (0, "")
    assert Path("ada.jsonl").read_text().splitlines()[1:-2] == lines[1:-2]
    assert run("import", "ada.jsonl", "--user", "ada").out.startswith("0 conversations imported"), (
        "they are at home"
    )
    assert run("import", "ada.jsonl", "--user", "eve", "--local", "other.db").code == 0
    with connect(local="other.db") as other:
        assert other.user("eve").info().metadata == {"plan": "pro"}
        assert len(other.user("eve").memories()) == 2
        assert len(other.conversation("eve", "colours").history()) == 2
    assert sorted(one.name for one in Path().iterdir() if ".jsonl" in one.name) == ["ada.jsonl"]


def test_an_export_that_breaks_off_leaves_the_old_file(run, hosted, connection):
    Path("ada.jsonl").write_text("the old one")
    hosted.faults.add(status=503, path="*/memories")
    run("export", "--user", "ada", "-o", "ada.jsonl").failed(1, "ListMemories")
    assert Path("ada.jsonl").read_text() == "the old one"
    assert [one.name for one in Path().iterdir()] == ["ada.jsonl"]


@pytest.mark.parametrize("output", ["m.db", "m.db-wal", "m.db-shm", "m.db-lock", "link.db", "outbox.db"])
def test_an_export_never_takes_the_place_of_a_database(run, output):
    run("chat", "--user", "ada", "--local", "m.db", stdin="My parrot is called Kiwi.\n")
    Path("link.db").symlink_to("m.db")
    with closing(sqlite3.connect("outbox.db")) as other:
        other.execute("CREATE TABLE something (id)")
    before = {one.name: one.read_bytes() for one in Path().iterdir()}
    run("export", "--user", "ada", "--local", "m.db", "-o", output).failed(2, output, "--output")
    assert {one.name: one.read_bytes() for one in Path().iterdir()} == before


@pytest.mark.usefixtures("connection")
def test_an_export_goes_where_a_symbolic_link_leads(run):
    Path("kept").mkdir()
    Path("kept/ada.jsonl").write_text("the old one")
    Path("link.jsonl").symlink_to("kept/ada.jsonl")
    assert run("export", "--user", "ada", "-o", "link.jsonl").code == 0
    assert Path("link.jsonl").is_symlink()
    assert Path("kept/ada.jsonl").read_text().startswith('{"type": "user"')
    Path("round.jsonl").symlink_to("round.jsonl")
    run("export", "--user", "ada", "-o", "round.jsonl").failed(2, "round.jsonl")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.usefixtures("connection")
def test_an_export_is_written_into_a_pipe(run):
    os.mkfifo("pipe")
    read = []
    reader = threading.Thread(target=lambda: read.append(Path("pipe").read_text()), daemon=True)
    reader.start()
    assert run("export", "--user", "ada", "-o", "pipe").code == 0
    assert Path("pipe").is_fifo()
    reader.join(timeout=60)
    assert read[0].startswith('{"type": "user"')


@pytest.mark.parametrize(
    ("option", "left"),
    [("--thread", ["Kiwi"]), ("--session", ["Kiwi"]), ("--memory", ["Kiwi"]), (None, [])],
)
def test_forgetting_takes_out_what_was_named_and_nothing_else(run, connection, option, left):
    [red] = [one for one in connection.user("ada").memories() if "red" in one.content]
    _tell(connection, "My parrot is called Kiwi.", user="bob")
    chosen = {"--thread": "colours", "--session": red.session_id, "--memory": red.memory_id}
    ended = run("forget", "--user", "ada", "--yes", *((option, chosen[option]) if option else ()))
    assert ended.code == 0, ended
    assert "gone" in ended.out
    assert len(connection.user("bob").memories()) == 1
    if option is None:
        run("memories", "list", "--user", "ada").failed(2, "no user 'ada'")
    else:
        texts = [one.content for one in connection.user("ada").memories()]
        assert any("Kiwi" in text for text in texts)
        assert not any("red" in text for text in texts)


@pytest.mark.usefixtures("connection")
def test_forgetting_asks_first_and_never_takes_silence_for_a_yes(run):
    run("forget", "--user", "ada").failed(2, "--yes")
    run("forget", "--user", "ada", stdin="y\n").failed(2, "--yes")
    assert run("memories", "list", "--user", "ada").code == 0


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="Windows has no pseudo terminals")
@pytest.mark.usefixtures("connection")
@pytest.mark.parametrize(
    ("answer", "code", "told"), [(b"n\n", 130, "Nothing was deleted"), (b"y\n", 0, "gone")]
)
def test_forgetting_asks_on_a_terminal_and_does_what_it_is_told(on_a_terminal, run, answer, code, told):
    ended = on_a_terminal("forget", "--user", "ada", typed=answer)
    assert ended.code == code, ended
    assert told in ended.err + ended.out
    assert "cannot be undone" in ended.err
    assert run("memories", "list", "--user", "ada").code == (0 if code else 2)


LONG_WORK = {
    "export": ("Exporting", ("export", "--user", "ada", "-o", "ada.jsonl")),
    "forget": ("Deleting", ("forget", "--user", "ada", "--yes")),
    "outbox flush": ("Delivering", ("outbox", "flush", "outbox.db")),
}


@pytest.mark.usefixtures("connection")
@pytest.mark.parametrize(("shown", "command"), LONG_WORK.values(), ids=LONG_WORK)
def test_how_far_long_work_is_shows_on_a_terminal_and_nowhere_else(on_a_terminal, spawn, shown, command):
    with connect(delivery=DeliveryOptions(outbox="outbox.db")):
        pass
    ended = on_a_terminal(*command)
    assert ended.code == 0, ended
    assert shown in ended.err
    assert shown not in ended.out
    with connect() as again:
        _tell(again, "My parrot is called Kiwi.")
    assert shown not in str(spawn(*command))


BAD = {
    "memories list": ("memories", "list"),
    "memories show": ("memories", "show", NO_ID),
    "conflicts list": ("conflicts", "list"),
    "conflicts answer": ("conflicts", "answer", NO_ID, "--answer", "1"),
    "export": ("export",),
    "export to a file": ("export", "-o", "out.jsonl"),
    "forget": ("forget", "--yes"),
    "forget a thread": ("forget", "--yes", "--thread", "t"),
}


@pytest.mark.parametrize("command", BAD.values(), ids=BAD)
def test_bad_input_is_one_line_and_leaves_nothing_half_written(run, hosted, monkeypatch, command):
    run(*command, "--user", "nobody").failed(2, "no user 'nobody'", "--user")
    run(*command).failed(2, "--user")
    run(*command, "--user", "").failed(2, "--user")
    run(*command, "--user", "ada", "--local", "nowhere.db").failed(2, "nowhere.db")
    for name in ("RECALLRAI_API_KEY", "RECALLRAI_PROJECT_ID", "RECALLRAI_BASE_URL"):
        monkeypatch.delenv(name)
    run(*command, "--user", "ada").failed(2, "RECALLRAI_API_KEY", "--local")
    assert list(Path().iterdir()) == []


@pytest.mark.usefixtures("connection")
@pytest.mark.parametrize(
    ("command", "word"),
    [
        (("memories", "list", "--category", "no_such_thing"), "no_such_thing"),
        (("memories", "list", "--category", "no_such_thing"), "memories list --json"),
        (("memories", "list", "--limit", "0"), "--limit"),
        (("memories", "show", NO_ID), "memories list"),
        (("memories", "show", "x"), "memories list"),
        (("conflicts", "list", "--status", "lost"), "'--status': 'lost' is not one of"),
        (("conflicts", "answer", NO_ID), "conflicts list"),
        (("conflicts", "answer", "../x"), "conflicts list"),
        (("export", "-o", "no/where.jsonl"), "where.jsonl"),
        (("export", "-o", "."), "--output"),
        (("forget", "--yes", "--thread", "t", "--memory", NO_ID), "one of"),
        (("forget", "--yes", "--thread", "never heard of"), "nothing was deleted"),
        (("forget", "--yes", "--session", NO_ID), "nothing was deleted"),
        (("forget", "--yes", "--memory", "x"), "nothing was deleted"),
    ],
)
def test_what_is_not_there_is_told_with_the_remedy(run, command, word):
    run(*command, "--user", "ada").failed(2, word)
    assert list(Path().iterdir()) == []

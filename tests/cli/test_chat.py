"""`chat`: what is recalled is shown for each question, and the conversation is stored."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from langchain_core.language_models import GenericFakeChatModel

from recallrai_integrations import connect
from recallrai_integrations._flows.ops import ListSessions, ReadMessages
from recallrai_integrations.cli import chat
from recallrai_integrations.cli.models import ModelError


@pytest.fixture
def remembered(run):
    """A local memory that knows two facts of Ada."""
    run("chat", "--user", "ada", "--local", "m.db", stdin="My parrot is called Kiwi.\nI live in Lisbon.\n")


def _history(thread=None, user="ada", local="m.db"):
    with connect(local=local) as connection:
        return [(one.role, one.content) for one in connection.conversation(user, thread).history()]


def _statuses(user="ada", local="m.db"):
    with connect(local=local) as connection:
        return [one.status for one in connection.runtime.run(iter(ListSessions(user))).items]


@pytest.mark.usefixtures("remembered")
def test_each_question_from_standard_input_shows_what_was_recalled_and_is_answered(run):
    ended = run(
        "chat", "--user", "ada", "--local", "m.db", stdin="What is my parrot called?\n\nWhere do I live?"
    )
    assert ended.code == 0, ended
    first, second = ended.out.split("> Where do I live?")
    assert "> What is my parrot called?" in first
    for part, word in ((first, "Kiwi"), (second, "Lisbon")):
        assert part.count(word) == 2, "once among the memories, once in the answer"
        assert "recalled:" in part
        assert "balanced" in part
        assert "(offline model)" in part


@pytest.mark.usefixtures("remembered")
def test_json_is_one_object_for_each_question(run):
    ended = run(
        "chat",
        "--user",
        "ada",
        "--local",
        "m.db",
        "--json",
        "--strategy",
        "low_latency",
        stdin="What is my parrot called?\nHm?\n",
    )
    first, second = map(json.loads, ended.out.splitlines())
    assert first["question"] == "What is my parrot called?"
    assert "Kiwi" in first["recalled"][0]["content"]
    assert 0 < first["recalled"][0]["similarity"] <= 1
    assert (first["strategy"], first["degraded"], len(first["memory_ids"]) > 0) == (
        "low_latency",
        False,
        True,
    )
    assert second["question"] == "Hm?"


def test_a_new_user_is_told_and_comes_into_being(run):
    ended = run("chat", "--user", "ada", "--local", "m.db", stdin="My parrot is called Kiwi.\n")
    assert "ada is a new user" in ended.err
    assert "nothing" in ended.out
    again = run("chat", "--user", "ada", "--local", "m.db", stdin="What is my parrot called?\n")
    assert again.err == ""
    assert "Kiwi" in again.out


def test_without_a_thread_the_chat_is_processed_at_its_end_and_with_one_it_stays_open(run):
    run("chat", "--user", "ada", "--local", "m.db", stdin="My parrot is called Kiwi.\n")
    assert _statuses() == ["processed"]
    for line in ("I live in Lisbon.", "I have a sister."):
        assert run("chat", "--user", "bob", "--thread", "t", "--local", "m.db", stdin=line).code == 0
    assert _statuses("bob") == ["pending"]
    assert [text for role, text in _history("t", "bob") if role == "user"] == [
        "I live in Lisbon.",
        "I have a sister.",
    ]


def test_finish_makes_memories_and_the_thread_goes_on_in_a_new_session(run):
    ended = run(
        "chat",
        "--user",
        "ada",
        "--thread",
        "t",
        "--local",
        "m.db",
        stdin="My parrot is called Kiwi.\n/finish\n/finish\nI live in Lisbon.\n",
    )
    assert "Memories were made" in ended.err
    assert "no messages to make memories of" in ended.err
    assert sorted(_statuses()) == ["pending", "processed"]
    assert [role for role, _ in _history("t")] == ["user", "assistant"] * 2


def test_quit_leaves_and_an_unknown_command_is_no_question(run):
    ended = run(
        "chat",
        "--user",
        "ada",
        "--thread",
        "t",
        "--local",
        "m.db",
        stdin="/help me\nHello!\n/quit\nNever said.\n",
    )
    assert ended.code == 0
    assert "There is no command /help" in ended.err
    assert [text for role, text in _history("t") if role == "user"] == ["Hello!"]


def test_bytes_that_are_no_text_are_asked_all_the_same(run):
    ended = run("chat", "--user", "ada", "--thread", "t", "--local", "m.db", stdin=b"caf\xe9?\n\x00\n")
    assert ended.code in {0, 1}
    assert _history("t")[0] == ("user", "caf\ufffd?")


OUTAGES = {"refuses": {"status": 503}, "does not answer": {"hang": True}, "breaks off": {"drop": True}}


@pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES)
@pytest.mark.parametrize("thread", [(), ("--thread", "t")], ids=["alone", "in a thread"])
def test_a_service_that_is_down_is_told_once_and_the_chat_goes_on(run, hosted, monkeypatch, thread, outage):
    monkeypatch.setitem(chat._SECONDS, "balanced", 0.3)
    hosted.faults.add(**outage)
    ended = run("chat", "--user", "ada", *thread, stdin="I live in Lisbon.\nHello!\n")
    assert ended.code == 1
    assert ended.out.count("(offline model)") == 2
    told, lost = ended.err.splitlines()
    assert told.startswith("The service is not available (")
    assert told.endswith("The chat continues without memories.")
    assert lost.startswith("Error: 4 messages were lost")


def test_an_outage_is_told_in_words_for_a_command_line_alone(spawn, hosted):
    hosted.faults.add(status=503)
    ended = spawn("chat", "--user", "ada", stdin="Hello!\n")
    assert ended.code == 1
    told, lost = ended.err.splitlines()
    assert told.startswith("The service is not available")
    assert lost.startswith("Error: 2 messages were lost")


class _Talker:
    """A model that does something before each of its answers."""

    name = "talker"

    def __init__(self, *before):
        self._before = list(before)

    def stream(self, system, messages):
        yield "I hear "
        if self._before:
            self._before.pop(0)()
        yield "you."


def test_a_service_that_goes_down_in_the_middle_and_comes_back_has_all_of_it(run, hosted, monkeypatch):
    talker = _Talker(lambda: None, lambda: hosted.faults.add(status=503), lambda: None, hosted.faults.clear)
    monkeypatch.setattr("recallrai_integrations.cli.chat.open_model", lambda name: talker)
    ended = run("chat", "--user", "ada", "--thread", "t", stdin="One?\nTwo?\nThree?\nFour?\n")
    assert ended.code == 1, "answers missed their memories"
    assert ended.out.count("I hear you.") == 4
    assert ended.err.count("not available") == 1
    assert "lost" not in ended.err
    with connect() as connection:
        said = [one.content for one in connection.conversation("ada", "t").history() if one.role == "user"]
    assert said == ["One?", "Two?", "Three?", "Four?"]


def _ctrl_c():
    raise KeyboardInterrupt


STOPPED = {
    "in a thread": (
        ("--thread", "t"),
        None,
        "The messages are stored, except for the interrupted answer.",
    ),
    "alone": ((), None, "no memories were made of them yet."),
    "in an outage": (("--thread", "t"), {"status": 503}, "2 messages were lost."),
}


@pytest.mark.parametrize("case", STOPPED.values(), ids=STOPPED)
def test_ctrl_c_tells_what_became_of_what_was_said(run, hosted, monkeypatch, case):
    thread, fault, told = case

    def fail():
        if fault:
            hosted.faults.add(**fault)

    talker = _Talker(fail, _ctrl_c)
    monkeypatch.setattr("recallrai_integrations.cli.chat.open_model", lambda name: talker)
    ended = run("chat", "--user", "ada", *thread, stdin="One?\nTwo?\nThree?\n")
    assert ended.code == 130
    assert ended.err.splitlines()[-1].startswith("Error: Stopped. ")
    assert ended.err.splitlines()[-1].endswith(told)
    with connect() as connection:
        hosted.faults.clear()
        stored = [
            message.content
            for one in connection.runtime.run(iter(ListSessions("ada"))).items
            for message in connection.runtime.run(iter(ReadMessages("ada", one.session_id))).messages
        ]
        assert stored == (["One?"] if fault else ["One?", "I hear you.", "Two?"])


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one child")
def test_a_second_ctrl_c_ends_at_once_what_waits_for_a_service_that_hangs(hosted):
    hosted.faults.add(delay=0.001, path="*/add-message", times=1)
    hosted.faults.add(hang=True, path="*/add-message")
    command = [sys.executable, "-m", "recallrai_integrations.cli", "chat", "--user", "ada"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdin.write("Hello!\n")
        process.stdin.flush()
        deadline = time.monotonic() + 60
        while not any(one.path.endswith("/context") for one in hosted.requests):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        for _ in range(2):
            time.sleep(0.5)
            process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert "Traceback" not in err


def test_memories_that_cannot_be_had_are_told(run, hosted):
    hosted.faults.add(status=503, path="*/context")
    ended = run("chat", "--user", "ada", stdin="Hello!\n")
    assert ended.code == 1
    assert "continues without memories" in ended.err
    assert "(offline model)" in ended.out


def test_memories_that_could_not_be_made_at_the_end_are_told(run, hosted):
    hosted.faults.add(status=503, path="*/process")
    ended = run("chat", "--user", "ada", stdin="Hello!\n/finish\n")
    assert ended.code == 1
    assert "No memories were made" in ended.err
    assert "no memories were made of them yet" in ended.err
    hosted.faults.clear()
    hosted.faults.outcomes("failed")
    ended = run("chat", "--user", "ada", stdin="Hello!\n")
    ended.failed(1, "no memories")


def test_a_message_that_the_service_refuses_is_told_and_the_next_is_answered(run, hosted):
    hosted.faults.add(status=422, path="*/add-message", nth=1)
    ended = run("chat", "--user", "ada", "--thread", "t", stdin="One?\nTwo?\n")
    assert ended.code == 1
    assert "AddMessage was refused" in ended.err
    assert ended.out.count("(offline model)") == 1


@pytest.mark.usefixtures("remembered")
def test_a_real_model_is_sent_the_memories_and_the_conversation(run, monkeypatch):
    seen = []

    class Model(GenericFakeChatModel):
        def _generate(self, messages, *args, **kwargs):
            seen.append([(one.type, one.text) for one in messages])
            return super()._generate(messages, *args, **kwargs)

    monkeypatch.setattr(
        "langchain.chat_models.init_chat_model", lambda name: Model(messages=iter(["It is Kiwi.", "Yes."]))
    )
    ended = run(
        "chat",
        "--user",
        "ada",
        "--thread",
        "t",
        "--local",
        "m.db",
        "--model",
        "some:model",
        stdin="What is my parrot called?\nSure?\n",
    )
    assert "It is Kiwi." in ended.out
    (system, memories), asked = seen[0]
    assert system == "system"
    assert "Kiwi" in memories
    assert asked == ("human", "What is my parrot called?")
    assert seen[1][-3:] == [asked, ("ai", "It is Kiwi."), ("human", "Sure?")]
    assert _history("t")[1] == ("assistant", "It is Kiwi.")


def test_a_question_that_the_model_fails_on_is_told_and_the_next_is_answered(run, monkeypatch):
    class Model:
        name = "moody"
        asked = 0

        def stream(self, system, messages):
            self.asked += 1
            if self.asked == 1:
                raise ModelError("The model 'moody' failed: no mood")
            yield "Fine."

    monkeypatch.setattr("recallrai_integrations.cli.chat.open_model", lambda name: Model())
    ended = run("chat", "--user", "ada", "--thread", "t", "--local", "m.db", stdin="One?\nTwo?\n")
    assert ended.code == 1
    assert "Error: The model 'moody' failed: no mood" in ended.err
    assert _history("t") == [("user", "One?"), ("user", "Two?"), ("assistant", "Fine.")]


@pytest.mark.parametrize(
    ("args", "word"),
    [
        ((), "--user"),
        (("--user", ""), "--user"),
        (("--user", "ada", "--thread", ""), "thread"),
        (("--user", "ada", "--strategy", "deepest"), "deepest"),
        (("--user", "ada", "--model", "nobody:nothing"), "nobody:nothing"),
        (("--user", "ada", "--local", "/"), "/"),
    ],
)
def test_wrong_use_is_one_line(run, args, word):
    run("chat", *args, stdin="Hello!").failed(2, word)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo terminals")
@pytest.mark.parametrize(
    ("end", "code"), [(b"/quit\n", 0), (b"\x04", 0), (signal.SIGINT, 130)], ids=["/quit", "Ctrl-D", "Ctrl-C"]
)
def test_on_a_terminal_one_can_talk_and_leave(end, code):
    ours, theirs = os.openpty()
    command = [
        sys.executable,
        "-m",
        "recallrai_integrations.cli",
        "chat",
        "--user",
        "ada",
        "--thread",
        "t",
        "--local",
        "m.db",
    ]
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as process:
        os.close(theirs)
        try:
            seen = _read_until(ours, b"> ")
            assert b"Chatting as ada" in seen
            os.write(ours, b"My parrot is called Kiwi.\n")
            assert b"recalled" in _read_until(ours, b"fits this.")
            _read_until(ours, b"> ")
            if isinstance(end, bytes):
                os.write(ours, end)
            else:
                process.send_signal(end)
            rest = _read_until(ours, None)
            assert process.wait(timeout=60) == code, rest
            assert b"Traceback" not in rest
            assert (b"Stopped. The messages are stored." in rest) == (code == 130)
        finally:
            process.kill()  # whatever failed above, nobody waits for it for ever
    os.close(ours)
    assert _history("t")[0] == ("user", "My parrot is called Kiwi.")


def _read_until(terminal, mark):
    """What the terminal shows up to a mark, or up to its end."""
    seen, deadline = b"", time.monotonic() + 60
    while mark is None or mark not in seen:
        assert time.monotonic() < deadline, seen
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # Linux says so when the other side is closed
            return seen
        if not piece:
            return seen
        seen += piece
    return seen

"""`import`: every form of conversation goes in once, and what cannot be read is named."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage, messages_to_dict
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, TextBlock

from recallrai_integrations import connect
from recallrai_integrations._flows.ops import ListSessions, Process, ReadMessages

SAID = [("user", "My parrot is called Kiwi."), ("assistant", "What a fine name for a parrot!")]
OPENAI = [{"role": role, "content": text} for role, text in SAID]
TOOL_CALL = {"id": "c", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}


def _stored(user="ada", local="recallrai.db"):
    """All sessions in the order in which they arrived: (created_at, metadata, [(role, text)], status)."""
    with connect(local=local) as connection:
        return _stored_in(connection, user)


def _stored_in(connection, user="ada"):
    found = []
    for one in connection.runtime.run(iter(ListSessions(user))).items:
        messages = connection.runtime.run(iter(ReadMessages(user, one.session_id))).messages
        said = [(message.role, message.content) for message in messages]
        found.append((messages[0].created_at, (one.created_at, one.metadata, said, one.status)))
    return [session for _, session in sorted(found, key=lambda one: one[0])]


def _write(name, document):
    Path(name).write_text(document if isinstance(document, str) else json.dumps(document, indent=2))
    return name


FORMS = {
    "the vendor's form": {"timestamp_utc": "2026-03-01T09:00:00Z", "messages": OPENAI},
    "an OpenAI list": OPENAI,
    "an OpenAI list with all that belongs to agents": [
        {"role": "system", "content": "You are kind."},
        {"role": "developer", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "My parrot is"},
                {"type": "input_text", "text": "called Kiwi."},
            ],
        },
        {"role": "assistant", "content": "Let me see.", "tool_calls": [TOOL_CALL]},
        {"role": "tool", "content": "a parrot", "tool_call_id": "c"},
        {"role": "assistant", "content": None},
        {"role": "user", "content": "  "},
        OPENAI[1],
    ],
    "items of OpenAI's Responses": [
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_text", "text": "My parrot is"},
                {"type": "input_text", "text": "called Kiwi."},
            ],
        },
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [],
            "content": [{"type": "reasoning_text", "text": "hm"}],
        },
        {"type": "function_call", "call_id": "c", "name": "look_up", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "a parrot"},
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        {"type": "mcp_list_tools", "id": "m_1", "server_label": "s", "tools": []},
        {"type": "item_reference", "id": "msg_0"},
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": SAID[1][1], "annotations": []}],
        },
    ],
    "LangChain's messages_to_dict": messages_to_dict(
        [
            SystemMessage("You are kind."),
            HumanMessage(SAID[0][1], id="m1"),
            AIMessage("Let me see.", tool_calls=[{"name": "look_up", "args": {}, "id": "c"}]),
            ToolMessage("a parrot", tool_call_id="c"),
            AIMessage([{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": SAID[1][1]}]),
        ]
    ),
    "LangChain's dumpd": [HumanMessage(SAID[0][1]).to_json(), AIMessage(SAID[1][1]).to_json()],
}


@pytest.mark.parametrize("document", FORMS.values(), ids=FORMS)
def test_reads_the_form_and_keeps_only_what_user_and_assistant_said(run, document):
    ended = run("import", _write("talk.json", document), "--user", "ada")
    assert ended.code == 0, ended
    [(_, _, said, status)] = _stored()
    assert [(role, text.replace("\n", " ")) for role, text in said] == SAID
    assert status == "processed"


def test_reads_llama_index_chat_stores_with_each_key_as_a_thread(run):
    messages = {
        key: [
            ChatMessage(role="system", content="You are kind."),
            ChatMessage(role="user", blocks=[TextBlock(text=f"My parrot is {name}.")]),
            ChatMessage(role="assistant", content=""),
            ChatMessage(role="assistant", content="Noted."),
            ChatMessage(role="user", blocks=[ImageBlock(url="http://localhost/parrot.png")]),
        ]
        for key, name in (("t-1", "Kiwi"), ("t-2", "Mango"))
    }
    # what SimpleChatStore.persist writes; with today's pydantic its own method raises
    store = {key: [one.model_dump(mode="json") for one in said] for key, said in messages.items()}
    _write("store.json", {"store": store, "class_name": "SimpleChatStore"})
    assert run("import", "store.json", "--user", "ada").code == 0
    assert [(metadata["thread_id"], said) for _, metadata, said, _ in _stored()] == [
        (key, [("user", f"My parrot is {name}."), ("assistant", "Noted."), ("user", "[image]")])
        for key, name in (("t-1", "Kiwi"), ("t-2", "Mango"))
    ]


@pytest.mark.parametrize(
    ("key", "metadata"), [("chat_history", {}), ("t-1", {"thread_id": "t-1"})], ids=["no key", "a key"]
)
def test_reads_a_llama_index_memory_buffer_whose_key_is_a_thread_when_it_is_the_applications(
    run, key, metadata
):
    messages = [ChatMessage(role=role, content=text).model_dump(mode="json") for role, text in SAID]
    # what ChatMemoryBuffer.to_string writes; see above
    buffer = {
        "chat_store": {"store": {key: messages}, "class_name": "SimpleChatStore"},
        "chat_store_key": key,
        "token_limit": 3000,
        "class_name": "ChatMemoryBuffer",
    }
    _write("buffer.json", buffer)
    assert run("import", "buffer.json", "--user", "ada").code == 0
    [(_, found, said, _)] = _stored()
    assert (said, {name: found[name] for name in found if name == "thread_id"}) == (SAID, metadata)


def test_reads_a_llama_index_memory_buffer_of_an_old_release(run):
    _write("buffer.json", {"token_limit": 3000, "chat_history": OPENAI})
    assert run("import", "buffer.json", "--user", "ada").code == 0
    assert [said for _, _, said, _ in _stored()] == [SAID]


def test_a_refusal_is_what_the_assistant_said(run):
    refusal = {"type": "refusal", "refusal": "I will not."}
    _write("talk.json", [OPENAI[0], {"type": "message", "role": "assistant", "content": [refusal]}])
    assert run("import", "talk.json", "--user", "ada").code == 0
    assert _stored()[0][2] == [SAID[0], ("assistant", "I will not.")]


def test_reads_items_of_openais_responses_as_json_lines(run):
    _write("items.jsonl", "\n".join(map(json.dumps, FORMS["items of OpenAI's Responses"])))
    assert run("import", "items.jsonl", "--user", "ada").code == 0
    [(_, _, said, _)] = _stored()
    assert [(role, text.replace("\n", " ")) for role, text in said] == SAID


@pytest.mark.parametrize("suffix", [".jsonl", ".json"])
def test_reads_json_lines_of_conversations_and_of_messages(run, suffix):
    conversation = {"timestamp_utc": "2026-03-01T09:00:00", "messages": OPENAI}
    later = {"timestamp_utc": "2026-03-02T09:00:00+02:00", "messages": OPENAI}
    _write(f"conversations{suffix}", "\n".join(map(json.dumps, [conversation, later])) + "\n\n")
    _write(f"messages{suffix}", "\n".join(map(json.dumps, OPENAI)))
    assert run("import", f"conversations{suffix}", f"messages{suffix}", "--user", "ada").code == 0
    stored = _stored()
    assert [said for _, _, said, _ in stored] == [SAID, SAID, SAID]
    assert [at for at, _, _, _ in stored[:2]] == [
        datetime(2026, 3, 1, 9, tzinfo=timezone.utc),
        datetime(2026, 3, 2, 7, tzinfo=timezone.utc),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_reads_any_encoding_of_json_and_mends_what_cannot_be_sent(run, encoding):
    text = '[{"role": "user", "content": "Ça va, \\ud83d?"}]'
    Path("talk.json").write_bytes(text.encode(encoding))
    assert run("import", "talk.json", "--user", "ada").code == 0
    assert _stored()[0][2] == [("user", "Ça va, ??")]


def test_a_folder_is_read_whole_in_the_order_of_time(run):
    Path("talks/deep").mkdir(parents=True)
    Path("talks/.hidden").mkdir()
    for name, day in (
        ("talks/2.json", 1),
        ("talks/10.json", 1),
        ("talks/deep/a.json", 3),
        ("talks/b.json", 2),
    ):
        said = [{"role": "user", "content": f"This is {name}."}]
        _write(name, {"timestamp_utc": f"2026-03-0{day}T09:00:00Z", "messages": said})
    _write("talks/.hidden/c.json", OPENAI)
    _write("talks/notes.txt", "not for us")
    ended = run("import", "talks", "--user", "ada", "--json")
    assert json.loads(ended.out)["imported"] == 4
    assert [said[0][1] for _, _, said, _ in _stored()] == [
        f"This is {name}." for name in ("talks/2.json", "talks/10.json", "talks/b.json", "talks/deep/a.json")
    ]


def test_what_has_been_imported_is_skipped_wherever_it_is_read_from(run):
    _write("talk.json", FORMS["the vendor's form"])
    _write("copy.jsonl", json.dumps(FORMS["the vendor's form"]))
    assert run("import", "talk.json", "--user", "ada").code == 0
    again = run("import", "talk.json", "copy.jsonl", "--user", "ada", "--json")
    assert again.code == 0
    assert json.loads(again.out) | {"imported": 0, "messages": 0, "already_there": 2} == json.loads(again.out)
    assert len(_stored()) == 1


def test_the_same_words_of_another_user_are_another_conversation(run):
    _write("talk.json", OPENAI)
    for user in ("ada", "bob"):
        assert run("import", "talk.json", "--user", user).code == 0
    assert len(_stored("ada")) == len(_stored("bob")) == 1


def test_without_processing_the_session_stays_open(run):
    _write("talk.json", OPENAI)
    assert run("import", "talk.json", "--user", "ada", "--no-process").code == 0
    assert _stored()[0][3] == "pending"
    assert run("import", "talk.json", "--user", "ada").code == 0  # now process it
    assert [(said, status) for _, _, said, status in _stored()] == [(SAID, "processed")]


def test_without_credentials_the_local_file_is_named(run, tmp_path):
    ended = run("import", _write("talk.json", OPENAI), "--user", "ada")
    assert str(tmp_path / "recallrai.db") in ended.err
    assert "--local" in ended.err
    assert run("import", "talk.json", "--user", "ada", "--local", "other.db").err == ""
    assert len(_stored(local="other.db")) == 1


BROKEN = {
    "not JSON": ('[\n{"role": "user"\n', "line 3", "not JSON"),
    "cut off": ('{"messages": [\n', "line 2", "not JSON"),
    "another document": ('{"name": "a package"}', "line 1", "not a conversation"),
    "a number": ("17", "line 1", "not a conversation"),
    "nothing": ("", "line 1", "not JSON"),
    "no messages": ('{"messages": []}', "line 1", "no message"),
    "messages that are none": ('{\n"messages": "hello"}', "line 2", "must be a list"),
    "a role nobody knows": (
        '[{"role": "user", "content": "hi"},\n\n{"role": "alien", "content": "x"}]',
        "line 3",
        "'alien'",
    ),
    "a role that is none": ('[{"role": ["user"], "content": "hi"}]', "line 1", "unknown role"),
    "a message without content": ('{"messages": [\n{"role": "user"}]}', "line 2", "without content"),
    "content that is none": ('{"messages": [\n{"role": "user", "content":\n7}]}', "line 3", "not int"),
    "a message that is none": ('{"messages": [\n"hello"]}', "line 2", "must be an object"),
    "a time that is none": ('{"messages": [],\n"timestamp_utc": "yesterday"}', "line 2", "yesterday"),
    "metadata that is none": ('{"messages": [],\n"metadata": []}', "line 2", "metadata"),
    "a chat store that is broken": ('{"store": {"a": [],\n"b": [{"role": "alien"}]}}', "line 2", "alien"),
    "a memory buffer that is broken": (
        '{"chat_store": {"store": {"a": [],\n"b": [{"role": "alien"}]}}}',
        "line 2",
        "alien",
    ),
    "nested too deeply": ("[" * 100_000, "line 1", ""),
    "lists nested too deeply": ("[" * 800 + "]" * 800, "line 1", ""),
    "a number too long to be read": (f'{{"messages": [],\n"n": {"9" * 6_000}}}', "line 2", "more digits"),
    "a time after all times": (
        '{"messages": [],\n"timestamp_utc": "9999-12-31T23:59:59-14:00"}',
        "line 2",
        "9999-12-31T23:59:59-14:00",
    ),
    "a time before all times": (
        '{"messages": [],\n"timestamp_utc": "0001-01-01T00:00:00+14:00"}',
        "line 2",
        "0001-01-01T00:00:00+14:00",
    ),
    "metadata that holds no number": (
        '{"messages": [{"role": "user", "content": "hi"}],\n"metadata": {"a": NaN}}',
        "line 2",
        "NaN",
    ),
}


@pytest.mark.parametrize(("text", "line", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_named_with_its_line_and_the_others_go_in(run, text, line, reason):
    _write("broken.json", text)
    ended = run("import", "broken.json", _write("talk.json", OPENAI), "--user", "ada")
    ended.failed(1, "broken.json", f"{line}:", reason)
    assert [said for _, _, said, _ in _stored()] == [SAID]


@pytest.mark.parametrize("line", ["[" * 100_000, '{"messages": ' + "9" * 6_000 + "}"])
def test_a_line_of_json_lines_that_cannot_be_read_is_named(run, line):
    _write("odd.jsonl", f"{json.dumps(OPENAI[0])}\n\n{line}\n")
    ended = run("import", "odd.jsonl", _write("talk.json", OPENAI), "--user", "ada")
    ended.failed(1, "odd.jsonl", "line 3:")
    assert [said for _, _, said, _ in _stored()] == [SAID]


def test_a_broken_line_of_json_lines_is_named(run):
    _write(
        "talk.jsonl", json.dumps(FORMS["the vendor's form"]) + "\n\n" + '{"messages": [{"role": "alien"}]}'
    )
    run("import", "talk.jsonl", "--user", "ada").failed(1, "talk.jsonl", "line 3", "alien")
    _write("talk.jsonl", json.dumps(FORMS["the vendor's form"]) + '\n{"messages":')
    run("import", "talk.jsonl", "--user", "ada").failed(1, "talk.jsonl", "line 2", "not JSON")
    Path("talk.json").write_bytes(b'[\n"\xff\xfe"]')
    run("import", "talk.json", "--user", "ada").failed(1, "talk.json", "line 2", "UTF-8")


def test_a_file_that_may_not_be_opened_is_named(run, monkeypatch):
    def refuse(self):
        raise PermissionError(13, "Permission denied", str(self))

    _write("talk.json", OPENAI)
    monkeypatch.setattr(Path, "read_bytes", refuse)  # the tests may run as root, whom no file refuses
    run("import", "talk.json", "--user", "ada").failed(1, "talk.json", "Permission denied")


WRONG_USE = {
    "no path": (("import", "--user", "ada"), "PATH"),
    "no user": (("import", "talk.json"), "--user"),
    "an empty user": (("import", "talk.json", "--user", ""), "--user"),
    "a user id too long to be sent": (("import", "talk.json", "--user", "a" * 10_000), "too long"),
    "no such file": (("import", "nowhere.json", "--user", "ada"), "nowhere.json"),
    "a folder without conversations": (("import", "empty", "--user", "ada"), "empty"),
    "an option nobody knows": (("import", "talk.json", "--user", "ada", "--fast"), "--fast"),
    "a database that is none": (
        ("import", "talk.json", "--user", "ada", "--local", "talk.json"),
        "talk.json",
    ),
    "a database in no folder": (
        ("import", "talk.json", "--user", "ada", "--local", "no/where.db"),
        "where.db",
    ),
}


@pytest.mark.parametrize(("args", "word"), WRONG_USE.values(), ids=WRONG_USE)
def test_wrong_use_is_one_line_and_leaves_nothing_behind(run, args, word):
    Path("empty").mkdir()
    _write("talk.json", OPENAI)
    run(*args).failed(2, word)
    assert not Path("recallrai.db").exists()


@pytest.mark.parametrize(
    "credentials",
    [
        {"RECALLRAI_API_KEY": "rai_x"},
        {"RECALLRAI_PROJECT_ID": "p"},
        {"RECALLRAI_API_KEY": "nonsense", "RECALLRAI_PROJECT_ID": "p"},
    ],
)
def test_half_of_the_credentials_is_an_error_and_no_reason_to_write_elsewhere(run, monkeypatch, credentials):
    for name, value in credentials.items():
        monkeypatch.setenv(name, value)
    ended = run("import", _write("talk.json", OPENAI), "--user", "ada")
    ended.failed(2, "RECALLRAI_")
    assert "nonsense" not in ended.err
    assert not Path("recallrai.db").exists()


@pytest.fixture
def look(hosted):
    with connect() as connection:
        yield lambda: _stored_in(connection)


LONG = [("user" if n % 2 == 0 else "assistant", f"Sentence {n}.") for n in range(8)]


@pytest.fixture
def long_talk():
    return _write("long.json", [{"role": role, "content": text} for role, text in LONG])


def test_refused_credentials_are_told(run, hosted, monkeypatch):
    monkeypatch.setenv("RECALLRAI_API_KEY", "rai_wrong_one")
    ended = run("import", _write("talk.json", OPENAI), "--user", "ada")
    ended.failed(2, "RECALLRAI_API_KEY")
    assert "rai_wrong_one" not in ended.err


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_answer_that_got_lost_neither_loses_nor_repeats_a_message(run, hosted, look, long_talk, when):
    hosted.faults.add(drop=True, path="*/add-message", when=when, nth=3)
    hosted.faults.add(status=502, body="<html>", path="*/add-message", when=when, nth=6)
    assert run("import", long_talk, "--user", "ada").code == 0
    assert [said for _, _, said, _ in look()] == [LONG]


def _outage_after_three_messages(server):
    server.faults.add(delay=0.001, path="*/add-message", times=3)
    server.faults.add(status=503, path="*/add-message")


def test_a_service_that_asks_for_an_hour_is_not_waited_for(run, hosted, long_talk):
    hosted.faults.add(status=429, retry_after=3600, path="*/add-message")
    run("import", long_talk, "--user", "ada").failed(1, "run the command again to continue")


def test_after_an_outage_the_import_goes_on_where_it_stopped(run, hosted, look, long_talk):
    _outage_after_three_messages(hosted)
    run("import", long_talk, "--user", "ada").failed(1, "run the command again to continue", "doctor")
    assert [said for _, _, said, _ in look()] == [LONG[:3]]
    hosted.faults.clear()
    again = run("import", long_talk, "--user", "ada", "--json")
    assert json.loads(again.out)["messages"] == 5
    assert [(said, status) for _, _, said, status in look()] == [(LONG, "processed")]


def test_a_half_that_was_processed_meanwhile_is_followed_by_the_other_half(run, hosted, look, long_talk):
    _outage_after_three_messages(hosted)
    run("import", long_talk, "--user", "ada").failed(1)
    hosted.faults.clear()
    with connect() as connection:  # as the inactivity timer of the service does
        [session] = connection.runtime.run(iter(ListSessions("ada"))).items
        connection.runtime.run(iter(Process("ada", session.session_id)))
    assert run("import", long_talk, "--user", "ada").code == 0
    assert [said for _, _, said, _ in look()] == [LONG[:3], LONG[3:]]
    assert json.loads(run("import", long_talk, "--user", "ada", "--json").out)["already_there"] == 1
    assert len(look()) == 2


def test_a_conversation_that_the_service_refuses_is_named_and_the_others_go_in(run, hosted, look, long_talk):
    hosted.faults.add(status=422, path="*/sessions", method="POST", nth=1)
    ended = run("import", _write("talk.json", OPENAI), long_talk, "--user", "ada")
    ended.failed(1, "talk.json")
    assert [said for _, _, said, _ in look()] == [LONG]


@pytest.mark.parametrize("outcome", ["failed", "insufficient_balance"])
def test_memories_that_could_not_be_made_are_told(run, hosted, long_talk, outcome):
    hosted.faults.outcomes(outcome)
    ended = run("import", long_talk, "--user", "ada", "--json")
    ended.failed(1, "could not make memories")
    assert len(json.loads(ended.out)["not_processed"]) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one child")
@pytest.mark.parametrize(("signal_", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_a_stopped_import_is_completed_by_the_next(spawn, hosted, look, *, long_talk, signal_, code):
    hosted.faults.add(delay=0.2, path="*/add-message")
    command = [sys.executable, "-m", "recallrai_integrations.cli", "import", long_talk, "--user", "ada"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while sum(one.path.endswith("/add-message") for one in hosted.requests) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal_)
        _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "Traceback" not in err
    if code == 130:
        assert err.splitlines() == [
            "Error: Stopped. 0 of 1 conversations are imported; run the command again to continue."
        ]
    hosted.faults.clear()
    assert spawn("import", long_talk, "--user", "ada").code == 0
    assert [said for _, _, said, _ in look()] == [LONG]

"""`import` reads what people export elsewhere, with the time of each message, and says what it leaves out."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path

import pytest

from recallrai_integrations import connect
from recallrai_integrations._flows.ops import ListSessions, ReadMessages
from recallrai_integrations.cli.reading import UnreadableError, by_day, read_transcripts

MONDAY, NEXT_DAY, LATER = "2023-05-01T09:00:00Z", "2023-05-02T10:30:00Z", "2023-06-10T08:00:00Z"
ASKED, ANSWERED = "I saw a heron yesterday.", "How lovely!"
SAID = [("user", ASKED), ("assistant", ANSWERED)]


def at(iso):
    return datetime.fromisoformat(iso.replace("Z", "+00:00"))


def epoch(iso, unit=1):
    return at(iso).timestamp() * unit


@pytest.fixture
def imported(run):
    """Imports a document: (sessions as (created_at, metadata, said), oldest first; --json; stderr)."""

    def go(document, name="talk.json", code=0):
        Path(name).write_text(document if isinstance(document, str) else json.dumps(document))
        ended = run("import", name, "--user", "ada", "--json")
        assert ended.code == code, ended
        with connect(local="recallrai.db") as connection:
            found = []
            for one in connection.runtime.run(iter(ListSessions("ada"))).items:
                messages = connection.runtime.run(iter(ReadMessages("ada", one.session_id))).messages
                found.append((one.created_at, one.metadata, [(it.role, it.content) for it in messages]))
        found.sort(key=lambda one: one[0])
        return found, json.loads(ended.out), ended.err

    return go


def node(parent, role, text, iso=MONDAY, **more):
    message = {
        "author": {"role": role, "name": None, "metadata": {}},
        "create_time": epoch(iso) + 0.25,
        "content": {"content_type": "text", "parts": [text]},
        "recipient": "all",
        **more,
    }
    return {"parent": parent, "children": [], "message": message}


def chatgpt(**more):
    hidden = {"metadata": {"is_visually_hidden_from_conversation": True}}
    return {
        "title": "Birds",
        "create_time": epoch(MONDAY),
        "conversation_id": "c-1",
        "current_node": "answer",
        "mapping": {
            "root": {"parent": None, "children": ["hidden"], "message": None},
            "hidden": node("root", "system", "", **hidden),
            "profile": node(
                "hidden",
                "user",
                "",
                content={"content_type": "user_editable_context", "user_profile": "Likes birds"},
            ),
            "question": node("profile", "user", ASKED),
            "first": node("question", "assistant", "An answer that was generated anew."),
            "thoughts": node(
                "question", "assistant", "", content={"content_type": "thoughts", "thoughts": []}
            ),
            "search": node("thoughts", "assistant", "heron", recipient="browser"),
            "found": node("search", "tool", "herons are grey"),
            "answer": node("found", "assistant", ANSWERED),
        },
        **more,
    }


CLAUDE = {
    "uuid": "c-1",
    "name": "Birds",
    "created_at": MONDAY,
    "chat_messages": [
        {
            "uuid": "m-1",
            "sender": "human",
            "text": ASKED,
            "content": [{"type": "text", "text": ASKED}],
            "created_at": MONDAY,
            "attachments": [],
        },
        {
            "uuid": "m-2",
            "sender": "assistant",
            "text": "Let me look. This block is not supported.\n\nHow lovely!",
            "content": [
                {"type": "thinking", "thinking": "A heron."},
                {"type": "text", "text": "Let me look."},
                {"type": "tool_use", "name": "search", "input": {}},
                {"type": "tool_result", "content": []},
                {"type": "text", "text": ANSWERED},
            ],
            "created_at": "2023-05-01T09:00:05.123456Z",
        },
    ],
}
THREAD_MESSAGES = [
    {
        "id": f"msg_{n}",
        "object": "thread.message",
        "created_at": int(epoch(MONDAY)) + n,
        "thread_id": "c-1",
        "role": role,
        "content": [{"type": "text", "text": {"value": text, "annotations": []}}],
    }
    for n, (role, text) in enumerate(SAID)
]
DATED = {
    "a ChatGPT export": [chatgpt()],
    "a ChatGPT export without a current node": [
        {
            **chatgpt(current_node=None),
            "mapping": {
                "a": {**node(None, "user", ASKED), "children": ["b", "c"]},
                "b": node("a", "assistant", "An answer that was generated anew."),
                "c": node("a", "assistant", ANSWERED),
            },
        }
    ],
    "a Claude export": [CLAUDE],
    "an OpenAI thread, the newest first": {
        "object": "list",
        "data": THREAD_MESSAGES[::-1],
        "has_more": False,
    },
    "an OpenAI thread with its messages in a page": {
        "id": "x",
        "messages": {"object": "list", "data": THREAD_MESSAGES},
    },
    "Zep's messages": {
        "session_id": "c-1",
        "messages": [
            {"uuid": "1", "created_at": MONDAY, "role": "Ada", "role_type": "user", "content": ASKED},
            {
                "uuid": "2",
                "created_at": MONDAY,
                "role": "Bird",
                "role_type": "assistant",
                "content": ANSWERED,
            },
        ],
    },
    "roles with capitals and milliseconds": {
        "thread_id": "c-1",
        "messages": [
            {"role": "User", "content": ASKED, "timestamp": epoch(MONDAY, 1000)},
            {"role": "ASSISTANT", "content": ANSWERED, "timestamp": epoch(MONDAY, 1000)},
        ],
    },
}


@pytest.mark.parametrize("document", DATED.values(), ids=DATED)
def test_a_conversation_with_times_is_stored_under_its_own(imported, document):
    [(created_at, metadata, said)], answer, _ = imported(document)
    assert said == SAID
    assert (created_at.date(), created_at.hour) == (at(MONDAY).date(), 9)
    assert metadata["thread_id"] == "c-1"
    assert answer["undated"] == 0


def test_the_title_of_a_chat_is_kept(imported):
    assert imported([chatgpt()])[0][0][1]["title"] == "Birds"


GEMINI = [
    {"role": "user", "parts": [{"text": ASKED}]},
    {"role": "model", "parts": [{"text": "Let me look."}, {"functionCall": {"name": "look", "args": {}}}]},
    {"role": "user", "parts": [{"functionResponse": {"name": "look", "response": {}}}]},
    {"role": "model", "parts": [{"text": "A heron.", "thought": True}, {"text": ANSWERED}]},
]
UNDATED = {
    "Gemini's contents": GEMINI,
    "a request to Gemini": {"systemInstruction": {"parts": []}, "contents": GEMINI},
    "a prompt of Google AI Studio": {
        "runSettings": {},
        "chunkedPrompt": {
            "chunks": [
                {"text": ASKED, "role": "user", "tokenCount": 5},
                {"text": "A heron.", "role": "model", "isThought": True},
                {"text": ANSWERED, "role": "model"},
            ]
        },
    },
    "ShareGPT": [
        {
            "id": "identity_0",
            "conversations": [
                {"from": "system", "value": "You are kind."},
                {"from": "human", "value": ASKED},
                {"from": "gpt", "value": ANSWERED},
            ],
        }
    ],
    "ShareGPT's turns alone": [{"from": "human", "value": ASKED}, {"from": "gpt", "value": ANSWERED}],
    "Anthropic's messages": [
        {"role": "user", "content": ASKED},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "Let me look."},
                {"type": "tool_use", "id": "t", "name": "look", "input": {}},
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "a heron"}]},
        {
            "role": "assistant",
            "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": ANSWERED}],
        },
    ],
    "Bedrock's messages": [
        {"role": "user", "content": [{"text": ASKED}]},
        {"role": "assistant", "content": [{"reasoningContent": {}}, {"text": ANSWERED}]},
    ],
    "reasoning in the text": [
        {"role": "user", "content": ASKED},
        {"role": "assistant", "content": f"<think>A heron.</think>\n\n{ANSWERED}"},
    ],
    "conversations in an object": {
        "conversations": [{"messages": [{"role": r, "content": t} for r, t in SAID]}]
    },
}


@pytest.mark.parametrize("document", UNDATED.values(), ids=UNDATED)
def test_a_conversation_without_times_is_read_and_said_to_be_without(imported, document):
    [(_, _, said)], answer, err = imported(document)
    assert said == SAID
    assert (answer["undated"], answer["left_out"]) == (1, {})
    assert "left out" not in err


def test_people_are_told_that_a_conversation_without_a_time_counts_as_held_today(run):
    Path("talk.json").write_text(json.dumps(GEMINI))
    ended = run("import", "talk.json", "--user", "ada")
    assert "1 conversation has no time in the file" in ended.out
    assert "timestamp_utc" in ended.out


def test_a_chat_of_several_days_is_a_session_for_each_day_and_yesterday_is_the_day_before_it(imported, run):
    messages = [
        {"role": role, "content": text, "created_at": iso}
        for iso in (MONDAY, NEXT_DAY, LATER)
        for role, text in SAID
    ]
    sessions, answer, _ = imported({"thread_id": "t", "messages": messages})
    assert [(when, said) for when, _, said in sessions] == [
        (at(one), SAID) for one in (MONDAY, NEXT_DAY, LATER)
    ]
    assert {metadata["thread_id"] for _, metadata, _ in sessions} == {"t"}
    assert (answer["imported"], answer["sessions"], answer["messages"]) == (1, 3, 6)
    with connect(local="recallrai.db") as connection:
        days = {
            one.event_start.date().isoformat() for one in connection.user("ada").memories() if one.event_start
        }
    assert "2023-06-09" in days
    again = json.loads(run("import", "talk.json", "--user", "ada", "--json").out)
    assert (again["imported"], again["already_there"], again["messages"]) == (0, 1, 0)


def test_an_answer_after_midnight_stays_with_its_question(imported):
    late, early = "2023-05-01T23:59:59Z", "2023-05-02T00:00:01Z"
    messages = [
        {"role": "user", "content": ASKED, "created_at": late},
        {"role": "assistant", "content": ANSWERED, "created_at": early},
        {"role": "user", "content": "Good night!", "created_at": early},
    ]
    sessions, _, _ = imported(messages)
    assert [(when, said) for when, _, said in sessions] == [
        (at(late), SAID),
        (at(early), [("user", "Good night!")]),
    ]


def test_messages_of_a_chat_that_went_on_much_later_are_not_as_old_as_the_chat(imported):
    messages = [{"role": "user", "content": ASKED, "created_at": LATER}]
    assert [one[0] for one in imported({"timestamp_utc": MONDAY, "messages": messages})[0]] == [at(LATER)]


@pytest.mark.parametrize(
    "key", ["created_at", "createTime", "create_time", "timestamp", "time", "date", "ts"]
)
@pytest.mark.parametrize(
    "value",
    [
        MONDAY,
        "2023-05-01 09:00:00",
        "2023-05-01T11:00:00+02:00",
        "2023-05-01T09:00:00.1234567Z",
        "Mon, 01 May 2023 09:00:00 GMT",
        epoch(MONDAY),
        int(epoch(MONDAY, 1000)),
        int(epoch(MONDAY, 1_000_000)),
        str(int(epoch(MONDAY))),
        {"$date": MONDAY},
    ],
)
def test_any_form_of_time_under_any_name_is_the_time_of_the_message(tmp_path, key, value):
    path = tmp_path / "talk.json"
    path.write_text(json.dumps([{"role": "user", "content": ASKED, key: value}]))
    [transcript] = read_transcripts(path)
    assert transcript.messages[0].created_at.replace(microsecond=0) == datetime(
        2023, 5, 1, 9, tzinfo=timezone.utc
    )


def test_the_time_inside_of_langchains_messages_is_found(imported):
    additional = {"additional_kwargs": {"timestamp": MONDAY}}
    document = [{"type": "human", "data": {"content": ASKED, "type": "human", **additional}}]
    assert imported(document)[0][0][0] == at(MONDAY)


def test_a_time_that_cannot_be_read_is_said(imported):
    _, answer, err = imported([{"role": "user", "content": ASKED, "timestamp": "half past nine"}])
    assert answer["left_out"] == {"talk.json": {"a time that cannot be read": 1}}
    assert "talk.json: left out a time that cannot be read" in err


def test_json_lines_of_several_conversations_are_told_apart(imported):
    lines = [
        {"session_id": thread, "role": "user", "content": f"I am in {thread}.", "ts": epoch(MONDAY) + n}
        for n, thread in enumerate(["a", "b", "a"])
    ]
    sessions, _, _ = imported("\n".join(map(json.dumps, lines)), "talk.jsonl")
    assert [(metadata["thread_id"], len(said)) for _, metadata, said in sessions] == [("a", 2), ("b", 1)]


def test_people_in_one_conversation_are_told_apart_by_their_names(imported):
    document = [
        {"role": "user", "name": "Pia", "content": "I love sushi."},
        {"role": "user", "name": "Ben", "content": "I hate it."},
        {"role": "assistant", "name": "bot", "content": "Noted."},
    ]
    assert imported(document)[0][0][2] == [
        ("user", "Pia: I love sushi."),
        ("user", "Ben: I hate it."),
        ("assistant", "Noted."),
    ]


def test_memories_of_mem0_are_what_the_user_said_at_their_time(imported):
    document = {
        "results": [
            {
                "id": "2",
                "memory": "Moved to Lisbon",
                "user_id": "ada",
                "created_at": LATER,
                "updated_at": None,
            },
            {"id": "1", "memory": "Likes herons", "user_id": "ada", "created_at": MONDAY, "metadata": {}},
        ]
    }
    sessions, _, _ = imported(document)
    assert [(when, said) for when, _, said in sessions] == [
        (at(MONDAY), [("user", "Likes herons")]),
        (at(LATER), [("user", "Moved to Lisbon")]),
    ]


def test_facts_of_zep_are_what_the_user_said(imported):
    document = {"facts": [{"fact": "Ada likes herons.", "created_at": MONDAY}]}
    assert imported(document)[0][0][::2] == (at(MONDAY), [("user", "Ada likes herons.")])


def test_gemini_activities_of_takeout_are_questions_and_answers(imported):
    document = [
        {"header": "Gemini Apps", "title": "Gave feedback", "time": LATER, "products": ["Gemini Apps"]},
        {"header": "Gemini Apps", "title": "Prompted Good morning!", "time": NEXT_DAY},
        {
            "header": "Gemini Apps",
            "title": f"Prompted {ASKED}",
            "time": MONDAY,
            "safeHtmlItem": [{"html": "<p>How <b>lovely</b>!</p>"}],
        },
    ]
    sessions, answer, _ = imported(document)
    assert [(when, said) for when, _, said in sessions] == [
        (at(MONDAY), SAID),
        (at(NEXT_DAY), [("user", "Good morning!")]),
    ]
    assert answer["left_out"] == {"talk.json": {"an activity that is no question": 1}}


LEFT_OUT = {
    "another branch of ChatGPT": ([chatgpt()], "another branch"),
    "another branch of Claude": (
        {
            **CLAUDE,
            "chat_messages": [
                {"uuid": "1", "sender": "human", "text": ASKED, "parent_message_uuid": "0"},
                {
                    "uuid": "2",
                    "sender": "assistant",
                    "text": "An answer from before.",
                    "parent_message_uuid": "1",
                },
                {"uuid": "3", "sender": "assistant", "text": ANSWERED, "parent_message_uuid": "1"},
            ],
        },
        "another branch",
    ),
    "a first page": ({"object": "list", "data": THREAD_MESSAGES, "has_more": True}, "a page that follows"),
    "an unknown part": (
        [
            {"role": "user", "content": [{"type": "text", "text": ASKED}, {"type": "hologram"}]},
            {"role": "assistant", "content": ANSWERED},
        ],
        "'hologram'",
    ),
    "nothing but reasoning": (
        [
            *[{"role": role, "content": text} for role, text in SAID],
            {"role": "assistant", "content": "<think>hm"},
        ],
        "nothing but reasoning",
    ),
}


@pytest.mark.parametrize(("document", "word"), LEFT_OUT.values(), ids=LEFT_OUT)
def test_what_is_left_out_is_said(imported, document, word):
    [(_, _, said)], answer, err = imported(document)
    assert said == SAID
    [(kind, times)] = answer["left_out"]["talk.json"].items()
    assert (word in kind, times) == (True, 1)
    assert f"talk.json: left out {kind}" in err


def test_what_a_chat_attaches_is_not_lost_silently(imported):
    message = {
        "sender": "human",
        "text": "",
        "attachments": [{"file_name": "birds.txt"}],
        "created_at": MONDAY,
    }
    assert imported([{**CLAUDE, "chat_messages": [message]}])[0][0][2] == [("user", "[file]")]


def test_an_import_that_is_exported_and_imported_again_keeps_its_time(imported, run):
    imported([{"role": "user", "content": ASKED, "created_at": MONDAY}])
    assert run("export", "--user", "ada", "--output", "ada.jsonl").code == 0
    assert run("import", "ada.jsonl", "--user", "eve").code == 0
    with connect(local="recallrai.db") as connection:
        [session] = connection.runtime.run(iter(ListSessions("eve"))).items
    assert session.created_at == at(MONDAY)


def _places(value, place=()):
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, child in children:
        yield (*place, key)
        yield from _places(child, (*place, key))


@pytest.mark.parametrize("odd", [None, -1, [[]], {"parts": None}], ids=str)
@pytest.mark.parametrize(
    "document", [*DATED.values(), *UNDATED.values(), *(one for one, _ in LEFT_OUT.values())]
)
def test_whatever_stands_anywhere_in_an_export_it_is_read_or_told(tmp_path, document, odd):
    path = tmp_path / "talk.json"
    for place in _places(document):
        broken = inside = json.loads(json.dumps(document))
        for key in place[:-1]:
            inside = inside[key]
        inside[place[-1]] = odd
        path.write_text(json.dumps(broken))
        with suppress(UnreadableError):
            for transcript in read_transcripts(path):
                assert [*by_day(transcript)]


UNKNOWN = {
    "speakers with names": [{"speaker": "Caroline", "text": "Hi!"}],
    "a chat application of another kind": {"chats": {"list": [{"name": "Pia", "text": "hi"}]}},
    "a role of nobody": [{"role": "Narrator", "content": "Once upon a time"}],
    "memories of several users": [
        {"memory": "Likes herons", "user_id": "ada"},
        {"memory": "Hates herons", "user_id": "bob"},
    ],
}


@pytest.mark.parametrize("document", UNKNOWN.values(), ids=UNKNOWN)
def test_what_cannot_be_told_is_an_error(run, document):
    Path("odd.json").write_text(json.dumps(document))
    run("import", "odd.json", "--user", "ada").failed(1, "odd.json: line 1:")

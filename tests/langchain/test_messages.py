"""What of each kind of LangChain message is stored, and as what."""

from __future__ import annotations

import pytest
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    HumanMessageChunk,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)

from recallrai_integrations.langchain._messages import (
    from_langchain,
    question_keys,
    turn_answer,
    turn_questions,
)

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
TEXT = {"type": "text", "text": "look"}
CALL = {"name": "f", "args": {}, "id": "1"}


@pytest.mark.parametrize(
    ("native", "said"),
    [
        (HumanMessage("hi"), ("user", "hi")),
        (HumanMessageChunk(content="hi"), ("user", "hi")),
        (HumanMessage([TEXT, IMAGE, {"type": "text", "text": "here"}]), ("user", "look\nhere")),
        (HumanMessage(["a", "b"]), ("user", "a\nb")),
        (HumanMessage([IMAGE]), ("user", "[image]")),
        (HumanMessage([{"type": "audio", "base64": "AA", "mime_type": "audio/wav"}]), ("user", "[audio]")),
        (HumanMessage(""), None),
        (HumanMessage(" \n\t"), None),
        (HumanMessage([]), None),
        (HumanMessage("half \ud83d a pair"), ("user", "half ? a pair")),
        (HumanMessage("I love sushi.", name="Pia"), ("user", "Pia: I love sushi.")),
        (HumanMessage("hi", name="user"), ("user", "hi")),
        (
            HumanMessage("# Instructions\n</recallrai_memory> {x}"),
            ("user", "# Instructions\n</recallrai_memory> {x}"),
        ),
        (HumanMessage("They said.", additional_kwargs={"lc_source": "summarization"}), None),
        (HumanMessage("Here is a summary of the conversation to date:\n\nx"), None),
        (AIMessage("hello"), ("assistant", "hello")),
        (AIMessageChunk(content="hello"), ("assistant", "hello")),
        (AIMessage([{"type": "thinking", "thinking": "hm"}, TEXT]), ("assistant", "look")),
        (AIMessage([{"type": "reasoning", "reasoning": "hm"}]), None),
        (AIMessage("<think>They sound rude.</think>\n\nHello!"), ("assistant", "Hello!")),
        (AIMessage("They sound rude.</think>Hello!"), ("assistant", "Hello!")),
        (AIMessage("<think>cut off"), None),
        (HumanMessage("What does <think> mean?"), ("user", "What does <think> mean?")),
        (
            AIMessage(
                [{"type": "text", "text": "Paris ", "citations": [{}]}, {"type": "text", "text": "it is."}]
            ),
            ("assistant", "Paris it is."),
        ),
        (AIMessage("", additional_kwargs={"refusal": "I can't."}), ("assistant", "I can't.")),
        (AIMessage([{"type": "refusal", "refusal": "I can't."}]), ("assistant", "I can't.")),
        (
            AIMessage([{"type": "non_standard", "value": {"type": "refusal", "refusal": "I can't."}}]),
            ("assistant", "I can't."),
        ),
        (AIMessage("", additional_kwargs={"audio": {"transcript": "spoken"}}), ("assistant", "spoken")),
        (AIMessage("let me see", tool_calls=[CALL]), None),
        (AIMessage("", invalid_tool_calls=[{**CALL, "args": "{", "error": "bad"}]), None),
        (AIMessage([IMAGE]), None),
        (ChatMessage("hi", role="user"), ("user", "hi")),
        (ChatMessage("hi", role="Assistant"), ("assistant", "hi")),
        (ChatMessage("hi", role="critic"), None),
        (SystemMessage("be kind"), None),
        (ToolMessage("result", tool_call_id="1"), None),
        (FunctionMessage("result", name="f"), None),
        (RemoveMessage(id="1"), None),
    ],
)
def test_each_kind_of_message_is_stored_as_its_text_or_not_at_all(native, said):
    message = from_langchain(native)
    assert (message and (message.role, message.content)) == said


def test_the_id_of_a_message_is_kept():
    assert from_langchain(HumanMessage("hi", id="m-1")).id == "m-1"
    assert from_langchain(HumanMessage("hi", id="")).id is None


@pytest.mark.parametrize(
    ("messages", "seen", "new"),
    [
        ([HumanMessage("a")], [], ["a"]),
        ([HumanMessage("a"), AIMessage("b"), HumanMessage("c"), HumanMessage("d")], [], ["c", "d"]),
        ([HumanMessage("a", id="1"), HumanMessage("c")], [HumanMessage("a", id="1")], ["c"]),
        ([HumanMessage("put in", id="2"), HumanMessage("a", id="1")], [HumanMessage("a", id="1")], []),
        ([HumanMessage("edited", id="1")], [HumanMessage("a", id="1")], ["edited"]),
        ([HumanMessage("yes"), HumanMessage("yes")], [HumanMessage("yes")], ["yes"]),
        (
            [HumanMessage("a"), AIMessage("", tool_calls=[CALL]), ToolMessage("r", tool_call_id="1")],
            [],
            [],
        ),
        ([SystemMessage("s"), HumanMessage("a"), SystemMessage("s")], [], ["a"]),
        ([], [], []),
    ],
)
def test_new_is_what_the_user_said_behind_the_last_answer_and_what_was_seen(messages, seen, new):
    keys = question_keys(seen).values()
    assert [one.content for one in turn_questions(messages, keys)] == new


@pytest.mark.parametrize(
    ("messages", "answer"),
    [
        ([HumanMessage("q"), AIMessage("a")], "a"),
        ([HumanMessage("q"), AIMessage("a"), HumanMessage("q2")], None),
        ([AIMessage("", tool_calls=[CALL]), ToolMessage("r", tool_call_id="1")], None),
        ([], None),
    ],
)
def test_the_answer_is_the_last_message_when_it_is_one(messages, answer):
    found = turn_answer(messages)
    assert (found and found.content) == answer

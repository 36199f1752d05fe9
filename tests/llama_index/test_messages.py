"""What is told to the service of each kind of message."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core.base.llms import types
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, MessageRole, TextBlock

from recallrai_integrations.llama_index._messages import classify

NOTHING: list[tuple[str, str]] = []
CALL = {"tool_calls": [{"id": "1", "function": {"name": "weather"}}]}
RESULT = "Result of executing the code given:\n\n42"
REASONING = (
    "Thought: I need a tool.\nAction: weather\nAction Input: {}\nObservation: Answer: no\n"
    "Thought: I know.\nAnswer: The Answer: 42"
)


def told(*messages: ChatMessage, **options: Any) -> list[tuple[str, str]]:
    entries = classify(messages, **options)
    assert [one.message for one in entries] == list(messages)
    return [(one.said.role, one.said.content) for one in entries if one.said is not None]


def block(name: str, **values: Any) -> Any:
    """A block of a kind that older versions of the framework do not know."""
    kind = getattr(types, name, None)
    if kind is None:
        pytest.skip(f"this llama-index-core has no {name}")
    return kind(**values)


@pytest.mark.parametrize(
    ("role", "as_role"),
    [("user", "user"), ("assistant", "assistant"), ("chatbot", "assistant"), ("model", "assistant")],
)
def test_what_people_and_models_say_is_told(role: str, as_role: str) -> None:
    assert told(ChatMessage(role=role, content="hi")) == [(as_role, "hi")]


@pytest.mark.parametrize("role", ["system", "developer", "tool", "function"])
def test_what_applications_and_tools_say_is_not_told(role: str) -> None:
    assert told(ChatMessage(role=role, content="hi")) == NOTHING


def test_every_role_of_the_framework_is_decided_upon() -> None:
    assert {role.value for role in MessageRole} == {
        *("user", "assistant", "chatbot", "model"),
        *("system", "developer", "tool", "function"),
    }


@pytest.mark.parametrize("role", ["user", "assistant"])
@pytest.mark.parametrize("content", [None, "", "   \n"])
def test_empty_messages_are_not_told(role: str, content: str | None) -> None:
    assert told(ChatMessage(role=role, content=content)) == NOTHING


def test_text_blocks_are_joined_and_others_left_out() -> None:
    blocks = [TextBlock(text="one"), ImageBlock(image=b"iVBORw0KGgo="), TextBlock(text="two")]
    assert told(ChatMessage(role="user", blocks=blocks)) == [("user", "one\ntwo")]


def test_an_image_alone_is_a_placeholder() -> None:
    assert told(ChatMessage(role="user", blocks=[ImageBlock(image=b"iVBORw0KGgo=")])) == [("user", "[image]")]


def test_citable_text_is_text() -> None:
    blocks = [block("CitableBlock", title="t", source="s", content="cited"), TextBlock(text="said")]
    assert told(ChatMessage(role="user", blocks=blocks)) == [("user", "cited\nsaid")]


def test_thinking_is_not_told() -> None:
    thinking = block("ThinkingBlock", content="hm")
    assert told(ChatMessage(role="assistant", blocks=[thinking])) == NOTHING
    assert told(ChatMessage(role="assistant", blocks=[thinking, TextBlock(text="so")])) == [
        ("assistant", "so")
    ]


def test_a_cache_point_is_not_told() -> None:
    point = block("CachePoint", cache_control=types.CacheControl(type="ephemeral"))
    assert told(ChatMessage(role="user", blocks=[TextBlock(text="hi"), point])) == [("user", "hi")]


@pytest.mark.parametrize("narration", [False, True])
def test_narration_is_told_only_when_it_is_wanted(narration: bool) -> None:
    calls = ChatMessage(role="assistant", content="Let me see.", additional_kwargs=CALL)
    assert told(calls, narration=narration) == ([("assistant", "Let me see.")] if narration else NOTHING)


def test_a_tool_call_block_is_a_tool_call() -> None:
    called = block("ToolCallBlock", tool_name="weather", tool_kwargs={})
    assert told(ChatMessage(role="assistant", blocks=[TextBlock(text="Let me see."), called])) == NOTHING


def test_half_of_a_surrogate_pair_becomes_a_question_mark() -> None:
    assert told(ChatMessage(role="user", content="hi \ud83d")) == [("user", "hi ?")]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (REASONING, "The Answer: 42"),
        ("Thought: (Implicit) I can answer.\nAnswer: fine", "fine"),
        ("Thought: I need a tool.\nAction: weather\nAction Input: {}", None),
        ("Thought: a word for what the mind does.", "Thought: a word for what the mind does."),
        ("My Answer: 42", "My Answer: 42"),
    ],
    ids=["steps", "one step", "no answer yet", "no steps", "no reasoning"],
)
def test_of_reasoning_only_the_answer_is_told(text: str, answer: str | None) -> None:
    expected = NOTHING if answer is None else [("assistant", answer)]
    assert told(ChatMessage(role="assistant", content=text)) == expected


def test_a_code_agents_run_is_told_as_its_answer() -> None:
    run = [
        ChatMessage(role="user", content="6 times 7?"),
        ChatMessage(role="assistant", content="<execute>print(42)</execute>"),
        ChatMessage(role="user", content=RESULT),
        ChatMessage(role="assistant", content="It is 42."),
    ]
    assert told(*run) == [("user", "6 times 7?"), ("assistant", "It is 42.")]
    assert told(*run[2:], previous=run[1]) == [("assistant", "It is 42.")]


def test_people_may_write_of_code_and_its_results() -> None:
    quoting = [
        ChatMessage(role="user", content=RESULT),
        ChatMessage(role="assistant", content="Use <execute> tags."),
        ChatMessage(role="user", content="Thanks!"),
    ]
    assert [text for _, text in told(*quoting)] == [RESULT, "Use <execute> tags.", "Thanks!"]

"""Reasoning that a model writes into its answer is told from the answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recallrai_integrations.reasoning import without_reasoning

ANSWER = "Hello, Sam!"
WITH_REASONING = {
    "think": f"<think>They sound rude.</think>\n\n{ANSWER}",
    "several lines": f"<think>\nThey sound\n\nrude.\n</think>\n\n{ANSWER}\n",
    "empty": f"<think>\n\n</think>\n\n{ANSWER}",
    "capitals": f"<THINK>rude</Think>{ANSWER}",
    "an attribute": f'<think signature="a b">rude</think>{ANSWER}',
    "thinking": f"<thinking>rude</thinking>{ANSWER}",
    "thought": f"<thought>rude</thought>{ANSWER}",
    "reasoning": f"<reasoning>rude</reasoning>\n{ANSWER}",
    "Seed": f"<seed:think>rude</seed:think>{ANSWER}",
    "Magistral": f"[THINK]rude[/THINK]{ANSWER}",
    "Kimi": f"◁think▷rude◁/think▷{ANSWER}",
    "OpenThinker": "<|begin_of_thought|>rude<|end_of_thought|>\n"
    f"<|begin_of_solution|>{ANSWER}<|end_of_solution|>",
    "Command A": f"<|START_THINKING|>rude<|END_THINKING|><|START_RESPONSE|>{ANSWER}<|END_RESPONSE|>",
    "gpt-oss": "<|channel|>analysis<|message|>rude<|end|>"
    f"<|start|>assistant<|channel|>final<|message|>{ANSWER}<|return|>",
    "gpt-oss that also comments": "<|channel|>analysis<|message|>rude<|end|><|start|>assistant<|channel|>"
    f"commentary<|message|>rude<|end|><|start|>assistant<|channel|>final<|message|>{ANSWER}",
    "gpt-oss without its special tokens": f"analysisThey sound rude.assistantfinal{ANSWER}",
    "Open WebUI": '<details type="reasoning" done="true" duration="3">\n<summary>Thought</summary>\n'
    f"> rude\n</details>\n{ANSWER}",
    "no opening tag": f"They sound rude.\n</think>\n\n{ANSWER}",
    "no opening tag, and code": f"rude `x` and ```\nrude\n```\n</think>{ANSWER}",
    "a tag within": f"<think>I open with <think> and I am rude.</think>{ANSWER}",
    "reasoning within": f"<think>rude <think>rude</think> rude</think>{ANSWER}",
    "a closing tag in the code of reasoning": f"<think>`</think>` is rude</think>{ANSWER}",
    "a backtick within": f"<think>rude ` rude</think>{ANSWER}",
    "closed by a relative": f"<think>rude</thinking>{ANSWER}",
    "twice": "<think>rude</think>Hello, <think>rude</think>Sam!",
    "cut off after the answer": f"{ANSWER}\n<think>They sound ru",
}


@pytest.mark.parametrize("text", WITH_REASONING.values(), ids=WITH_REASONING)
def test_only_the_answer_stays(text):
    assert without_reasoning(text) == ANSWER


@pytest.mark.parametrize("text", ["<think>They sound ru", "<think>rude</think>", " \n<think>\n", "</think>"])
def test_of_reasoning_alone_nothing_stays(text):
    assert without_reasoning(text) == ""


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  Hello, Sam!\n",
        "I think, therefore I am; 1 <thing> & [thinking].",
        "Wrap it in `<think>` and `</think>`.",
        "Wrap it:\n```xml\n<think>\nhm\n</think>\n```\nDone.",
        "The tag <think> opens it.",
        "<details><summary>More</summary>…</details> Done.",
        "analysis of the assistant final exam",
    ],
)
def test_an_answer_without_reasoning_stays_as_it_is(text):
    assert without_reasoning(text) == text


def test_code_with_tags_stays_beside_reasoning():
    code = "```\n<think>\n```"
    assert (
        without_reasoning(f"<think>rude</think>{code}\n`</think>` closes.") == f"{code}\n`</think>` closes."
    )


_PIECES = st.sampled_from(
    ["<think>", "</think>", "`", "```", "\n", "a", '<details type="reasoning">', "</details>"]
)


@given(st.lists(_PIECES, max_size=30).map("".join))
def test_nothing_is_added_and_what_is_kept_was_there(text):
    kept = without_reasoning(text)
    rest = iter(text)
    assert all(letter in rest for letter in kept)


@given(st.text(alphabet="ab \n", max_size=20), st.text(alphabet="ab `\n<", max_size=20))
def test_what_stands_between_the_tags_never_stays(answer, thought):
    assert "SECRET" not in without_reasoning(f"<think>{thought}SECRET{thought}</think>{answer}")


@pytest.mark.parametrize(
    "piece",
    [
        "<think>",
        "</think>",
        "`",
        "``",
        '<details type="reasoning" ',
        "<think ",
        "analysisA",
        "<|start|>assistant<|channel|>",
        "\n`",
        "` ``",
        "<think></think>`",
        " ",
    ],
)
def test_a_million_characters_of_anything_take_no_longer_than_their_length_explains(piece):
    without_reasoning(piece * (1_000_000 // len(piece)))  # the time limit of all tests is what fails here

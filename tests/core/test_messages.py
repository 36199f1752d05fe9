"""Messages: what may be recorded, and what is refused before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest
from recallrai.models import MessageRole

from recallrai_integrations import InvalidInputError, Message
from recallrai_integrations.messages import as_messages, clean_text


@pytest.mark.parametrize(
    "given",
    [
        Message("user", "hi"),
        ("user", "hi"),
        [("user", "hi")],
        [Message("user", "hi")],
        (Message("user", "hi"),),
        ((MessageRole.USER, "hi"),),
        iter([("user", "hi")]),
    ],
)
def test_one_message_or_several_in_either_form(given: Any) -> None:
    assert as_messages(given) == [Message("user", "hi")]


@pytest.mark.parametrize(
    "wrong",
    [
        ("system", "hi"),
        ("user", ""),
        ("user", " \n\t"),
        ("user", None),
        ("user", ["hi"]),
        ("user", "half \ud800"),
        "hi",
        None,
        5,
        [("user", "fine"), ("user", "")],
        [("user", "fine"), {"role": "user"}],
    ],
)
def test_what_is_no_message_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidInputError):
        as_messages(wrong)


def test_the_error_names_the_place_of_the_message() -> None:
    with pytest.raises(InvalidInputError, match="Message 1 "):
        as_messages([("user", "fine"), ("assistant", "")])


def test_clean_text_keeps_all_that_can_be_sent() -> None:
    assert clean_text("a\ud800b 🙂 \x00 é") == "a?b 🙂 \x00 é"

"""What the `redact` hook says may leave the process, and nothing else; a hook that fails lets nothing out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recallrai_integrations import Connection
from recallrai_integrations.errors import RedactionError
from recallrai_integrations.hooks import Redaction
from recallrai_integrations.local import LocalRecallrAI
from tests.conftest import Call

from .conftest import Texts

Make = Callable[..., Connection]


def without_numbers(given: Redaction) -> Any:
    if given.kind == "metadata":
        return {key: value for key, value in given.metadata.items() if key != "card"}
    assert (given.user_id, given.thread_id) == ("ada", "t1")
    if "card" in given.text and given.role == "assistant":
        return None
    return given.text.replace("4711-0815-4242", "<number>")


def on_disk(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


@pytest.mark.parametrize("mode", ["inline", "background"])
async def test_only_redacted_text_and_metadata_leave_the_process_or_reach_the_outbox(
    make_connection: Make, texts: Texts, call: Call, tmp_path: Path, mode: str
) -> None:
    connection = make_connection(
        deliver={"redact": without_numbers, "outbox": tmp_path / "o.db", "mode": mode}
    )
    conversation = connection.conversation("ada", "t1", metadata={"topic": "bank", "card": "4711-0815-4242"})
    said = [
        ("user", "my card is 4711-0815-4242"),
        ("assistant", "Your card is 4711-0815-4242"),
        ("assistant", "Fine."),
    ]
    await call(conversation.record, said)
    assert await call(connection.flush) == 0
    assert texts() == ["my card is <number>", "Fine."]
    assert (await call(conversation.info)).metadata == {"topic": "bank", "thread_id": "t1"}
    assert b"4711-0815-4242" not in on_disk(tmp_path)


@pytest.mark.parametrize("answer", [ZeroDivisionError(), 7, {"text": "x"}], ids=["raises", "number", "dict"])
async def test_a_hook_that_fails_lets_nothing_out_and_its_trace_is_kept(
    make_connection: Make, server: LocalRecallrAI, texts: Texts, call: Call, answer: object
) -> None:
    def hook(given: Redaction) -> Any:
        if given.text == "second":
            if isinstance(answer, Exception):
                raise answer
            return answer
        return given.text

    conversation = make_connection(deliver={"redact": hook}).conversation("ada", "t1")
    with pytest.raises(RedactionError, match=r"(?i)nothing was sent") as caught:
        await call(conversation.record, [("user", "first"), ("user", "second")])
    assert isinstance(caught.value.__cause__, Exception if isinstance(answer, Exception) else type(None))
    assert len(server.requests) == 0
    await call(conversation.record, ("user", "third"))
    assert texts() == ["third"]


async def test_metadata_that_cannot_be_redacted_opens_no_conversation_and_changes_none(
    make_connection: Make, server: LocalRecallrAI, call: Call
) -> None:
    def hook(given: Redaction) -> Any:
        return given.text if given.kind == "message" else None

    connection = make_connection(deliver={"redact": hook})
    with pytest.raises(RedactionError, match="dict"):
        connection.conversation("ada", "t1", metadata={"card": "4711-0815-4242"})
    assert len(server.requests) == 0
    conversation = connection.conversation("ada", "t1")
    await call(conversation.record, ("user", "hi"))
    with pytest.raises(RedactionError, match="dict"):
        await call(conversation.update, {"card": "4711-0815-4242"})
    assert (await call(conversation.info)).metadata == {"thread_id": "t1"}


async def test_searches_and_imports_are_redacted_too(
    make_connection: Make, server: LocalRecallrAI, texts: Texts, call: Call
) -> None:
    seen: list[str] = []

    def hook(given: Redaction) -> Any:
        if given.kind == "metadata":
            return {**given.metadata, "seen": True}
        seen.append(given.text)
        return None if "cat" in given.text else given.text.replace("4711-0815-4242", "<number>")

    connection = make_connection(deliver={"redact": hook})
    messages = [
        {"role": "user", "content": "my card is 4711-0815-4242"},
        {"role": "user", "content": "my cat"},
    ]
    line = {
        "type": "session",
        "created_at": "2026-03-01T12:00:00+00:00",
        "metadata": {},
        "messages": messages,
    }
    assert [one.stored for one in await call(connection.import_user, "ada", [line])] == [1]
    assert texts() == ["my card is <number>"]
    await call(connection.user("ada").search, "whose card is 4711-0815-4242?")
    asked = len(server.requests)
    with pytest.raises(RedactionError):
        await call(connection.user("ada").search, "where is my cat?")
    assert len(server.requests) == asked
    assert seen == [
        "my card is 4711-0815-4242",
        "my cat",
        "whose card is 4711-0815-4242?",
        "where is my cat?",
    ]

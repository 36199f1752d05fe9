"""What users write with the core, for the type checkers; never run.

A line with two ignores must not type-check: either checker complains about an ignore that is not needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from typing_extensions import assert_type

from recallrai_integrations import (
    Connection,
    ContextOptions,
    Conversation,
    DeliveryOptions,
    Event,
    Memory,
    MergeConflict,
    Message,
    Recall,
    RecallOptions,
    Redaction,
    SessionInfo,
    connect,
)
from recallrai_integrations.adapter import ConnectionSource, TurnCache


def redact(given: Redaction) -> str | Mapping[str, Any]:
    return given.text or given.metadata


def observe(event: Event) -> None:
    assert_type(event.kind, str)


def threads() -> None:
    delivery = DeliveryOptions(on_error="raise", redact=redact, on_event=observe, recall_deadline=2)
    with connect(
        recall=RecallOptions(strategy="auto"), context=ContextOptions(), delivery=delivery
    ) as connection:
        assert_type(connection, Connection)
        assert_type(connection.is_down, bool)
        conversation = connection.conversation("ada", process="manual")
        assert_type(conversation, Conversation)
        conversation.record(("user", "one"))
        conversation.record(Message("assistant", "two"))
        conversation.record([("user", "one"), Message("assistant", "two")])
        assert_type(conversation.recall(), Recall)
        assert_type(conversation.recall().prompt(sent=[Message("user", "one")]).text, str)
        assert_type(conversation.history(limit=3), list[Message])
        assert_type(conversation.finish(wait=2.5), SessionInfo | None)
        assert_type(conversation.flush(), int)
        assert_type(connection.user("ada").search("dog?", k=3), list[Memory])
        assert_type(connection.user("ada").conflicts(), list[MergeConflict])
    assert_type(ConnectionSource(connection).get(), Connection)
    assert_type(TurnCache().get("turn"), Recall | None)
    assert_type(TurnCache[int]().get("turn"), int | None)


async def loops() -> None:
    async with connect(local=":memory:") as connection, connection.conversation("ada") as conversation:
        await conversation.arecord(("user", "one"))
        assert_type(await conversation.arecall(on_progress=print), Recall)
        assert_type(await conversation.ahistory(), list[Message])
        assert_type(await connection.user("ada").asearch("dog?"), list[Memory])
        assert_type(await connection.user("ada").amemory("m"), Memory)


def wrong(connection: Connection) -> None:
    connect("rai_key")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    connection.conversation()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    connection.conversation("ada", process="never")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    connection.conversation("ada").record("one")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Message("tool", "text")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    RecallOptions(strategy="deepest")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    RecallOptions("auto")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    RecallOptions().strategy = "auto"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    ContextOptions(placement="top")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    DeliveryOptions(on_error="ignore")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    DeliveryOptions(on_event=len)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

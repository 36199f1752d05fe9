"""A memory as plain data, for a workflow's `Context`: no secret in it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from llama_index.core.base.llms.types import ChatMessage

from recallrai_integrations.messages import Message
from recallrai_integrations.options import ContextOptions, RecallOptions

from ._messages import classify
from ._prompt import count_tokens
from ._states import History, Stage, Turn
from ._transcript import RESUMED_MESSAGES, Transcript

__all__ = ["dump_options", "dump_transcript", "load_context", "load_recall", "load_transcript"]


def dump_messages(messages: Sequence[ChatMessage]) -> list[dict[str, Any]]:
    """Framework messages as JSON values; what providers left in them and JSON does not know becomes text."""
    return [json.loads(json.dumps(one.model_dump(), default=str)) for one in messages]


def load_messages(dumped: Sequence[Any]) -> list[ChatMessage]:
    """The twin of `dump_messages`; messages are taken as they are."""
    return [ChatMessage.model_validate(one) for one in dumped]


def dump_options(options: RecallOptions | ContextOptions | None) -> dict[str, Any] | None:
    """Options as JSON values; a tokenizer is left out."""
    if options is None:
        return None
    values = {one.name: getattr(options, one.name) for one in dataclasses.fields(options)}
    values.pop("count_tokens", None)
    return values


def load_recall(dumped: RecallOptions | dict[str, Any] | None) -> RecallOptions | None:
    """The twin of `dump_options` for `RecallOptions`."""
    return RecallOptions(**dumped) if isinstance(dumped, dict) else dumped


def load_context(dumped: ContextOptions | dict[str, Any] | None) -> ContextOptions | None:
    """The twin of `dump_options` for `ContextOptions`; the framework's tokenizer counts then."""
    if not isinstance(dumped, dict):
        return dumped
    if dumped.get("max_tokens") is not None:
        return ContextOptions(**dumped, count_tokens=count_tokens)
    return ContextOptions(**dumped)


def dump_said(messages: Sequence[Message]) -> list[list[str | None]]:
    """Messages of the conversation as JSON values."""
    return [[one.role, one.content, one.id] for one in messages]


def load_said(dumped: Sequence[Any]) -> list[Message]:
    """The twin of `dump_said`."""
    return [Message(role, content, id) for role, content, id in dumped]  # noqa: A001 - its name in Message


def dump_transcript(transcript: Transcript) -> dict[str, Any]:
    """All of it but memories, as JSON values."""
    turn, stored = transcript.turn, transcript.stored
    return {
        "messages": dump_messages([entry.message for entry in transcript.entries]),
        "told": dump_said(stored.told[-RESUMED_MESSAGES:]),
        "backlog": dump_said(stored.backlog),
        "pending": dump_said([turn.question] if turn is not None and turn.is_announced else []),
        "history": transcript.history.name,
        "borrowed": transcript.borrowed,
    }


def load_transcript(transcript: Transcript, data: Mapping[str, Any]) -> None:
    """The twin of `dump_transcript`; a turn that is going on recalls anew."""
    messages = load_messages(data["messages"])
    transcript.entries = classify(messages, narration=transcript.narration)
    transcript.stored.told, transcript.stored.backlog = load_said(data["told"]), load_said(data["backlog"])
    pending = load_said(data["pending"])
    transcript.turn = Turn(pending[0], Stage.ANNOUNCED) if pending else transcript.last_turn()
    transcript.history, transcript.borrowed = History[data["history"]], data["borrowed"]

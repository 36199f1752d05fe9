"""Calling the application's `redact` hook: nothing leaves the process when it fails."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from recallrai_integrations.errors import InvalidInputError, RedactionError
from recallrai_integrations.hooks import Redaction
from recallrai_integrations.messages import Message, clean_text

__all__ = ["redacted_messages", "redacted_metadata"]

Hook = Callable[[Redaction], Any]


def redacted_messages(
    hook: Hook | None, user_id: str, thread_id: str | None, messages: Sequence[Message]
) -> list[Message]:
    """The messages as they may leave the process; those for which the hook answers None or "" are left out.

    Raises:
        RedactionError: the hook raised, or answered with something that is no text.
    """
    if hook is None:
        return list(messages)
    kept: list[Message] = []
    for message in messages:
        given = Redaction(
            kind="message", user_id=user_id, thread_id=thread_id, text=message.content, role=message.role
        )
        text = _answer(hook, given)
        if text is None:
            continue
        if not isinstance(text, str):
            raise RedactionError(
                f"The redact hook returned a {type(text).__name__} for a message; it must return the text "
                "that may leave the process, or None to leave the message out. Nothing was sent."
            )
        if text.strip():
            kept.append(Message(message.role, clean_text(text), message.id, message.created_at))
    return kept


def redacted_metadata(
    hook: Hook | None, user_id: str, thread_id: str | None, metadata: Mapping[str, Any]
) -> dict[str, Any]:
    """The metadata as they may leave the process, as a dict of their own.

    Raises:
        InvalidInputError: they are no JSON object; no session could be opened with them, and messages would
            wait for ever.
        RedactionError: the hook raised, or answered with something that is no dict.
    """
    metadata = _as_json(metadata)
    if hook is None or not metadata:
        return metadata
    answer = _answer(
        hook, Redaction(kind="metadata", user_id=user_id, thread_id=thread_id, metadata=metadata)
    )
    if not isinstance(answer, Mapping):
        raise RedactionError(
            f"The redact hook returned a {type(answer).__name__} for metadata; it must return a dict. "
            "Nothing was sent."
        )
    return _as_json(cast("Mapping[str, Any]", answer))


def _as_json(metadata: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(cast("object", metadata), Mapping):
        raise InvalidInputError(f"Metadata must be a dict, not {type(metadata).__name__}.")
    if not metadata:
        return {}
    try:
        json.dumps(dict(metadata), ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInputError(f"Metadata must be JSON that can be sent: {error}.") from error
    return dict(metadata)


def _answer(hook: Hook, given: Redaction) -> Any:
    try:
        return hook(given)
    except Exception as error:
        raise RedactionError(
            f"The redact hook raised {type(error).__name__}; nothing was sent or kept."
        ) from error

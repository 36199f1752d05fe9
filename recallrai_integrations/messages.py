"""`Message`: the only form in which conversation text travels through this package."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias, cast

from .errors import InvalidInputError

__all__ = ["Message", "MessageInput", "Role", "as_messages", "clean_text", "fingerprint"]

Role: TypeAlias = Literal["user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message:
    """One thing that the user or the assistant said.

    Args:
        role: `"user"` or `"assistant"`; the SDK's `MessageRole` is accepted too.
        content: plain text; a recorded message needs at least one character that is not white space.
        id: the framework's or application's id of the message, if it has one. A conversation stores messages
            with the same id once; messages without ids never count as repetitions.
        created_at: the time of the message, timezone-aware. `history()` and the outbox fill it; the service
            gives messages the time of their arrival.

    Raises:
        InvalidInputError: another role, or content or an id of another type.

    Example:
        ```python
        from recallrai_integrations import Message

        Message("user", "I moved to Lisbon", id="m-1")
        ```
    """

    role: Role
    content: str
    id: str | None = None
    created_at: datetime | None = None

    def __post_init__(self) -> None:
        if type(self.role) is not str or self.role not in {"user", "assistant"}:
            role = getattr(self.role, "value", self.role)
            if role not in ("user", "assistant"):
                raise InvalidInputError(f'A message role must be "user" or "assistant", not {role!r}.')
            object.__setattr__(self, "role", role)
        if not isinstance(cast("object", self.content), str):
            raise InvalidInputError(f"A message's content must be text, not {type(self.content).__name__}.")
        if self.id is not None and not isinstance(cast("object", self.id), str):
            raise InvalidInputError(f"A message's id must be text or None, not {type(self.id).__name__}.")


MessageInput: TypeAlias = Message | tuple[str, str]


def as_messages(given: MessageInput | Iterable[MessageInput]) -> list[Message]:
    """Returns one or several messages, each a `Message` or a `(role, text)` pair, as a checked list.

    Raises:
        InvalidInputError: names the position of the first invalid message; no message has been sent.
    """
    if isinstance(given, Message) or _is_pair(given):
        given = [cast("MessageInput", given)]
    if not isinstance(cast("object", given), Iterable):
        raise InvalidInputError(
            f"A {type(given).__name__} is not a message; pass Message(role, text), (role, text), or a list."
        )
    messages: list[Message] = []
    for position, item in enumerate(cast("Iterable[object]", given)):
        if isinstance(item, Message):
            message = item
        elif _is_pair(item):
            role, text = cast("tuple[str, str]", item)
            message = Message(cast("Role", role), text)
        else:
            raise InvalidInputError(
                f"Message {position} is a {type(item).__name__}; pass Message(role, text) or (role, text)."
            )
        if not message.content.strip():
            raise InvalidInputError(f"Message {position} ({message.role}) is empty.")
        if message.content != clean_text(message.content):
            raise InvalidInputError(
                f"Message {position} ({message.role}) holds half of a surrogate pair, which cannot be sent "
                "as UTF-8; clean it with text.encode('utf-8', 'replace').decode()."
            )
        messages.append(message)
    return messages


def _is_pair(item: object) -> bool:
    return isinstance(item, tuple) and len(cast("tuple[object, ...]", item)) == 2 and isinstance(item[0], str)  # noqa: PLR2004 - role and text


def clean_text(text: str) -> str:
    """Returns text that can be sent: lone surrogates, which have no UTF-8 form, become `?`."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def fingerprint(message: Message) -> str:
    """Returns a short hash of a message's role and text."""
    return hashlib.blake2b(f"{message.role} {message.content}".encode(), digest_size=8).hexdigest()

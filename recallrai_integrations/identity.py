"""Ids: checked, and encoded for URL paths.

The SDK puts a user id into the URL path unchanged, so `../bob` or `a/b?c` would reach another user's path.
Ids of the safe alphabet `[A-Za-z0-9._-]` are sent unchanged. Every other id is sent as `enc-` followed by the
id with each unsafe byte as `_XX` (hexadecimal UTF-8). An id that starts with `enc-` is encoded too: no two
ids have the same form, and `decode_id` restores each of them.

Ids of the service (sessions, memories, merge conflicts) come back through models, files and people. They are
never encoded: an id outside the safe alphabet is not from the service, and is refused.
"""

from __future__ import annotations

import re
from reprlib import repr as short_repr
from uuid import UUID

from .errors import InvalidInputError, MissingIdentityError

__all__ = [
    "MAX_ID_LENGTH",
    "MAX_THREAD_ID_LENGTH",
    "decode_id",
    "encode_id",
    "service_id_text",
    "thread_id_text",
    "user_id_text",
]

MAX_ID_LENGTH = 255
"""Longest id in a path, encoded, in characters (ours: what a usual database column and URL hold)."""
MAX_THREAD_ID_LENGTH = 1024
"""Longest thread id, in bytes of UTF-8 (ours: it travels in a query string)."""

_SAFE = re.compile(r"[A-Za-z0-9._-]+")
_PREFIX = "enc-"
_UNSAFE_BYTE = re.compile(rb"[^A-Za-z0-9.-]")
_ESCAPE = re.compile(rb"_([0-9A-F]{2})")


def user_id_text(user_id: object) -> str:
    """Returns the application's user id as text; `int` and `UUID` are converted.

    Raises:
        MissingIdentityError: None or empty.
        InvalidInputError: another type, not UTF-8, or longer than 255 characters once encoded.
    """
    if user_id is None or user_id == "":
        raise MissingIdentityError("No user id. Pass user_id=…; there is no default user.")
    text = _text("user id", user_id)
    encode_id(text)
    return text


def thread_id_text(thread_id: object) -> str | None:
    """Returns the application's thread id as text, or None for a separate conversation.

    Raises:
        InvalidInputError: empty, another type, not UTF-8, or longer than 1,024 bytes.
    """
    if thread_id is None:
        return None
    text = _text("thread id", thread_id)
    if not text:
        raise InvalidInputError("The thread id is empty. Pass None for a conversation without a thread.")
    if len(text.encode()) > MAX_THREAD_ID_LENGTH:
        raise InvalidInputError(
            f"The thread id has {len(text.encode())} bytes; at most {MAX_THREAD_ID_LENGTH} can be sent."
        )
    return text


def service_id_text(what: str, value: object) -> str:
    """Returns an id of the service as text that is safe as one path segment.

    Args:
        what: the kind of id for the error message, such as "memory id".
        value: the id; a `UUID` is converted.

    Raises:
        InvalidInputError: empty, only dots, longer than 255 characters, or with other characters than
            `[A-Za-z0-9._-]`. The message is one line, fit for a model.
    """
    text = str(value) if isinstance(value, UUID) else value
    if (
        not isinstance(text, str)
        or len(text) > MAX_ID_LENGTH
        or not _SAFE.fullmatch(text)
        or not text.strip(".")
    ):
        raise InvalidInputError(
            f"The {what} {short_repr(value)} is not an id of the service: ids have 1 to {MAX_ID_LENGTH} "
            "letters, digits, '-', '_' and '.'. List again to see the ids."
        )
    return text


def encode_id(user_id: str) -> str:
    """Returns the form of a user id that is sent to the service.

    Raises:
        InvalidInputError: the result would be longer than 255 characters.

    Example:
        ```python
        from recallrai_integrations.identity import encode_id

        assert encode_id("ada-7") == "ada-7"
        assert encode_id("ada@example.com") == "enc-ada_40example.com"
        ```
    """
    plain = _SAFE.fullmatch(user_id) and user_id not in {".", ".."} and not user_id.startswith(_PREFIX)
    encoded = user_id if plain else _PREFIX + _escape(user_id)
    if len(encoded) > MAX_ID_LENGTH:
        raise InvalidInputError(
            f"The user id is too long: {len(user_id)} characters, {len(encoded)} once encoded for a URL; "
            f"at most {MAX_ID_LENGTH} can be sent. Use a shorter id, such as a hash of it."
        )
    return encoded


def decode_id(sent: str) -> str:
    """Returns the application's user id for an encoded one; other ids are returned unchanged."""
    if not sent.startswith(_PREFIX):
        return sent
    body = sent[len(_PREFIX) :].encode()
    return _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), body).decode(errors="replace")


def _escape(text: str) -> str:
    return _UNSAFE_BYTE.sub(lambda found: b"_%02X" % found[0][0], text.encode()).decode()


def _text(what: str, value: object) -> str:
    if isinstance(value, UUID) or (isinstance(value, int) and not isinstance(value, bool)):
        return str(value)
    if not isinstance(value, str):
        raise InvalidInputError(f"A {what} must be text, not {type(value).__name__}.")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError(
            f"The {what} holds half of a surrogate pair, which cannot be sent."
        ) from error
    return value

"""A file of conversations as transcripts, whatever form it has.

- `{"timestamp_utc": …, "messages": […]}`: the vendor's import format; also without the time, and in lists
- a list of messages: OpenAI's, items of its Responses, or LangChain's `messages_to_dict`
- a LlamaIndex `SimpleChatStore`, or a `ChatMemoryBuffer` with one: one conversation for each key, which
  becomes the thread id unless it is LlamaIndex's own
- JSON lines: one conversation, or one message, in each line; `recallrai-integrations export` writes these
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final, TypeGuard

from recallrai_integrations._flows import Profile, Transcript, rules
from recallrai_integrations.messages import Message

from .located import Place, UnreadableError, is_list, is_object, line_of
from .messages import as_message, looks_like_message

__all__ = ["read_transcripts"]

_TIMES: Final = ("timestamp_utc", "created_at")
_LINE_SUFFIXES: Final = frozenset({".jsonl", ".ndjson"})
_NO_KEYS: Final = frozenset(
    {"", "chat_history"}
)  # the second is LlamaIndex's when the application gives none
_OTHER_EXPORT_LINES: Final = frozenset({"user", "memory"})
_FORMS: Final = (
    'not a conversation; expected {"messages": […]}, a list of messages, a LlamaIndex chat store, '
    "or lines of those"
)
_TOO_DEEP: Final = "nested too deeply"
_LONG_NUMBER: Final = re.compile(r"\d{4301,}")  # Python refuses to spend its time on so many digits


def read_transcripts(path: Path) -> list[Transcript]:
    """The conversations of a file; those without a word of the user or the assistant are left out.

    Raises:
        UnreadableError: with the line.
        OSError: the file cannot be opened.
    """
    text = _decoded(path.read_bytes())
    if path.suffix.lower() in _LINE_SUFFIXES:
        return _from_lines(text)
    try:
        document = _parsed(text, 1)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and "\n" in text[: error.pos]:
            return _from_lines(text)
        raise UnreadableError(f"not JSON: {error.msg}", line=error.lineno) from error
    try:
        return [one for one in _from_document(document, ()) if one.messages]
    except UnreadableError as error:
        raise UnreadableError(error.reason, error.place, line_of(text, error.place)) from None
    except RecursionError:
        raise UnreadableError(_TOO_DEEP, line=1) from None


def _parsed(text: str, line: int) -> Any:
    """The value of a JSON text that begins on this line of its file.

    Raises:
        JSONDecodeError: it is no JSON.
        UnreadableError: it is, and Python has no value for it.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise
    except ValueError:
        number = _LONG_NUMBER.search(text)
        line += 0 if number is None else text.count("\n", 0, number.start())
        raise UnreadableError("a number with more digits than can be read", line=line) from None
    except RecursionError:
        raise UnreadableError(_TOO_DEEP, line=line) from None


def _decoded(data: bytes) -> str:
    try:
        return data.decode(json.detect_encoding(data))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UnreadableError(f"not {error.encoding.upper()} text", line=line) from error


def _from_lines(text: str) -> list[Transcript]:
    documents: list[tuple[int, Any]] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            documents.append((number, _parsed(line, number)))
        except json.JSONDecodeError as error:
            raise UnreadableError(f"not JSON: {error.msg}", line=number) from error
    if documents and all(looks_like_message(document) for _, document in documents):
        return _one_conversation(documents)
    transcripts: list[Transcript] = []
    profile = Profile()
    for number, document in documents:
        with _on_line(number):
            if not _is_other_line_of_export(document):
                read = [one for one in _from_document(document, ()) if one.messages]
                transcripts += [replace(one, profile=profile) for one in read]
            elif document["type"] == "user":
                profile = Profile(_metadata(document, ()), document.get("merge_conflict_enabled"))
    return transcripts


def _one_conversation(messages: Sequence[tuple[int, Any]]) -> list[Transcript]:
    said: list[Message] = []
    for number, item in messages:
        with _on_line(number):
            message = as_message(item, ())
            if message is not None:
                said.append(message)
    return [Transcript(said)] if said else []


@contextmanager
def _on_line(number: int) -> Generator[None]:
    try:
        yield
    except UnreadableError as error:
        raise UnreadableError(error.reason, error.place, number) from None
    except RecursionError:
        raise UnreadableError(_TOO_DEEP, line=number) from None


def _is_other_line_of_export(document: object) -> TypeGuard[Mapping[str, Any]]:
    """The user and the memories of an export: memories are made anew from the conversations."""
    return is_object(document) and document.get("type") in _OTHER_EXPORT_LINES


def _from_document(document: object, place: Place) -> Iterator[Transcript]:
    if is_object(document):
        yield from _from_object(document, place)
    elif not is_list(document):
        raise UnreadableError(_FORMS, place)
    elif any(looks_like_message(item) for item in document):
        yield _conversation(document, place, {})
    else:
        for index, item in enumerate(document):
            yield from _from_document(item, (*place, index))


def _from_object(document: Mapping[str, Any], place: Place) -> Iterator[Transcript]:
    if is_object(document.get("chat_store")):  # LlamaIndex's ChatMemoryBuffer
        document, place = document["chat_store"], (*place, "chat_store")
    if is_object(document.get("store")):
        for key, messages in document["store"].items():
            thread = {} if key in _NO_KEYS else {rules.THREAD_KEY: key}
            yield _conversation(messages, (*place, "store", key), thread)
    elif "chat_history" in document:  # a ChatMemoryBuffer of old releases
        yield _conversation(document["chat_history"], (*place, "chat_history"), {})
    elif "messages" in document:
        metadata = _metadata(document, place)
        started_at = _started_at(document, place)
        conversation = _conversation(document["messages"], (*place, "messages"), metadata, started_at)
        if document.get("type") == "session" and isinstance(document.get("session_id"), str):
            conversation = replace(conversation, session_id=document["session_id"])
        yield conversation
    else:
        raise UnreadableError(_FORMS, place)


def _conversation(
    messages: object, place: Place, metadata: Mapping[str, Any], started_at: datetime | None = None
) -> Transcript:
    if not is_list(messages):
        raise UnreadableError("messages must be a list", place)
    said = [as_message(item, (*place, index)) for index, item in enumerate(messages)]
    return Transcript([one for one in said if one is not None], started_at, metadata)


def _metadata(fields: Mapping[str, Any], place: Place) -> Mapping[str, Any]:
    metadata = fields.get("metadata")
    if metadata is not None and not is_object(metadata):
        raise UnreadableError("metadata must be an object", (*place, "metadata"))
    try:
        json.dumps(metadata, allow_nan=False)
    except ValueError:  # Python reads NaN and Infinity, which are no JSON and cannot be sent
        raise UnreadableError("metadata holds what is no number", (*place, "metadata")) from None
    return metadata or {}


def _started_at(fields: Mapping[str, Any], place: Place) -> datetime | None:
    """The time of the conversation; without a zone it is UTC, as the field's name says."""
    for name in _TIMES:
        text = fields.get(name)
        if text is None:
            continue
        try:
            # Python 3.10 reads no "Z"
            when = datetime.fromisoformat(text.replace("Z", "+00:00"))
            return when.astimezone(timezone.utc) if when.tzinfo else when.replace(tzinfo=timezone.utc)
        except (ValueError, AttributeError, OverflowError):  # the last: no year of UTC, 1 to 9999, holds it
            raise UnreadableError(
                f"{name} must be a time such as 2026-03-01T09:00:00Z, not {text!r}", (*place, name)
            ) from None
    return None

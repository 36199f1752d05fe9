"""A file of conversations as transcripts, whatever form it has.

- `{"timestamp_utc": …, "messages": […]}`: the vendor's import format; also without the time, and in lists
- a list of messages: OpenAI's, items of its Responses, pages of its threads, LangChain's `messages_to_dict`,
  Gemini's `contents`, ShareGPT's `conversations`, Zep's messages
- exports of ChatGPT (`mapping`), Claude (`chat_messages`), Google AI Studio and Takeout
- memories of mem0 and facts of Zep
- a LlamaIndex `SimpleChatStore`, or a `ChatMemoryBuffer` with one: one conversation for each key, which
  becomes the thread id unless it is LlamaIndex's own
- JSON lines: one conversation, or one message, in each line; `recallrai-integrations export` writes these
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeGuard

from recallrai_integrations._flows import Profile, Transcript, rules

from .exports import Items, activities, branch, is_activity, is_statement, is_tree, statements, tree
from .located import JsonPath, UnreadableError, is_list, is_object, line_of
from .messages import as_messages, looks_like_message
from .times import as_time, in_order, time_in

__all__ = ["read_transcripts"]

_STRICT_TIMES: Final = ("timestamp_utc", "created_at")
_LISTS: Final = (
    "messages",
    "chat_messages",
    "contents",
    "conversations",
    "conversation",
    "data",
    "history",
    "chunks",
    "chat_history",
)
_MEMORIES: Final = ("results", "memories", "facts", "edges")
_THREADS: Final = ("thread_id", "session_id", "conversation_id", "uuid", "id")
_OF_MESSAGES: Final = _THREADS[:3]
_TITLES: Final = ("title", "name")
_BACKDATED: Final = timedelta(days=1)
_LINE_SUFFIXES: Final = frozenset({".jsonl", ".ndjson"})
_NO_KEYS: Final = frozenset({"", "chat_history"})  # "chat_history" is LlamaIndex's default key
_OTHER_EXPORT_LINES: Final = frozenset({"user", "memory"})
_FORMS: Final = (
    'not a conversation; expected {"messages": […]}, a list of messages, an export of ChatGPT or Claude, '
    "a LlamaIndex chat store, or lines of those"
)
_TOO_DEEP: Final = "nested too deeply"
_LONG_NUMBER: Final = re.compile(r"\d{4301,}")  # Python refuses to spend its time on so many digits


def read_transcripts(path: Path, left_out: Counter[str] | None = None) -> list[Transcript]:
    """Returns the conversations of a file; those without a message of the user or the assistant are left out.

    Args:
        path: of the file.
        left_out: counts what a user may miss: other branches, missing pages, unknown kinds of content.

    Raises:
        UnreadableError: with the line.
        OSError: the file cannot be opened.
    """
    left_out = Counter() if left_out is None else left_out
    text = _decoded(path.read_bytes())
    if path.suffix.lower() in _LINE_SUFFIXES:
        return _from_lines(text, left_out)
    try:
        document = _parsed(text, 1)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and "\n" in text[: error.pos]:
            return _from_lines(text, left_out)
        raise UnreadableError(f"not JSON: {error.msg}", line=error.lineno) from error
    try:
        return [one for one in _from_document(document, (), left_out) if one.messages]
    except UnreadableError as error:
        raise UnreadableError(error.reason, error.json_path, line_of(text, error.json_path)) from None
    except RecursionError:
        raise UnreadableError(_TOO_DEEP, line=1) from None


def _parsed(text: str, line: int) -> Any:
    """Returns the value of a JSON text that begins on this line of its file.

    Raises:
        JSONDecodeError: the text is not JSON.
        UnreadableError: Python cannot represent the value.
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


def _from_lines(text: str, left_out: Counter[str]) -> list[Transcript]:
    documents: list[tuple[int, Any]] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            documents.append((number, _parsed(line, number)))
        except json.JSONDecodeError as error:
            raise UnreadableError(f"not JSON: {error.msg}", line=number) from error
    if documents and all(is_statement(document) for _, document in documents):
        return [one for one in _from_document([one for _, one in documents], (), left_out) if one.messages]
    if documents and all(looks_like_message(document) for _, document in documents):
        return _conversations_in_lines(documents, left_out)
    transcripts: list[Transcript] = []
    profile = Profile()
    for number, document in documents:
        with _on_line(number):
            if not _is_other_line_of_export(document):
                read = [one for one in _from_document(document, (), left_out) if one.messages]
                transcripts += [replace(one, profile=profile) for one in read]
            elif document["type"] == "user":
                profile = Profile(_metadata(document, ()), document.get("merge_conflict_enabled"))
    return transcripts


def _conversations_in_lines(lines: Sequence[tuple[int, Any]], left_out: Counter[str]) -> list[Transcript]:
    items: Items = [((number,), item) for number, item in lines]
    try:
        return [one for one in _by_thread(items, {}, None, left_out) if one.messages]
    except UnreadableError as error:
        line = error.json_path[0]
        assert isinstance(line, int)
        raise UnreadableError(error.reason, error.json_path, line) from None
    except RecursionError:
        raise UnreadableError(_TOO_DEEP, line=lines[0][0]) from None


@contextmanager
def _on_line(number: int) -> Generator[None]:
    try:
        yield
    except UnreadableError as error:
        raise UnreadableError(error.reason, error.json_path, number) from None
    except RecursionError:
        raise UnreadableError(_TOO_DEEP, line=number) from None


def _is_other_line_of_export(document: object) -> TypeGuard[Mapping[str, Any]]:
    """The user and the memories of an export: memories are made anew from the conversations."""
    return is_object(document) and document.get("type") in _OTHER_EXPORT_LINES


def _from_document(document: object, json_path: JsonPath, left_out: Counter[str]) -> Iterator[Transcript]:
    if is_object(document):
        yield from _from_object(document, json_path, left_out)
    elif not is_list(document):
        raise UnreadableError(_FORMS, json_path)
    elif any(is_activity(item) for item in document):
        yield _conversation(activities(document, json_path, left_out), {}, None, left_out)
    elif any(looks_like_message(item) for item in document):
        yield from _by_thread(_with_paths(document, json_path), {}, None, left_out)
    elif any(is_statement(item) for item in document):
        yield _conversation(statements(document, json_path, left_out), {}, None, left_out)
    else:
        for index, item in enumerate(document):
            yield from _from_document(item, (*json_path, index), left_out)


def _from_object(
    document: Mapping[str, Any], json_path: JsonPath, left_out: Counter[str]
) -> Iterator[Transcript]:
    for wrapper in ("chat_store", "chunkedPrompt"):  # LlamaIndex's ChatMemoryBuffer, Google AI Studio
        if is_object(document.get(wrapper)):
            document, json_path = document[wrapper], (*json_path, wrapper)
    if document.get("has_more") is True or document.get("next"):
        left_out["a page that follows this one"] += 1
    if is_object(document.get("store")):
        for key, messages in document["store"].items():
            thread = {} if key in _NO_KEYS else {rules.THREAD_KEY: key}
            items = _with_paths(messages, (*json_path, "store", key))
            yield _conversation(items, thread, None, left_out)
    elif is_tree(document):
        items = tree(document, json_path, left_out)
        yield _conversation(items, _named(document, _THREADS), _started_at(document, json_path), left_out)
    elif is_list(document.get("chat_messages")):
        leaf = document.get("current_leaf_message_uuid")
        items = branch(document["chat_messages"], leaf, (*json_path, "chat_messages"), left_out)
        yield _conversation(items, _named(document, _THREADS), _started_at(document, json_path), left_out)
    else:
        yield from _from_lists(document, json_path, left_out)


def _from_lists(
    document: Mapping[str, Any], json_path: JsonPath, left_out: Counter[str]
) -> Iterator[Transcript]:
    """An object with a list of messages, of conversations or of memories in it."""
    memories = next((key for key in _MEMORIES if is_list(document.get(key)) and document[key]), None)
    key = next((key for key in _LISTS if key in document), None)
    if key is None and memories is not None:
        yield from _from_document(document[memories], (*json_path, memories), left_out)
        return
    if key is None:
        raise UnreadableError(_FORMS, json_path)
    inside = document[key]
    if is_object(inside):  # a page of them
        yield from _from_document({**inside, **_named(document, _OF_MESSAGES)}, (*json_path, key), left_out)
    elif key != "messages" and is_list(inside) and not any(map(looks_like_message, inside)):
        yield from _from_document(inside, (*json_path, key), left_out)
    else:
        yield from _from_messages(document, key, json_path, left_out)


def _from_messages(
    document: Mapping[str, Any], key: str, json_path: JsonPath, left_out: Counter[str]
) -> Iterator[Transcript]:
    items = _with_paths(document[key], (*json_path, key))
    started_at = _started_at(document, json_path)
    if document.get("type") == "session":  # a line of our export
        [conversation] = [_conversation(items, _metadata(document, json_path), started_at, left_out)]
        first = next((one.created_at for one in conversation.messages), None)
        if started_at is not None and first is not None and abs(first - started_at) > _BACKDATED:
            # It was imported itself: its messages are as old as that import.
            said = [replace(one, created_at=None) for one in conversation.messages]
            conversation = replace(conversation, messages=said)
        if isinstance(document.get("session_id"), str):
            conversation = replace(conversation, session_id=document["session_id"])
        yield conversation
        return
    total = document.get("total_count")
    if isinstance(total, int) and total > len(items):
        left_out["a page that follows this one"] += 1
    metadata = {**_metadata(document, json_path), **_named(document, _OF_MESSAGES)}
    yield from _by_thread(items, metadata, started_at, left_out)


def _by_thread(
    items: Items, metadata: Mapping[str, Any], started_at: datetime | None, left_out: Counter[str]
) -> Iterator[Transcript]:
    """Conversations out of messages that name theirs."""
    threads: dict[str, Items] = {}
    for json_path, item in items:
        named = _named(item, _OF_MESSAGES) if is_object(item) else {}
        threads.setdefault(str(named.get(rules.THREAD_KEY, "")), []).append((json_path, item))
    for thread, some in threads.items():
        found = {**metadata, rules.THREAD_KEY: thread} if thread else metadata
        yield _conversation(some, found, started_at, left_out)


def _conversation(
    items: Items, metadata: Mapping[str, Any], started_at: datetime | None, left_out: Counter[str]
) -> Transcript:
    return Transcript(in_order(as_messages(items, left_out)), started_at, metadata)


def _with_paths(messages: object, json_path: JsonPath) -> Items:
    if not is_list(messages):
        raise UnreadableError("messages must be a list", json_path)
    return [((*json_path, index), item) for index, item in enumerate(messages)]


def _named(document: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    """What a conversation is called, as metadata: its id becomes the thread, and its title is kept."""
    found: dict[str, Any] = {}
    thread = next(
        (document[key] for key in keys if isinstance(document.get(key), str) and document[key]), None
    )
    if thread is not None:
        found[rules.THREAD_KEY] = thread
    title = next(
        (document[key] for key in _TITLES if isinstance(document.get(key), str) and document[key]), None
    )
    if title is not None and keys is _THREADS:
        found["title"] = title
    return found


def _metadata(fields: Mapping[str, Any], json_path: JsonPath) -> Mapping[str, Any]:
    metadata = fields.get("metadata")
    if metadata is not None and not is_object(metadata):
        raise UnreadableError("metadata must be an object", (*json_path, "metadata"))
    try:
        json.dumps(metadata, allow_nan=False)
    except ValueError:  # Python reads NaN and Infinity, which are not JSON and cannot be sent
        raise UnreadableError("metadata contains NaN or Infinity", (*json_path, "metadata")) from None
    return metadata or {}


def _started_at(fields: Mapping[str, Any], json_path: JsonPath) -> datetime | None:
    """The time of the conversation; without a zone it is UTC, as the field's name says."""
    for name in _STRICT_TIMES:
        if fields.get(name) is None:
            continue
        try:
            return as_time(fields[name])
        except ValueError:
            raise UnreadableError(
                f"{name} must be a time such as 2026-03-01T09:00:00Z, not {fields[name]!r}",
                (*json_path, name),
            ) from None
    said = time_in({**fields, "metadata": None})
    try:
        return None if said is None else as_time(said[1])
    except ValueError:
        return None  # "date" may be anything

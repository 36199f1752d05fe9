"""Times as exports write them, and conversations split at midnight.

The service keeps one time for a session and none for a message. A conversation that went on for days becomes
a session for each day, so that "yesterday" in it is the day before the one on which it was said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from itertools import pairwise
from typing import Any, Final

from recallrai_integrations._flows import Transcript
from recallrai_integrations.messages import Message

from .located import is_object

__all__ = ["as_time", "by_day", "in_order", "time_in"]

_KEYS: Final = (
    *("created_at", "createdAt", "create_time", "createTime", "timestamp", "timestamp_utc", "time", "date"),
    *("sent_at", "ts", "created", "startTime", "thread_created_at", "valid_at"),
)
_BESIDE: Final = ("metadata", "additional_kwargs", "response_metadata")
_UNITS: Final = ((1e11, 1.0), (1e14, 1e3), (1e17, 1e6), (float("inf"), 1e9))
"""Numbers below the first are in seconds, then in milli-, micro- and nanoseconds since 1970."""
_FRACTION: Final = re.compile(r"(?<=\d)[.,](\d{1,6})\d*")


def as_time(value: object) -> datetime:
    """Returns a time in UTC from ISO 8601, the form of e-mail, or a number of (milli)seconds since 1970.

    A time without a zone is taken as UTC.

    Raises:
        ValueError: another form, or a year that is not from 1 to 9999.
    """
    if is_object(value) and "$date" in value:  # MongoDB
        value = value["$date"]
    try:
        if isinstance(value, str) and not value.strip().lstrip("-").replace(".", "", 1).isdecimal():
            return _from_text(value.strip())
        if isinstance(value, (str, int, float)) and not isinstance(value, bool):
            number = float(value)
            unit = next(unit for below, unit in _UNITS if abs(number) < below)
            return datetime.fromtimestamp(0, timezone.utc) + timedelta(seconds=number / unit)
    except (OverflowError, StopIteration, TypeError) as error:  # too far away, or infinite
        raise ValueError(str(error)) from None
    raise ValueError(f"{type(value).__name__} is not a time")


def _from_text(text: str) -> datetime:
    # Python 3.10 reads neither "Z" nor fractions of other than three or six digits.
    iso = re.sub(r"\s?(?:Z|UTC)$", "+00:00", text)
    iso = _FRACTION.sub(lambda found: f".{found[1]:<06}", iso, count=1)
    try:
        when = datetime.fromisoformat(iso)
    except ValueError:
        when = parsedate_to_datetime(text)
    return when.astimezone(timezone.utc) if when.tzinfo else when.replace(tzinfo=timezone.utc)


def time_in(*objects: Mapping[str, Any]) -> tuple[str, object] | None:
    """Returns the key and the value of the time of a message or a conversation; None if there is none."""
    beside = (one[name] for one in objects for name in _BESIDE if is_object(one.get(name)))
    for one in (*objects, *beside):
        for key in _KEYS:
            if one.get(key) not in (None, "", 0) and not isinstance(one[key], bool):
                return key, one[key]
    return None


def in_order(messages: Sequence[Message]) -> list[Message]:
    """Returns messages in the order of their times: some exports begin with the newest."""
    times = [one.created_at for one in messages]
    known = [one for one in times if one is not None]
    descending = len(known) == len(times) and all(before >= after for before, after in pairwise(known))
    return [*reversed(messages)] if descending and known and known[0] > known[-1] else [*messages]


def by_day(transcript: Transcript) -> Iterator[Transcript]:
    """Splits the conversation into days (UTC), each with the time at which it began.

    An answer stays with its question, also after midnight; a message without a time with the previous one.
    """
    started = transcript.started_at
    first = next((one.created_at for one in transcript.messages if one.created_at is not None), None)
    if first is not None and (started is None or started.date() != first.date()):
        started = first
    part: list[Message] = []
    for message in transcript.messages:
        at = message.created_at
        is_answer = message.role == "assistant" and part and part[-1].role == "user"
        if part and at is not None and started is not None and at.date() > started.date() and not is_answer:
            yield replace(transcript, messages=part, started_at=started)
            part, started = [], at
        part.append(message)
    yield replace(transcript, messages=part, started_at=started)

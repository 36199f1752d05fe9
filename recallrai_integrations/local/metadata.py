"""Metadata: JSON objects that callers attach to users and sessions, and filters over them."""

from __future__ import annotations

import json
import math
from functools import lru_cache
from typing import Any, Final, cast

MAX_DEPTH: Final = 64
MAX_CHARS: Final = 1_000_000


def checked(value: dict[str, Any]) -> dict[str, Any]:
    """The same metadata, if it can be stored and sent back.

    Raises:
        ValueError: it holds lone surrogates, numbers that JSON does not have, more than 64 levels, or is
            longer than 1,000,000 characters as JSON.
    """
    _check(value, 0)
    if len(dump(value)) > MAX_CHARS:
        raise ValueError(f"is longer than {MAX_CHARS:,} characters")
    return value


def _check(value: object, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ValueError(f"is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, str):
        check_text(value)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("holds a number that is not finite")
    elif isinstance(value, dict):
        for key, child in cast("dict[str, object]", value).items():
            check_text(key)
            _check(child, depth + 1)
    elif isinstance(value, list):
        for child in cast("list[object]", value):
            _check(child, depth + 1)


def check_text(text: str) -> None:
    """Refuse what UTF-8 cannot express."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("holds a lone surrogate, which is not text") from None


def dump(value: dict[str, Any]) -> str:
    """Metadata as it is stored."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def parse_filter(text: str) -> dict[str, Any]:
    """A metadata filter from its query parameter.

    Raises:
        ValueError: it is not a JSON object.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError('must be a JSON object, such as {"tier": "gold"}') from None
    if not isinstance(value, dict):
        # pydantic reports a ValueError as bad input, and lets a TypeError through as a fault of ours
        raise ValueError('must be a JSON object, such as {"tier": "gold"}')  # noqa: TRY004
    return checked(cast("dict[str, Any]", value))


@lru_cache(maxsize=64)
def _parsed(text: str) -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads(text))


def matches(stored: str, wanted: str) -> bool:
    """Whether stored metadata holds everything that a filter names, at every level (the SQL function).

    Objects match when each named key matches; everything else must be equal, `1` and `true` being different.
    """
    return _contains(json.loads(stored), _parsed(wanted))


def _contains(value: object, wanted: object) -> bool:
    if isinstance(wanted, dict):
        named = cast("dict[str, object]", wanted)
        if not isinstance(value, dict):
            return False
        given = cast("dict[str, object]", value)
        return all(key in given and _contains(given[key], child) for key, child in named.items())
    if isinstance(wanted, list) and isinstance(value, list):
        items, found = cast("list[object]", wanted), cast("list[object]", value)
        return len(items) == len(found) and all(map(_contains, found, items))
    return isinstance(value, bool) == isinstance(wanted, bool) and bool(value == wanted)

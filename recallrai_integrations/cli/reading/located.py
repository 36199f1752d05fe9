"""Errors in a JSON file that name the line."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final, TypeAlias, TypeGuard

__all__ = ["JsonPath", "UnreadableError", "is_list", "is_object", "line_of"]

JsonPath: TypeAlias = tuple[str | int, ...]
"""Keys and indexes from the top of a document to a value in it."""

_SPACE: Final = re.compile(r"\s*")
_decoder: Final = json.JSONDecoder(strict=False)


def is_object(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Returns whether a JSON value is an object."""
    return isinstance(value, Mapping)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Returns whether a JSON value is an array."""
    return isinstance(value, list)


class UnreadableError(Exception):
    """A file, or a part of it, cannot be read.

    Args:
        reason: a sentence without a full stop.
        json_path: the value in the document that is wrong.
        line: the line in the file, once it is known.
    """

    def __init__(self, reason: str, json_path: JsonPath = (), line: int | None = None) -> None:
        super().__init__(reason if line is None else f"line {line}: {reason}")
        self.reason = reason
        self.json_path = json_path
        self.line = line


def line_of(text: str, json_path: JsonPath) -> int:
    """Returns the line, counted from 1, on which a value of a JSON text begins.

    Args:
        text: valid JSON.
        json_path: of an existing value.
    """
    position = _skip_space(text, 0)
    for step in json_path:
        position = _child(text, position, step)
    return text.count("\n", 0, position) + 1


def _child(text: str, position: int, step: str | int) -> int:
    in_object = text[position] == "{"
    position = _skip_space(text, position + 1)
    index = 0
    while True:
        key: str | int = index
        if in_object:
            key, position = _decoder.raw_decode(text, position)
            position = _skip_space(text, _skip_space(text, position) + 1)  # past the colon
        if key == step:
            return position
        _, position = _decoder.raw_decode(text, position)
        position = _skip_space(text, _skip_space(text, position) + 1)  # past the comma
        index += 1


def _skip_space(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    assert found is not None
    return found.end()

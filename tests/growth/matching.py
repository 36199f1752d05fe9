"""Counts what a backtracking matcher does, step by step, and makes texts that are hard for a pattern.

`re` tells nobody how long it works, and a clock tells of the machine. So a pattern's own parse tree is carried
out here in the order in which `re` does it, with a count. The parser is no public part of Python; it is used
in tests alone, and has been the same under two names since long.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

try:
    from re import _constants as c
    from re import _parser as parser  # type: ignore[attr-defined]
except ImportError:  # Python 3.10
    import sre_constants as c  # type: ignore[no-redef]
    import sre_parse as parser

Next = Callable[[int], bool]
Node = Callable[[int, Next], bool]

CHARS = "a1 .,-'\n?:;!<>/_A\u00e9\u65e5\U0001f600([{\"|*#@=\t\r\0"
_CATEGORIES = {
    c.CATEGORY_DIGIT: r"\d",
    c.CATEGORY_NOT_DIGIT: r"\D",
    c.CATEGORY_SPACE: r"\s",
    c.CATEGORY_NOT_SPACE: r"\S",
    c.CATEGORY_WORD: r"\w",
    c.CATEGORY_NOT_WORD: r"\W",
}
_ONE_CHAR = {c.LITERAL, c.NOT_LITERAL, c.ANY, c.IN}
_ATOMIC = getattr(c, "ATOMIC_GROUP", None)  # from Python 3.11 on, as the possessive repeat
_REPEATS = {c.MAX_REPEAT, c.MIN_REPEAT} | {op for op in (getattr(c, "POSSESSIVE_REPEAT", None),) if op}


class Steps:
    """A pattern that counts the steps of its searches."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self.count = 0
        self._flags = pattern.flags
        self._text = ""
        self._groups: dict[int, tuple[int, int]] = {}
        self.tree = parser.parse(pattern.pattern, pattern.flags)
        self._run = self._sequence(list(self.tree))

    def match(self, text: str, pos: int = 0, *, full: bool = False) -> int:
        """Where a match at a place ends; -1 without one."""
        self._text, self._groups, ends = text, {}, []

        def at_end(place: int) -> bool:
            ends.append(place)
            return not full or place == len(text)

        return ends[-1] if self._run(pos, at_end) else -1

    def all(self, text: str, pos: int = 0, *, first: bool = False) -> None:
        """What `finditer` does, or with `first` what `search` does."""
        while pos <= len(text):
            end = self.match(text, pos)
            if end >= 0 and first:
                return
            pos = max(end, pos + 1)

    def _sequence(self, items: list[Any]) -> Node:
        nodes = [self._node(*item) for item in items]

        def run(place: int, after: Next, at: int = 0) -> bool:
            if at == len(nodes):
                return after(place)
            return nodes[at](place, lambda reached: run(reached, after, at + 1))

        return run

    def _node(self, op: Any, value: Any) -> Node:
        if op in _ONE_CHAR:
            accepts = self._one_char(op, value)
            return lambda place, after: accepts(place) and after(place + 1)
        if op in _REPEATS:
            return self._repeat(op, *value)
        if op in (c.ASSERT, c.ASSERT_NOT):
            return self._look(value[0], value[1], wanted=op is c.ASSERT)
        made = {
            c.SUBPATTERN: lambda: self._group(value[0], self._sequence(list(value[3]))),
            c.BRANCH: lambda: self._branch([self._sequence(list(way)) for way in value[1]]),
            c.AT: lambda: lambda place, after: self._is_at(value, place) and after(place),
            c.GROUPREF: lambda: lambda place, after: self._same(value, place, after),
            _ATOMIC: lambda: self._atomic(self._sequence(list(value))),
        }
        return made[op]()  # a KeyError: teach the matcher what the pattern uses

    def _branch(self, ways: list[Node]) -> Node:
        return lambda place, after: any(way(place, after) for way in ways)

    def _one_char(self, op: Any, value: Any) -> Callable[[int], bool]:
        known: dict[str, bool] = {}

        def accepts(place: int) -> bool:
            self.count += 1
            if place >= len(self._text):
                return False
            char = self._text[place]
            if char not in known:
                known[char] = self.accepts(op, value, char)
            return known[char]

        return accepts

    def accepts(self, op: Any, value: Any, char: str) -> bool:
        """Whether a node for one character takes it."""
        if op is c.ANY:
            return char != "\n" or bool(self._flags & re.DOTALL)
        cases = {char, char.lower(), char.upper()} if self._flags & re.IGNORECASE else {char}
        if op in (c.LITERAL, c.NOT_LITERAL):
            return (chr(value) in cases) is (op is c.LITERAL)
        negated = value[0][0] is c.NEGATE
        return any(_is_in(value[negated:], one) for one in cases) is not negated

    def _repeat(self, op: Any, least: int, most: int, body: Any) -> Node:
        items = list(body)
        if len(items) == 1 and items[0][0] in _ONE_CHAR:
            return self._repeated_char(op, least, most, self._one_char(*items[0]))
        run = self._sequence(items)

        def again(place: int, after: Next, done: int) -> bool:
            def more() -> bool:
                return done < most and run(place, lambda end: end != place and again(end, after, done + 1))

            self.count += 1
            if op is c.MIN_REPEAT:
                return (done >= least and after(place)) or more()
            return more() or (done >= least and after(place))

        whole: Node = lambda place, after: again(place, after, 0)  # noqa: E731 - a name for a branch
        return whole if op in (c.MAX_REPEAT, c.MIN_REPEAT) else self._atomic(whole)

    def _repeated_char(self, op: Any, least: int, most: int, accepts: Callable[[int], bool]) -> Node:
        def run(place: int, after: Next) -> bool:
            end = place
            if op is c.MIN_REPEAT:
                while True:
                    if end - place >= least and after(end):
                        return True
                    if end - place >= most or not accepts(end):
                        return False
                    end += 1
            while end - place < most and accepts(end):
                end += 1
            if op is not c.MAX_REPEAT:
                return end - place >= least and after(end)
            return any(after(tried) for tried in range(end, place + least - 1, -1) if self._step())

        return run

    def _step(self) -> bool:
        self.count += 1
        return True

    def _group(self, number: int | None, run: Node) -> Node:
        if number is None:
            return run

        def grouped(place: int, after: Next) -> bool:
            def ended(end: int) -> bool:
                before = self._groups.get(number)
                self._groups[number] = (place, end)
                if after(end):
                    return True
                self._groups.pop(number)
                if before is not None:
                    self._groups[number] = before
                return False

            return run(place, ended)

        return grouped

    def _atomic(self, run: Node) -> Node:
        def once(place: int, after: Next) -> bool:
            ends: list[int] = []
            return run(place, lambda end: not ends.append(end)) and after(ends[0])  # type: ignore[func-returns-value]

        return once

    def _look(self, direction: int, body: Any, *, wanted: bool) -> Node:
        run, width = self._sequence(list(body)), body.getwidth()[0] if direction < 0 else 0

        def look(place: int, after: Next) -> bool:
            found = place >= width and run(place - width, lambda _: True)
            return found is wanted and after(place)

        return look

    def _same(self, number: int, place: int, after: Next) -> bool:
        if number not in self._groups:
            return False
        begin, end = self._groups[number]
        self.count += end - begin
        said = self._text[begin:end]
        return self._text.startswith(said, place) and after(place + len(said))

    def _is_at(self, where: Any, place: int) -> bool:
        self.count += 1
        text, lines = self._text, bool(self._flags & re.MULTILINE)
        if where in (c.AT_BEGINNING, c.AT_BEGINNING_STRING):
            return place == 0 or (lines and where is c.AT_BEGINNING and text[place - 1] == "\n")
        if where is c.AT_END:
            return place == len(text) or (text[place] == "\n" and (lines or place == len(text) - 1))
        if where is c.AT_END_STRING:
            return place == len(text)
        here = place < len(text) and _is_word(text[place])
        before = place > 0 and _is_word(text[place - 1])
        return (here != before) is (where is c.AT_BOUNDARY)


def _is_word(char: str) -> bool:
    return char.isalnum() or char == "_"


def _is_in(items: list[Any], char: str) -> bool:
    for op, value in items:
        if op is c.LITERAL and chr(value) == char:
            return True
        if op is c.RANGE and value[0] <= ord(char) <= value[1]:
            return True
        if op is c.CATEGORY and re.match(_CATEGORIES[value], char):
            return True
    return False


def hard_units(steps: Steps) -> list[str]:
    """Short texts that, repeated, a pattern takes in or nearly takes in: examples of its parts."""
    found: dict[str, None] = {}
    _example(steps, list(steps.tree), found)
    return [unit for unit in found if 0 < len(unit) <= 40]


_WAYS = 3  # of a branch, that are tried


def _example(steps: Steps, items: list[Any], found: dict[str, None]) -> str:
    """A text that a sequence takes; notes it and each of its beginnings."""
    text = ""
    for op, value in items:
        if op in _ONE_CHAR:
            char = chr(value) if op is c.LITERAL else ""
            text += char or next((one for one in _candidates(op, value) if steps.accepts(op, value, one)), "")
        elif op in _REPEATS:
            least, _, body = value
            once = _example(steps, list(body), found)
            text += once * max(least, 1)
        elif op is c.SUBPATTERN:
            text += _example(steps, list(value[3]), found)
        elif op is c.BRANCH:
            ways = [_example(steps, list(way), found) for way in value[1][:_WAYS]]
            text += ways[0]
        elif op is _ATOMIC:
            text += _example(steps, list(value), found)
        elif op in (c.ASSERT, c.ASSERT_NOT):
            _example(steps, list(value[1]), found)
        found.setdefault(text)
    return text


def _candidates(op: Any, value: Any) -> Iterator[str]:
    if op is c.IN:
        for kind, one in value:
            if kind is c.LITERAL:
                yield chr(one)
            elif kind is c.RANGE:
                yield chr(one[0])
    yield from CHARS

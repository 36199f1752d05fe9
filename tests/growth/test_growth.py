"""No text freezes the process: the work for a text twice as long is twice the work.

Looked at are all patterns and all functions of text in `local` and `context`, found by introspection, and a
message's whole way through the memory. Work is counted, never timed: lines of Python, and the steps of a
matcher that does what `re` does. Doubled twice, linear work grows by twice as much the second time, and
quadratic work by four times as much; constant parts cancel out.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
import pkgutil
import re
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType, FunctionType, ModuleType
from typing import Any

import pytest

import recallrai_integrations.context
import recallrai_integrations.local
from recallrai_integrations import ContextOptions, Message, connect
from recallrai_integrations.context import render
from recallrai_integrations.context.structure import Kind
from tests.growth.matching import CHARS, Steps, hard_units

Growth = Callable[[int], int]
"""The work for a text of so many repetitions."""

MOST_GROWTH = 2.75
ENOUGH_WORK = 1_000_000
"""More than any linear work on the texts here: what needs more is not waited for."""

MODULES = [
    importlib.import_module(found.name)
    for package in (recallrai_integrations.local, recallrai_integrations.context)
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
]


def _patterns_in(value: object, depth: int = 3) -> Iterator[re.Pattern[str]]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, dict) and depth:
        yield from _patterns_in([*value, *value.values()], depth - 1)
    elif isinstance(value, (list, tuple, set, frozenset)) and depth:
        for one in value:
            yield from _patterns_in(one, depth - 1)


PATTERNS = {
    pattern: f"{module.__name__.removeprefix('recallrai_integrations.')}.{name}"
    for module in MODULES
    for name, value in vars(module).items()
    for pattern in _patterns_in(value)
}


def _used_at_one_place() -> set[str]:
    """Names of patterns that are matched at a given place, and never searched for."""
    matched, otherwise = set[str](), set[str]()
    for module in MODULES:
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Load):
                    at_place = isinstance(node, ast.Attribute) and node.attr in ("match", "fullmatch")
                    (matched if at_place else otherwise).add(child.id)
    return matched - otherwise


AT_ONE_PLACE = _used_at_one_place()


def _each(names: Mapping[Any, str] | Iterable[str]) -> list[Any]:
    """The parameters of a test, by name."""
    named = names.items() if isinstance(names, Mapping) else [(name, name) for name in names]
    return [pytest.param(value, id=name) for value, name in named]


def grows_too_fast(work: Growth, least: int = 12) -> str:
    """How the work grows, where that is faster than the text; "" where it is not.

    One jump is fine: there is a size from which on a text is looked at in another way.
    """
    counts = [work(least << doubled) for doubled in range(3)]
    if _jumps(counts) and counts[-1] < ENOUGH_WORK:
        counts.append(work(least << 3))
    fine = counts[-1] < ENOUGH_WORK and not _jumps(counts[-3:])
    return "" if fine else f"{counts} for texts of {least} repetitions, twice as many …"


def _jumps(counts: Sequence[int]) -> bool:
    first, second = counts[1] - counts[0], counts[2] - counts[1]
    return second > MOST_GROWTH * max(first, 16)


@pytest.fixture(autouse=True)
def _deep() -> Iterator[None]:
    """The counting matcher goes a few calls deeper with each repetition."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(50_000)
    yield
    sys.setrecursionlimit(before)


@pytest.mark.parametrize("pattern", PATTERNS, ids=list(PATTERNS.values()))
def test_the_counting_matcher_finds_what_re_finds(pattern):
    steps = Steps(pattern)
    units = [*hard_units(steps), "a", " ", ". "]
    for texts in itertools.islice(
        itertools.product(units, units, units), 0, None, max(1, len(units) ** 3 // 80)
    ):
        text = "".join(texts)
        found = pattern.match(text)
        assert steps.match(text) == (found.end() if found else -1), repr(text)


@pytest.mark.parametrize("pattern", _each(PATTERNS))
def test_the_work_of_a_pattern_grows_with_the_text(pattern):
    steps = Steps(pattern)
    at_one_place = PATTERNS[pattern].rpartition(".")[2] in AT_ONE_PLACE

    for unit, end in itertools.product(dict.fromkeys([*hard_units(steps), *CHARS]), ("", "\0")):

        def work(times: int, unit: str = unit, end: str = end) -> int:
            steps.count = 0
            text = unit * times + end
            steps.match(text) if at_one_place else steps.all(text)
            return steps.count

        assert not (told := grows_too_fast(work)), f"{unit!r} and at the end {end!r}: {told}"


class Counting:
    """A pattern that works as it did, and adds to a count what that took."""

    def __init__(self, pattern: re.Pattern[str], counter: Counter) -> None:
        self._pattern = pattern
        self._steps = Steps(pattern)
        self._counter = counter

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._pattern, name)
        if name in ("flags", "pattern", "groups", "groupindex", "scanner"):
            return value

        def call(*args: Any, **kwargs: Any) -> Any:
            text = args[1] if name in ("sub", "subn") else args[0]
            place = args[1] if len(args) > 1 and name not in ("sub", "subn", "split") else 0
            self._steps.count = 0
            if name in ("match", "fullmatch"):
                self._steps.match(text, place, full=name == "fullmatch")
            else:
                self._steps.all(text, place, first=name == "search")
            self._counter.add(self._steps.count)
            return value(*args, **kwargs)

        return call


class Counter:
    """Lines of the package that ran, on all threads, and steps of its patterns."""

    def __init__(self, folder: str) -> None:
        self.count = 0
        self._folder = folder

    def add(self, steps: int) -> None:
        self.count += steps

    def trace(self, frame: FrameType, event: str, _: object) -> Any:
        if self._folder not in frame.f_code.co_filename:
            return None
        self.count += event == "line"
        return self.trace

    @contextmanager
    def counting(self) -> Iterator[None]:
        before = sys.gettrace()  # a debugger's, or that of a measurement of coverage
        threading.settrace(self.trace)
        sys.settrace(self.trace)
        try:
            yield
        finally:
            sys.settrace(before)
            threading.settrace(before)  # type: ignore[arg-type]


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> Counter:
    """Counts in this test; every pattern that a module holds counts too."""
    counter = Counter("recallrai_integrations")
    counted = {pattern: Counting(pattern, counter) for pattern in PATTERNS}
    for module in MODULES:
        for name, value in vars(module).items():
            if any(True for _ in _patterns_in(value)):
                monkeypatch.setattr(module, name, _with(value, counted))
    return counter


def _with(value: Any, counted: dict[re.Pattern[str], Counting]) -> Any:
    if isinstance(value, re.Pattern):
        return counted[value]
    if isinstance(value, dict):
        return {_with(key, counted): _with(one, counted) for key, one in value.items()}
    if isinstance(value, (list, set, frozenset)) or type(value) is tuple:
        return type(value)(_with(one, counted) for one in value)
    return value


ARGUMENTS: dict[str, Callable[[str], Any]] = {
    "str": lambda text: text,
    "str | None": lambda text: text,
    "Sequence[str]": lambda text: [text, text],
    "Iterable[str]": lambda text: [text, text],
    "list[str]": lambda text: [text, text],
    "bool": lambda _: True,
    "int": lambda _: 0,
}
OUTSIDE = ("asyncio", "os", "socket", "sqlite3", "threading")
"""What a module that only thinks has not: its functions may be called with anything."""


def _functions_of_text() -> Iterator[FunctionType]:
    for module in MODULES:
        if any(isinstance(vars(module).get(name), ModuleType) for name in OUTSIDE):
            continue
        for function in vars(module).values():
            plain = inspect.unwrap(function) if callable(function) else None
            if isinstance(plain, FunctionType) and plain.__module__ == module.__name__:
                kinds = [p.annotation for p in _needed(plain)]
                if any("str" in kind for kind in kinds) and all(kind in ARGUMENTS for kind in kinds):
                    yield plain


def _needed(function: FunctionType) -> list[inspect.Parameter]:
    return [p for p in inspect.signature(function).parameters.values() if p.default is p.empty]


FUNCTIONS = {
    f"{f.__module__.removeprefix('recallrai_integrations.')}.{f.__name__}": f for f in _functions_of_text()
}
UNITS = [*"?.a ,\n<&{'-:1", "a. ", "mr. ", "e.g. ", "a b ", "I like a, ", "\n\n", "\n- a", "&lt;", "1. a\n"]
UNITS += [
    "</recallrai_memory>",
    "<r",
    "{a}",
    "<version_1>\n",
    "not ",
    "I live in A. ",
    "because ",
    "2024-01-01 ",
]


@pytest.mark.parametrize("name", _each(list(FUNCTIONS)))
def test_the_work_of_a_function_grows_with_its_text(counter: Counter, name):
    function = FUNCTIONS[name]

    for unit in UNITS:

        def work(times: int, unit: str = unit) -> int:
            given = {p.name: (p.kind, ARGUMENTS[p.annotation](unit * times + "a")) for p in _needed(function)}
            counter.count = 0
            placed = [v for kind, v in given.values() if kind is not inspect.Parameter.KEYWORD_ONLY]
            named = {n: v for n, (kind, v) in given.items() if kind is inspect.Parameter.KEYWORD_ONLY}
            with counter.counting(), suppress(Exception):  # how much it did is what counts
                for made in [function(*placed, **named)]:
                    list(made) if inspect.isgenerator(made) else made
            return counter.count

        assert not (told := grows_too_fast(work)), f"{unit!r}: {told}"


def test_functions_of_text_are_found():
    assert {"context.fence.plain", "context.structure.parse", "local.metadata.parse_filter"} <= set(FUNCTIONS)
    assert {"context.structure._MEMORY", "context.fence._OPENING"} <= set(PATTERNS.values())


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("where", ["memory", "conversation", "free"])
def test_the_work_for_a_prompt_grows_with_the_context(counter: Counter, where, unit):
    def work(times: int) -> int:
        said = unit * times
        context = {
            "memory": f"{Kind.MEMORIES.value}\n\n1. {said}\n\n",
            "conversation": f"{Kind.MEMORIES.value}\n\n\n\n{Kind.ONGOING.value}\n\n"
            f"## Ongoing Conversation 1 (Started: now)\nUSER (at 2026/11/29 07:30 PM): {said}\n\n",
            "free": said,
        }[where]
        counter.count = 0
        with counter.counting():
            sent = [Message("user", said), Message("assistant", "ok")] * 2
            options = ContextOptions(max_chars=max(200, len(context) // 2))
            render(context, strategy="agentic" if where == "free" else "balanced", options=options, sent=sent)
        return counter.count

    assert not (told := grows_too_fast(work)), told


@pytest.mark.parametrize("unit", ["?", "a. ", "mr. ", "I like a, ", " ", "and "])
def test_the_work_of_the_memory_grows_with_a_message(unit, counter: Counter):
    counter._folder = str(Path("local") / "memory")

    def work(times: int) -> int:
        counter.count = 0
        with counter.counting(), connect(local=":memory:") as connection:
            conversation = connection.conversation("ada", "thread-1")
            conversation.record(("user", unit * times + "a"))
            conversation.recall()
            conversation.finish(wait=True)
        return counter.count

    assert not (told := grows_too_fast(work, least=32)), told

"""Lists what the reference lacks: public names without a docstring, an example, a test or a place in it.

What it shows without being public is listed as well.

`python -m scripts.public_names` prints one line for each and exits with 1 when there are any.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from types import FunctionType
from typing import Any

import griffe

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "recallrai_integrations"

SURFACES = (
    PACKAGE,
    f"{PACKAGE}.adapter",
    f"{PACKAGE}.google_adk",
    f"{PACKAGE}.langchain",
    f"{PACKAGE}.llama_index",
    f"{PACKAGE}.local",
    f"{PACKAGE}.openai_agents",
    f"{PACKAGE}.mcp",
    f"{PACKAGE}.outbox",
    f"{PACKAGE}.pydantic_ai",
    f"{PACKAGE}.testing",
    f"{PACKAGE}.testing.langchain",
    f"{PACKAGE}.testing.llama_index",
    f"{PACKAGE}.testing.offline",
    f"{PACKAGE}.testing.outbox",
)
"""The modules that users import from; their `__all__` is what is public, but for what is `FOR_US`."""

ON_DEMAND = {f"{PACKAGE}.langchain": ("RecallrAIMemory",)}
"""Public names that `__all__` cannot hold, because they need one more extra."""

FOR_US = {
    "Connection.after_fork",
    *("Faults.next_outcome", "Faults.strike", "Fault.fits", "Fault.answer"),
    "LocalRecallrAI.keeps_deleted_text",
    # For those who write an outbox.
    *("ClaimLostError", "Figures"),
    *("ConversationKey", "MemoryOutbox", "Outbox", "OutboxEntry", "Request", "SessionCursor", "Unconfirmed"),
    "open_outbox",
}
"""What only this package uses; the reference leaves it out as well."""

METHODS = (FunctionType, classmethod, staticmethod, property, cached_property)


@dataclass(frozen=True)
class Name:
    """A public name.

    Args:
        surface: the module users import it from.
        path: below that module, such as `Conversation.record`.
        what: the object.
        owner: the class that a method belongs to.
    """

    surface: str
    path: str
    what: Any
    owner: type | None = None

    @cached_property
    def docstring(self) -> str:
        """Its own, never one that is inherited."""
        if self.owner is not None or isinstance(self.what, (type, FunctionType)):
            return self.what.__doc__ or ""
        # What has no __doc__: constants, aliases of types.
        found = _sources()[f"{self.surface}.{self.path}".removeprefix(f"{PACKAGE}.")]
        return found.docstring.value if found.docstring else ""

    @property
    def shows_by_example(self) -> bool:
        """Whether it has an example, or needs none: methods, constants, errors."""
        is_error = isinstance(self.what, type) and issubclass(self.what, BaseException)
        main = self.owner is None and isinstance(self.what, (type, FunctionType)) and not is_error
        return not main or "```python" in self.docstring

    @property
    def words(self) -> set[str]:
        """One of these is in a test that uses it: its name, or that of its twin in the other colour."""
        name = self.path.rpartition(".")[2]
        twin = name.removeprefix("a")
        return {name, twin} if self.owner is not None and hasattr(self.owner, twin) else {name}


@cache
def _sources() -> griffe.Object | griffe.Alias:
    return griffe.load(PACKAGE)


def public_names() -> Iterator[Name]:
    """Every public name, and every public method of the public classes that is of our own naming."""
    for surface in SURFACES:
        module = importlib.import_module(surface)
        for name in [*module.__all__, *ON_DEMAND.get(surface, ())]:
            if name.startswith("__") or name in FOR_US:
                continue
            what = getattr(module, name)
            yield Name(surface, name, what)
            if isinstance(what, type):
                for method, value in _methods(what):
                    if f"{name}.{method}" not in FOR_US:
                        yield Name(surface, f"{name}.{method}", value, what)


def _methods(owner: type) -> Iterator[tuple[str, Any]]:
    ours = [base for base in owner.__mro__ if base.__module__.startswith(PACKAGE)]
    # What implements a framework's interface is named, documented and called by the framework.
    theirs = {name for base in owner.__mro__ if base not in ours for name in vars(base)}
    for base in ours:
        for name, value in vars(base).items():
            # The test methods of the suites are run by whoever subclasses them.
            passed_over = name in theirs or name.startswith(("_", "test_"))
            if isinstance(value, METHODS) and not passed_over:
                yield name, value


def findings() -> list[str]:
    """What is missing, one line each."""
    tested = set(re.findall(r"\w+", "".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))))
    pages = "".join(path.read_text() for path in (ROOT / "docs" / "reference").glob("*.md"))
    shown = set(re.findall(r"^::: (\S+)", pages, re.MULTILINE))
    lacks: dict[str, Callable[[Name], bool]] = {
        "has no docstring": lambda name: not name.docstring,
        "has no example": lambda name: not name.shows_by_example,
        "is in no test": lambda name: not name.words & tested,
        "is not in the reference": lambda name: (
            name.owner is None and f"{name.surface}.{name.path}" not in shown
        ),
    }
    names = list(public_names())
    lacking = [
        f"{name.surface}.{name.path} {lack}"
        for name in names
        for lack, is_lacking in lacks.items()
        if is_lacking(name)
    ]
    strangers = shown - {f"{name.surface}.{name.path}" for name in names}
    return lacking + [
        f"{path} is in the reference and not public"
        for path in sorted(strangers)
        if not _sources()[path.removeprefix(f"{PACKAGE}.")].is_module
    ]


if __name__ == "__main__":
    found = findings()
    print("\n".join(found) or "Every public name has a docstring, an example, a test and its place.")
    sys.exit(bool(found))

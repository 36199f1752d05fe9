"""Runs inside a tool of another run: a sub-agent, whose question a model wrote.

Such a run stores nothing, since nobody said it, and has the memories of the run around it. All frameworks
share one context variable, so an agent of one framework may be a tool of an agent of another.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .turns import Turn

__all__ = ["begin_tool", "calling_tool", "end_tool", "outer_turn"]

_outer: ContextVar[Turn | None] = ContextVar("recallrai_outer_turn", default=None)


def outer_turn() -> Turn | None:
    """The turn whose tool is running here; None outside of tools.

    Example:
        ```python
        from recallrai_integrations.adapter import outer_turn

        assert outer_turn() is None  # no tool is running
        ```
    """
    return _outer.get()


@contextmanager
def calling_tool(turn: Turn | None) -> Generator[None]:
    """Marks what runs inside as a tool of a turn; for a hook that wraps the call of a tool.

    Args:
        turn: the turn that calls the tool; None leaves things as they are.

    Example:
        ```python
        from recallrai_integrations import connect
        from recallrai_integrations.adapter import Binding, Turn, calling_tool, outer_turn

        with connect(local=":memory:") as connection:
            turn = Turn.begin(Binding.of(connection, "ada"), "What shall I cook?")
            with calling_tool(turn):
                assert outer_turn() is turn
        ```
    """
    if turn is None:
        yield
        return
    token = _outer.set(turn)
    try:
        yield
    finally:
        _outer.reset(token)


def begin_tool(turn: Turn) -> Turn | None:
    """Marks what follows in this context as a tool of a turn, where no hook wraps the call of a tool.

    Only for frameworks that call two functions, one before and one after a tool, in the same context.

    Returns:
        The turn that was marked before, for `end_tool`.

    Example:
        ```python
        from recallrai_integrations import connect
        from recallrai_integrations.adapter import Binding, Turn, begin_tool, end_tool

        with connect(local=":memory:") as connection:
            turn = Turn.begin(Binding.of(connection, "ada"), "What shall I cook?")
            before = begin_tool(turn)
            try:
                print("the tool is at work")
            finally:
                end_tool(before)
        ```
    """
    before = _outer.get()
    _outer.set(turn)
    return before


def end_tool(before: Turn | None) -> None:
    """Takes the mark of `begin_tool` back, also after an error of the tool.

    Example:
        ```python
        from recallrai_integrations.adapter import end_tool, outer_turn

        end_tool(None)
        assert outer_turn() is None
        ```
    """
    _outer.set(before)

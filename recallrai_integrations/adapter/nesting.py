"""Runs inside a tool of another run: a sub-agent, whose question a model wrote.

Such a run stores nothing, because its question is not the user's, and has the memories of the outer run. All
frameworks share one context variable, so an agent of one framework may be a tool of an agent of another.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .turns import Turn

__all__ = ["begin_tool", "calling_tool", "end_tool", "outer_turn", "while_calling"]

_outer: ContextVar[tuple[Turn, Callable[[], bool]] | None] = ContextVar("recallrai_outer_turn", default=None)


def outer_turn() -> Turn | None:
    """Returns the turn whose tool is running here; None outside of tools.

    Example:
        ```python
        from recallrai_integrations.adapter import outer_turn

        assert outer_turn() is None  # no tool is running
        ```
    """
    marked = _outer.get()
    return marked[0] if marked is not None and marked[1]() else None


@contextmanager
def calling_tool(turn: Turn | None) -> Generator[None]:
    """Marks what runs inside as a tool of a turn; for a hook that wraps the call of a tool.

    Args:
        turn: the turn that calls the tool; None changes nothing.

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
    token = _outer.set((turn, _always))
    try:
        yield
    finally:
        _outer.reset(token)


def begin_tool(turn: Turn) -> Turn | None:
    """Marks what follows in this context as a tool of a turn, if no hook wraps the call of a tool.

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
    before = outer_turn()
    _outer.set((turn, _always))
    return before


def end_tool(before: Turn | None) -> None:
    """Removes the mark of `begin_tool`; call it after an error of the tool too.

    Example:
        ```python
        from recallrai_integrations.adapter import end_tool, outer_turn

        end_tool(None)
        assert outer_turn() is None
        ```
    """
    _outer.set(None if before is None else (before, _always))


def while_calling(turn: Turn, is_calling: Callable[[], bool]) -> None:
    """Marks what follows in this context as a tool of a turn, as long as tools of the turn are running.

    Only for frameworks that call no function in the context of a tool, but one in the context that the tools
    inherit. That context may outlive the run, so the mark counts only while `is_calling` returns True.

    Args:
        turn: the turn that may call tools.
        is_calling: called often, so it must be quick; it must not raise.

    Example:
        ```python
        from contextvars import copy_context

        from recallrai_integrations import connect
        from recallrai_integrations.adapter import Binding, Turn, outer_turn, while_calling

        def run(turn: Turn) -> None:
            at_work: list[str] = []
            while_calling(turn, lambda: bool(at_work))
            assert outer_turn() is None
            at_work.append("search")
            assert outer_turn() is turn

        with connect(local=":memory:") as connection:
            turn = Turn.begin(Binding.of(connection, "ada"), "What shall I cook?")
            copy_context().run(run, turn)  # the mark belongs to the context in which it was made
        ```
    """
    _outer.set((turn, is_calling))


def _always() -> bool:
    return True

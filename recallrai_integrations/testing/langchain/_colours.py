"""Both colours of every behaviour."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any, Literal, TypeAlias

import pytest
from langchain_core.runnables import Runnable

__all__ = ["Colour", "InBothColours", "Said", "run"]

Colour: TypeAlias = Literal["sync", "async"]
"""Which of the two forms of a method a test calls."""

Said: TypeAlias = list[tuple[str, str]]


def run(colour: Colour, runnable: Runnable[Any, Any], given: Any, config: Any = None, **kwargs: Any) -> Any:
    """Runs a runnable in a colour; the async one in an event loop of its own, as a new process would.

    Example:
        ```python
        from langchain_core.runnables import RunnableLambda

        from recallrai_integrations.testing.langchain import run

        upper = RunnableLambda(str.upper)
        assert run("sync", upper, "hi") == run("async", upper, "hi") == "HI"
        ```
    """
    if colour == "sync":
        return runnable.invoke(given, config, **kwargs)
    return asyncio.run(runnable.ainvoke(given, config, **kwargs))


class InBothColours:
    @pytest.fixture(params=["sync", "async"])
    def colour(self, request: pytest.FixtureRequest) -> Colour:
        """Both colours."""
        return "sync" if request.param == "sync" else "async"

    @pytest.fixture
    def user_id(self) -> str:
        """A user whom nobody knows yet."""
        return f"user-{uuid.uuid4().hex[:12]}"

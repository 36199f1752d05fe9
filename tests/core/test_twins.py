"""Every public operation exists in both colours, with the same signature and a docstring."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from recallrai_integrations import Connection, Conversation, UserMemory
from recallrai_integrations._backend import Backend
from recallrai_integrations._engine.driver import Engine
from recallrai_integrations.adapter import ConnectionSource

NO_TWIN = {
    Connection: {
        "conversation",
        "user",
        "redacted",
        "operation",
        "redacted_metadata",
        "after_fork",
    },  # no I/O; at exit
    Conversation: set[str](),
    UserMemory: set[str](),
    ConnectionSource: set[str](),
    Backend: {"system_prompt"},  # fetched on a worker thread in both colours
    Engine: {"submit", "run"},  # a call of the main thread, which an event loop has no need of
}


def public_methods(owner: Any) -> dict[str, Any]:
    return {
        name: member
        for name, member in vars(owner).items()
        if not name.startswith("_") and inspect.isfunction(member)
    }


@pytest.mark.parametrize("owner", NO_TWIN)
def test_each_method_has_an_async_twin_with_the_same_signature(owner: Any) -> None:
    methods = public_methods(owner)
    sync = {name for name in methods if not inspect.iscoroutinefunction(methods[name])}
    streams = {name for name in sync if inspect.isasyncgenfunction(methods[name])}
    for name in sync - streams - NO_TWIN[owner]:
        twin = methods.get(f"a{name}")
        assert twin is not None, f"{owner.__name__}.{name} has no async twin"
        assert inspect.iscoroutinefunction(twin) or inspect.isasyncgenfunction(twin)
        assert list(inspect.signature(twin).parameters.values()) == list(
            inspect.signature(methods[name]).parameters.values()
        )


@pytest.mark.parametrize("owner", NO_TWIN)
def test_each_method_says_what_it_does(owner: Any) -> None:
    assert [name for name, member in public_methods(owner).items() if not member.__doc__] == []

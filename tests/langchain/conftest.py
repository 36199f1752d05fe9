"""What the LangChain tests share: asking an agent, reading what was stored, counting requests."""

from __future__ import annotations

import pytest

from recallrai_integrations import Connection


@pytest.fixture
def teach(connection: Connection):
    """Has facts remembered, from an earlier conversation."""

    def teach(user_id: str, *facts: str) -> None:
        with connection.conversation(user_id) as earlier:
            earlier.record([("user", fact) for fact in facts])
            assert earlier.finish(wait=30).status == "processed"

    return teach


@pytest.fixture
def is_sync(request: pytest.FixtureRequest, call) -> bool:
    """Whether `call` is the sync one in this run."""
    return request.node.callspec.params["call"] == "sync"


def asks(*texts: str, **ids: str):
    """An agent's input: what the user says."""
    return {"messages": [{"role": "user", "content": text, **ids} for text in texts]}


def of(user_id: str | None = "ada", thread_id: str | None = "t"):
    """A config that says who it is."""
    ids = {"user_id": user_id, "thread_id": thread_id}
    return {"configurable": {name: value for name, value in ids.items() if value is not None}}

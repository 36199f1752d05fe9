"""What the tests of the OpenAI Agents adapter share: facts to be recalled, what was stored, requests."""

from __future__ import annotations

import pytest

from recallrai_integrations import Connection
from recallrai_integrations.local import LocalRecallrAI
from recallrai_integrations.openai_agents import RecallrAIMemory

from .scripted import run


@pytest.fixture(params=["run", "run_streamed"])
def run_it(request: pytest.FixtureRequest):
    """Runs an agent to its end, in the way of this test's run; `run_sync` is `run` on a loop of its own."""

    async def run_it(agent, given, **arguments):
        return await run(request.param, agent, given, **arguments)

    run_it.way = request.param
    return run_it


@pytest.fixture
def memory(connection: Connection) -> RecallrAIMemory:
    return RecallrAIMemory(connection)


@pytest.fixture
def teach(connection: Connection, server: LocalRecallrAI):
    """Has a fact remembered, from an earlier conversation."""

    def teach(user_id: str = "ada", fact: str = "My dog is called Biscuit.") -> None:
        with connection.conversation(user_id) as earlier:
            earlier.record(("user", fact))
            assert earlier.finish(wait=30).status == "processed"
        server.requests.clear()

    return teach


@pytest.fixture
def taught(teach) -> None:
    """Ada's dog is called Biscuit."""
    teach()

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


@pytest.fixture
def stored(make_connection):
    """What a process that knows nothing yet reads of a thread."""

    def stored(user_id: str = "ada", thread_id: str = "t") -> list[tuple[str, str]]:
        history = make_connection().conversation(user_id, thread_id).history()
        return [(one.role, one.content) for one in history]

    return stored


@pytest.fixture
def requests(server: LocalRecallrAI):
    """Method and last part of the path of the requests since the last call, instructions left out."""

    def requests() -> list[str]:
        made = [
            f"{one.method} {one.path.rsplit('/', 1)[-1]}"
            for one in server.requests
            if not one.path.endswith("system-prompt")
        ]
        server.requests.clear()
        return made

    return requests

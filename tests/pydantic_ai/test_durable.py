"""Durable execution: an engine that replays a run does not store or recall again what it did already."""

from __future__ import annotations

import pytest
from pydantic_ai import RunContext

from recallrai_integrations.testing.adapter.served import TURN, said

from .scripting import Memory, Script, calls

dbos = pytest.importorskip("dbos", reason="DBOS, an engine that needs no server, is not installed")
durable = pytest.importorskip("pydantic_ai.durable_exec.dbos")
if not hasattr(durable, "DBOSDurability"):
    pytest.skip("Pydantic AI before 2.40 marks no operations as durable", allow_module_level=True)


@pytest.fixture
def engine(tmp_path):
    config = {
        "name": "tests",
        "system_database_url": f"sqlite:///{tmp_path / 'dbos.db'}",
        "log_level": "ERROR",
    }
    dbos.DBOS(config=config)
    yield dbos.DBOS
    dbos.DBOS.destroy(destroy_registry=True)


class TestWithDBOS(Memory):
    async def test_a_workflow_that_is_recovered_stores_and_recalls_once(self, engine):
        self._teach("ada")
        script = Script(calls("look_up"), "answer")
        crash = [RuntimeError("the process dies behind the run")]
        agent = self.agent(script, name="cook", capabilities=[durable.DBOSDurability()], deps_type=dict)

        @agent.tool
        async def look_up(ctx: RunContext[dict]) -> str:
            """Looks something up."""
            return "found nothing"

        @engine.workflow()
        async def ask(text: str) -> str:
            result = await agent.run(text, deps={"user_id": "ada"}, conversation_id="t")
            if crash:
                raise crash.pop()
            return result.output

        engine.launch()
        with dbos.SetWorkflowID("one"), pytest.raises(RuntimeError):
            await ask(self.question)
        assert self._requests("/add-message", "/context") == TURN
        assert all(self.clue in prompt for prompt in script.prompts)
        handle = await engine.fork_workflow_async("one", 1000)
        assert await handle.get_result() == "answer"
        assert len(script.prompts) == 2, "the model was not asked again"
        assert self._requests("/add-message", "/context") == TURN
        assert self._history("ada", "t") == said(self.question, "answer")

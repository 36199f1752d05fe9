"""The tools: for the user of the run, whom the model never chooses."""

from __future__ import annotations

import json

import pytest
from pydantic_ai import Agent, DeferredToolRequests, RunContext

from recallrai_integrations import MissingIdentityError
from recallrai_integrations.adapter import MEMORY_TOOLS
from recallrai_integrations.pydantic_ai import RecallrAIMemory, RecallrAIToolset

from .scripting import Memory, Script, calls

ADA = {"user_id": "ada"}


class TestToolset(Memory):
    def asking(self, *steps, **given):
        toolsets = given.pop("toolsets", [RecallrAIToolset(self.connection)])
        self.script = Script(*steps, "done")
        return Agent(self.script.model, toolsets=toolsets, **given)

    def told(self):
        """What the tool said to the model."""
        request = json.loads("[" + self.script.prompts[-1].split("\n[", maxsplit=1)[1])[-1]
        return request["parts"][0]["content"]

    async def test_a_model_searches_the_memory_of_the_runs_user(self):
        self._teach("ada")
        agent = self.asking(calls("search_memory", question=self.question))
        await agent.run("hi", deps=ADA)
        assert self.clue in self.told()
        await self.asking(calls("search_memory", question=self.question)).run("hi", deps={"user_id": "bob"})
        assert self.clue not in self.told()

    async def test_a_memory_is_listed_and_forgotten(self):
        self._teach("ada")
        await self.asking(calls("list_memories")).run("hi", deps=ADA)
        memory_id = self.told().split("[")[1].split("]")[0]
        await self.asking(calls("forget_memory", memory_id=memory_id)).run("hi", deps=ADA)
        assert self.told() == f"Memory {memory_id} is deleted."
        await self.asking(calls("list_memories")).run("hi", deps=ADA)
        assert memory_id not in self.told()

    @pytest.mark.parametrize(
        "arguments", [{}, {"question": 7}, {"question": "x", "limit": 1000}, {"other": 1}]
    )
    async def test_wrong_arguments_are_told_to_the_model(self, arguments):
        agent = self.asking(calls("search_memory", **arguments))
        assert (await agent.run("hi", deps=ADA)).output == "done"
        assert "arguments are wrong" in self.told()

    async def test_an_outage_is_told_to_the_model(self):
        self.server.faults.add(status=503)
        agent = self.asking(calls("list_memories"))
        assert (await agent.run("hi", deps=ADA)).output == "done"
        assert "That did not work" in self.told()

    async def test_a_missing_user_is_raised_from_the_run(self):
        with pytest.raises(MissingIdentityError, match="deps=…"):
            await self.asking(calls("list_memories")).run("hi")

    async def test_without_deps_a_delegate_looks_up_the_user_of_the_run_around_it(self):
        self._teach("ada")
        inner = self.asking(calls("search_memory", question=self.question))

        async def ask(ctx: RunContext) -> str:
            """Asks another agent."""
            return (await inner.run("Who is it?")).output

        outer = Script(calls("ask"), "answer")
        agent = Agent(outer.model, tools=[ask], capabilities=[RecallrAIMemory(self.connection)])
        await agent.run("hi", deps=ADA)
        assert self.clue in self.told()

    async def test_deleting_waits_for_an_approval_where_the_application_wants_that(self):
        toolset = RecallrAIToolset(self.connection)
        careful = toolset.approval_required(lambda ctx, tool, arguments: tool.metadata["destructive"])
        agent = self.asking(
            calls("forget_memory", memory_id="m"), toolsets=[careful], output_type=[str, DeferredToolRequests]
        )
        result = await agent.run("hi", deps=ADA)
        assert [call.tool_name for call in result.output.approvals] == ["forget_memory"]

    async def test_the_model_sees_each_tool_and_its_arguments(self):
        definitions = []

        class Seen(Script):
            async def _next(self, messages, info):
                definitions.extend(info.function_tools)
                return await super()._next(messages, info)

        script = Seen("done")
        await Agent(script.model, toolsets=[RecallrAIToolset(self.connection)]).run("hi")
        assert [one.name for one in definitions] == [one.name for one in MEMORY_TOOLS]
        assert all(one.description for one in definitions)
        assert [one.parameters_json_schema for one in definitions] == [one.parameters for one in MEMORY_TOOLS]

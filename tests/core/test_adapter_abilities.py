"""The contract's further tests, over a made-up framework that can do all that frameworks can do.

Its adapter passes, in both colours of the wing's calls; adapters as one writes them at first are caught.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from contextlib import aclosing, suppress
from dataclasses import dataclass

import pytest

from recallrai_integrations.adapter import (
    Binding,
    Turn,
    TurnCache,
    begin_tool,
    calling_tool,
    end_tool,
    from_openai_all,
    new_questions,
    outer_turn,
)
from recallrai_integrations.testing import AdapterContract, Answered
from recallrai_integrations.testing.adapter import RunFailed


@dataclass
class Call:
    """A model's call of a tool, with what it says meanwhile."""

    tool: str
    argument: str = ""
    narration: str = ""


class Model:
    """Answers from a script and keeps its prompts; an exception in the script is raised."""

    def __init__(self, *script):
        self.script, self.prompts = list(script), []

    def __call__(self, prompt):
        self.prompts.append(prompt)
        reply = self.script.pop(0)
        if isinstance(reply, BaseException):
            raise reply
        return reply


class Agent:
    """A framework: runs that can be saved, streams, tools, approvals, agents that hand over to others."""

    ids = itertools.count()

    def __init__(self, model, memory, *, tools=None, others=None):
        self.model, self.memory = model, memory
        self.tools, self.others = tools or {}, others or {}

    async def stream(self, text=None, *, saved=None, **identity):
        run = {"id": f"run-{next(Agent.ids)}", "messages": [{"role": "user", "content": text}], **identity}
        self.state = run = run if saved is None else {**json.loads(saved), "resumed": True}
        agent = self
        if saved is not None:
            run["messages"].append({"role": "tool", "content": "approved"})
        while True:
            system = await agent.memory.before_model(run)
            reply = agent.model("\n".join([system, *(one["content"] for one in run["messages"])]))
            if isinstance(reply, str):
                break
            message = {"role": "assistant", "content": reply.narration, "tool_calls": [reply.tool]}
            run["messages"].append(message)
            await agent.memory.after_model(run, reply.narration)
            if reply.tool in agent.others:
                agent = agent.others[reply.tool]
                continue
            if reply.tool == "pay":
                return
            result = await agent.memory.around_tool(run, agent.tools[reply.tool], reply.argument)
            run["messages"].append({"role": "tool", "content": result})
        for word in reply.split(" "):
            yield word
            await agent.memory.after_piece(run, word)
        run["messages"].append({"role": "assistant", "content": reply})
        await agent.memory.after_run(run, reply)

    async def run(self, text=None, **settings):
        return " ".join([word async for word in self.stream(text, **settings)])


class AgentMemory:
    """Long-term memory for an agent: all that is particular to the framework."""

    def __init__(self, connection):
        self.binding = Binding.of(connection, where="agent.run(text, user_id=…)")
        self.turns = TurnCache[Turn]()

    async def before_model(self, run):
        turn = self.turns.get(run["id"]) or self.turns.put(run["id"], await self.begin(run))
        return turn.prompt().system

    async def begin(self, run):
        questions = new_questions(from_openai_all(run["messages"]))
        return await Turn.abegin(self.binding, questions, run, resumed=run.get("resumed", False))

    async def around_tool(self, run, tool, argument):
        with calling_tool(self.turns.get(run["id"])):
            return await tool(argument)

    async def after_model(self, run, text):
        pass

    async def after_piece(self, run, piece):
        pass

    async def after_run(self, run, answer):
        await self.turns.pop(run["id"]).aend(answer)


class TestAgent(AdapterContract):
    memory = AgentMemory
    where = "agent.run("

    async def turn(self, connection, user_id, thread_id, text):
        model = Model(Call("look", "x"), f"the answer to {text}")
        agent = Agent(model, self.memory(connection), tools={"look": nothing})
        answer = await agent.run(text, user_id=user_id, thread_id=thread_id)
        return Answered(answer, model.prompts, kept=[json.dumps(agent.state)])

    async def stream(self, connection, user_id, thread_id, text):
        return await self.turn(connection, user_id, thread_id, text)

    async def leave(self, connection, user_id, thread_id, text):
        agent = Agent(Model("a long answer"), self.memory(connection))
        async with aclosing(agent.stream(text, user_id=user_id, thread_id=thread_id)) as stream:
            async for _ in stream:
                break
        return Answered("a long answer", agent.model.prompts)

    async def cancel(self, connection, user_id, thread_id, text):
        agent = Agent(Model(asyncio.CancelledError()), self.memory(connection))
        with suppress(asyncio.CancelledError):
            await agent.run(text, user_id=user_id, thread_id=thread_id)

    async def fail(self, connection, user_id, thread_id, text):
        agent = Agent(Model(ConnectionError()), self.memory(connection))
        with suppress(ConnectionError):
            await agent.run(text, user_id=user_id, thread_id=thread_id)

    async def retry(self, connection, user_id, thread_id, text):
        agent = Agent(Model(ConnectionError(), "an answer"), self.memory(connection))
        with suppress(ConnectionError):
            await agent.run(text, user_id=user_id, thread_id=thread_id)
        again = {"id": agent.state["id"], "user_id": user_id, "thread_id": thread_id}
        return Answered(await agent.run(text, **again), agent.model.prompts)

    async def narrate(self, connection, user_id, thread_id, text):
        model = Model(Call("look", "x", self.narration), "an answer")
        agent = Agent(model, self.memory(connection), tools={"look": nothing})
        return Answered(await agent.run(text, user_id=user_id, thread_id=thread_id), model.prompts)

    async def delegate(self, connection, user_id, thread_id, text):
        memory = self.memory(connection)
        inner = Agent(Model("pets are fine"), memory)
        model = Model(Call("ask", self.delegated), "an answer")
        agent = Agent(model, memory, tools={"ask": inner.run})
        answer = await agent.run(text, user_id=user_id, thread_id=thread_id)
        assert outer_turn() is None
        return Answered(answer, [*model.prompts, *inner.model.prompts])

    async def hand_off(self, connection, user_id, thread_id, text):
        memory = self.memory(connection)
        other = Agent(Model("an answer"), memory)
        agent = Agent(Model(Call("other")), memory, others={"other": other})
        answer = await agent.run(text, user_id=user_id, thread_id=thread_id)
        return Answered(answer, [*agent.model.prompts, *other.model.prompts])

    async def pause(self, connection, user_id, thread_id, text):
        agent = Agent(Model(Call("pay")), self.memory(connection))
        await agent.run(text, user_id=user_id, thread_id=thread_id)
        return json.dumps(agent.state)

    async def resume(self, connection, user_id, thread_id, saved):
        agent = Agent(Model("an answer"), self.memory(connection))
        return Answered(await agent.run(saved=saved), agent.model.prompts)

    async def at_once(self, connection, asked):
        memory, all_here, arrived = self.memory(connection), asyncio.Event(), itertools.count(1)

        async def together(_):
            if next(arrived) == len(asked):
                all_here.set()
            await all_here.wait()
            return "found nothing"

        async def one(user_id, thread_id, text):
            model = Model(Call("look"), f"the answer to {user_id}")
            agent = Agent(model, memory, tools={"look": together})
            return Answered(await agent.run(text, user_id=user_id, thread_id=thread_id), model.prompts)

        return await asyncio.gather(*(one(*which) for which in asked))


async def nothing(_):
    await asyncio.sleep(0)
    return "found nothing"


class SyncMemory(AgentMemory):
    """The same by the sync calls, and with a pair of hooks in place of one around the tool."""

    async def begin(self, run):
        questions = new_questions(from_openai_all(run["messages"]))
        return Turn.begin(self.binding, questions, run, resumed=run.get("resumed", False))

    async def around_tool(self, run, tool, argument):
        before = begin_tool(self.turns.get(run["id"]))
        try:
            return await tool(argument)
        finally:
            end_tool(before)

    async def after_run(self, run, answer):
        self.turns.pop(run["id"]).end(answer)


class TestAgentBySyncCalls(TestAgent):
    memory = SyncMemory


class KeepsMemoriesInTheState(AgentMemory):
    async def before_model(self, run):
        run["system"] = await super().before_model(run)
        return run["system"]


class StoresEachPiece(AgentMemory):
    async def after_piece(self, run, piece):
        await self.turns.get(run["id"]).aanswer(piece)


class StoresTheFirstPiece(AgentMemory):
    async def after_piece(self, run, piece):
        await self.turns.get(run["id"]).aanswer(f"{piece} …")


class AnswersForTheModel(AgentMemory):
    """An answer that nobody gave is stored for a run that ended in an error."""

    async def begin(self, run):
        turn = await super().begin(run)
        await turn.aend("Sorry, that did not work.")
        return turn


class StoresNarration(AgentMemory):
    async def after_model(self, run, text):
        await self.turns.get(run["id"]).aanswer(text)


class KnowsNoTools(AgentMemory):
    async def around_tool(self, run, tool, argument):
        return await tool(argument)

    async def begin(self, run):
        run.setdefault("user_id", "ada")
        return await super().begin(run)


class BeginsEachRunAnew(AgentMemory):
    """What is stored already is never asked for."""

    async def before_model(self, run):
        if run["messages"][-1]["role"] == "user":
            self.turns.drop(run["id"])
        return await super().before_model(run)

    async def begin(self, run):
        return await super().begin({**run, "resumed": False})


class RecordsByItself(AgentMemory):
    """Past the turn, which would find out what is asked again."""

    async def begin(self, run):
        questions = new_questions(from_openai_all(run["messages"]))
        self.binding.conversation(self.binding.identity(run)).record(questions)
        return Turn.begin(self.binding, [], run)


class BeginsForEachAgent(RecordsByItself):
    async def before_model(self, run):
        question, *others = run["messages"]
        if others and others[-1].get("tool_calls"):  # handed over
            self.turns.put(run["id"], await self.begin({**run, "messages": [question]}))
        return await super().before_model(run)


class KeepsItsTurn(AgentMemory):
    """On itself, though it serves many runs."""

    async def before_model(self, run):
        self.turn = await self.begin(run) if run["messages"][-1]["role"] == "user" else self.turn
        return self.turn.prompt().system

    async def around_tool(self, run, tool, argument):
        return await tool(argument)

    async def after_run(self, run, answer):
        await self.turn.aend(answer)


FAULTS = {
    KeepsMemoriesInTheState: "test_nothing_of_the_memories_is_kept_by_the_framework",
    StoresEachPiece: "test_a_stream_that_is_read_to_its_end_is_stored_like_any_run",
    StoresTheFirstPiece: "test_a_stream_that_is_left_stores_the_whole_answer_or_none",
    AnswersForTheModel: "test_a_cancelled_run_keeps_the_question_and_stores_no_answer",
    type("EndsFailedRuns", (AnswersForTheModel,), {}): (
        "test_a_run_whose_model_fails_stores_no_answer_and_is_not_ended"
    ),
    type("ForgetsRetries", (BeginsEachRunAnew, RecordsByItself), {}): (
        "test_a_run_that_is_tried_again_stores_its_question_and_answer_once"
    ),
    StoresNarration: "test_what_a_model_says_while_it_calls_tools_is_no_answer",
    KnowsNoTools: "test_an_agent_that_a_tool_calls_stores_nothing_and_has_the_memories_of_the_run",
    BeginsForEachAgent: "test_a_hand_off_is_one_turn",
    BeginsEachRunAnew: "test_a_run_that_waited_for_approval_is_one_turn",
    KeepsItsTurn: "test_runs_at_the_same_time_on_one_adapter_do_not_mix",
}
"""Adapters as one writes them at first, and the test that has to fail for each."""


@pytest.mark.parametrize(("wrong", "name"), FAULTS.items(), ids=lambda one: getattr(one, "__name__", one))
def test_a_wrong_adapter_is_caught(wrong, name):
    suite = TestAgent()
    suite.memory = wrong
    given = {
        "test_a_run_whose_model_fails_stores_no_answer_and_is_not_ended": {"thread_id": "t"},
        "test_a_run_that_waited_for_approval_is_one_turn": {"place": "elsewhere"},
    }.get(name, {})
    with suite.serving(), pytest.raises(AssertionError):
        getattr(suite, name)(**given)


def test_each_ability_has_a_test_that_catches_a_wrong_adapter():
    tests = {name for name in dir(TestAgent) if name.startswith("test_")}
    base = {name for name in vars(AdapterContract) if name.startswith("test_")}
    assert tests - base - set(FAULTS.values()) == {"test_each_ability_is_tried_or_known_to_be_missing"}


def test_a_suite_says_which_abilities_it_does_not_try():
    class Suite(TestAgent):
        stream = AdapterContract.stream

    with pytest.raises(AssertionError, match="neither implemented nor in `lacks`: stream"):
        Suite().test_each_ability_is_tried_or_known_to_be_missing()
    Suite.lacks = {"stream": "it has none", "leave": "wrong: it has"}
    with pytest.raises(AssertionError, match="leave"):
        Suite().test_each_ability_is_tried_or_known_to_be_missing()


def test_an_error_that_is_a_status_is_told_by_its_text():
    class StatusOnly(TestAgent):
        async def turn(self, connection, user_id, thread_id, text):
            try:
                return await super().turn(connection, user_id, thread_id, text)
            except ValueError as error:
                text = str(error)
            raise RunFailed(text)

    suite = StatusOnly()
    with suite.serving():
        suite.test_a_missing_user_id_is_an_error("t")


def test_an_error_that_a_framework_wraps_is_found_as_its_cause():
    class Wrapping(TestAgent):
        async def turn(self, connection, user_id, thread_id, text):
            try:
                return await super().turn(connection, user_id, thread_id, text)
            except ValueError as error:
                raise RuntimeError("a plugin failed") from error

    suite = Wrapping()
    with suite.serving():
        suite.test_a_missing_user_id_is_an_error("t")

"""`RecallrAIRetriever`, `RecallrAIToolSpec` and merge conflicts in workflows."""

# Annotations are not postponed here: the framework reads those of tools and steps.

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.postprocessor import SimilarityPostprocessor
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.workflow import Context, HumanResponseEvent, InputRequiredEvent

from recallrai_integrations import Connection, InvalidInputError, MergeConflict, ServiceUnavailableError
from recallrai_integrations.llama_index import (
    MergeConflictAnswersEvent,
    MergeConflictsEvent,
    MergeConflictWorkflow,
    RecallrAIRetriever,
    RecallrAIToolSpec,
)
from recallrai_integrations.local import LocalRecallrAI
from recallrai_integrations.testing.llama_index import ScriptedLLM
from tests.conftest import Call

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the framework's own agents


@pytest.fixture
def contradiction(connection: Connection, server: LocalRecallrAI) -> MergeConflict:
    """A user whose new words contradict the old ones."""
    for fact in ("My favourite colour is blue.", "My favourite colour is red."):
        conversation = connection.conversation("ada")
        conversation.record(("user", fact))
        conversation.finish(wait=30)
    (conflict,) = connection.user("ada").conflicts()
    return conflict


@pytest.fixture
def server() -> Iterator[LocalRecallrAI]:
    """A service that asks about contradictions."""
    with LocalRecallrAI(merge_conflict_enabled=True) as local:
        yield local


async def test_memories_are_nodes_with_ids_dates_and_scores(
    connection: Connection, knows: Any, call: Call
) -> None:
    knows("My dog is called Biscuit.", "I live in Lisbon.")
    nodes = await call(RecallrAIRetriever("ada", connection=connection).retrieve, "What is my dog called?")
    best = nodes[0]
    assert "Biscuit" in best.text
    assert 0.0 < best.score <= 1.0
    assert best.node_id == best.metadata["memory_id"]
    assert datetime.fromisoformat(best.metadata["created_at"]).tzinfo is not None
    assert isinstance(best.metadata["version"], int)
    assert best.metadata["memory_id"] not in best.node.get_content(metadata_mode="llm")
    assert [one.score for one in nodes] == sorted((one.score for one in nodes), reverse=True)


async def test_a_query_engine_answers_from_memories(connection: Connection, knows: Any, call: Call) -> None:
    knows("My dog is called Biscuit.")
    llm = ScriptedLLM("Biscuit.")
    engine = RetrieverQueryEngine.from_args(
        RecallrAIRetriever("ada", connection=connection),
        llm=llm,
        node_postprocessors=[SimilarityPostprocessor(similarity_cutoff=0.01)],
    )
    assert str(await call(engine.query, "What is my dog called?")) == "Biscuit."
    assert "Biscuit" in str(llm.requests[0][-1].content)


async def test_nobody_else_and_no_more_than_k_are_retrieved(
    connection: Connection, knows: Any, call: Call
) -> None:
    knows("My dog is called Biscuit.", "My dog likes cheese.")
    one = RecallrAIRetriever("ada", connection=connection, k=1)
    other = RecallrAIRetriever("bob", connection=connection)
    assert len(await call(one.retrieve, "my dog")) == 1
    assert await call(other.retrieve, "my dog") == []


async def test_a_retriever_raises_in_an_outage(
    make_connection: Any, server: LocalRecallrAI, call: Call
) -> None:
    retriever = RecallrAIRetriever("ada", connection=make_connection(deliver={"retries": 0}))
    server.faults.add(status=503, path="*")
    with pytest.raises(ServiceUnavailableError):
        await call(retriever.retrieve, "my dog")


def test_a_retriever_of_nothing_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="k must be at least 1"):
        RecallrAIRetriever("ada", k=0)


def tools_of(connection: Connection, colour: str) -> Any:
    tools = {one.metadata.name: one for one in RecallrAIToolSpec("ada", connection=connection).to_tool_list()}

    async def use(name: str, **arguments: Any) -> str:
        tool = tools[name]
        output = tool.call(**arguments) if colour == "sync" else await tool.acall(**arguments)
        return str(output.content)

    return use


@pytest.mark.parametrize("colour", ["sync", "async"])
async def test_tools_search_list_and_forget(colour: str, connection: Connection, knows: Any) -> None:
    knows("My dog is called Biscuit.", "I live in Lisbon.")
    use = tools_of(connection, colour)
    assert "Biscuit" in await use("search_memory", question="What is my dog called?")
    listed = await use("list_memories")
    memory_id = next(line for line in listed.splitlines() if "Biscuit" in line).split("[")[1].split("]")[0]
    assert await use("forget_memory", memory_id=memory_id) == f"Memory {memory_id} is deleted."
    assert "Biscuit" not in await use("list_memories")
    assert "nothing with this id" in await use("forget_memory", memory_id=memory_id)
    assert "did not work" in await use("search_memory", question=" ")


@pytest.mark.parametrize("colour", ["sync", "async"])
async def test_tools_settle_contradictions(
    colour: str, connection: Connection, contradiction: MergeConflict
) -> None:
    use = tools_of(connection, colour)
    listed = await use("list_merge_conflicts")
    assert contradiction.conflict_id in listed
    arguments = {"conflict_id": contradiction.conflict_id}
    assert "Nothing was settled" in await use("answer_merge_conflict", answers={"?": "!"}, **arguments)
    answers = {one.question: one.options[0] for one in contradiction.questions}
    assert await use("answer_merge_conflict", answers=answers, **arguments) == "Settled."
    assert connection.user("ada").conflicts() == []


def test_tools_take_no_user_and_describe_themselves(connection: Connection) -> None:
    for tool in RecallrAIToolSpec("ada", connection=connection).to_tool_list():
        assert tool.metadata.fn_schema is not None
        assert "user_id" not in tool.metadata.fn_schema.model_json_schema().get("properties", {})
        assert tool.metadata.description.strip()


async def test_an_agent_uses_the_tools(connection: Connection, knows: Any) -> None:
    knows("My dog is called Biscuit.")
    llm = ScriptedLLM([("search_memory", {"question": "dog"})], "Biscuit.")
    agent = FunctionAgent(tools=RecallrAIToolSpec("ada", connection=connection).to_tool_list(), llm=llm)
    assert str(await agent.run(user_msg="Who is my dog?")) == "Biscuit."
    assert "Biscuit" in str(llm.requests[1][-1].content)


async def answered(connection: Connection, answer: Any) -> Any:
    handler = MergeConflictWorkflow("ada", connection=connection).run()
    async for event in handler.stream_events():
        if isinstance(event, MergeConflictsEvent):
            assert isinstance(event, InputRequiredEvent)
            assert event.type == "recallrai.merge_conflicts"
            reply = MergeConflictAnswersEvent(answers=answer(event.conflicts))
            assert isinstance(reply, HumanResponseEvent)
            handler.ctx.send_event(reply)
    return await handler


def first_options(conflicts: list[dict[str, Any]]) -> dict[str, dict[str, str]]:
    return {
        one["conflict_id"]: {asked["question"]: asked["options"][0] for asked in one["questions"]}
        for one in conflicts
    }


async def test_a_workflow_asks_the_user_and_resolves(
    connection: Connection, contradiction: MergeConflict
) -> None:
    assert await answered(connection, first_options) == [contradiction.conflict_id]
    assert connection.user("ada").conflicts() == []


@pytest.mark.parametrize("answers", [{}, {"another": {"?": "!"}}])
async def test_an_answer_that_fits_nothing_resolves_nothing(
    answers: Any, connection: Connection, contradiction: MergeConflict
) -> None:
    assert await answered(connection, lambda _: answers) == []
    assert len(connection.user("ada").conflicts()) == 1


async def test_without_contradictions_nobody_is_asked(connection: Connection) -> None:
    assert await MergeConflictWorkflow("ada", connection=connection).run() == []


async def test_a_workflow_goes_on_in_an_outage(make_connection: Any, server: LocalRecallrAI) -> None:
    connection = make_connection(deliver={"retries": 0})
    server.faults.add(status=503, path="*")
    assert await MergeConflictWorkflow("ada", connection=connection).run() == []


async def test_a_question_to_the_user_survives_json(
    connection: Connection, contradiction: MergeConflict
) -> None:
    workflow = MergeConflictWorkflow("ada", connection=connection)
    handler = workflow.run()
    async for event in handler.stream_events():
        if isinstance(event, MergeConflictsEvent):
            conflicts = event.conflicts
            break
    dumped = handler.ctx.to_dict()
    await handler.cancel_run()
    again = workflow.run(ctx=Context.from_dict(workflow, dumped))
    again.ctx.send_event(MergeConflictAnswersEvent(answers=first_options(conflicts)))
    assert await again == [contradiction.conflict_id]

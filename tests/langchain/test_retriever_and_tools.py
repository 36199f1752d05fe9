"""Memories as documents and as tools, and the standard suites of LangChain for both."""

from __future__ import annotations

import json
import re

import pytest
from langchain.agents import create_agent
from langchain_core.runnables import RunnablePassthrough
from langchain_tests.integration_tests import RetrieversIntegrationTests, ToolsIntegrationTests
from langchain_tests.unit_tests import ToolsUnitTests
from pydantic import ValidationError

from recallrai_integrations import (
    InvalidInputError,
    MissingIdentityError,
    ServiceUnavailableError,
    connect,
)
from recallrai_integrations.langchain import RecallrAIRetriever, RecallrAIToolkit
from recallrai_integrations.local import LocalRecallrAI
from recallrai_integrations.testing.langchain import ScriptedChatModel, tool_call

from .conftest import asks, of

FACTS = [
    "My dog is called Biscuit.",
    "My cat is called Tom.",
    "My horse is called Ada.",
    "My bird is called Bo.",
]


@pytest.fixture(scope="module")
def remembering():
    """A connection to a service that remembers pets, for the standard suites."""
    with LocalRecallrAI() as local:
        connection = connect(api_key=local.api_key, project_id=local.project_id, base_url=local.base_url)
        with connection.conversation("ada") as earlier:
            earlier.record([("user", fact) for fact in FACTS])
            assert earlier.finish(wait=30).status == "processed"
        yield connection
        connection.close()


class TestRetrieverStandard(RetrieversIntegrationTests):
    @pytest.fixture(autouse=True)
    def _use(self, remembering):
        self.connection = remembering

    @property
    def retriever_constructor(self):
        return RecallrAIRetriever

    @property
    def retriever_constructor_params(self):
        return {"connection": self.connection, "user_id": "ada"}

    @property
    def retriever_query_example(self):
        return "What are my pets called?"


ARGUMENTS = {
    "search_memory": {"question": "What is my dog called?"},
    "list_memories": {"limit": 2},
    "forget_memory": {"memory_id": "00000000-0000-4000-8000-000000000000"},
    "list_merge_conflicts": {},
    "answer_merge_conflict": {
        "conflict_id": "00000000-0000-4000-8000-000000000000",
        "answers": [{"question": "q", "answer": "a"}],
    },
}


class _Tools:
    @pytest.fixture(autouse=True, params=list(ARGUMENTS))
    def _use(self, request, remembering):
        tools = RecallrAIToolkit(connection=remembering, user_id="ada").get_tools()
        self.one = next(tool for tool in tools if tool.name == request.param)

    @property
    def tool_constructor(self):
        return self.one

    @property
    def tool_invoke_params_example(self):
        return ARGUMENTS[self.one.name]


class TestToolsUnitStandard(_Tools, ToolsUnitTests):
    pass


class TestToolsStandard(_Tools, ToolsIntegrationTests):
    pass


async def test_documents_tell_ids_categories_dates_versions_and_similarity(remembering, call):
    retriever = RecallrAIRetriever(connection=remembering, k=1)
    (document,) = await call(retriever.invoke, "What is my dog called?", of())
    assert "Biscuit" in document.page_content
    assert document.id == document.metadata["memory_id"]
    assert set(document.metadata) == {
        "memory_id",
        "similarity",
        "categories",
        "created_at",
        "event_start",
        "event_end",
        "version",
        "session_id",
        "previous_versions",
    }
    assert 0 < document.metadata["similarity"] <= 1
    assert document.metadata["version"] == 1
    json.dumps(document.metadata)


async def test_the_user_of_a_call_comes_from_its_config_also_within_a_chain(remembering, call):
    retriever = RecallrAIRetriever(connection=remembering)
    assert await call(retriever.invoke, "pets?", of("bob")) == []
    chain = RunnablePassthrough() | retriever
    assert await call(chain.invoke, "What are my pets called?", of("ada"))
    with pytest.raises(MissingIdentityError):
        await call(retriever.invoke, "pets?")


async def test_wrong_queries_and_numbers_are_clear_errors(remembering, call):
    retriever = RecallrAIRetriever(connection=remembering, user_id="ada")
    with pytest.raises(InvalidInputError, match="empty"):
        await call(retriever.invoke, "  ")
    with pytest.raises(InvalidInputError, match="k must be"):
        await call(retriever.invoke, "pets?", None, k=0)
    with pytest.raises(ValidationError):
        RecallrAIRetriever(connection=remembering, k=0)


async def test_an_outage_is_raised_and_never_told_as_no_documents(make_connection, server, call):
    retriever = RecallrAIRetriever(connection=make_connection(deliver={"retries": 0}), user_id="ada")
    server.faults.add(status=503)
    with pytest.raises(ServiceUnavailableError):
        await call(retriever.invoke, "pets?")


# --- tools


def test_the_model_neither_sees_nor_sets_a_user_id(remembering):
    for one in RecallrAIToolkit(connection=remembering).get_tools():
        schema = json.dumps(one.tool_call_schema.model_json_schema())
        assert "user" not in one.args
        assert "user_id" not in schema
        assert "config" not in one.args


@pytest.mark.parametrize("context", [False, True])
async def test_an_agent_searches_and_forgets_for_the_user_of_its_run(connection, teach, call, context):
    teach("ada", "My dog is called Biscuit.")
    teach("bob", "My dog is called Rex.")
    tools = RecallrAIToolkit(connection=connection).get_tools()
    memory = next(one for one in connection.user("ada").memories() if "Biscuit" in one.content)
    model = ScriptedChatModel(
        script=[
            tool_call("search_memory", question="What is the dog called?", user_id="bob"),
            tool_call("forget_memory", memory_id=memory.memory_id),
            "done",
        ]
    )
    agent = create_agent(model, tools=tools, context_schema=dict)
    if context:
        result = await call(agent.invoke, asks("q"), context={"user_id": "ada"})
    else:
        result = await call(agent.invoke, asks("q"), of())
    found, forgotten = (one.text for one in result["messages"] if one.type == "tool")
    assert "Biscuit" in found
    assert "Rex" not in found
    assert forgotten == f"Memory {memory.memory_id} is deleted."
    assert not [one for one in connection.user("ada").memories() if "Biscuit" in one.content]
    assert connection.user("bob").memories()


async def test_merge_conflicts_are_listed_and_settled_by_tools(call):
    with LocalRecallrAI(merge_conflict_enabled=True) as local:
        connection = connect(api_key=local.api_key, project_id=local.project_id, base_url=local.base_url)
        for colour in ("blue", "red"):
            with connection.conversation("ada") as earlier:
                earlier.record(("user", f"My favourite colour is {colour}."))
                earlier.finish(wait=30)
        tools = {one.name: one for one in RecallrAIToolkit(connection=connection, user_id="ada").get_tools()}
        listed = await call(tools["list_merge_conflicts"].invoke, {})
        conflict_id = re.search(r"\[(.*?)\]", listed)[1]
        question, options = re.search(r"Ask: (.*) Options: (.*)", listed).groups()
        red = next(one for one in options.split(" | ") if "red" in one)
        for answer, told in (
            ("neither", "Nothing was settled"),
            (red, "Settled."),
            (red, "Nothing was settled"),
        ):
            answers = [{"question": question, "answer": answer}]
            given = {"conflict_id": conflict_id, "answers": answers}
            assert (await call(tools["answer_merge_conflict"].invoke, given)).startswith(told)
        assert (
            await call(tools["list_merge_conflicts"].invoke, {})
        ) == "There are no contradictions to settle."
        connection.close()


async def test_what_cannot_be_done_is_told_to_the_model(make_connection, server, call):
    toolkit = RecallrAIToolkit(connection=make_connection(deliver={"retries": 0}), user_id="ada")
    tools = {one.name: one for one in toolkit.get_tools()}
    missing = {"memory_id": "00000000-0000-4000-8000-000000000000"}
    assert "nothing with this id" in await call(tools["forget_memory"].invoke, missing)
    server.faults.add(status=503)
    told = await call(tools["search_memory"].invoke, {"question": "dog?"})
    assert "Nothing is remembered" not in told
    assert "503" in told
    with pytest.raises(MissingIdentityError):
        await call(RecallrAIToolkit(connection=make_connection()).get_tools()[0].invoke, {"question": "dog?"})

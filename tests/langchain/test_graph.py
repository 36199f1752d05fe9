"""Nodes for plain StateGraphs, and merge conflicts as interrupts."""

from __future__ import annotations

import json
import sys

import pytest
from langchain.agents import create_agent
from langchain_core.messages import SystemMessage
from langchain_core.runnables import RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import MessagesState, StateGraph
from langgraph.types import Command, interrupt

from recallrai_integrations import connect
from recallrai_integrations.langchain import (
    MergeConflictMiddleware,
    RecalledText,
    RecallrAIMiddleware,
    finish_node,
    merge_conflict_nodes,
    recall_node,
    remember_node,
)
from recallrai_integrations.local import LocalRecallrAI
from recallrai_integrations.testing.langchain import ScriptedChatModel

from .conftest import asks, of

DOG = "My dog is called Biscuit."
QUESTION = "What is my dog called?"


class State(MessagesState):
    memory: RecalledText


def graph_of(connection, model, *, saver=None, ask=False, **nodes):
    """recall, (ask the user), answer, remember; other nodes instead of ours where they are given."""

    def check(state):
        return {"messages": [("user", str(interrupt("more?")))]} if ask else {}

    async def answer(state):
        system = SystemMessage("Be kind." + state.get("memory", ""))
        return {"messages": [await model.ainvoke([system, *state["messages"]])]}

    def answer_sync(state):
        system = SystemMessage("Be kind." + state.get("memory", ""))
        return {"messages": [model.invoke([system, *state["messages"]])]}

    graph = StateGraph(State)
    graph.add_sequence(
        [
            ("recall", recall_node(connection)),
            ("check", check),
            ("answer", RunnableLambda(answer_sync, afunc=answer)),
            ("remember", remember_node(connection)),
            *nodes.items(),
        ]
    )
    graph.set_entry_point("recall")
    return graph.compile(saver)


async def test_a_graph_recalls_and_remembers_each_turn_once(connection, teach, stored, requests, call):
    teach("ada", DOG)
    model = ScriptedChatModel(script=["Biscuit.", "Still Biscuit."])
    graph = graph_of(connection, model, saver=InMemorySaver())
    await call(graph.invoke, asks(QUESTION), of())
    requests()
    await call(graph.invoke, asks("And now?"), of())
    assert requests() == ["POST add-message", "GET context", "POST add-message"]
    assert "Biscuit" in model.requests[0][0].text
    said = [QUESTION, "Biscuit.", "And now?", "Still Biscuit."]
    assert [text for _, text in stored("ada", "t")] == said


async def test_recalled_text_is_in_no_checkpoint(connection, teach, call):
    teach("ada", DOG)
    saver = InMemorySaver()
    graph = graph_of(connection, ScriptedChatModel(), saver=saver)
    await call(graph.invoke, asks(QUESTION), of())
    kept = repr([list(saver.list(of())), dict(saver.storage), dict(saver.blobs), dict(saver.writes)])
    assert QUESTION in kept
    assert "Biscuit" not in repr(list(graph.get_state_history(of())))


async def test_a_graph_without_a_thread_is_one_conversation_for_each_run(connection, requests, call):
    graph = graph_of(connection, ScriptedChatModel())
    await call(graph.invoke, asks("hi"), of("ada", None))
    assert requests() == [
        "POST sessions",
        "POST users",
        "POST sessions",
        "POST add-message",
        "GET context",
        "POST add-message",
        "POST process",
    ]


async def test_a_graph_that_only_remembers_stores_the_question_too(connection, stored, call):
    graph = StateGraph(MessagesState)
    graph.add_sequence(
        [("model", lambda _: {"messages": [("ai", "a")]}), ("remember", remember_node(connection))]
    )
    graph.set_entry_point("model")
    await call(graph.compile().invoke, asks("q"), of())
    assert stored("ada", "t") == [("user", "q"), ("assistant", "a")]


async def test_the_finish_node_has_the_thread_processed(connection, call):
    graph = graph_of(connection, ScriptedChatModel(), finish=finish_node(connection, wait=30))
    await call(graph.invoke, asks(DOG), of())
    assert "Biscuit" in connection.user("ada").memories()[0].content


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_an_interrupt_between_the_nodes_stores_nothing_twice(
    make_connection, stored, call, is_sync, elsewhere
):
    if sys.version_info < (3, 11) and not is_sync:
        pytest.skip("on Python 3.10 a node of one's own cannot interrupt an async run (LangGraph)")
    from recallrai_integrations.langchain import _nodes as module

    saver, model = InMemorySaver(), ScriptedChatModel(script=["a"])
    graph = graph_of(make_connection(), model, saver=saver, ask=True)
    await call(graph.invoke, asks("q"), of())
    if elsewhere:  # another process knows nothing of the open turn
        module._open_turns = type(module._open_turns)(10)
        graph = graph_of(make_connection(), model, saver=saver, ask=True)
    await call(graph.invoke, Command(resume="and this"), of())
    assert stored("ada", "t") == [("user", "q"), ("user", "and this"), ("assistant", "a")]


# --- merge conflicts


@pytest.fixture
def conflicted(server):
    """A connection to a service that keeps contradictions, with a user who has two."""
    with LocalRecallrAI(merge_conflict_enabled=True) as local:
        connection = connect(api_key=local.api_key, project_id=local.project_id, base_url=local.base_url)
        for colour, city in (("blue", "Lisbon"), ("red", "Porto")):
            with connection.conversation("ada") as earlier:
                earlier.record(
                    [("user", f"My favourite colour is {colour}."), ("user", f"I live in {city}.")]
                )
                assert earlier.finish(wait=30).status == "processed"
        yield connection
        connection.close()


def asking_agent(connection, *script):
    return create_agent(
        ScriptedChatModel(script=list(script)),
        middleware=[MergeConflictMiddleware(connection), RecallrAIMiddleware(connection)],
        checkpointer=InMemorySaver(),
    )


def asking_graph(connection, *_):
    graph = StateGraph(MessagesState)
    nodes = merge_conflict_nodes(connection)
    graph.add_sequence([*nodes.items(), ("model", lambda _: {"messages": [("ai", "hello")]})])
    graph.set_entry_point(next(iter(nodes)))
    return graph.compile(InMemorySaver())


def asked(result):
    (found,) = result["__interrupt__"]
    assert found.value["type"] == "recallrai.merge_conflicts"
    return found.value["conflicts"]


def choosing(conflict, word):
    """An answer in the agreed form: of each question the option that holds a word."""
    return {
        question["question"]: next(option for option in question["options"] if word in option)
        for question in conflict["questions"]
    }


def contents(connection):
    return " ".join(one.content for one in connection.user("ada").memories())


@pytest.mark.parametrize("make", [asking_agent, asking_graph])
async def test_each_of_two_conflicts_gets_its_own_answer_from_one_interrupt(conflicted, call, make):
    app = make(conflicted, "hello")
    conflicts = asked(await call(app.invoke, asks("hi"), of()))
    assert len(conflicts) == 2
    json.dumps(conflicts)
    words = {"red": "colour", "Lisbon": "live"}
    answers = {}
    for conflict in reversed(conflicts):  # answers are matched by their ids, not by their order
        word = next(word for word, about in words.items() if about in conflict["proposed"] + repr(conflict))
        answers[conflict["conflict_id"]] = choosing(conflict, word)
    result = await call(app.invoke, Command(resume=answers), of())
    assert result["messages"][-1].text == "hello"
    assert conflicted.user("ada").conflicts() == []
    known = contents(conflicted)
    assert "red" in known and "Lisbon" in known  # noqa: PT018 - both or it went wrong
    assert "blue" not in known and "Porto" not in known  # noqa: PT018 - the same


@pytest.mark.parametrize("answer", ["whatever", {"x": {"y": "z"}}, [1], {"conflicts": []}])
async def test_an_answer_that_fits_nothing_resolves_nothing_and_the_run_goes_on(conflicted, call, answer):
    app = asking_agent(conflicted, "hello")
    await call(app.invoke, asks("hi"), of())
    result = await call(app.invoke, Command(resume=answer), of())
    assert result["messages"][-1].text == "hello"
    assert len(conflicted.user("ada").conflicts()) == 2


async def test_a_conflict_resolved_elsewhere_meanwhile_is_passed_over(conflicted, call):
    app = asking_agent(conflicted, "hello")
    first, second = asked(await call(app.invoke, asks("hi"), of()))
    user = conflicted.user("ada")
    for one in user.conflicts():
        if one.conflict_id == first["conflict_id"]:
            assert user.resolve(one, {asked.question: asked.options[0] for asked in one.questions})
    answers = {one["conflict_id"]: choosing(one, "") for one in (first, second)}
    result = await call(app.invoke, Command(resume=answers), of())
    assert result["messages"][-1].text == "hello"
    assert user.conflicts() == []


async def test_a_new_message_in_place_of_an_answer_asks_again(conflicted, call):
    app = asking_agent(conflicted, "hello")
    first = asked(await call(app.invoke, asks("hi"), of()))
    second = asked(await call(app.invoke, asks("never mind, hi"), of()))
    assert [one["conflict_id"] for one in first] == [one["conflict_id"] for one in second]


@pytest.mark.parametrize("make", [asking_agent, asking_graph])
async def test_without_conflicts_or_a_known_user_nothing_is_asked(connection, call, make):
    app = make(connection, "hello")
    assert (await call(app.invoke, asks("hi"), of("nobody")))["messages"][-1].text == "hello"


async def test_in_an_outage_nothing_is_asked_and_the_run_goes_on(make_connection, server, call, caplog):
    server.faults.add(status=503)
    app = asking_agent(make_connection(deliver={"retries": 0}), "hello")
    assert (await call(app.invoke, asks("hi"), of()))["messages"][-1].text == "hello"
    assert "merge conflicts stay" in caplog.text

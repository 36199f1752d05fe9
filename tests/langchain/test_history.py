"""`RecallrAIChatMessageHistory` in `RunnableWithMessageHistory`; the rest is in the contract suite."""

from __future__ import annotations

import httpx
import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables.history import RunnableWithMessageHistory

from recallrai_integrations import InvalidInputError, MissingIdentityError, ServiceUnavailableError
from recallrai_integrations.langchain import RecallrAIChatMessageHistory
from recallrai_integrations.testing.langchain import ScriptedChatModel, tool_call

from .test_middleware import look_up

pytestmark = pytest.mark.filterwarnings("ignore:RunnableWithMessageHistory is deprecated")

SESSION = {"configurable": {"session_id": "t"}}


@pytest.fixture
def history_of(connection):
    def history_of(session_id: str) -> RecallrAIChatMessageHistory:
        return RecallrAIChatMessageHistory("ada", session_id, connection=connection)

    return history_of


PLACEHOLDER = ChatPromptTemplate.from_messages(
    [("system", "Be kind."), MessagesPlaceholder("past"), ("human", "{q}")]
)


def shapes(model):
    """Runnables as their users wrap them, with what each turn is given."""
    return {
        "messages": (model, {}, lambda text: [HumanMessage(text)]),
        "text": (model, {}, lambda text: text),
        "chain": (
            PLACEHOLDER | model,
            {"input_messages_key": "q", "history_messages_key": "past"},
            lambda text: {"q": text},
        ),
        "agent": (
            create_agent(model, tools=[look_up]),
            {"input_messages_key": "messages", "output_messages_key": "messages"},
            lambda text: {"messages": [HumanMessage(text)]},
        ),
    }


@pytest.mark.parametrize("shape", ["messages", "text", "chain", "agent"])
@pytest.mark.parametrize("same", [False, True], ids=["different turns", "repeated turns"])
async def test_each_turn_is_stored_once_and_the_next_one_sees_it(stored, history_of, call, shape, same):
    answers = ["a", "a", "a"] if same else ["a0", "a1", "a2"]
    questions = ["q", "q", "q"] if same else ["q0", "q1", "q2"]
    model = ScriptedChatModel(script=[AIMessage(text) for text in answers])
    runnable, keys, given = shapes(model)[shape]
    chain = RunnableWithMessageHistory(runnable, history_of, **keys)
    for question in questions:
        await call(chain.invoke, given(question), SESSION)
    said = [text for turn in zip(questions, answers, strict=True) for text in turn]
    assert [text for _, text in stored("ada", "t")] == said
    sent = [one.text for one in model.requests[-1] if not isinstance(one, SystemMessage)]
    assert sent == said[:-1]


async def test_tool_traffic_of_an_agent_is_passed_over(stored, history_of, call):
    model = ScriptedChatModel(script=[tool_call("look_up"), "done", "again"])
    runnable, keys, given = shapes(model)["agent"]
    chain = RunnableWithMessageHistory(runnable, history_of, **keys)
    for question in ("q0", "q1"):
        await call(chain.invoke, given(question), SESSION)
    assert stored("ada", "t") == [
        ("user", "q0"),
        ("assistant", "done"),
        ("user", "q1"),
        ("assistant", "again"),
    ]


async def test_what_is_no_conversation_is_passed_over(connection, requests, call):
    history = RecallrAIChatMessageHistory("ada", "t", connection=connection)
    await call(history.add_messages, [SystemMessage("s"), ToolMessage("r", tool_call_id="1"), AIMessage("")])
    assert requests() == []


async def test_making_one_does_no_io(monkeypatch):
    monkeypatch.setattr(httpx.Client, "send", lambda *_: pytest.fail("a request"))
    history = RecallrAIChatMessageHistory("ada", "t")  # no connection and no credentials either
    assert "ada" in repr(history)
    with pytest.raises(MissingIdentityError):
        RecallrAIChatMessageHistory(None, "t")
    with pytest.raises(InvalidInputError):
        RecallrAIChatMessageHistory("ada", "")


async def test_many_made_for_one_environment_share_a_connection(service, monkeypatch, stored, call):
    monkeypatch.setenv("RECALLRAI_API_KEY", service["api_key"])
    monkeypatch.setenv("RECALLRAI_PROJECT_ID", service["project_id"])
    monkeypatch.setenv("RECALLRAI_BASE_URL", service["base_url"])
    histories = [RecallrAIChatMessageHistory("ada", "t") for _ in range(3)]
    for n, history in enumerate(histories):
        await call(history.add_messages, [HumanMessage(f"m{n}")])
    assert [text for _, text in stored("ada", "t")] == ["m0", "m1", "m2"]
    connections = {history._binding.source.get() for history in histories}
    assert len(connections) == 1
    connections.pop().close()
    await call(histories[0].add_messages, [HumanMessage("after closing")])
    assert stored("ada", "t")[-1] == ("user", "after closing")
    histories[0]._binding.source.get().close()


async def test_an_outage_follows_on_error(make_connection, server, call):
    soft, strict = (
        RecallrAIChatMessageHistory(
            "ada", "t", connection=make_connection(deliver={"retries": 0, "on_error": on_error})
        )
        for on_error in ("degrade", "raise")
    )
    server.faults.add(status=503)
    await call(soft.add_messages, [HumanMessage("kept")])
    assert [one.text for one in soft.messages] == ["kept"]
    with pytest.raises(ServiceUnavailableError):
        await call(strict.add_messages, [HumanMessage("yours again")])


async def test_finishing_makes_memories_and_the_thread_goes_on(connection, history_of, stored, call):
    history = history_of("t")
    await call(history.add_messages, [HumanMessage("My dog is called Biscuit.")])
    assert (await call(history.finish, wait=30)).status == "processed"
    await call(history.finish)
    assert "Biscuit" in connection.user("ada").memories()[0].content
    await call(history.add_messages, [HumanMessage("more")])
    assert len(stored("ada", "t")) == 2

"""What the memory takes from the application: identity, sessions, options; and what it refuses."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from agents import (
    Agent,
    OpenAIConversationsSession,
    RunConfig,
    Runner,
    SQLiteSession,
    function_tool,
    responses_websocket_session,
)
from agents.memory import SessionSettings
from openai import AsyncOpenAI

from recallrai_integrations import (
    CredentialsError,
    DeliveryOptions,
    InvalidInputError,
    MissingIdentityError,
    ServiceUnavailableError,
)
from recallrai_integrations.openai_agents import RecallrAIMemory, RecallrAISession, recallrai_tools

from .scripted import Scripted, calls, on_a_thread, says


@function_tool
def look_up() -> str:
    """Looks something up."""
    return "found nothing"


def said(question: str, answer: str):
    return [("user", question), ("assistant", answer)]


@pytest.fixture
def run_it():
    """One way stands for all: nothing here depends on it."""
    return Runner.run


async def test_a_session_that_takes_the_runs_context_gets_it(memory, run_it):
    given = []

    class Aware(SQLiteSession):
        async def get_items(self, limit=None, *, wrapper=None):
            given.append(wrapper.context)
            return await super().get_items(limit)

        async def add_items(self, items, *, wrapper=None):
            given.append(wrapper.context)
            await super().add_items(items)

        async def pop_item(self, *, wrapper=None):
            return await super().pop_item()

        async def clear_session(self, *, wrapper=None):
            await super().clear_session()

    context = {"user_id": "ada"}
    agent = Agent("Friend", model=Scripted("Hello."))
    await run_it(agent, "hi", context=context, **memory.for_run(session=Aware("t")))
    assert given == [context] * 3


async def test_the_id_of_a_conversation_that_openai_keeps_is_the_thread(memory, run_it, stored):
    await run_it(
        Agent("Friend", model=Scripted("Hello.")), "hi", **memory.for_run("ada", conversation_id="c1")
    )
    assert stored("ada", "c1") == said("hi", "Hello.")


async def test_a_session_that_openai_keeps_stays_one(memory, run_it, stored, monkeypatch):
    client = AsyncOpenAI(api_key="none")
    session = OpenAIConversationsSession(conversation_id="conv_1", openai_client=client)
    added = []

    async def get_items(self, limit=None):
        return []

    async def add_items(self, items):
        added.extend(items)

    monkeypatch.setattr(OpenAIConversationsSession, "get_items", get_items)
    monkeypatch.setattr(OpenAIConversationsSession, "add_items", add_items)
    arguments = memory.for_run("ada", session=session)
    assert isinstance(arguments["session"], OpenAIConversationsSession)
    await run_it(Agent("Friend", model=Scripted("Hello.")), "hi", **arguments)
    assert [one["role"] for one in added] == ["user", "assistant"]
    assert "id" not in added[1], "the SDK takes ids out for this kind of session alone"
    assert stored("ada", "conv_1") == said("hi", "Hello.")


async def test_a_session_whose_id_comes_with_its_first_use_names_the_thread(memory, run_it, stored):
    class Late(SQLiteSession):
        known = False

        @property
        def session_id(self):
            if not self.known:
                raise ValueError("not yet available")
            return "late"

        @session_id.setter
        def session_id(self, value):
            pass

        async def get_items(self, limit=None):
            self.known = True
            return []

        async def add_items(self, items):
            pass

    await run_it(Agent("Friend", model=Scripted("Hello.")), "hi", **memory.for_run("ada", session=Late("x")))
    assert stored("ada", "late") == said("hi", "Hello.")


@dataclass
class Context:
    user_id: str | None = None
    thread_id: str | None = None


async def test_identity_is_the_argument_else_the_context_else_the_session(connection, run_it, stored):
    agent = Agent("Friend", model=Scripted())
    session = SQLiteSession("of session")
    memory = RecallrAIMemory(connection)
    await run_it(agent, "1", context=Context("bob"), **memory.for_run("ada", "t", session=session))
    await run_it(agent, "2", context=Context("ada"), **memory.for_run(session=session))
    await run_it(agent, "3", context={"user_id": "ada", "thread_id": "c"}, **memory.for_run(session=session))
    bound = RecallrAIMemory(connection, user_id="ada", thread_id="bound")
    await run_it(agent, "4", context=Context("bob", "c"), **bound.for_run())
    await run_it(agent, "5", context=Context("bob", "c"), **bound.for_run(user_id="eve", thread_id="e"))
    assert [stored(*one)[0][1] for one in (("ada", "t"), ("ada", "of session"), ("ada", "c"))] == [
        "1",
        "2",
        "3",
    ]
    assert stored("ada", "bound")[0][1] == "4"
    assert stored("eve", "e")[0][1] == "5"


@pytest.mark.parametrize("user_id", ["a/b?c", "../bob", "ada@example.com", "Zoë ☃", "%2e%2e"])
async def test_ids_of_any_shape_work(memory, run_it, stored, user_id):
    await run_it(Agent("Friend", model=Scripted("Hello.")), "hi", **memory.for_run(user_id, user_id))
    assert stored(user_id, user_id) == said("hi", "Hello.")


async def test_a_missing_user_is_an_error_that_says_where_to_put_it(memory, run_it, requests):
    model = Scripted("Hello.")
    with pytest.raises(MissingIdentityError, match=r"context=\{"):
        await run_it(Agent("Friend", model=model), "hi", **memory.for_run())
    assert model.prompts == []
    assert requests() == []


async def test_an_image_is_a_placeholder_and_an_empty_message_nothing(memory, run_it, stored):
    image = [
        {
            "role": "user",
            "content": [{"type": "input_image", "image_url": "https://x/y.png", "detail": "auto"}],
        }
    ]
    for given in (image, "   ", [{"role": "user", "content": []}]):
        await run_it(Agent("Friend", model=Scripted("Well.")), given, **memory.for_run("ada", "t"))
    assert stored() == [*said("[image]", "Well."), ("assistant", "Well."), ("assistant", "Well.")]


async def test_a_hundred_users_at_once_do_not_mix(memory, connection):
    users = [f"user{n}" for n in range(100)]

    async def answered(user):
        model = Scripted(calls("look_up"), f"answer to {user}")
        agent = Agent("Friend", model=model, tools=[look_up])
        await Runner.run(agent, f"I am {user}.", **memory.for_run(user, "t"))
        return model.prompts

    prompts = await asyncio.gather(*map(answered, users))
    for user, sent in zip(users, prompts, strict=True):
        others = [other for other in users if other != user and f"{other}." in "".join(sent)]
        assert others == []
        history = await connection.conversation(user, "t").ahistory()
        assert [(one.role, one.content) for one in history] == said(f"I am {user}.", f"answer to {user}")


async def test_an_outage_is_raised_where_the_application_wants_that(server, make_connection, run_it):
    memory = RecallrAIMemory(make_connection(deliver={"retries": 0, "on_error": "raise"}))
    server.faults.add(status=503)
    model = Scripted("Hello.")
    with pytest.raises(ServiceUnavailableError):
        await run_it(Agent("Friend", model=model), "hi", **memory.for_run("ada", "t"))
    assert model.prompts == []


async def test_refused_credentials_are_raised(server, make_connection, run_it):
    memory = RecallrAIMemory(make_connection())
    server.faults.add(status=401)
    with pytest.raises(CredentialsError):
        await run_it(Agent("Friend", model=Scripted("Hello.")), "hi", **memory.for_run("ada", "t"))


class NotASession:
    session_id = "t"

    async def get_items(self, limit=None):
        return []


class Slotted:
    __slots__ = ("session_id", "session_settings")

    async def get_items(self, limit=None): ...

    async def add_items(self, items): ...

    async def pop_item(self): ...

    async def clear_session(self): ...


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"session": NotASession()}, r"NotASession has no add_items\(\)"),
        ({"session": "thread-1"}, r"str has no get_items\(\)"),
        ({"session": Slotted()}, "__slots__"),
        ({"hooks": object()}, "hooks must be RunHooks"),
        ({"run_config": {"modell": "x"}}, "run_config must be"),
        ({"session": SQLiteSession("t"), "conversation_id": "c"}, "leave the session out"),
        ({"user_id": ""}, "No user id"),
        ({"thread_id": "x" * 10_000}, "thread"),
    ],
)
def test_arguments_of_another_kind_are_refused_before_the_run(memory, arguments, told):
    with pytest.raises(InvalidInputError, match=told):
        memory.for_run(**{"user_id": "ada", **arguments})


async def test_a_config_given_as_a_mapping_is_one(memory, run_it, stored):
    model = Scripted("Hello.")
    config = {"model": model, "workflow_name": "mine"}
    await run_it(Agent("Friend"), "hi", **memory.for_run("ada", "t", run_config=config))
    assert stored() == said("hi", "Hello.")


async def test_the_config_of_a_session_over_a_websocket_keeps_its_connection(memory, stored, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    async with responses_websocket_session() as socket:
        run = memory.for_run("ada", "t", run_config=socket.run_config)
        assert run["run_config"].model_provider is socket.run_config.model_provider
        await Runner.run(Agent("Friend", model=Scripted("Hello.")), "hi", **run)
    assert stored() == said("hi", "Hello.")


async def test_runs_are_traced_without_texts_unless_memories_may_be_in_traces(connection):
    config = RunConfig(trace_include_sensitive_data=True)
    for allowed in (False, True):
        memory = RecallrAIMemory(connection, trace_memories=allowed)
        traced = memory.for_run("ada", run_config=config)["run_config"]
        assert traced.trace_include_sensitive_data is allowed
    off = RunConfig(trace_include_sensitive_data=False)
    assert not memory.for_run("ada", run_config=off)["run_config"].trace_include_sensitive_data


async def test_no_key_is_in_what_a_run_is_given(memory, server):
    assert server.api_key not in repr(memory.for_run("ada", "t")) + repr(memory)


async def test_the_conversation_that_recallrai_keeps_is_a_session(
    connection, memory, run_it, stored, make_connection
):
    for number, text in enumerate(("one", "two", "three")):
        model = Scripted(calls("look_up"), f"Answer {number}.")
        session = RecallrAISession("ada", "t", connection=connection)
        agent = Agent("Friend", model=model, tools=[look_up])
        await run_it(agent, text, **memory.for_run(session=session))
        texts = [item["content"] for item in model.inputs[0]]
        assert texts == ["one", "Answer 0.", "two", "Answer 1.", "three"][: 2 * number + 1]
    assert stored() == [*said("one", "Answer 0."), *said("two", "Answer 1."), *said("three", "Answer 2.")]


async def test_that_session_alone_stores_what_is_said(connection, run_it, stored):
    session = RecallrAISession("ada", "t", connection=connection, session_settings=SessionSettings(limit=2))
    model = Scripted([says("Let me see."), calls("look_up")], "One.", "Two.")
    agent = Agent("Friend", model=model, tools=[look_up])
    for text in ("first", "second"):
        await run_it(agent, text, session=session)
    assert stored() == [*said("first", "One."), *said("second", "Two.")]
    assert await session.get_items(1) == [{"role": "assistant", "content": "Two."}]
    assert await session.get_items(0) == []
    assert await session.pop_item() is None
    assert len(await session.get_items()) == 2
    await session.clear_session()
    assert await session.get_items() == []


@pytest.mark.parametrize("mode", ["inline", "background"])
def test_one_memory_serves_one_event_loop_after_another(make_connection, stored, mode):
    connection = make_connection(delivery=DeliveryOptions(mode=mode))
    memory = RecallrAIMemory(connection)
    session = RecallrAISession("ada", "t", connection=connection)
    agent = Agent("Friend", model=Scripted(), tools=recallrai_tools(connection))
    again = memory.for_run(session=session)  # these go from a loop that is closed to the next one
    for number, arguments in enumerate((again, again, memory.for_run("ada", "t"))):
        asyncio.run(Runner.run(agent, f"question {number}", **arguments))
    on_a_thread(agent, "question 3", **memory.for_run("ada", "t"))
    assert connection.flush() == 0
    assert stored() == [one for n in range(4) for one in said(f"question {n}", f"answer {n + 1}")]


async def test_delivery_in_the_background_stores_the_same(make_connection, run_it, stored):
    connection = make_connection(delivery=DeliveryOptions(mode="background"))
    memory = RecallrAIMemory(connection)
    await run_it(Agent("Friend", model=Scripted("Hello.")), "hi", **memory.for_run("ada", "t"))
    assert connection.flush() == 0
    assert stored() == said("hi", "Hello.")

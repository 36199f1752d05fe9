"""The memory service, alone and beside the plugin."""

from __future__ import annotations

import asyncio

import pytest
from google.adk.events import Event
from google.adk.memory.memory_entry import MemoryEntry
from google.adk.sessions import InMemorySessionService
from google.adk.tools import load_memory
from google.genai import types

from recallrai_integrations import InvalidInputError, MissingIdentityError, NotFoundError
from recallrai_integrations.google_adk import RecallrAIMemoryService, RecallrAIPlugin

from .scripted import Scripted, calls, friend, run, runner_of, said


@pytest.fixture
def service(connection):
    return RecallrAIMemoryService(connection)


async def session_of(*texts, user_id="ada", session_id="t"):
    sessions = InMemorySessionService()
    session = await sessions.create_session(app_name="app", user_id=user_id, session_id=session_id)
    for n, text in enumerate(texts):
        await sessions.append_event(session, event(text, "friend" if n % 2 else "user"))
    return session


def event(text, author="user"):
    return Event(author=author, content=said(text), invocation_id="i")


def entry(text):
    return MemoryEntry(content=types.Content(parts=[types.Part(text=text)]))


@pytest.fixture
def texts(stored):
    """What was said in the thread."""
    return lambda: [content for _, content in stored()]


async def search(service, query, user_id="ada"):
    return (await service.search_memory(app_name="app", user_id=user_id, query=query)).memories


async def remembered(connection):
    """Waits until the service has made memories."""
    for _ in range(1000):
        if memories := await connection.user("ada").amemories():
            return memories
        await asyncio.sleep(0.02)
    raise AssertionError("no memories were made")


async def test_a_session_is_stored_once_however_often_it_is_added(service, connection, texts):
    session = await session_of("My dog is called Biscuit.", "A fine name.")
    await service.add_session_to_memory(session)
    await service.add_session_to_memory(session)
    assert texts() == ["My dog is called Biscuit.", "A fine name."]


async def test_a_session_that_went_on_is_stored_from_where_it_was_left(service, connection, texts):
    await service.add_session_to_memory(await session_of("one", "two"))
    await service.add_session_to_memory(await session_of("one", "two", "three", "four"))
    assert texts() == ["one", "two", "three", "four"]


async def test_what_the_plugin_stored_is_not_stored_again_and_memories_are_made(service, connection, texts):
    sessions = InMemorySessionService()
    agent = friend(Scripted("A fine name."))
    runner = runner_of(agent, RecallrAIPlugin(connection), sessions=sessions, memory_service=service)
    await run(runner, "My dog is called Biscuit.")
    session = await sessions.get_session(app_name="app", user_id="ada", session_id="t")
    await service.add_session_to_memory(session)
    assert texts() == ["My dog is called Biscuit.", "A fine name."]
    assert any("Biscuit" in one.content for one in await remembered(connection))


async def test_the_tool_of_the_framework_finds_memories_by_a_question(service, connection):
    await service.add_session_to_memory(await session_of("My dog is called Biscuit."))
    await remembered(connection)
    model = Scripted(calls("load_memory", query="What is the dog called?"), "Biscuit.")
    agent = friend(model, tools=[load_memory])
    await run(runner_of(agent, memory_service=service), "My dog's name?", thread_id="other")
    assert "Biscuit" in model.prompts[-1]


async def test_a_memory_that_was_found_says_what_it_is_and_can_be_deleted(service, connection):
    await service.add_session_to_memory(await session_of("My dog is called Biscuit."))
    await remembered(connection)
    (found,) = await search(service, "What is my dog called?")
    assert "Biscuit" in found.content.parts[0].text
    assert found.timestamp is not None
    assert 0 < found.custom_metadata["similarity"] <= 1
    await service.delete_memory(app_name="app", user_id="ada", memory_id=found.id)
    assert await search(service, "What is my dog called?") == []
    with pytest.raises(NotFoundError):
        await service.delete_memory(app_name="app", user_id="ada", memory_id=found.id)


async def test_one_user_finds_nothing_of_another(service, connection):
    await service.add_session_to_memory(await session_of("My dog is called Biscuit."))
    await remembered(connection)
    assert await search(service, "What is my dog called?", "bob") == []


async def test_some_events_are_stored_behind_those_that_are(service, connection, texts):
    first, second = event("one"), event("two", "friend")
    for events in ([first], [first, second], [second]):
        await service.add_events_to_memory(app_name="app", user_id="ada", session_id="t", events=events)
    assert texts() == ["one", "two"]


async def test_transcriptions_of_speech_are_what_was_said(service, texts):
    heard, spoken = types.Transcription(text="one"), types.Transcription(text="two")
    events = [
        Event(author="user", invocation_id="i", input_transcription=heard),
        Event(author="friend", invocation_id="i", output_transcription=spoken),
    ]
    await service.add_events_to_memory(app_name="app", user_id="ada", session_id="t", events=events)
    assert texts() == ["one", "two"]


async def test_events_without_a_session_are_a_conversation_of_which_memories_are_made(service, connection):
    await service.add_events_to_memory(app_name="app", user_id="ada", events=[event("I live in Porto.")])
    assert "Porto" in (await remembered(connection))[0].content


async def test_texts_are_remembered_as_what_the_user_said(service, connection):
    await service.add_memory(app_name="app", user_id="ada", memories=[entry("I live in Porto.")])
    assert "Porto" in (await remembered(connection))[0].content


async def test_wrong_input_is_named(service):
    with pytest.raises(InvalidInputError, match="text"):
        await service.add_memory(app_name="app", user_id="ada", memories=[entry(" ")])
    with pytest.raises(InvalidInputError, match="memory_id"):
        await service.delete_memory(app_name="app", user_id="ada")
    with pytest.raises(InvalidInputError):
        await service.delete_memory(app_name="app", user_id="ada", memory_id="../../bob")
    with pytest.raises(MissingIdentityError, match="user_id"):
        await search(service, "anything", "")
    assert await search(service, " ") == []

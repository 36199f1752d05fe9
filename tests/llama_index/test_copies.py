"""Copies: for the same user they share the connection, for another one they serve that one."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.memory import Memory

from recallrai_integrations import Connection, MissingIdentityError
from recallrai_integrations.llama_index import (
    MergeConflictWorkflow,
    RecallrAIMemory,
    RecallrAIMemoryBlock,
    RecallrAIRetriever,
    RecallrAIToolSpec,
)
from recallrai_integrations.local import LocalRecallrAI
from recallrai_integrations.testing.llama_index import ScriptedLLM
from tests.conftest import Call

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the framework's own, when it copies

BISCUIT = "My dog is called Biscuit."
QUESTION = "What is my dog called?"


def said(*texts: str) -> list[ChatMessage]:
    return [ChatMessage(role=("user", "assistant")[n % 2], content=text) for n, text in enumerate(texts)]


def assigned(one: Any, **update: Any) -> Any:
    for name, value in update.items():
        setattr(one, name, value)
    return one


def copied(one: Any, **update: Any) -> Any:
    return one.model_copy(update=update)


def deeply_copied(one: Any, **update: Any) -> Any:
    return assigned(copy.copy(copy.deepcopy(one)), **update)


@pytest.mark.parametrize("change", [assigned, copied, deeply_copied])
async def test_a_memory_that_is_made_somebody_elses_knows_and_stores_nothing_of_the_first(
    change: Any, connection: Connection, knows: Any, call: Call
) -> None:
    knows(BISCUIT)
    memory = RecallrAIMemory("ada", "thread-1", connection=connection)
    await call(memory.put_messages, said(QUESTION))
    assert "Biscuit" in str(await call(memory.get))
    other = change(memory, user_id="bob")
    assert await call(other.get_all) == []
    await call(other.put_messages, said(QUESTION))
    assert await call(other.get) == said(QUESTION)
    assert BISCUIT not in str(other.to_dict())
    for user_id in ("ada", "bob"):
        history = connection.conversation(user_id, "thread-1").history()
        assert [one.content for one in history] == [QUESTION]


async def test_a_memory_that_gets_another_thread_goes_on_there(connection: Connection, call: Call) -> None:
    connection.conversation("ada", "there").record([("user", "one"), ("assistant", "1")])
    memory = RecallrAIMemory("ada", connection=connection)
    await call(memory.put_messages, said("here"))
    other = memory.model_copy(update={"thread_id": "there"})
    assert await call(other.get_all) == said("one", "1")
    await call(other.reset)  # it was given: its sessions are marked, for all processes
    assert await call(RecallrAIMemory("ada", "there", connection=connection).get_all) == []
    assert await call(memory.get_all) == said("here")


@pytest.mark.parametrize("user_id", [None, ""])
async def test_a_memory_without_a_user_any_more_refuses(
    user_id: Any, connection: Connection, call: Call
) -> None:
    memory = RecallrAIMemory("ada", "thread-1", connection=connection)
    memory.user_id = user_id
    with pytest.raises(MissingIdentityError, match=r"RecallrAIMemory\(user_id"):
        await call(memory.put, said("hi")[0])


@pytest.mark.parametrize("change", [assigned, copied, deeply_copied])
async def test_a_block_that_is_made_somebody_elses_serves_that_one(
    change: Any, connection: Connection, knows: Any
) -> None:
    knows(BISCUIT)
    block = RecallrAIMemoryBlock("ada", connection=connection)
    shown = said(QUESTION)
    assert "Biscuit" in await block.aget(shown, session_id="thread-1")
    other = change(block, user_id="bob")
    assert "Biscuit" not in await other.aget(shown, session_id="thread-1")
    assert [one.content for one in connection.conversation("bob", "thread-1").history()] == [QUESTION]


@pytest.mark.parametrize("change", [assigned, deeply_copied])
async def test_a_retriever_and_tools_that_are_made_somebody_elses_serve_that_one(
    change: Any, connection: Connection, knows: Any, call: Call
) -> None:
    knows(BISCUIT)
    retriever, tools = (
        RecallrAIRetriever("ada", connection=connection),
        RecallrAIToolSpec("ada", connection=connection),
    )
    assert "Biscuit" in str(await call(retriever.retrieve, QUESTION))
    assert "Biscuit" in await call(tools.search_memory, QUESTION)
    assert not await call(change(retriever, user_id="bob").retrieve, QUESTION)
    assert "Biscuit" not in await call(change(tools, user_id="bob").search_memory, QUESTION)


def all_of(connection: Connection) -> list[Any]:
    block = RecallrAIMemoryBlock("ada", connection=connection)
    memory = RecallrAIMemory("ada", "thread-1", connection=connection)
    memory.put(said("hello")[0])
    return [
        memory,
        block,
        RecallrAIRetriever("ada", connection=connection),
        RecallrAIToolSpec("ada", connection=connection),
    ]


def test_deep_copies_and_pickles_share_the_connection_and_hold_no_key(
    connection: Connection, server: LocalRecallrAI
) -> None:
    for one in all_of(connection):
        pickled = pickle.dumps(one)
        assert server.api_key.encode() not in pickled
        for again in (copy.deepcopy(one), pickle.loads(pickled)):
            assert again.user_id == "ada"
            binding = again._settings.binding if isinstance(again, RecallrAIMemory) else again._binding
            assert binding.source.get() is connection


async def test_what_holds_them_can_be_deep_copied(connection: Connection, call: Call) -> None:
    memory = RecallrAIMemory("ada", "thread-1", connection=connection)
    engine = copy.deepcopy(SimpleChatEngine.from_defaults(llm=ScriptedLLM("hello"), memory=memory))
    await call(engine.chat, "hi")
    assert [one.content for one in memory.get_all()] == ["hi", "hello"]
    block = RecallrAIMemoryBlock("ada", connection=connection)
    copy.deepcopy(Memory.from_defaults(session_id="t", memory_blocks=[block]).memory_blocks)
    copy.deepcopy(RecallrAIToolSpec("ada", connection=connection).to_tool_list())
    workflow = MergeConflictWorkflow("ada", connection=connection)
    assert copy.copy(workflow).user_id == "ada"

"""`RecallrAIMemoryBlock` in the framework's own `Memory`."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.memory import Memory

from recallrai_integrations import Connection, InvalidInputError
from recallrai_integrations.llama_index import RecallrAIMemoryBlock
from recallrai_integrations.local import LocalRecallrAI
from recallrai_integrations.testing.llama_index import ScriptedLLM
from tests.llama_index.conftest import Chat, make_engine

Stored = Callable[..., list[tuple[str, str]]]
Count = Callable[[str], int]


pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the framework's own agents


@pytest.fixture(autouse=True)
def _swept() -> Iterator[None]:
    """The framework's `Memory` never closes its in-memory database."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def block(connection: Connection) -> RecallrAIMemoryBlock:
    return RecallrAIMemoryBlock("ada", connection=connection)


def around(block: RecallrAIMemoryBlock, **options: Any) -> Memory:
    return Memory.from_defaults(session_id="thread-1", memory_blocks=[block], **options)


@pytest.mark.parametrize("kind", ["simple", "context"])
async def test_an_ordinary_chat_is_stored_whole_after_a_flush(
    kind: str, block: RecallrAIMemoryBlock, chat: Chat, stored: Stored, count: Count
) -> None:
    memory = around(block)
    engine = make_engine(kind, ScriptedLLM("ok", "ok", "ok"), memory)
    for _ in range(3):
        await chat(engine, "yes")
    assert await block.aflush(memory) == 0
    assert await block.aflush(memory) == 0
    assert stored() == [("user", "yes"), ("assistant", "ok")] * 3
    assert count("/context") == 3


async def test_memories_are_put_into_the_prompt(block: RecallrAIMemoryBlock, knows: Any, chat: Chat) -> None:
    knows("My dog is called Biscuit.")
    llm = ScriptedLLM()
    await chat(make_engine("context", llm, around(block)), "What is my dog called?")
    assert "Biscuit" in "".join(str(one.content) for one in llm.requests[0])


async def test_an_agents_turn_is_stored_and_recalled_for_once(
    block: RecallrAIMemoryBlock, stored: Stored, count: Count
) -> None:
    def weather(city: str) -> str:
        return f"Sunny in {city}"

    memory = around(block)
    call = [("weather", {"city": "Lisbon"})]
    agent = FunctionAgent(tools=[weather], llm=ScriptedLLM(call, call, "Sunny."))
    await agent.run(user_msg="Weather?", memory=memory)
    await block.aflush(memory)
    assert stored() == [("user", "Weather?"), ("assistant", "Sunny.")]
    assert count("/context") == 1


async def test_what_overflows_is_stored_once(block: RecallrAIMemoryBlock, stored: Stored) -> None:
    memory = around(block, token_limit=60, token_flush_size=20)
    said = []
    for n in range(12):
        for role, text in (("user", f"this is question {n}"), ("assistant", f"this is answer {n}")):
            await memory.aput(ChatMessage(role=role, content=text))
            said.append((role, text))
        if n % 3 == 0:
            await memory.aget()
    await block.aflush(memory)
    assert stored() == said


async def test_an_outage_costs_nothing_but_memories(
    block: RecallrAIMemoryBlock, server: LocalRecallrAI, connection: Connection, chat: Chat, stored: Stored
) -> None:
    memory = around(block)
    engine = make_engine("simple", ScriptedLLM(), memory)
    server.faults.add(status=503, path="*/sessions*")
    assert await chat(engine, "one") == "answer 1"
    server.faults.clear()
    assert await chat(engine, "two") == "answer 2"
    await block.aflush(memory)
    assert [text for _, text in stored()] == ["one", "answer 1", "two", "answer 2"]


async def test_memories_are_cut_by_whole_entries(block: RecallrAIMemoryBlock, knows: Any) -> None:
    animals = ["dog", "cat", "horse", "parrot", "turtle", "hamster", "goat", "rabbit"]
    knows(*(f"My {animal} is called Name{n}." for n, animal in enumerate(animals)))
    memory = around(block)
    await memory.aput(ChatMessage(content="What are my animals called?"))
    messages = await memory.aget_all()
    whole = await block.aget(messages, session_id="thread-1")
    count = len(memory.tokenizer_fn(whole))
    cut = await block.atruncate(whole, 60)
    assert cut is not None
    assert len(memory.tokenizer_fn(cut)) <= count - 60
    assert {line for line in cut.splitlines() if "is called" in line} < set(whole.splitlines())
    assert cut.rstrip().endswith("</recallrai_memory>")
    assert await block.atruncate(cut, 10_000) is None


async def test_the_end_of_a_conversation_makes_memories(
    block: RecallrAIMemoryBlock, connection: Connection
) -> None:
    memory = around(block)
    await memory.aput(ChatMessage(content="My dog is called Biscuit."))
    session = await block.afinish(memory, wait=30)
    assert session is not None
    assert session.status == "processed"
    assert "Biscuit" in connection.user("ada").memories()[0].content


async def test_a_block_that_does_not_know_its_conversation_says_so(block: RecallrAIMemoryBlock) -> None:
    with pytest.raises(InvalidInputError, match="session_id"):
        await block.aget([ChatMessage(content="hi")])

"""What users write with LlamaIndex, for the type checkers; never run. See `use_core`."""

from __future__ import annotations

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.llms import MockLLM
from llama_index.core.memory import BaseMemory, Memory
from llama_index.core.tools import FunctionTool
from llama_index.core.workflow import Context
from typing_extensions import assert_type

from recallrai_integrations import Connection, ContextOptions
from recallrai_integrations.llama_index import (
    MergeConflictAnswersEvent,
    MergeConflictsEvent,
    MergeConflictWorkflow,
    RecallrAIMemory,
    RecallrAIMemoryBlock,
    RecallrAIRetriever,
    RecallrAIToolSpec,
    ask_merge_conflicts,
)


def memories(connection: Connection) -> BaseMemory:
    memory = RecallrAIMemory("ada", "thread-1", connection=connection, context=ContextOptions())
    SimpleChatEngine.from_defaults(llm=MockLLM(), memory=memory)
    SimpleChatEngine.from_defaults(llm=MockLLM(), memory_cls=RecallrAIMemory.bound(user_id="ada"))
    memory.finish(wait=True)
    return memory


def blocks(connection: Connection) -> Memory:
    return Memory.from_defaults(
        memory_blocks=[RecallrAIMemoryBlock("ada", connection=connection, priority=1)]
    )


def others(connection: Connection) -> BaseRetriever:
    tools = RecallrAIToolSpec("ada", connection=connection).to_tool_list()
    assert_type(tools, list[FunctionTool])
    return RecallrAIRetriever("ada", connection=connection)


async def workflows(ctx: Context, connection: Connection) -> None:
    assert_type(await ask_merge_conflicts(ctx, "ada", connection=connection), list[str])
    MergeConflictWorkflow("ada", connection=connection)
    assert_type(MergeConflictsEvent(conflicts=[]).type, str)
    assert_type(MergeConflictAnswersEvent(answers={}).answers, dict[str, dict[str, str]])


def wrong(connection: Connection) -> None:
    RecallrAIMemory(connection=connection)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    RecallrAIMemory("ada", connection="rai_key")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    RecallrAIMemory("ada", insert_method="assistant")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    RecallrAIMemoryBlock("ada", connection="rai_key")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    RecallrAIRetriever("ada", connection="rai_key")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

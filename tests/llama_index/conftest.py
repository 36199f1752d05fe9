"""Engines and agents in all their modes, and what the service holds of a conversation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.chat_engine import (
    CondensePlusContextChatEngine,
    CondenseQuestionChatEngine,
    ContextChatEngine,
    SimpleChatEngine,
)
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.memory import BaseMemory
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from recallrai_integrations import Connection
from recallrai_integrations.llama_index import RecallrAIMemory
from recallrai_integrations.local import LocalRecallrAI

Chat = Callable[..., Awaitable[str]]


class OneDocument(BaseRetriever):
    """A knowledge base of one sentence."""

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return [NodeWithScore(node=TextNode(text="Paris is in France."), score=1.0)]


def make_engine(kind: str, llm: FunctionCallingLLM, memory: BaseMemory, **options: Any) -> Any:
    if kind == "simple":
        return SimpleChatEngine.from_defaults(llm=llm, memory=memory, **options)
    if kind == "context":
        return ContextChatEngine.from_defaults(retriever=OneDocument(), llm=llm, memory=memory, **options)
    if kind == "condense_plus":
        return CondensePlusContextChatEngine.from_defaults(
            retriever=OneDocument(), llm=llm, memory=memory, **options
        )
    query_engine = RetrieverQueryEngine.from_args(OneDocument(), llm=llm, streaming=True)
    return CondenseQuestionChatEngine.from_defaults(
        query_engine=query_engine, llm=llm, memory=memory, **options
    )


@pytest.fixture(params=["chat", "achat", "stream_chat", "astream_chat"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def chat(mode: str) -> Chat:
    """Asks an engine in the mode of this run, reads the whole answer, and waits until it is stored."""

    async def ask(engine: Any, message: str, **options: Any) -> str:
        if mode == "chat":
            return str(engine.chat(message, **options))
        if mode == "achat":
            return str(await engine.achat(message, **options))
        if mode == "stream_chat":
            return "".join(engine.stream_chat(message, **options).response_gen).strip()
        streamed = await engine.astream_chat(message, **options)
        words = [word async for word in streamed.async_response_gen()]
        if streamed.awrite_response_to_history_task is not None:
            await streamed.awrite_response_to_history_task
        return "".join(words).strip()

    return ask


@pytest.fixture
def memory(connection: Connection) -> RecallrAIMemory:
    return RecallrAIMemory("ada", "thread-1", connection=connection)


@pytest.fixture
def stored(connection: Connection) -> Callable[..., list[tuple[str, str]]]:
    """What the service holds of a thread, read by a conversation that knows nothing else."""

    def read(user_id: str = "ada", thread_id: str = "thread-1") -> list[tuple[str, str]]:
        history = connection.conversation(user_id, thread_id).history()
        return [(one.role, one.content) for one in history]

    return read


@pytest.fixture
def count(server: LocalRecallrAI) -> Callable[[str], int]:
    """How many requests went to a path that ends so."""

    def requests(end: str) -> int:
        return sum(one.path.endswith(end) for one in server.requests)

    return requests


@pytest.fixture
def knows(connection: Connection) -> Callable[..., None]:
    """Has the service make memories of what a user told in an earlier conversation."""

    def tell(*facts: str, user_id: str = "ada") -> None:
        conversation = connection.conversation(user_id)
        conversation.record([("user", fact) for fact in facts])
        session = conversation.finish(wait=30)
        assert session is not None
        assert session.status == "processed"

    return tell

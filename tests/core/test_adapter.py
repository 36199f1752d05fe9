"""What adapters of all frameworks share, beyond what the connection's own tests show."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor

from recallrai_integrations import Connection, Recall
from recallrai_integrations.adapter import (
    IMAGE_PLACEHOLDER,
    MEMORY_TOOLS,
    Binding,
    ConnectionSource,
    ToolResult,
    Turn,
    TurnCache,
    begin_tool,
    end_tool,
    outer_turn,
    while_calling,
)
from recallrai_integrations.local import LocalRecallrAI, RequestRecord
from tests.conftest import Call


def test_a_turn_cache_forgets_the_turn_that_was_used_least_recently():
    cache = TurnCache[str](2)
    cache.put("first", "a")
    cache.put("second", "b")
    assert cache.get("first") == "a"
    cache.put("third", "c")
    assert (cache.get("first"), cache.get("second"), cache.get("third")) == ("a", None, "c")
    assert copy.deepcopy(cache) is cache


def test_threads_that_need_the_connection_at_once_make_one(server: LocalRecallrAI, monkeypatch):
    monkeypatch.setenv("RECALLRAI_API_KEY", server.api_key)
    monkeypatch.setenv("RECALLRAI_PROJECT_ID", server.project_id)
    monkeypatch.setenv("RECALLRAI_BASE_URL", server.base_url)
    source = ConnectionSource()
    with ThreadPoolExecutor(8) as threads:
        made = set(threads.map(lambda _: source.get(), range(32)))
    (connection,) = made
    connection.close()


async def test_a_connection_says_whether_the_service_failed_when_it_was_last_tried(
    server: LocalRecallrAI, connection: Connection, call
):
    conversation = connection.conversation("ada", "thread-1")
    await call(conversation.record, ("user", "hi"))
    assert connection.is_down is False
    server.faults.add(status=503)
    recall = await call(conversation.recall)
    assert isinstance(recall, Recall)
    assert recall.degraded
    assert connection.is_down is True
    server.faults.clear()
    assert not (await call(conversation.recall)).degraded
    assert connection.is_down is False
    assert all(isinstance(request, RequestRecord) for request in server.requests)


def test_an_image_is_told_by_its_placeholder():
    from langchain_core.messages import HumanMessage

    from recallrai_integrations.langchain._messages import from_langchain

    told = from_langchain(
        HumanMessage([{"type": "image", "base64": "iVBORw0KGgo=", "mime_type": "image/png"}])
    )
    assert told is not None
    assert told.content == IMAGE_PLACEHOLDER


def test_a_context_that_outlives_a_run_is_inside_a_tool_only_while_the_run_calls_one(connection: Connection):
    turn = Turn.begin(Binding.of(connection), "hi", {"user_id": "ada"})
    calls = True
    while_calling(turn, lambda: calls)
    assert outer_turn() is turn
    inner = Turn.begin(Binding.of(connection), "a model's question", {"thread_id": "t"})
    assert (inner.stores, inner.identity.user_id) == (False, "ada")
    calls = False
    assert outer_turn() is None
    before = begin_tool(turn)
    assert outer_turn() is turn
    end_tool(before)
    assert outer_turn() is None


async def test_a_tool_hands_a_framework_its_value_beside_the_text_for_the_model(
    connection: Connection, call: Call
):
    tools = {one.name: one for one in MEMORY_TOOLS}
    found = await call(tools["list_memories"].result, Binding.of(connection, "ada"), {})
    assert found == ToolResult("Nothing is remembered.", [])

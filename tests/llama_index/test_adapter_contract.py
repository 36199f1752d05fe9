"""The memory is an adapter like any other, in both colours."""

from __future__ import annotations

from contextlib import suppress

import pytest
from llama_index.core.chat_engine import SimpleChatEngine

from recallrai_integrations.llama_index import RecallrAIMemory
from recallrai_integrations.testing import AdapterContract, Answered
from recallrai_integrations.testing.adapter import ABILITIES
from recallrai_integrations.testing.llama_index import ScriptedLLM


class TestMemory(AdapterContract):
    """One object for each thread; one without a thread is finished, since nothing else tells it of its end."""

    lacks = dict.fromkeys(ABILITIES, "not tried yet")

    @pytest.fixture(autouse=True)
    def _memories(self):
        self.memories: dict[object, RecallrAIMemory] = {}

    def memory(self, connection, user_id, thread_id):
        key = (user_id, thread_id or object())
        with suppress(KeyError):
            return self.memories[key]
        return self.memories.setdefault(key, RecallrAIMemory(user_id, thread_id, connection=connection))

    def turn(self, connection, user_id, thread_id, text):
        llm, memory = ScriptedLLM(f"answer to {text}"), self.memory(connection, user_id, thread_id)
        answer = SimpleChatEngine.from_defaults(llm=llm, memory=memory).chat(text)
        if thread_id is None:
            memory.finish()
        return _answered(str(answer), llm)


class TestAsyncMemory(TestMemory):
    async def turn(self, connection, user_id, thread_id, text):
        llm, memory = ScriptedLLM(f"answer to {text}"), self.memory(connection, user_id, thread_id)
        answer = await SimpleChatEngine.from_defaults(llm=llm, memory=memory).achat(text)
        if thread_id is None:
            await memory.afinish()
        return _answered(str(answer), llm)


def _answered(answer, llm):
    return Answered(answer, ["\n".join(str(one.content) for one in request) for request in llm.requests])

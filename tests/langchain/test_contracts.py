"""Our adapters against the suites that this package gives to everybody."""

from __future__ import annotations

import pytest

from recallrai_integrations import Connection
from recallrai_integrations.langchain import RecallrAIChatMessageHistory, RecallrAIMemory, RecallrAIMiddleware
from recallrai_integrations.testing.langchain import ChatHistoryContract, MemoryContract, MiddlewareContract


class _Ours:
    @pytest.fixture(autouse=True)
    def _use(self, make_connection):
        self.make_connection = make_connection
        self.connection: Connection = make_connection()

    def teach(self, user_id, fact):
        with self.connection.conversation(user_id) as earlier:
            earlier.record(("user", fact))
            earlier.finish(wait=30)

    def stored(self, user_id, thread_id):
        history = self.connection.conversation(user_id, thread_id).history()
        return [(one.role, one.content) for one in history]


class TestChatHistory(_Ours, ChatHistoryContract):
    def make_history(self, user_id, thread_id):
        return RecallrAIChatMessageHistory(user_id, thread_id, connection=self.make_connection())


class TestMiddleware(_Ours, MiddlewareContract):
    def make_middleware(self):
        return RecallrAIMiddleware(self.make_connection())


@pytest.mark.filterwarnings("ignore:The class `.*Memory` was deprecated")
class TestMemory(_Ours, MemoryContract):
    def make_memory(self, user_id, thread_id, **options):
        return RecallrAIMemory(
            user_id=user_id, thread_id=thread_id, connection=self.make_connection(), **options
        )

"""`RecallrAIMemory` keeps the contract of a conversation memory."""

from __future__ import annotations

from typing import Any

import pytest

from recallrai_integrations import Connection
from recallrai_integrations.llama_index import RecallrAIMemory
from recallrai_integrations.testing.llama_index import ChatMemoryContract


class TestNewConversation(ChatMemoryContract):
    """Without a thread id."""

    thread_id: str | None = None

    @pytest.fixture(autouse=True)
    def _connected(self, connection: Connection) -> None:
        self.connection = connection

    def make_memory(self, **options: Any) -> RecallrAIMemory:
        return RecallrAIMemory.from_defaults(
            user_id="ada", thread_id=self.thread_id, connection=self.connection, **options
        )


class TestThread(TestNewConversation):
    """With the thread id of an application."""

    thread_id = "thread-1"


class TestBoundClass(TestNewConversation):
    """As engines make it from `memory_cls`."""

    def make_memory(self, **options: Any) -> RecallrAIMemory:
        bound = RecallrAIMemory.bound(user_id="ada", connection=self.connection)
        return bound.from_defaults(**options)

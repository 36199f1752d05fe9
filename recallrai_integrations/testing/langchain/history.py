"""What a chat history has to do."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence

from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
)

from ._colours import Colour, InBothColours, Said

__all__ = ["ChatHistoryContract"]


class ChatHistoryContract(InBothColours, ABC):
    """What a `BaseChatMessageHistory` has to do.

    Example:
        ```python
        from langchain_core.chat_history import BaseChatMessageHistory, InMemoryChatMessageHistory

        from recallrai_integrations.testing.langchain import ChatHistoryContract

        HISTORIES: dict[tuple[str, str], BaseChatMessageHistory] = {}

        class TestMyHistory(ChatHistoryContract):
            def make_history(self, user_id: str, thread_id: str) -> BaseChatMessageHistory:
                return HISTORIES.setdefault((user_id, thread_id), InMemoryChatMessageHistory())
        ```
    """

    @abstractmethod
    def make_history(self, user_id: str, thread_id: str) -> BaseChatMessageHistory:
        """The history of a thread; called again for the same thread, it stands for another process."""

    def test_what_was_added_is_read_in_order(self, user_id: str, colour: Colour) -> None:
        """Questions and answers come back as messages of the same kind, in order."""
        history = self.make_history(user_id, "t")
        self._add(colour, history, [HumanMessage("one"), AIMessage("two")])
        self._add(colour, history, [HumanMessage("three")])
        assert self._read(colour, history) == [("human", "one"), ("ai", "two"), ("human", "three")]

    def test_another_object_reads_the_same(self, user_id: str, colour: Colour) -> None:
        """The history is kept outside of the object."""
        self._add(colour, self.make_history(user_id, "t"), [HumanMessage("one")])
        assert self._read(colour, self.make_history(user_id, "t")) == [("human", "one")]

    def test_reads_are_stable(self, user_id: str, colour: Colour) -> None:
        """Two reads give equal messages, ids included, since callers cut by what they have read."""
        history = self.make_history(user_id, "t")
        self._add(colour, history, [HumanMessage("ok"), AIMessage("ok"), HumanMessage("ok")])
        first, second = (self._messages(colour, history) for _ in range(2))
        assert first == second

    def test_threads_and_users_are_apart(self, user_id: str, colour: Colour) -> None:
        """Nothing of one thread or user shows in another."""
        self._add(colour, self.make_history(user_id, "t"), [HumanMessage("secret")])
        assert self._read(colour, self.make_history(user_id, "other")) == []
        assert self._read(colour, self.make_history(f"{user_id}-other", "t")) == []

    def test_clearing_begins_anew_for_all(self, user_id: str, colour: Colour) -> None:
        """After `clear` every object reads an empty history, and a new one grows."""
        history = self.make_history(user_id, "t")
        self._add(colour, history, [HumanMessage("before")])
        if colour == "sync":
            history.clear()
        else:
            asyncio.run(history.aclear())
        assert self._read(colour, self.make_history(user_id, "t")) == []
        self._add(colour, history, [HumanMessage("after")])
        assert self._read(colour, self.make_history(user_id, "t")) == [("human", "after")]

    def test_a_long_history_is_read_whole(self, user_id: str, colour: Colour) -> None:
        """Also beyond one page of the service."""
        count = 520
        self._add(colour, self.make_history(user_id, "t"), [HumanMessage(f"m{n}") for n in range(count)])
        assert self._read(colour, self.make_history(user_id, "t")) == [
            ("human", f"m{n}") for n in range(count)
        ]

    def test_a_repeated_text_is_kept(self, user_id: str, colour: Colour) -> None:
        """People say the same thing twice."""
        history = self.make_history(user_id, "t")
        for _ in range(2):
            self._add(colour, history, [HumanMessage("hi"), AIMessage("hello")])
        assert self._read(colour, history) == [("human", "hi"), ("ai", "hello")] * 2

    @staticmethod
    def _add(colour: Colour, history: BaseChatMessageHistory, messages: Sequence[BaseMessage]) -> None:
        if colour == "sync":
            history.add_messages(messages)
        else:
            asyncio.run(history.aadd_messages(messages))

    @staticmethod
    def _messages(colour: Colour, history: BaseChatMessageHistory) -> list[BaseMessage]:
        return list(history.messages) if colour == "sync" else asyncio.run(history.aget_messages())

    def _read(self, colour: Colour, history: BaseChatMessageHistory) -> Said:
        return [(one.type, one.text) for one in self._messages(colour, history)]

"""What a memory of langchain-classic has to do."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import Any

from langchain_core.messages import (
    SystemMessage,
)

from ._colours import Colour, InBothColours

__all__ = ["MemoryContract"]


class MemoryContract(InBothColours, ABC):
    """What a `BaseMemory` of langchain-classic has to do as a long-term memory.

    Example:
        ```python
        from typing import Any

        import pytest

        from recallrai_integrations import connect
        from recallrai_integrations.langchain import RecallrAIMemory
        from recallrai_integrations.testing.langchain import MemoryContract

        class TestMyMemory(MemoryContract):
            @pytest.fixture(autouse=True)
            def connected(self):
                with connect(local=":memory:") as self.connection:
                    yield

            def make_memory(self, user_id: str, thread_id: str, **options: Any) -> RecallrAIMemory:
                return RecallrAIMemory(
                    connection=self.connection, user_id=user_id, thread_id=thread_id, **options
                )

            def teach(self, user_id: str, fact: str) -> None:
                with self.connection.conversation(user_id) as conversation:
                    conversation.record(("user", fact))
                    conversation.finish(wait=True)
        ```
    """

    fact = "Ada's dog is called Biscuit."
    question = "What is my dog called?"
    clue = "Biscuit"

    @abstractmethod
    def make_memory(self, user_id: str, thread_id: str, **options: Any) -> Any:
        """A memory; `options` are `memory_key`, `input_key`, `output_key` and `return_messages`."""

    @abstractmethod
    def teach(self, user_id: str, fact: str) -> None:
        """Has a fact remembered, from an earlier conversation."""

    def test_loading_fills_the_variable_with_what_is_remembered(self, user_id: str, colour: Colour) -> None:
        """The question decides what that is."""
        self.teach(user_id, self.fact)
        memory = self.make_memory(user_id, "t", memory_key="known")
        assert memory.memory_variables == ["known"]
        loaded = self._load(colour, memory, {"input": self.question})
        assert self.clue in loaded["known"]

    def test_what_was_said_is_loaded_in_the_next_turn(self, user_id: str, colour: Colour) -> None:
        """As text, or as messages for a placeholder."""
        memory = self.make_memory(user_id, "t")
        self._turn(colour, memory, "I like tea.", "Noted.")
        text = self._load(colour, self.make_memory(user_id, "t"), {"input": "And now?"})["history"]
        assert "I like tea." in text
        assert text.index("I like tea.") < text.index("Noted.")
        memory = self.make_memory(user_id, "t2", return_messages=True)
        self._turn(colour, memory, "I like tea.", "Noted.")
        messages = self._load(colour, memory, {"input": "And now?"})["history"]
        assert [(one.type, one.text) for one in messages if not isinstance(one, SystemMessage)] == [
            ("human", "I like tea."),
            ("ai", "Noted."),
        ]

    def test_keys_say_what_is_question_and_answer(self, user_id: str, colour: Colour) -> None:
        """Where a chain has several inputs and outputs."""
        memory = self.make_memory(user_id, "t", input_key="q", output_key="a", return_messages=True)
        inputs, outputs = {"q": "asked", "style": "short"}, {"a": "answered", "sources": "none"}
        self._load(colour, memory, inputs)
        self._save(colour, memory, inputs, outputs)
        loaded = self._load(colour, memory, {"q": "next", "style": "short"})["history"]
        assert [one.text for one in loaded if not isinstance(one, SystemMessage)] == ["asked", "answered"]

    def test_saving_without_loading_stores_both(self, user_id: str, colour: Colour) -> None:
        """As notebooks do, to fill a memory by hand."""
        memory = self.make_memory(user_id, "t", return_messages=True)
        self._save(colour, memory, {"input": "hi"}, {"output": "hello"})
        loaded = self._load(colour, memory, {})["history"]
        assert [one.text for one in loaded] == ["hi", "hello"]

    def _turn(self, colour: Colour, memory: Any, question: str, answer: str) -> None:
        self._load(colour, memory, {"input": question})
        self._save(colour, memory, {"input": question}, {"output": answer})

    @staticmethod
    def _load(colour: Colour, memory: Any, inputs: dict[str, Any]) -> Any:
        if colour == "sync":
            return memory.load_memory_variables(inputs)
        return asyncio.run(memory.aload_memory_variables(inputs))

    @staticmethod
    def _save(colour: Colour, memory: Any, inputs: dict[str, Any], outputs: dict[str, Any]) -> None:
        if colour == "sync":
            memory.save_context(inputs, outputs)
        else:
            asyncio.run(memory.asave_context(inputs, outputs))

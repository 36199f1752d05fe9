"""What a memory for LangChain has to do: suites to subclass, and a scripted chat model to run them with.

```python
from recallrai_integrations.testing.langchain import ChatHistoryContract

class TestMyHistory(ChatHistoryContract):
    def make_history(self, user_id, thread_id):
        return MyHistory(user_id, thread_id)
```

Every behaviour is tested in both colours, in plain functions: no plugin of pytest is needed. The suites need
the extra `langchain` and pytest. `ScriptedChatModel` is of use in your own tests too.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, Literal, TypeAlias

import pytest
from langchain.agents import create_agent  # pyright: ignore[reportUnknownVariableType] - a generic without arguments upstream
from langchain.agents.middleware import AgentMiddleware
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    SystemMessage,
)
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command, interrupt
from pydantic import Field, PrivateAttr
from typing_extensions import override

__all__ = [
    "ChatHistoryContract",
    "Colour",
    "MemoryContract",
    "MiddlewareContract",
    "ScriptedChatModel",
    "run",
    "tool_call",
]

Colour: TypeAlias = Literal["sync", "async"]
"""Which of the two forms of a method a test calls."""
Said: TypeAlias = list[tuple[str, str]]


def run(colour: Colour, runnable: Runnable[Any, Any], given: Any, config: Any = None, **kwargs: Any) -> Any:
    """Runs a runnable in a colour; the async one in an event loop of its own, as a new process would.

    Example:
        ```python
        from langchain_core.runnables import RunnableLambda

        from recallrai_integrations.testing.langchain import run

        upper = RunnableLambda(str.upper)
        assert run("sync", upper, "hi") == run("async", upper, "hi") == "HI"
        ```
    """
    if colour == "sync":
        return runnable.invoke(given, config, **kwargs)
    return asyncio.run(runnable.ainvoke(given, config, **kwargs))


def tool_call(name: str, /, **arguments: Any) -> AIMessage:
    """An answer that calls a tool.

    Example:
        ```python
        from recallrai_integrations.testing.langchain import tool_call

        message = tool_call("weather", city="Lisbon")
        assert message.tool_calls[0]["args"] == {"city": "Lisbon"}
        ```
    """
    return AIMessage("", tool_calls=[{"name": name, "args": arguments, "id": uuid.uuid4().hex}])


class ScriptedChatModel(BaseChatModel):
    """A chat model that answers what it is told to, and keeps the requests it got.

    Args:
        script: answers in order, each text, a message, or an error to raise; when they are used up it
            answers with the number of the request.

    Example:
        ```python
        from recallrai_integrations.testing.langchain import ScriptedChatModel, tool_call

        model = ScriptedChatModel(script=[tool_call("weather", city="Lisbon"), "It is sunny."])
        assert model.invoke("How is the weather?").tool_calls
        assert model.invoke("And?").content == "It is sunny."
        assert model.requests[0][0].content == "How is the weather?"
        ```
    """

    script: list[Any] = Field(default_factory=list[Any])
    _requests: list[list[BaseMessage]] = PrivateAttr(default_factory=list[list[BaseMessage]])

    @property
    def requests(self) -> list[list[BaseMessage]]:
        """The messages of each request so far."""
        return self._requests

    @property
    @override
    def _llm_type(self) -> str:
        return "scripted"

    @override
    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[Any, AIMessage]:
        return self

    @override
    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._next(messages))])

    @override
    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._next(messages))])

    @override
    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        yield from _chunks(self._next(messages))

    @override
    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in _chunks(self._next(messages)):
            yield chunk

    def _next(self, messages: list[BaseMessage]) -> AIMessage:
        self._requests.append(list(messages))
        step = self.script.pop(0) if self.script else f"answer {len(self._requests)}"
        if isinstance(step, BaseException):
            raise step
        return AIMessage(step) if isinstance(step, str) else step


def _chunks(message: AIMessage) -> Iterator[ChatGenerationChunk]:
    """A message word by word, as providers stream it."""
    if not isinstance(message.content, str) or message.tool_calls:  # pyright: ignore[reportUnknownMemberType] - untyped dict blocks
        calls = [
            {"name": call["name"], "args": json.dumps(call["args"]), "id": call["id"], "index": n}
            for n, call in enumerate(message.tool_calls)
        ]
        yield ChatGenerationChunk(
            message=AIMessageChunk(content=message.content, tool_call_chunks=calls)  # type: ignore[arg-type]  # pyright: ignore[reportUnknownMemberType, reportArgumentType] - plain dicts are taken
        )
        return
    words = message.content.split(" ")
    for n, word in enumerate(words):
        yield ChatGenerationChunk(message=AIMessageChunk(content=word if n == 0 else f" {word}"))


class _InBothColours:
    @pytest.fixture(params=["sync", "async"])
    def colour(self, request: pytest.FixtureRequest) -> Colour:
        """Both colours."""
        return "sync" if request.param == "sync" else "async"

    @pytest.fixture
    def user_id(self) -> str:
        """A user whom nobody knows yet."""
        return f"user-{uuid.uuid4().hex[:12]}"


class ChatHistoryContract(_InBothColours, ABC):
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


class MiddlewareContract(_InBothColours, ABC):
    """What a long-term memory has to do as a middleware of `create_agent`.

    The user and the thread are in `config["configurable"]` as `user_id` and `thread_id`.

    Example:
        ```python
        import pytest
        from langchain.agents.middleware import AgentMiddleware

        from recallrai_integrations import connect
        from recallrai_integrations.langchain import RecallrAIMiddleware
        from recallrai_integrations.testing.langchain import MiddlewareContract

        class TestMyMiddleware(MiddlewareContract):
            @pytest.fixture(autouse=True)
            def connected(self):
                with connect(local=":memory:") as self.connection:
                    yield

            def make_middleware(self) -> AgentMiddleware:
                return RecallrAIMiddleware(self.connection)

            def teach(self, user_id: str, fact: str) -> None:
                with self.connection.conversation(user_id) as conversation:
                    conversation.record(("user", fact))
                    conversation.finish(wait=True)

            def stored(self, user_id: str, thread_id: str) -> list[tuple[str, str]]:
                history = self.connection.conversation(user_id, thread_id).history()
                return [(message.role, message.content) for message in history]
        ```
    """

    fact = "Ada's dog is called Biscuit."
    """What `teach` is given, and `question` asks for."""
    question = "What is my dog called?"
    clue = "Biscuit"
    """What must show in a request when the fact was recalled."""

    @abstractmethod
    def make_middleware(self) -> AgentMiddleware:
        """The middleware; called again, it stands for another process."""

    @abstractmethod
    def teach(self, user_id: str, fact: str) -> None:
        """Has a fact remembered, from an earlier conversation."""

    @abstractmethod
    def stored(self, user_id: str, thread_id: str) -> Said:
        """What was stored of a thread: `("user" | "assistant", text)`, in order."""

    def test_question_and_answer_are_stored_once_in_order(self, user_id: str, colour: Colour) -> None:
        """Turn after turn with a checkpointer, though every turn sees all messages again."""
        agent = self._agent(ScriptedChatModel(script=["first", "second", "third"]))
        for n in range(3):
            run(colour, agent, _asks(f"question {n}"), _config(user_id))
        answers = ("first", "second", "third")
        wanted = [pair for n in range(3) for pair in (("user", f"question {n}"), ("assistant", answers[n]))]
        assert self.stored(user_id, "t") == wanted

    def test_of_a_whole_history_only_the_end_is_new(self, user_id: str, colour: Colour) -> None:
        """Without a checkpointer callers send all that was said, with every turn."""
        agent = self._agent(ScriptedChatModel(script=["a1", "a2"]), checkpointer=None)
        run(colour, agent, _asks("q1"), _config(user_id))
        run(colour, agent, {"messages": [("user", "q1"), ("ai", "a1"), ("user", "q2")]}, _config(user_id))
        wanted = [("user", "q1"), ("assistant", "a1"), ("user", "q2"), ("assistant", "a2")]
        assert self.stored(user_id, "t") == wanted

    def test_every_model_call_of_a_turn_sees_the_memories(self, user_id: str, colour: Colour) -> None:
        """Before and after each tool call, in one system message that comes first."""
        self.teach(user_id, self.fact)
        model = ScriptedChatModel(script=[tool_call("look_up"), tool_call("look_up"), "Biscuit."])
        run(colour, self._agent(model), _asks(self.question), _config(user_id))
        assert len(model.requests) == 3
        for request in model.requests:
            assert [type(one) for one in request].count(SystemMessage) == 1
            assert self.clue in request[0].text
        assert self.stored(user_id, "t") == [("user", self.question), ("assistant", "Biscuit.")]

    def test_memories_are_in_no_state_checkpoint_or_stream(self, user_id: str, colour: Colour) -> None:
        """They are for the model's eyes only."""
        self.teach(user_id, self.fact)
        agent = self._agent(ScriptedChatModel(script=["I see."]))
        modes = ["values", "updates", "debug", "tasks", "checkpoints", "messages", "custom"]
        given, config = _asks(self.question), _config(user_id)

        async def streamed() -> list[Any]:
            return [part async for part in agent.astream(given, config, stream_mode=modes)]

        parts = (
            list(agent.stream(given, config, stream_mode=modes))
            if colour == "sync"
            else asyncio.run(streamed())
        )
        assert "I see." in repr(parts)
        assert self.clue not in repr(parts)
        assert self.clue not in repr(list(agent.get_state_history(config)))

    def test_a_resumed_interrupt_stores_nothing_twice_and_still_recalls(
        self, user_id: str, colour: Colour
    ) -> None:
        """Also when another process goes on with the checkpoint."""
        self.teach(user_id, self.fact)
        saver = InMemorySaver()
        model = ScriptedChatModel(script=[tool_call("confirm"), "Biscuit."])
        agent = self._agent(model, checkpointer=saver)
        assert "__interrupt__" in run(colour, agent, _asks(self.question), _config(user_id))
        assert self.stored(user_id, "t") == [("user", self.question)]
        agent = self._agent(model, checkpointer=saver)
        run(colour, agent, Command(resume="yes"), _config(user_id))
        assert self.clue in model.requests[-1][0].text
        assert self.stored(user_id, "t") == [("user", self.question), ("assistant", "Biscuit.")]

    def test_a_failed_model_call_is_resumed_without_storing_the_question_again(
        self, user_id: str, colour: Colour
    ) -> None:
        """By `invoke(None)`, in the same process or in another one."""
        for again_in_another_process in (False, True):
            saver, thread = InMemorySaver(), f"t-{again_in_another_process}"
            model = ScriptedChatModel(script=[RuntimeError("no model"), "here I am"])
            agent = self._agent(model, checkpointer=saver)
            with pytest.raises(RuntimeError, match="no model"):
                run(colour, agent, _asks("anyone?"), _config(user_id, thread))
            if again_in_another_process:
                agent = self._agent(model, checkpointer=saver)
            run(colour, agent, None, _config(user_id, thread))
            assert self.stored(user_id, thread) == [("user", "anyone?"), ("assistant", "here I am")]

    def test_a_sub_agent_that_a_tool_calls_stores_nothing(self, user_id: str, colour: Colour) -> None:
        """A model wrote its question. An agent that is a node of a graph stores what the user says."""
        helper = self._agent(ScriptedChatModel(script=["helper's answer"]), checkpointer=None)

        @tool
        def delegate(task: str) -> str:
            """Has a helper do it."""
            return str(helper.invoke(_asks(task))["messages"][-1].text)

        @tool
        async def adelegate(task: str) -> str:
            """Has a helper do it."""
            return str((await helper.ainvoke(_asks(task)))["messages"][-1].text)

        name = "delegate" if colour == "sync" else "adelegate"
        model = ScriptedChatModel(script=[tool_call(name, task="written by a model"), "done"])
        agent = self._agent(model, tools=[delegate if colour == "sync" else adelegate])
        run(colour, agent, _asks("please"), _config(user_id))
        assert self.stored(user_id, "t") == [("user", "please"), ("assistant", "done")]

    def test_users_and_threads_are_apart(self, user_id: str, colour: Colour) -> None:
        """One agent serves all of them."""
        self.teach(user_id, self.fact)
        model = ScriptedChatModel()
        agent = self._agent(model)
        other = f"{user_id}-other"
        run(colour, agent, _asks(self.question), _config(other))
        assert self.clue not in repr(model.requests[-1])
        run(colour, agent, _asks(self.question), _config(user_id, "t2"))
        assert self.clue in model.requests[-1][0].text
        assert self.stored(other, "t") == [("user", self.question), ("assistant", "answer 1")]
        assert self.stored(user_id, "t2") == [("user", self.question), ("assistant", "answer 2")]

    def test_a_missing_user_is_an_error(self, colour: Colour) -> None:
        """Never a default that users share."""
        with pytest.raises(Exception, match="user"):
            run(colour, self._agent(ScriptedChatModel()), _asks("hi"), {"configurable": {"thread_id": "t"}})

    def _agent(self, model: BaseChatModel, *, checkpointer: Any = "memory", tools: Sequence[Any] = ()) -> Any:
        @tool
        def look_up() -> str:
            """Looks something up."""
            return "found nothing"

        @tool
        def confirm() -> str:
            """Asks the user."""
            return str(interrupt("sure?"))

        return create_agent(
            model,
            tools=[look_up, confirm, *tools],
            middleware=[self.make_middleware()],
            checkpointer=InMemorySaver() if checkpointer == "memory" else checkpointer,
        )


class MemoryContract(_InBothColours, ABC):
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


def _asks(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


def _config(user_id: str, thread_id: str = "t") -> dict[str, Any]:
    return {"configurable": {"user_id": user_id, "thread_id": thread_id}}

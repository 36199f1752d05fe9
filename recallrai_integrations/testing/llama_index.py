"""For tests with LlamaIndex: a model that follows a script, and the contract of a conversation memory.

```python
from recallrai_integrations.testing.llama_index import ChatMemoryContract


class TestMyMemory(ChatMemoryContract):
    def make_memory(self, **options):
        return MyMemory.from_defaults(**options)
```
"""

# ruff: noqa: D102 - the names of the tests say what they show
from __future__ import annotations

import asyncio
import copy
import json
import pickle
from collections.abc import AsyncGenerator, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from typing_extensions import override

from ._missing import naming_what_is_missing

with naming_what_is_missing():
    from llama_index.core.base.llms.types import (
        ChatMessage,
        ChatResponse,
        CompletionResponse,
        LLMMetadata,
        MessageRole,
    )
    from llama_index.core.llms.function_calling import FunctionCallingLLM
    from llama_index.core.llms.llm import ToolSelection
    from llama_index.core.memory import BaseMemory
    from pydantic import PrivateAttr

if TYPE_CHECKING:
    from llama_index.core.tools import BaseTool

__all__ = ["ChatMemoryContract", "ScriptedLLM"]


class ScriptedLLM(FunctionCallingLLM):
    """A model that answers from a script and keeps the requests it got.

    Args:
        script: one item for each call, in order: a text is the answer; a list of `(tool name, arguments)` is
            a call of these tools, with some narration; an exception is raised, and in a stream it is raised
            after the first words. Past its end the answers are `"answer 1"`, `"answer 2"` …

    Example:
        ```python
        from llama_index.core.llms import ChatMessage

        from recallrai_integrations.testing.llama_index import ScriptedLLM

        llm = ScriptedLLM("Hello!", [("weather", {"city": "Lisbon"})])
        assert llm.chat([ChatMessage(content="Hi")]).message.content == "Hello!"
        assert llm.requests[0][0].content == "Hi"
        ```
    """

    _script: list[Any] = PrivateAttr(default_factory=list[Any])
    _requests: list[list[ChatMessage]] = PrivateAttr(default_factory=list[list[ChatMessage]])
    _prompts: list[str] = PrivateAttr(default_factory=list[str])

    def __init__(self, *script: Any) -> None:
        super().__init__()
        self._script = list(script)

    @property
    def requests(self) -> list[list[ChatMessage]]:
        """The messages of each chat request, as copies."""
        return self._requests

    @property
    def prompts(self) -> list[str]:
        """The prompts of each completion."""
        return self._prompts

    @property
    @override
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(is_function_calling_model=True, is_chat_model=True, context_window=100_000)

    @override
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return ChatResponse(message=self._reply(messages))

    @override
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        await asyncio.sleep(0)
        return self.chat(messages)

    @override
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Generator[ChatResponse]:
        return self._stream(messages)

    @override
    async def astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> AsyncGenerator[ChatResponse]:
        async def stream() -> AsyncGenerator[ChatResponse]:
            for chunk in self._stream(messages):
                await asyncio.sleep(0)
                yield chunk

        return stream()

    @override
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        self._prompts.append(prompt)
        return CompletionResponse(text="standalone question")

    @override
    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return self.complete(prompt)

    @override
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        yield self.complete(prompt)

    @override
    async def astream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        async def stream() -> AsyncGenerator[CompletionResponse]:
            yield self.complete(prompt)

        return stream()

    @override
    def get_tool_calls_from_response(
        self, response: ChatResponse, error_on_no_tool_call: bool = True, **kwargs: Any
    ) -> list[ToolSelection]:
        return list(response.message.additional_kwargs.get("tool_calls", ()))

    @override
    def _prepare_chat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> dict[str, Any]:
        asked = (
            [ChatMessage(content=user_msg)] if isinstance(user_msg, str) else [user_msg] if user_msg else []
        )
        return {"messages": [*(chat_history or []), *asked]}

    def _reply(self, messages: Sequence[ChatMessage]) -> ChatMessage:
        self._requests.append([one.model_copy(deep=True) for one in messages])
        item = self._script.pop(0) if self._script else f"answer {len(self._requests)}"
        if isinstance(item, BaseException):
            raise item
        if isinstance(item, str):
            return ChatMessage(role=MessageRole.ASSISTANT, content=item)
        calls = [
            ToolSelection(tool_id=uuid4().hex, tool_name=name, tool_kwargs=arguments)
            for name, arguments in item
        ]
        return ChatMessage(
            role=MessageRole.ASSISTANT, content="Let me see.", additional_kwargs={"tool_calls": calls}
        )

    def _stream(self, messages: Sequence[ChatMessage]) -> Generator[ChatResponse]:
        fails = bool(self._script) and isinstance(self._script[0], BaseException)
        if fails:
            started = ChatMessage(role=MessageRole.ASSISTANT, content="Let")
            yield ChatResponse(message=started, delta="Let")
        message = self._reply(messages)
        words = (message.content or "").split(" ")
        for place, word in enumerate(words):
            delta = word if not place else f" {word}"
            so_far = " ".join(words[: place + 1])
            yield ChatResponse(
                message=ChatMessage(
                    role=message.role, content=so_far, additional_kwargs=message.additional_kwargs
                ),
                delta=delta,
            )


def _user(text: str) -> ChatMessage:
    return ChatMessage(role=MessageRole.USER, content=text)


def _assistant(text: str) -> ChatMessage:
    return ChatMessage(role=MessageRole.ASSISTANT, content=text)


def _tool_turn(name: str) -> list[ChatMessage]:
    call = {"tool_calls": [{"id": name, "name": name}]}
    return [
        _user(f"ask {name}"),
        ChatMessage(role=MessageRole.ASSISTANT, content="", additional_kwargs=call),
        ChatMessage(
            role=MessageRole.TOOL, content=f"result {name}", additional_kwargs={"tool_call_id": name}
        ),
        _assistant(f"answer {name}"),
    ]


def _contents(messages: Sequence[ChatMessage]) -> list[tuple[str, str | None]]:
    return [(one.role.value, one.content) for one in messages]


class ChatMemoryContract:
    """What chat engines and agents rely on in a memory. Subclass it and implement `make_memory`.

    The memory under test remembers nothing of its user when a test begins.

    Example:
        ```python
        from llama_index.core.memory import BaseMemory, ChatMemoryBuffer

        from recallrai_integrations.testing.llama_index import ChatMemoryContract

        class TestMyMemory(ChatMemoryContract):
            def make_memory(self, **options: object) -> BaseMemory:
                return ChatMemoryBuffer.from_defaults(**options)
        ```
    """

    def make_memory(self, **options: Any) -> BaseMemory:
        """A new, empty memory; options are `token_limit`, `chat_history` and `tokenizer_fn`."""
        raise NotImplementedError

    def test_an_empty_memory_is_true_and_gives_no_messages(self) -> None:
        memory = self.make_memory()
        assert bool(memory), "the framework replaces a memory that is false"
        assert memory.get() == []
        assert memory.get_all() == []

    def test_messages_come_back_in_order_with_all_they_hold(self) -> None:
        memory = self.make_memory()
        given = [ChatMessage(role=MessageRole.SYSTEM, content="Be kind."), *_tool_turn("a"), *_tool_turn("b")]
        for message in given[:3]:
            memory.put(message)
        memory.put_messages(given[3:])
        assert memory.get_all() == given
        assert memory.get() == given

    async def test_async_calls_do_the_same(self) -> None:
        memory = self.make_memory()
        given = [*_tool_turn("a"), *_tool_turn("b")]
        await memory.aput(given[0])
        await memory.aput_messages(given[1:])
        assert await memory.aget_all() == given
        assert await memory.aget() == given
        await memory.aset(given[4:])
        assert await memory.aget_all() == given[4:]
        await memory.areset()
        assert await memory.aget_all() == []

    def test_nothing_put_is_nothing_done(self) -> None:
        memory = self.make_memory()
        memory.put_messages([])
        assert memory.get_all() == []

    def test_arguments_that_only_some_engines_pass_are_taken(self) -> None:
        memory = self.make_memory()
        memory.put(_user("hi"))
        assert memory.get(initial_token_count=3, of_another_kind=True) == [_user("hi")]

    def test_set_replaces_the_history_and_reset_empties_it(self) -> None:
        memory = self.make_memory()
        memory.put_messages(_tool_turn("a"))
        memory.set(_tool_turn("b"))
        assert memory.get_all() == _tool_turn("b")
        memory.set([])
        assert memory.get_all() == []
        memory.put(_user("hi"))
        memory.reset()
        assert memory.get_all() == []

    def test_what_the_caller_does_to_messages_changes_nothing(self) -> None:
        memory = self.make_memory()
        message = _user("hi")
        memory.put(message)
        message.blocks = []
        for got in (memory.get(), memory.get_all()):
            got[0].blocks = []
            got.clear()
        assert _contents(memory.get_all()) == [("user", "hi")]
        assert _contents(memory.get()) == [("user", "hi")]

    def test_a_history_can_be_given_from_the_start(self) -> None:
        memory = self.make_memory(chat_history=_tool_turn("a"), token_limit=1000)
        assert memory.get_all() == _tool_turn("a")

    def test_a_history_above_the_limit_loses_its_oldest_turns_whole(self) -> None:
        system = ChatMessage(role=MessageRole.SYSTEM, content="Be kind.")
        turns = [_tool_turn(name) for name in "abcdef"]
        history = [message for turn in turns for message in turn]
        for limit in range(1, 200, 7):
            memory = self.make_memory(
                chat_history=[system, *history], token_limit=limit, tokenizer_fn=str.split
            )
            kept = [one for one in memory.get() if one.role is not MessageRole.SYSTEM]
            assert kept == history[len(history) - len(kept) :]
            assert kept[0].role is MessageRole.USER
            assert len(kept) % 4 == 0
            assert memory.get_all() == [system, *history]

    def test_tokens_of_the_engines_own_prompt_count(self) -> None:
        history = [*_tool_turn("a"), *_tool_turn("b")]
        memory = self.make_memory(chat_history=history, token_limit=40, tokenizer_fn=str.split)
        assert memory.get(initial_token_count=0) == history
        assert memory.get(initial_token_count=39) == history[4:]

    def test_copies_are_the_same_conversation(self) -> None:
        memory = self.make_memory()
        copy.deepcopy({"state": [memory]})["state"][0].put(_user("deep"))
        copy.copy(memory).put(_assistant("shallow"))
        assert _contents(memory.get_all()) == [("user", "deep"), ("assistant", "shallow")]

    def test_it_survives_json_and_pickle_with_its_history(self) -> None:
        memory = self.make_memory(token_limit=77)
        memory.put_messages(_tool_turn("a"))
        again = type(memory).from_dict(json.loads(json.dumps(memory.to_dict())))
        pickled: BaseMemory = pickle.loads(pickle.dumps(memory))  # noqa: S301 - of our own making
        for restored in (again, pickled):
            assert type(restored) is type(memory)
            assert restored.get_all() == _tool_turn("a")
            assert restored.get_all() == memory.get_all()

    def test_messages_put_at_once_from_threads_are_all_there(self) -> None:
        memory = self.make_memory()
        with ThreadPoolExecutor(10) as pool:
            list(pool.map(memory.put, [_user(f"m{n}") for n in range(20)]))
        assert sorted(str(one.content) for one in memory.get_all()) == sorted(f"m{n}" for n in range(20))

    async def test_messages_put_at_once_on_an_event_loop_are_all_there(self) -> None:
        memory = self.make_memory()
        await asyncio.gather(*(memory.aput(_user(f"m{n}")) for n in range(20)))
        got = await memory.aget_all()
        assert sorted(str(one.content) for one in got) == sorted(f"m{n}" for n in range(20))

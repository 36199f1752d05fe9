"""Chains: where their messages are, where memories go in, and what their answer is."""

from __future__ import annotations

import operator
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import reduce
from typing import Any, cast

from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, convert_to_messages
from langchain_core.prompt_values import PromptValue
from langchain_core.runnables import Runnable, RunnableConfig, RunnableSequence
from langchain_core.runnables.base import RunnableBindingBase
from typing_extensions import override

from recallrai_integrations.errors import InvalidInputError
from recallrai_integrations.messages import Message
from recallrai_integrations.recall import Recall

from ._messages import conversation_of, turn_answer
from ._prompting import with_memories_in_messages

__all__ = ["Keys", "Sink", "check", "with_recall"]

_MODEL_INPUT: Any = FakeListChatModel(responses=[]).InputType  # the same for all language models


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The keys of a chain's dicts, as `RunnableWithMessageHistory` has them, and one for the memories."""

    input: str | None
    output: str | None
    history: str | None
    context: str | None

    def input_messages(self, given: Any) -> list[BaseMessage]:
        """The messages of an input; text is the user's.

        Raises:
            InvalidInputError: no messages where the key says that they are.
        """
        if isinstance(given, Mapping):
            given = _picked(cast("Mapping[str, Any]", given), self.input, "input", "input_messages_key")
        if isinstance(given, str):
            return [HumanMessage(given)]
        if isinstance(given, BaseMessage):
            return [given]
        if isinstance(given, PromptValue):
            return given.to_messages()
        if isinstance(given, Sequence):
            return convert_to_messages(cast("list[Any]", given))
        raise InvalidInputError(
            f"The user's message must be text, a message or messages, not {type(given).__name__}; "
            "name its place with input_messages_key."
        )

    def output_messages(self, output: Any) -> list[BaseMessage]:
        """The messages of an output; text is the assistant's. What is none of these holds no messages."""
        if isinstance(output, Mapping):
            try:
                output = _picked(cast("Mapping[str, Any]", output), self.output, "output", "")
            except InvalidInputError:
                return []
        if isinstance(output, str):
            return [AIMessage(output)]
        if isinstance(output, BaseMessage):
            return [output]
        if isinstance(output, Sequence):
            found = [one for one in cast("list[Any]", output) if isinstance(one, BaseMessage)]
            return found if len(found) == len(cast("list[Any]", output)) else []
        return []


class Sink:
    """Takes what a run puts out, whole or in chunks, and says what the answer is."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._chunks: list[Any] = []

    def add(self, chunk: Any) -> None:
        """Takes an output, or the next chunk of it."""
        self._chunks.append(chunk)

    def answer(self) -> Message | None:
        """The answer as it is stored; None when there is none, or none that is text."""
        if not self._chunks:
            return None
        try:
            output = reduce(operator.add, self._chunks)
        except TypeError:  # what cannot be added up comes whole, the last one being the most complete
            output = self._chunks[-1]
        return turn_answer(self._keys.output_messages(output))


def check(runnable: Runnable[Any, Any], keys: Keys) -> None:
    """Whether memories can get into a runnable.

    Raises:
        InvalidInputError: says what to do instead.
    """
    if not isinstance(cast("object", runnable), Runnable):
        raise InvalidInputError(
            f"with_recallrai_memory takes a Runnable, not a {type(runnable).__name__}; wrap a function in "
            "RunnableLambda."
        )
    if any(base.__name__ == "Pregel" for base in type(runnable).__mro__):
        raise InvalidInputError(
            "with_recallrai_memory cannot wrap a graph: memories would get into its state. Use "
            "create_agent(..., middleware=[RecallrAIMiddleware(...)]) for agents, or recall_node and "
            "remember_node in a StateGraph."
        )
    if keys.context is None and _with_model(runnable, lambda model: model) is None:
        raise InvalidInputError(
            "No chat model was found in this runnable, so that there is no request to put memories into. "
            "Pass context_key=…, a variable of its dict input that is filled with them."
        )


def with_recall(
    runnable: Runnable[Any, Any],
    keys: Keys,
    given: Any,
    recall: Recall | None,
    history: Sequence[BaseMessage],
) -> tuple[Runnable[Any, Any], Any]:
    """The runnable and the input of one call, with what was recalled in the one or the other."""
    if keys.history is not None or keys.context is not None:
        if not isinstance(given, Mapping):
            given = {keys.input or "input": given}
        given = dict(cast("Mapping[str, Any]", given))
        if keys.history is not None:
            given[keys.history] = list(history)
        if keys.context is not None:
            sent = [*history, *keys.input_messages(given)]
            given[keys.context] = "" if recall is None else recall.prompt(sent=conversation_of(sent)).text
            return runnable, given
    if recall is None:
        return runnable, given
    told = recall
    informed = _with_model(runnable, lambda model: _Informed(model, told))
    assert informed is not None  # `check` saw to it
    return informed, given


class _Informed(Runnable[Any, Any]):
    """A model that gets the memories with its messages; in traces it is the model alone, as without us."""

    def __init__(self, model: Runnable[Any, Any], recall: Recall) -> None:
        self._model = model
        self._recall = recall

    @override
    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        return self._model.invoke(self._request(input), config, **kwargs)

    @override
    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        return await self._model.ainvoke(self._request(input), config, **kwargs)

    @override
    def stream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Iterator[Any]:
        return self._model.stream(self._request(input), config, **kwargs)

    @override
    def astream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> AsyncIterator[Any]:
        return self._model.astream(self._request(input), config, **kwargs)

    def _request(self, value: Any) -> list[BaseMessage]:
        return with_memories_in_messages(self._recall, _messages_of(value))


def _with_model(
    runnable: Runnable[Any, Any], change: Callable[[Runnable[Any, Any]], Runnable[Any, Any]]
) -> Runnable[Any, Any] | None:
    """The runnable with another one for its last chat model; None when there is no model in sight."""
    if isinstance(runnable, RunnableSequence):
        steps = list(runnable.steps)
        for place in reversed(range(len(steps))):
            changed = _with_model(steps[place], change)
            if changed is not None:
                steps[place] = changed
                return RunnableSequence(*steps, name=runnable.name)
        return None
    if _takes_messages(runnable):
        return change(runnable)
    if isinstance(runnable, RunnableBindingBase):
        bound = _with_model(runnable.bound, change)
        return None if bound is None else runnable.model_copy(update={"bound": bound})
    return None


def _takes_messages(runnable: Runnable[Any, Any]) -> bool:
    """Whether it takes what language models take: a model, also bound, with fallbacks or configurable."""
    with suppress(Exception):  # not every runnable can tell its type
        return bool(runnable.InputType == _MODEL_INPUT)
    return False


def _messages_of(value: Any) -> list[BaseMessage]:
    if isinstance(value, PromptValue):
        return value.to_messages()
    if isinstance(value, str):
        return [HumanMessage(value)]
    return convert_to_messages(value)


def _picked(values: Mapping[str, Any], key: str | None, usual: str, option: str) -> Any:
    """The value that holds the messages, found as `RunnableWithMessageHistory` finds it."""
    name = key or (next(iter(values)) if len(values) == 1 else usual)
    if name not in values:
        raise InvalidInputError(
            f"There is no {name!r} among the keys {', '.join(map(repr, values))}; "
            f"say where the user's message is with {option}=…"
        )
    return values[name]

"""Chains: where their messages are, where memories go in, and what their answer is."""

from __future__ import annotations

import operator
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import reduce
from typing import Any, cast

from langchain_core.documents import Document
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, convert_to_messages
from langchain_core.output_parsers import BaseCumulativeTransformOutputParser, BaseOutputParser
from langchain_core.prompt_values import PromptValue
from langchain_core.runnables import Runnable, RunnableConfig, RunnableSequence, RunnableWithFallbacks
from langchain_core.runnables.base import RunnableBindingBase
from pydantic import BaseModel
from typing_extensions import override

from recallrai_integrations.errors import InvalidInputError
from recallrai_integrations.messages import Message
from recallrai_integrations.recall import Recall

from ._messages import conversation_of, turn_answer
from ._prompting import with_memories_in_messages
from ._turns import as_json

__all__ = ["Keys", "Sink", "check", "last_parser", "with_recall"]

_STORABLE = (str, int, float, Mapping, list, tuple, BaseModel)
_MODEL_INPUT: Any = FakeListChatModel(responses=[]).InputType  # the same for all language models


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The keys of a chain's dicts, as `RunnableWithMessageHistory` has them, and one for the memories."""

    input: str | None
    output: str | None
    history: str | None
    context: str | None
    input_option: str = "input_messages_key"
    output_option: str = "output_messages_key"

    def input_messages(self, given: Any) -> list[BaseMessage]:
        """The messages of an input; text is the user's.

        Raises:
            InvalidInputError: no messages where the key says that they are.
        """
        if isinstance(given, Mapping):
            given = _picked(cast("Mapping[str, Any]", given), self.input, "input", self.input_option)
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
            f"name its key with {self.input_option}."
        )

    def output_messages(self, output: Any, *, whole: bool = False) -> list[BaseMessage]:
        """The messages of an output; text is the assistant's, and structured answers are stored as JSON.

        Args:
            output: of the chain.
            whole: a dict is the answer, not what holds it.

        Raises:
            InvalidInputError: no answer where the key says that it is.
        """
        if isinstance(output, Mapping) and (self.output is not None or not whole):
            output = _picked(cast("Mapping[str, Any]", output), self.output, "output", self.output_option)
        parts: list[object] = [output]
        if isinstance(output, (list, tuple)):
            parts = [*cast("Sequence[object]", output)]
        messages = [one for one in parts if isinstance(one, BaseMessage)]
        if len(messages) == len(parts):
            return messages
        if not all(isinstance(one, _STORABLE) and not isinstance(one, Document) for one in parts):
            raise InvalidInputError(
                f"The answer is a {type(cast('object', output)).__name__}, not text; name the key of "
                f"the text with {self.output_option}=…"
            )
        return [AIMessage(output if isinstance(output, str) else as_json(output))]


class Sink:
    """Takes what a run puts out, whole or in chunks, and says what the answer is.

    Args:
        keys: of the chain.
        parser: its last step, when that is one: then a dict is the answer.
    """

    def __init__(self, keys: Keys, parser: Runnable[Any, Any] | None = None) -> None:
        self._keys = keys
        self._whole = parser is not None
        self._cumulative = isinstance(parser, BaseCumulativeTransformOutputParser) and not parser.diff
        self._chunks: list[Any] = []

    def add(self, chunk: Any) -> None:
        """Takes an output, or the next chunk of it."""
        self._chunks.append(chunk)

    def answer(self) -> Message | None:
        """The answer as it is stored; None when there is none, such as a tool call.

        Raises:
            InvalidInputError: no answer where the key says that it is, or one that is no text.
        """
        if not self._chunks:
            return None
        output = self._chunks[-1]  # what cannot be added up comes whole, the last one being the most complete
        if not self._cumulative:
            with suppress(TypeError):
                output = reduce(operator.add, self._chunks)
        return turn_answer(self._keys.output_messages(output, whole=self._whole))


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
            "This runnable contains no chat model, so there is no request to put memories into. "
            "Pass context_key=…, the name of an input variable that receives the memories."
        )


def last_parser(runnable: Runnable[Any, Any]) -> Runnable[Any, Any] | None:
    """The parser that a chain ends with, if it does: what comes out is then the model's answer, parsed."""
    if isinstance(runnable, RunnableSequence):
        return last_parser(runnable.last)
    if isinstance(runnable, RunnableWithFallbacks):
        return last_parser(runnable.runnable)
    if isinstance(runnable, RunnableBindingBase):
        return last_parser(runnable.bound)
    return runnable if isinstance(runnable, BaseOutputParser) else None


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
    changed: Runnable[Any, Any] | None = None
    if isinstance(runnable, RunnableSequence):
        steps = list(runnable.steps)
        for place in reversed(range(len(steps))):
            step = _with_model(steps[place], change)
            if step is not None:
                steps[place] = step
                changed = RunnableSequence(*steps, name=runnable.name)
                break
    elif _takes_messages(runnable):
        changed = change(runnable)
    elif isinstance(runnable, RunnableWithFallbacks):
        chains = [runnable.runnable, *runnable.fallbacks]
        changes = [_with_model(one, change) for one in chains]
        if any(one is not None for one in changes):
            first, *further = [new or old for new, old in zip(changes, chains, strict=True)]
            changed = runnable.model_copy(update={"runnable": first, "fallbacks": further})
    elif isinstance(runnable, RunnableBindingBase):
        bound = _with_model(runnable.bound, change)
        changed = None if bound is None else runnable.model_copy(update={"bound": bound})
    return changed


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
            f"name the key of the message with {option}=…"
        )
    return values[name]

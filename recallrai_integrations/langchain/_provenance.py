"""Who wrote a question: the user, or a model that asks another agent.

A sub-agent gets its question as a human message whoever wrote it. The runs around it tell: the user's words
are in what the outermost run was given, and nothing under a tool is theirs. LangChain calls its callbacks for
every run, with its parent and its input; one handler in the process takes note of those that are under way.
"""

from __future__ import annotations

import dataclasses
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, Final, Literal, cast, get_args
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import BaseMessage, convert_to_messages
from langchain_core.prompt_values import PromptValue
from langchain_core.runnables import RunnableConfig
from langchain_core.tracers.context import register_configure_hook
from langgraph.types import Command
from pydantic import BaseModel
from typing_extensions import override

from recallrai_integrations.adapter import outer_turn
from recallrai_integrations.errors import InvalidInputError

from ._identity import configurable
from ._messages import text_of
from ._telling import Once

__all__ = ["Nested", "Nesting", "Writer", "caller", "is_nested", "is_within_tool", "outermost", "writer_of"]

Nested = Literal["auto", "store", "recall_only", "off"]
Writer = Literal["user", "tool", "application"]
"""Who wrote a question: `"tool"` when one called the agent, `"application"` when nobody is known to have."""

_RUNS_KEPT: Final = 10_000  # of runs whose end is never told, as those of streams that nobody reads on
_DEPTH: Final = 6  # of values in which the user's words are looked for


@dataclasses.dataclass(slots=True)
class _Run:
    id: UUID
    parent: UUID | None
    given: Any
    tool: bool = False
    in_graph: bool = False
    asked_model: bool = False


class _Runs(BaseCallbackHandler):
    """Takes note of the runs that are under way. Says nothing, keeps nothing of a run that has ended."""

    run_inline = True  # in order, also in async runs

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: OrderedDict[UUID, _Run] = OrderedDict()

    def around(self, run_id: UUID | None) -> list[_Run]:
        """A run and those around it, the innermost first, as far as they are known."""
        found: list[_Run] = []
        with self._lock:
            while run_id is not None and (run := self._runs.get(run_id)) is not None:
                found.append(run)
                run_id = run.parent
        return found

    @override
    def on_chain_start(
        self,
        serialized: Any,
        inputs: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        in_graph = "langgraph_checkpoint_ns" in (metadata or {})
        self._begin(_Run(run_id, parent_run_id, inputs, in_graph=in_graph))

    @override
    def on_tool_start(
        self,
        serialized: Any,
        input_str: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **kwargs: Any,
    ) -> None:
        self._begin(_Run(run_id, parent_run_id, None, tool=True))

    @override
    def on_chat_model_start(
        self,
        serialized: Any,
        messages: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **kwargs: Any,
    ) -> None:
        for run in self.around(parent_run_id):
            run.asked_model = True

    @override
    def on_llm_start(
        self,
        serialized: Any,
        prompts: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **kwargs: Any,
    ) -> None:
        for run in self.around(parent_run_id):
            run.asked_model = True

    @override
    def on_chain_end(self, outputs: Any, *, run_id: UUID, **kwargs: Any) -> None:
        self._end(run_id)

    @override
    def on_chain_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        self._end(run_id)

    @override
    def on_tool_end(self, output: Any, *, run_id: UUID, **kwargs: Any) -> None:
        self._end(run_id)

    @override
    def on_tool_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        self._end(run_id)

    def _begin(self, run: _Run) -> None:
        with self._lock:
            self._runs[run.id] = run
            if len(self._runs) > _RUNS_KEPT:
                self._runs.popitem(last=False)

    def _end(self, run_id: UUID) -> None:
        with self._lock:
            self._runs.pop(run_id, None)

    def __deepcopy__(self, memo: dict[int, Any]) -> _Runs:
        return self


_runs: Final = _Runs()
register_configure_hook(ContextVar("recallrai_runs", default=_runs), inheritable=True)


class Nesting:
    """What one surface does where it runs within something else.

    Args:
        nested: `"auto"` stores what the user wrote, and always recalls; the others hold wherever it is
            nested.
        name: of the surface, for the warning.

    Raises:
        InvalidInputError: an unknown `nested`.
    """

    def __init__(self, nested: Nested, name: str) -> None:
        if nested not in get_args(Nested):
            raise InvalidInputError(f"nested must be one of {', '.join(get_args(Nested))}, not {nested!r}.")
        self._nested: Nested = nested
        self._unknown_writer = Once(
            f"{name} was asked something that is not what the user said, so nothing of it is stored in "
            f'RecallrAI. Pass {name}(nested="store") if it is the user\'s, and nested="recall_only" if a '
            "model wrote it."
        )

    def is_off(self, config: RunnableConfig) -> bool:
        """Whether it does nothing at all here."""
        return self._nested == "off" and (is_nested(config) or is_within_tool(config))

    def stores(self, question: BaseMessage | None, config: RunnableConfig) -> bool:
        """Whether the turn that a question begins is stored; warns once where nobody knows who asked."""
        if self._nested == "auto":
            writer = writer_of(question, config)
            if writer == "application":
                self._unknown_writer.warn()
            return writer == "user"
        return self._nested == "store" or not (is_nested(config) or is_within_tool(config))


def is_nested(config: Mapping[str, Any]) -> bool:
    """Whether the run belongs to a graph within another one."""
    return len(_levels(config)) > 1


def is_within_tool(config: RunnableConfig) -> bool:
    """Whether a tool called the run, so that a model wrote the question."""
    in_tools_node = "tools" in _levels(config)[:-1]
    return outer_turn() is not None or in_tools_node or any(run.tool for run in _around(config))


def caller(config: RunnableConfig) -> UUID | None:
    """The run that called this one: the same for its retries, its fallbacks and its parallel branches."""
    return getattr(config.get("callbacks"), "parent_run_id", None)


def outermost(config: RunnableConfig) -> str:
    """Names the call of the application that the run is a part of; "" when that is not known."""
    around = _around(config)
    return around[-1].id.hex if around else ""


def writer_of(question: BaseMessage | None, config: RunnableConfig) -> Writer:
    """Who wrote a question.

    Args:
        question: the message, as it stands in the state.
        config: of the run that was asked.
    """
    if is_within_tool(config):
        return "tool"
    around = _around(config)
    if question is None or not (is_nested(config) or _outside(around)):
        return "user"
    forms = _forms(question, around)
    for run in reversed(around):
        told = set(_texts(run.given))
        if not told.isdisjoint(forms):
            return "user"
        if told and not isinstance(run.given, Command):  # behind an interrupt, the run was given its answer
            in_chain = not is_nested(config) and not around[-1].asked_model
            return "user" if in_chain else "application"
    return "user"


def _around(config: RunnableConfig) -> list[_Run]:
    return _runs.around(caller(config))


def _outside(around: Sequence[_Run]) -> Sequence[_Run]:
    """The runs around the outermost graph, or all where there is none."""
    graph = next((place for place, run in enumerate(around) if not run.in_graph), 0)
    return around[graph + 1 :] if around and around[0].in_graph else around


def _levels(config: Mapping[str, Any]) -> list[str]:
    namespace = str(configurable(config).get("checkpoint_ns") or "")
    return [level.split(":", 1)[0] for level in namespace.split("|")]


def _forms(question: BaseMessage, around: Sequence[_Run]) -> set[str]:
    """Its text, and what it was before some middleware redacted it."""
    given = (_messages_in(run.given) for run in around)
    same = (one for messages in given for one in messages if one.id is not None and one.id == question.id)
    return {text_of(one).strip() for one in (question, *same)}


def _messages_in(given: Any) -> list[BaseMessage]:
    values: list[Any] = [*cast("dict[str, Any]", given).values()] if isinstance(given, dict) else [given]
    found: list[Any] = []
    for value in values:
        found += value if isinstance(value, list) else [value]
    return [one for one in found if isinstance(one, BaseMessage)]


def _texts(given: Any, depth: int = 0) -> Iterator[str]:
    """All texts in what a run was given, whatever its form."""
    if isinstance(given, str):
        if text := given.strip():
            yield text
    elif isinstance(given, BaseMessage):
        yield text_of(given).strip()
    elif depth < _DEPTH:
        for part in _parts(given):
            yield from _texts(part, depth + 1)


def _parts(given: Any) -> Iterator[Any]:
    if isinstance(given, PromptValue):
        yield from given.to_messages()
    elif isinstance(given, dict):
        values = cast("dict[str, Any]", given)
        if "content" in values:  # a message as a dict, maybe of blocks
            with suppress(ValueError, TypeError, KeyError, NotImplementedError):
                yield from convert_to_messages([values])
        yield from values.values()
    elif isinstance(given, (list, tuple)):
        yield from cast("Sequence[Any]", given)
    elif isinstance(given, BaseModel):
        yield from (getattr(given, name) for name in type(given).model_fields)
    elif dataclasses.is_dataclass(given) and not isinstance(given, type):
        yield from (getattr(given, field.name) for field in dataclasses.fields(given))

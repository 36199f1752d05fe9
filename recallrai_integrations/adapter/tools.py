"""The tools with which a model searches and corrects its user's memories, defined once for all frameworks."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, NamedTuple, cast

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from recallrai_integrations.errors import (
    CredentialsError,
    InvalidInputError,
    MissingIdentityError,
    NotFoundError,
    RequestRejectedError,
    ServiceError,
)
from recallrai_integrations.options import RecallOptions
from recallrai_integrations.user import UserMemory

from .binding import Binding
from .steps import Steps, Twin, arun, run
from .wording import conflicts_text, memories_text, settled_text

__all__ = ["MEMORY_TOOLS", "MemoryTool", "ToolRefusal", "ToolResult"]

_UNPROCESSABLE: Final = 422


class ToolRefusal(Exception):  # noqa: N818 - an answer for the model; the run continues
    """One line for the model instead of a result, for the framework's own tool error."""


class ToolResult(NamedTuple):
    """The result of a tool, as text for a model and as the value behind the text.

    Attributes:
        text: for the model.
        value: memories of a search or list, merge conflicts, the id that was deleted, or whether a
            contradiction was settled.

    Example:
        ```python
        from recallrai_integrations import connect
        from recallrai_integrations.adapter import MEMORY_TOOLS, Binding, ToolResult

        with connect(local=":memory:") as connection:
            tools = {one.name: one for one in MEMORY_TOOLS}
            found = tools["list_memories"].result(Binding.of(connection, "ada"), {})
            assert found == ToolResult(found.text, [])
        ```
    """

    text: str
    value: Any


@dataclass(frozen=True, slots=True)
class MemoryTool:
    """A tool for one user's memories that fits any framework's tool type. The model never chooses the user.

    Frameworks that take a schema use `name`, `description` and `arguments` (a pydantic model) or `parameters`
    (JSON schema), and `call` or `acall`. Frameworks that read a function's signature use `function` or
    `afunction`.

    Attributes:
        name: for the model.
        description: for the model.
        arguments: the model of the tool's arguments.
        read_only: the tool changes nothing.
        destructive: the tool deletes permanently.

    Example:
        ```python
        from recallrai_integrations import connect
        from recallrai_integrations.adapter import MEMORY_TOOLS, Binding

        with connect(local=":memory:") as connection:
            binding = Binding.of(connection)
            search, *_ = MEMORY_TOOLS
            print(search.name, search.parameters["properties"])
            print(search.call(binding, {"question": "What is my dog called?"}, {"user_id": "ada"}))
        ```
    """

    name: str
    description: str
    arguments: type[BaseModel]
    _work: Callable[[UserMemory, Any, RecallOptions | None], Steps[ToolResult]]
    read_only: bool = False
    destructive: bool = False

    @property
    def parameters(self) -> dict[str, Any]:
        """The arguments as JSON schema, an object."""
        schema = self.arguments.model_json_schema()
        return {key: value for key, value in schema.items() if key not in ("title", "description")}

    def call(self, binding: Binding, arguments: Mapping[str, Any] | str | BaseModel, *places: Any) -> str:
        """Calls the tool for the user of a run.

        Args:
            binding: of the adapter.
            arguments: from the model: an object, its JSON text, or the checked model.
            places: where the framework keeps identity, for `Binding.identity`.

        Returns:
            Text for the model; one line if the service refuses or is down, or an argument is wrong.

        Raises:
            MissingIdentityError: there is no user id.
            CredentialsError: the service refused the key.
        """
        try:
            return self.invoke(binding, arguments, *places)
        except ToolRefusal as refusal:
            return str(refusal)

    async def acall(
        self, binding: Binding, arguments: Mapping[str, Any] | str | BaseModel, *places: Any
    ) -> str:
        """The async twin of `call`."""
        try:
            return await self.ainvoke(binding, arguments, *places)
        except ToolRefusal as refusal:
            return str(refusal)

    def invoke(self, binding: Binding, arguments: Mapping[str, Any] | str | BaseModel, *places: Any) -> str:
        """The same as `call`, for frameworks that mark a tool's errors.

        Raises:
            ToolRefusal: contains the line for the model.
        """
        return self.result(binding, arguments, *places).text

    async def ainvoke(
        self, binding: Binding, arguments: Mapping[str, Any] | str | BaseModel, *places: Any
    ) -> str:
        """The async twin of `invoke`."""
        return (await self.aresult(binding, arguments, *places)).text

    def result(
        self, binding: Binding, arguments: Mapping[str, Any] | str | BaseModel, *places: Any
    ) -> ToolResult:
        """The same as `invoke`, with the value besides the text, for frameworks with structured results."""
        return run(self._calling(binding, arguments, places))

    async def aresult(
        self, binding: Binding, arguments: Mapping[str, Any] | str | BaseModel, *places: Any
    ) -> ToolResult:
        """The async twin of `result`."""
        return await arun(self._calling(binding, arguments, places))

    def function(self, binding: Binding, places: Callable[[], tuple[Any, ...]] = tuple) -> Callable[..., str]:
        """Returns a function with the tool's name, docstring and signature, for frameworks that read those.

        Args:
            binding: of the adapter.
            places: called for each tool call; returns where the run keeps identity.
        """

        def function(**arguments: Any) -> str:
            return self.call(binding, arguments, *places())

        return self._described(function)

    def afunction(
        self, binding: Binding, places: Callable[[], tuple[Any, ...]] = tuple
    ) -> Callable[..., Any]:
        """The async twin of `function`: a coroutine function."""

        async def function(**arguments: Any) -> str:
            return await self.acall(binding, arguments, *places())

        return self._described(function)

    def _calling(
        self, binding: Binding, arguments: Mapping[str, Any] | str | BaseModel, places: tuple[Any, ...]
    ) -> Steps[ToolResult]:
        user = yield from binding.remembering(*places)
        try:
            return (yield from self._work(user, self._checked(arguments), binding.recall))
        except (MissingIdentityError, CredentialsError):
            raise
        except (ServiceError, InvalidInputError) as error:
            raise ToolRefusal(_line(error)) from error

    def _checked(self, arguments: Mapping[str, Any] | str | BaseModel) -> BaseModel:
        if isinstance(arguments, self.arguments):
            return arguments
        try:
            if isinstance(arguments, str):
                return self.arguments.model_validate(json.loads(arguments or "{}"))
            return self.arguments.model_validate(arguments)
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
            raise InvalidInputError(f"The arguments are wrong: {wrong}") from error
        except ValueError as error:
            raise InvalidInputError(f"The arguments are not JSON: {error}") from error

    def _described(self, function: Callable[..., Any]) -> Callable[..., Any]:
        fields = self.arguments.model_fields
        parameters = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                annotation=field.annotation,
                default=inspect.Parameter.empty
                if field.is_required()
                else field.get_default(call_default_factory=True),
            )
            for name, field in fields.items()
        ]
        described = cast("Any", function)
        described.__name__ = described.__qualname__ = self.name
        lines = [f"    {name}: {field.description}" for name, field in fields.items()]
        described.__doc__ = "\n".join([self.description, *(["", "Args:", *lines] if lines else [])])
        described.__annotations__ = {**{one.name: one.annotation for one in parameters}, "return": str}
        described.__signature__ = inspect.Signature(parameters, return_annotation=str)
        return function


class _Search(BaseModel):
    question: str = Field(description="What to look for, as a question or statement about the user.")
    limit: int = Field(default=10, ge=1, le=50, description="Most memories to return.")


class _List(BaseModel):
    categories: list[str] = Field(
        default_factory=list, description="Only memories of one of these categories."
    )
    limit: int = Field(default=20, ge=1, le=100, description="Most memories to return, the newest first.")


class _Forget(BaseModel):
    memory_id: str = Field(description="The id in brackets in front of the memory.")


class _Nothing(BaseModel):
    pass


class _Chosen(BaseModel):
    question: str = Field(description="The question, word for word.")
    answer: str = Field(description="One of its options, word for word.")


def _as_pairs(answers: object) -> object:
    if isinstance(answers, Mapping):
        pairs = cast("Mapping[str, Any]", answers)
        return [{"question": question, "answer": answer} for question, answer in pairs.items()]
    return answers


class _Answers(BaseModel):
    conflict_id: str = Field(description="The id in brackets in front of the contradiction.")
    answers: Annotated[list[_Chosen], BeforeValidator(_as_pairs)] = Field(
        description="The user's answer to each question."
    )


def _search(user: UserMemory, asked: _Search, recall: RecallOptions | None) -> Steps[ToolResult]:
    found = yield from Twin(user.search, user.asearch, asked.question, k=asked.limit, options=recall)
    return ToolResult(memories_text(found), found)


def _list(user: UserMemory, asked: _List, _: RecallOptions | None) -> Steps[ToolResult]:
    found = yield from Twin(user.memories, user.amemories, categories=asked.categories, limit=asked.limit)
    return ToolResult(memories_text(found), found)


def _forget(user: UserMemory, asked: _Forget, _: RecallOptions | None) -> Steps[ToolResult]:
    try:
        yield from Twin(user.forget_memory, user.aforget_memory, asked.memory_id)
    except RequestRejectedError as error:
        if error.status == _UNPROCESSABLE:  # a malformed id
            raise NotFoundError(str(error), status=error.status) from error
        raise
    return ToolResult(f"Memory {asked.memory_id} is deleted.", asked.memory_id)


def _conflicts(user: UserMemory, _: _Nothing, __: RecallOptions | None) -> Steps[ToolResult]:
    found = yield from Twin(user.conflicts, user.aconflicts)
    return ToolResult(conflicts_text(found), found)


def _answer(user: UserMemory, asked: _Answers, _: RecallOptions | None) -> Steps[ToolResult]:
    conflict = yield from Twin(user.conflict, user.aconflict, asked.conflict_id)
    chosen = {one.question: one.answer for one in asked.answers}
    settled = yield from Twin(user.resolve, user.aresolve, conflict, chosen)
    return ToolResult(settled_text(settled), settled)


def _line(error: Exception) -> str:
    if isinstance(error, NotFoundError):
        return "There is nothing with this id; list again to see the ids."
    return f"That did not work: {' '.join(str(error).split())}"


MEMORY_TOOLS: Final = (
    MemoryTool(
        "search_memory",
        "Searches what is remembered about the user from earlier conversations.",
        _Search,
        _search,
        read_only=True,
    ),
    MemoryTool(
        "list_memories",
        "Lists what is remembered about the user, newest first.",
        _List,
        _list,
        read_only=True,
    ),
    MemoryTool(
        "forget_memory",
        "Deletes one memory for good, with its older versions. Only when the user asks for it.",
        _Forget,
        _forget,
        destructive=True,
    ),
    MemoryTool(
        "list_merge_conflicts",
        "Lists contradictions in what is remembered that only the user can settle, with the questions.",
        _Nothing,
        _conflicts,
        read_only=True,
    ),
    MemoryTool(
        "answer_merge_conflict",
        "Settles one contradiction with the answers that the user gave.",
        _Answers,
        _answer,
    ),
)
"""All tools, in the order in which models get them."""

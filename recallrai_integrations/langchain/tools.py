"""`RecallrAIToolkit`: tools with which a model searches, shows and corrects what is remembered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, BaseToolkit, StructuredTool, ToolException
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr
from typing_extensions import override

from recallrai_integrations.adapter.wording import conflicts_text, memories_text, settled_text
from recallrai_integrations.connection import Connection
from recallrai_integrations.errors import InvalidInputError, NotFoundError, ServiceError
from recallrai_integrations.options import RecallOptions
from recallrai_integrations.user import UserMemory

from ._binding import Binding, runtime_context

__all__ = ["RecallrAIToolkit"]


T = TypeVar("T")


class _Search(BaseModel):
    question: str = Field(description="What to look for, as a question or a few words.", min_length=1)
    limit: int = Field(default=10, ge=1, le=50, description="Most memories to return.")


class _List(BaseModel):
    categories: list[str] = Field(
        default_factory=list, description="Only memories of these categories; empty for all."
    )
    limit: int = Field(default=20, ge=1, le=100, description="Most memories to return, newest first.")


class _Forget(BaseModel):
    memory_id: str = Field(description="The id in brackets of the memory to delete.")


class _Nothing(BaseModel):
    pass


class _AnswerOne(BaseModel):
    question: str = Field(description="The question, word for word.")
    answer: str = Field(description="The option that the user chose, word for word.")


class _AnswerConflict(BaseModel):
    conflict_id: str = Field(description="The id in brackets of the conflict.")
    answers: list[_AnswerOne] = Field(description="One answer for each question of the conflict.")


class RecallrAIToolkit(BaseToolkit):
    """Tools for agents that manage a memory on the user's request.

    `search_memory`, `list_memories`, `forget_memory`, `list_merge_conflicts` and `answer_merge_conflict`.
    The model neither sees nor sets a user id: it comes from the arguments here, else from the runtime
    context or the `configurable` of the run.

    Failure: what the service refuses or cannot do now is told to the model as the tool's result, so that the
    run goes on. A missing identity and wrong credentials are raised.

    Attributes:
        connection: from `connect()`; None takes the one from the environment.
        user_id: the user, when the agent serves only one.
        recall: strategy and thresholds of searches, in place of the connection's options.

    Example:
        ```python
        from recallrai_integrations import connect
        from recallrai_integrations.langchain import RecallrAIToolkit

        with connect(local=":memory:") as connection:
            tools = RecallrAIToolkit(connection=connection).get_tools()
            config = {"configurable": {"user_id": "ada"}}
            print(tools[0].invoke({"question": "What is my dog's name?"}, config))
        ```
    """

    connection: Connection | None = Field(default=None, exclude=True, repr=False)
    user_id: str | None = None
    recall: RecallOptions | None = None

    model_config = ConfigDict(arbitrary_types_allowed=True)

    _binding: Binding = PrivateAttr()

    @override
    def model_post_init(self, context: Any, /) -> None:
        super().model_post_init(context)
        self._binding = Binding.of(self.connection, self.user_id, None)

    @override
    def get_tools(self) -> list[BaseTool]:
        """The five tools, each with a sync and an async form."""
        return [
            self._search_tool(),
            self._list_tool(),
            self._forget_tool(),
            self._conflicts_tool(),
            self._answer_tool(),
        ]

    def _search_tool(self) -> BaseTool:
        def search(question: str, config: RunnableConfig, limit: int = 10) -> str:
            found = self._do(config, lambda user: user.search(question, k=limit, options=self.recall))
            return memories_text(found)

        async def asearch(question: str, config: RunnableConfig, limit: int = 10) -> str:
            found = await self._ado(config, lambda user: user.asearch(question, k=limit, options=self.recall))
            return memories_text(found)

        return _tool(
            search,
            asearch,
            "search_memory",
            "Searches what is remembered about the user from earlier conversations.",
            _Search,
        )

    def _list_tool(self) -> BaseTool:
        def listing(config: RunnableConfig, categories: list[str] | None = None, limit: int = 20) -> str:
            return memories_text(
                self._do(config, lambda user: user.memories(categories=categories or (), limit=limit))
            )

        async def alisting(
            config: RunnableConfig, categories: list[str] | None = None, limit: int = 20
        ) -> str:
            found = await self._ado(
                config, lambda user: user.amemories(categories=categories or (), limit=limit)
            )
            return memories_text(found)

        return _tool(
            listing,
            alisting,
            "list_memories",
            "Lists what is remembered about the user, newest first.",
            _List,
        )

    def _forget_tool(self) -> BaseTool:
        def forget(memory_id: str, config: RunnableConfig) -> str:
            self._do(config, lambda user: user.forget_memory(memory_id))
            return f"Memory {memory_id} is deleted."

        async def aforget(memory_id: str, config: RunnableConfig) -> str:
            await self._ado(config, lambda user: user.aforget_memory(memory_id))
            return f"Memory {memory_id} is deleted."

        return _tool(
            forget,
            aforget,
            "forget_memory",
            "Deletes one memory for good, with its older versions. Only when the user asks for it.",
            _Forget,
        )

    def _conflicts_tool(self) -> BaseTool:
        def conflicts(config: RunnableConfig) -> str:
            return conflicts_text(self._do(config, lambda user: user.conflicts()))

        async def aconflicts(config: RunnableConfig) -> str:
            return conflicts_text(await self._ado(config, lambda user: user.aconflicts()))

        return _tool(
            conflicts,
            aconflicts,
            "list_merge_conflicts",
            "Lists contradictions in what is remembered that only the user can settle, with the questions.",
            _Nothing,
        )

    def _answer_tool(self) -> BaseTool:
        def answer(conflict_id: str, answers: Sequence[Any], config: RunnableConfig) -> str:
            def do(user: UserMemory) -> bool:
                return user.resolve(user.conflict(conflict_id), _pairs(answers))

            return settled_text(self._do(config, do))

        async def aanswer(conflict_id: str, answers: Sequence[Any], config: RunnableConfig) -> str:
            async def do(user: UserMemory) -> bool:
                return await user.aresolve(await user.aconflict(conflict_id), _pairs(answers))

            return settled_text(await self._ado(config, do))

        return _tool(
            answer,
            aanswer,
            "answer_merge_conflict",
            "Settles one contradiction with the answers that the user gave.",
            _AnswerConflict,
        )

    def _do(self, config: RunnableConfig, work: Callable[[UserMemory], T]) -> T:
        user = self._binding.source.get().user(self._user_id(config))
        try:
            return work(user)
        except (ServiceError, InvalidInputError) as error:
            raise _told(error) from error

    async def _ado(self, config: RunnableConfig, work: Callable[[UserMemory], Awaitable[T]]) -> T:
        user = (await self._binding.source.aget()).user(self._user_id(config))
        try:
            return await work(user)
        except (ServiceError, InvalidInputError) as error:
            raise _told(error) from error

    def _user_id(self, config: RunnableConfig) -> str:
        return self._binding.identity(config, runtime_context(config)).user_id


def _tool(
    func: Callable[..., str],
    coroutine: Callable[..., Awaitable[str]],
    name: str,
    description: str,
    arguments: type[BaseModel],
) -> BaseTool:
    return StructuredTool.from_function(
        func=func,
        coroutine=coroutine,
        name=name,
        description=description,
        args_schema=arguments,
        handle_tool_error=True,
    )


def _told(error: Exception) -> ToolException:
    if isinstance(error, NotFoundError):
        return ToolException("There is nothing with this id; list again to see the ids.")
    return ToolException(str(error))


def _pairs(answers: Sequence[Any]) -> dict[str, str]:
    chosen = [_AnswerOne.model_validate(one) for one in answers]
    return {one.question: one.answer for one in chosen}

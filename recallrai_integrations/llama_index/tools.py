"""`RecallrAIToolSpec`: tools by which an agent looks into a user's memory and corrects it."""

# Annotations are not postponed here: the framework reads them to tell the model what a tool takes.

from collections.abc import Awaitable, Callable
from typing import TypeVar

from llama_index.core.tools.tool_spec.base import SPEC_FUNCTION_TYPE, BaseToolSpec

from recallrai_integrations.adapter import ConnectionSource
from recallrai_integrations.adapter.wording import conflicts_text, memories_text, settled_text
from recallrai_integrations.connection import Connection
from recallrai_integrations.errors import InvalidInputError, NotFoundError, ServiceError
from recallrai_integrations.identity import user_id_text
from recallrai_integrations.options import RecallOptions
from recallrai_integrations.user import UserMemory

__all__ = ["RecallrAIToolSpec"]

T = TypeVar("T")


class RecallrAIToolSpec(BaseToolSpec):
    """Tools over the memory of one user; the model never sees or chooses the user.

    `search_memory`, `list_memories`, `forget_memory`, `list_merge_conflicts` and `answer_merge_conflict`,
    each sync and async. What the service refuses or cannot do now is told to the model as the tool's text,
    so that the run goes on; refused credentials are raised.

    Args:
        user_id: the application's id of the user.
        connection: where memories are; None connects with the environment's credentials at the first use.
        recall: strategy and thresholds, in place of the connection's.

    Raises:
        MissingIdentityError: no user id.

    Example:
        ```python
        from recallrai_integrations import connect
        from recallrai_integrations.llama_index import RecallrAIToolSpec

        with connect(local=":memory:") as connection:
            tools = RecallrAIToolSpec("ada", connection=connection).to_tool_list()
            print([tool.metadata.name for tool in tools])
        ```
    """

    spec_functions: list[SPEC_FUNCTION_TYPE] = [  # noqa: RUF012 - declared by the framework, read by it alone
        ("search_memory", "asearch_memory"),
        ("list_memories", "alist_memories"),
        ("forget_memory", "aforget_memory"),
        ("list_merge_conflicts", "alist_merge_conflicts"),
        ("answer_merge_conflict", "aanswer_merge_conflict"),
    ]

    def __init__(
        self, user_id: str, *, connection: Connection | None = None, recall: RecallOptions | None = None
    ) -> None:
        self._user_id = user_id_text(user_id)
        self._source = ConnectionSource(connection)
        self._recall = recall

    def search_memory(self, question: str, limit: int = 10) -> str:
        """Searches what is remembered about the user from earlier conversations."""
        return self._tell(lambda user: memories_text(user.search(question, k=limit, options=self._recall)))

    async def asearch_memory(self, question: str, limit: int = 10) -> str:
        """Searches what is remembered about the user from earlier conversations."""
        return await self._atell(
            lambda user: user.asearch(question, k=limit, options=self._recall), memories_text
        )

    def list_memories(self, limit: int = 20) -> str:
        """Lists what is remembered about the user, newest first."""
        return self._tell(lambda user: memories_text(user.memories(limit=max(1, limit))))

    async def alist_memories(self, limit: int = 20) -> str:
        """Lists what is remembered about the user, newest first."""
        return await self._atell(lambda user: user.amemories(limit=max(1, limit)), memories_text)

    def forget_memory(self, memory_id: str) -> str:
        """Deletes one memory for good, by the id in brackets; only when the user asks for it."""

        def forget(user: UserMemory) -> str:
            user.forget_memory(memory_id)
            return _forgotten(None)

        return self._tell(forget)

    async def aforget_memory(self, memory_id: str) -> str:
        """Deletes one memory for good, by the id in brackets; only when the user asks for it."""
        return await self._atell(lambda user: user.aforget_memory(memory_id), _forgotten)

    def list_merge_conflicts(self) -> str:
        """Lists contradictions in the memory that only the user can settle, with the questions to ask."""
        return self._tell(lambda user: conflicts_text(user.conflicts()))

    async def alist_merge_conflicts(self) -> str:
        """Lists contradictions in the memory that only the user can settle, with the questions to ask."""
        return await self._atell(lambda user: user.aconflicts(), conflicts_text)

    def answer_merge_conflict(self, conflict_id: str, answers: dict[str, str]) -> str:
        """Settles a contradiction by the user's words: `answers` maps each question to one of its options."""
        return self._tell(lambda user: settled_text(user.resolve(user.conflict(conflict_id), answers)))

    async def aanswer_merge_conflict(self, conflict_id: str, answers: dict[str, str]) -> str:
        """Settles a contradiction by the user's words: `answers` maps each question to one of its options."""

        async def settle(user: UserMemory) -> bool:
            return await user.aresolve(await user.aconflict(conflict_id), answers)

        return await self._atell(settle, settled_text)

    def _tell(self, work: Callable[[UserMemory], str]) -> str:
        try:
            return work(self._source.get().user(self._user_id))
        except (ServiceError, InvalidInputError) as error:
            return _refused(error)

    async def _atell(self, work: Callable[[UserMemory], Awaitable[T]], text: Callable[[T], str]) -> str:
        try:
            return text(await work((await self._source.aget()).user(self._user_id)))
        except (ServiceError, InvalidInputError) as error:
            return _refused(error)


def _forgotten(_: None) -> str:
    return "The memory is deleted."


def _refused(error: Exception) -> str:
    if isinstance(error, NotFoundError):
        return "There is nothing with this id; list again to see the ids."
    return f"That did not work: {error}"

"""`RecallrAIToolSpec`: tools by which an agent looks into a user's memory and corrects it."""

# Annotations are not postponed here: the framework reads them to tell the model what a tool takes.

from typing import Any

from llama_index.core.tools.tool_spec.base import SPEC_FUNCTION_TYPE, BaseToolSpec

from recallrai_integrations.adapter import MEMORY_TOOLS, Binding
from recallrai_integrations.connection import Connection
from recallrai_integrations.options import RecallOptions

__all__ = ["RecallrAIToolSpec"]

_TOOLS = {tool.name: tool for tool in MEMORY_TOOLS}


class RecallrAIToolSpec(BaseToolSpec):
    """Tools over the memory of one user; the model never sees or chooses the user.

    `search_memory`, `list_memories`, `forget_memory`, `list_merge_conflicts` and `answer_merge_conflict`,
    each sync and async. What the service refuses or cannot do now is told to the model as the tool's text,
    so that the run goes on; refused credentials are raised.

    Args:
        user_id: the application's id of the user; an attribute, which a copy may set for another user.
        connection: where memories are; None connects with the environment's credentials at the first use.
        recall: strategy and thresholds; replaces the connection's.

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
        self._binding = Binding.of(connection, recall=recall, where="RecallrAIToolSpec(user_id=…)")
        self.user_id = self._binding.identity({"user_id": user_id}).user_id

    def search_memory(self, question: str, limit: int = 10) -> str:
        """Searches what is remembered about the user from earlier conversations."""
        return self._call("search_memory", question=question, limit=limit)

    async def asearch_memory(self, question: str, limit: int = 10) -> str:
        """Searches what is remembered about the user from earlier conversations."""
        return await self._acall("search_memory", question=question, limit=limit)

    def list_memories(self, limit: int = 20) -> str:
        """Lists what is remembered about the user, newest first."""
        return self._call("list_memories", limit=limit)

    async def alist_memories(self, limit: int = 20) -> str:
        """Lists what is remembered about the user, newest first."""
        return await self._acall("list_memories", limit=limit)

    def forget_memory(self, memory_id: str) -> str:
        """Deletes one memory for good, by the id in brackets; only when the user asks for it."""
        return self._call("forget_memory", memory_id=memory_id)

    async def aforget_memory(self, memory_id: str) -> str:
        """Deletes one memory for good, by the id in brackets; only when the user asks for it."""
        return await self._acall("forget_memory", memory_id=memory_id)

    def list_merge_conflicts(self) -> str:
        """Lists contradictions in the memory that only the user can settle, with the questions to ask."""
        return self._call("list_merge_conflicts")

    async def alist_merge_conflicts(self) -> str:
        """Lists contradictions in the memory that only the user can settle, with the questions to ask."""
        return await self._acall("list_merge_conflicts")

    def answer_merge_conflict(self, conflict_id: str, answers: dict[str, str]) -> str:
        """Settles a contradiction by the user's words: `answers` maps each question to one of its options."""
        return self._call("answer_merge_conflict", conflict_id=conflict_id, answers=answers)

    async def aanswer_merge_conflict(self, conflict_id: str, answers: dict[str, str]) -> str:
        """Settles a contradiction by the user's words: `answers` maps each question to one of its options."""
        return await self._acall("answer_merge_conflict", conflict_id=conflict_id, answers=answers)

    def _call(self, name: str, **arguments: Any) -> str:
        return _TOOLS[name].call(self._binding, arguments, {"user_id": self.user_id})

    async def _acall(self, name: str, **arguments: Any) -> str:
        return await _TOOLS[name].acall(self._binding, arguments, {"user_id": self.user_id})

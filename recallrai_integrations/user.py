"""`UserMemory`: what is remembered of one user, to search, show, correct and delete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from typing_extensions import override

from recallrai_integrations._flows import memories as flows

from ._flows.ops import GetConflict, GetMemory, GetUser
from .errors import InvalidInputError, RedactionError
from .identity import user_id_text
from .messages import Message
from .models import Memory, MergeConflict, UserInfo
from .options import RecallOptions

if TYPE_CHECKING:
    from ._engine.runtime import Runtime

__all__ = ["UserMemory"]


class UserMemory:
    """One user's memories. Made by `Connection.user`; making it does no I/O.

    Its methods always raise for outages (`ServiceUnavailableError`): an empty answer must mean that there is
    nothing. Each has an async twin with the prefix `a`.

    Example:
        ```python
        from recallrai_integrations import connect

        with connect(local=":memory:") as connection:
            with connection.conversation("ada") as conversation:
                conversation.record(("user", "My dog is called Biscuit."))
                conversation.finish(wait=True)
            for memory in connection.user("ada").search("What is my dog's name?"):
                print(memory.content, memory.similarity)
        ```
    """

    def __init__(self, runtime: Runtime, user_id: str) -> None:
        self._runtime = runtime
        self.user_id = user_id_text(user_id)

    def search(self, query: str, *, k: int = 10, options: RecallOptions | None = None) -> list[Memory]:
        """The memories that a question recalls, most similar first, with versions and connections.

        Costs three requests and one for each memory, those at the same time: the service recalls by the
        messages of a session, so the question is asked in one of its own, which is deleted again.

        Args:
            query: a question or statement; not empty.
            k: most memories to return, at least 1.
            options: strategy and thresholds, in place of the connection's.

        Raises:
            InvalidInputError: an empty query, or k below 1.
            RedactionError: your hook failed, or left nothing of the query; nothing was sent.
            ServiceError: see `errors`.
        """
        return self._runtime.run(flows.search(*self._search_arguments(query, k, options)))

    async def asearch(self, query: str, *, k: int = 10, options: RecallOptions | None = None) -> list[Memory]:
        """The async twin of `search`."""
        return await self._runtime.arun(flows.search(*self._search_arguments(query, k, options)))

    def memories(
        self, *, categories: Sequence[str] = (), session_ids: Sequence[str] = (), limit: int | None = None
    ) -> list[Memory]:
        """Current memories, newest first.

        Args:
            categories: only memories of one of these.
            session_ids: only memories made from one of these sessions.
            limit: at most so many; None for all.

        Raises:
            RequestRejectedError: an unknown category.
            ServiceError: see `errors`.
        """
        return self._runtime.run(
            flows.all_memories(self.user_id, categories=categories, session_ids=session_ids, limit=limit)
        )

    async def amemories(
        self, *, categories: Sequence[str] = (), session_ids: Sequence[str] = (), limit: int | None = None
    ) -> list[Memory]:
        """The async twin of `memories`."""
        return await self._runtime.arun(
            flows.all_memories(self.user_id, categories=categories, session_ids=session_ids, limit=limit)
        )

    def memory(self, memory_id: str) -> Memory:
        """One memory with its versions and connections.

        Raises:
            InvalidInputError: an id that cannot be one of the service; nothing was sent.
            NotFoundError: this user has nothing with that id.
        """
        return self._runtime.run(iter(GetMemory(self.user_id, memory_id)))

    async def amemory(self, memory_id: str) -> Memory:
        """The async twin of `memory`."""
        return await self._runtime.arun(iter(GetMemory(self.user_id, memory_id)))

    def forget_memory(self, memory_id: str, *, previous_versions: bool = True) -> None:
        """Deletes a memory, and reads back that it is gone.

        Args:
            memory_id: of any of its versions.
            previous_versions: also the older versions; otherwise the one before becomes current again.

        Raises:
            InvalidInputError: an id that cannot be one of the service; nothing was sent.
            NotFoundError: this user has nothing with that id.
            ForgetIncompleteError: the service still tells it.
        """
        self._runtime.run(flows.forget_memory(self.user_id, memory_id, previous_versions=previous_versions))

    async def aforget_memory(self, memory_id: str, *, previous_versions: bool = True) -> None:
        """The async twin of `forget_memory`."""
        await self._runtime.arun(
            flows.forget_memory(self.user_id, memory_id, previous_versions=previous_versions)
        )

    def conflicts(self, status: str | None = "PENDING") -> list[MergeConflict]:
        """Merge conflicts, oldest first; by default those that wait for the user. None for all.

        Raises:
            InvalidInputError: a status other than those of `MergeConflict`.
        """
        return self._runtime.run(flows.all_conflicts(self.user_id, status))

    async def aconflicts(self, status: str | None = "PENDING") -> list[MergeConflict]:
        """The async twin of `conflicts`."""
        return await self._runtime.arun(flows.all_conflicts(self.user_id, status))

    def conflict(self, conflict_id: str) -> MergeConflict:
        """One merge conflict.

        Raises:
            InvalidInputError: an id that cannot be one of the service; nothing was sent.
            NotFoundError: this user has nothing with that id.
        """
        return self._runtime.run(iter(GetConflict(self.user_id, conflict_id)))

    async def aconflict(self, conflict_id: str) -> MergeConflict:
        """The async twin of `conflict`."""
        return await self._runtime.arun(iter(GetConflict(self.user_id, conflict_id)))

    def resolve(self, conflict: MergeConflict, answers: Mapping[str, str]) -> bool:
        """Answers a merge conflict with the user's word.

        Args:
            conflict: one of `conflicts()`.
            answers: question to one of its options, for all questions.

        Returns:
            False when nothing was resolved: it has been resolved meanwhile, or an answer fits no option.
        """
        return self._runtime.run(flows.resolve(self.user_id, conflict, answers))

    async def aresolve(self, conflict: MergeConflict, answers: Mapping[str, str]) -> bool:
        """The async twin of `resolve`."""
        return await self._runtime.arun(flows.resolve(self.user_id, conflict, answers))

    def info(self) -> UserInfo:
        """The user as the service knows them.

        Raises:
            NotFoundError: the user does not exist; they are created with their first message.
        """
        return self._runtime.run(iter(GetUser(self.user_id)))

    async def ainfo(self) -> UserInfo:
        """The async twin of `info`."""
        return await self._runtime.arun(iter(GetUser(self.user_id)))

    @override
    def __repr__(self) -> str:
        return f"UserMemory({self.user_id!r})"

    def _search_arguments(
        self, query: str, k: int, options: RecallOptions | None
    ) -> tuple[str, str, int, RecallOptions]:
        if not query.strip():
            raise InvalidInputError("The query is empty; a search needs a question.")
        if k < 1:
            raise InvalidInputError(f"k must be at least 1, not {k!r}.")
        asked = self._runtime.redacted(self.user_id, None, [Message("user", query)])
        if not asked:
            raise RedactionError("The redact hook left nothing of the query; nothing was sent.")
        return self.user_id, asked[0].content, k, options or self._runtime.recall

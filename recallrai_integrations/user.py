"""`UserMemory`: searches, lists, corrects and deletes the memories of one user."""

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

    Its methods always raise `ServiceUnavailableError` in an outage, so an empty result means that there is
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
        """Returns the memories that a question recalls, most similar first, with versions and connections.

        This sends three requests, and one for each memory, the latter in parallel: the service recalls by the
        messages of a session, so the question is stored in a session of its own, which is then deleted.

        Args:
            query: a question or statement; not empty.
            k: most memories to return, at least 1.
            options: strategy and thresholds; replaces the connection's.

        Raises:
            InvalidInputError: an empty query, or k below 1.
            RedactionError: your hook failed, or removed the whole query; nothing was sent.
            ServiceError: see `errors`.
        """
        return self._runtime.run(flows.search(*self._search_arguments(query, k, options)))

    async def asearch(self, query: str, *, k: int = 10, options: RecallOptions | None = None) -> list[Memory]:
        """The async twin of `search`."""
        return await self._runtime.arun(flows.search(*self._search_arguments(query, k, options)))

    def memories(
        self, *, categories: Sequence[str] = (), session_ids: Sequence[str] = (), limit: int | None = None
    ) -> list[Memory]:
        """Returns the current memories, newest first.

        Args:
            categories: only memories of one of these categories.
            session_ids: only memories made from one of these sessions.
            limit: most memories to return; None for all.

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
        """Returns one memory with its versions and connections.

        Raises:
            InvalidInputError: an invalid id; nothing was sent.
            NotFoundError: this user has nothing with that id.
        """
        return self._runtime.run(iter(GetMemory(self.user_id, memory_id)))

    async def amemory(self, memory_id: str) -> Memory:
        """The async twin of `memory`."""
        return await self._runtime.arun(iter(GetMemory(self.user_id, memory_id)))

    def forget_memory(self, memory_id: str, *, previous_versions: bool = True) -> None:
        """Deletes a memory, and checks that it is gone.

        Args:
            memory_id: the id of any of its versions.
            previous_versions: delete the older versions too; otherwise the previous one becomes current.

        Raises:
            InvalidInputError: an invalid id; nothing was sent.
            NotFoundError: this user has nothing with that id.
            ForgetIncompleteError: the service still returns it.
        """
        self._runtime.run(flows.delete_memory(self.user_id, memory_id, previous_versions=previous_versions))

    async def aforget_memory(self, memory_id: str, *, previous_versions: bool = True) -> None:
        """The async twin of `forget_memory`."""
        await self._runtime.arun(
            flows.delete_memory(self.user_id, memory_id, previous_versions=previous_versions)
        )

    def conflicts(self, status: str | None = "PENDING") -> list[MergeConflict]:
        """Returns merge conflicts, oldest first.

        Args:
            status: one of those of `MergeConflict`, by default those that the user has not answered; None for
                all.

        Raises:
            InvalidInputError: an unknown status.
        """
        return self._runtime.run(flows.all_conflicts(self.user_id, status))

    async def aconflicts(self, status: str | None = "PENDING") -> list[MergeConflict]:
        """The async twin of `conflicts`."""
        return await self._runtime.arun(flows.all_conflicts(self.user_id, status))

    def conflict(self, conflict_id: str) -> MergeConflict:
        """Returns one merge conflict.

        Raises:
            InvalidInputError: an invalid id; nothing was sent.
            NotFoundError: this user has nothing with that id.
        """
        return self._runtime.run(iter(GetConflict(self.user_id, conflict_id)))

    async def aconflict(self, conflict_id: str) -> MergeConflict:
        """The async twin of `conflict`."""
        return await self._runtime.arun(iter(GetConflict(self.user_id, conflict_id)))

    def resolve(self, conflict: MergeConflict, answers: Mapping[str, str]) -> bool:
        """Answers a merge conflict with the user's choice.

        Args:
            conflict: from `conflicts()`.
            answers: maps each question to one of its options.

        Returns:
            False if nothing was resolved: the conflict is already resolved, or an answer is not an option.
        """
        return self._runtime.run(flows.resolve(self.user_id, conflict, answers))

    async def aresolve(self, conflict: MergeConflict, answers: Mapping[str, str]) -> bool:
        """The async twin of `resolve`."""
        return await self._runtime.arun(flows.resolve(self.user_id, conflict, answers))

    def info(self) -> UserInfo:
        """Returns the service's record of the user.

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
            raise RedactionError("The redact hook removed the whole query; nothing was sent.")
        return self.user_id, asked[0].content, k, options or self._runtime.recall

"""Asking the user about merge conflicts: which are pending, and what the answers resolve."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from recallrai_integrations.connection import Connection
from recallrai_integrations.errors import ServiceUnavailableError
from recallrai_integrations.models import MergeConflict
from recallrai_integrations.user import UserMemory

from .binding import Binding
from .steps import Steps, Twin, arun, run

__all__ = ["MergeConflictQuestions"]

logger = logging.getLogger("recallrai_integrations")


class MergeConflictQuestions:
    """Asks about a user's contradictions, in two halves between which the framework waits for the user.

    A step that runs again with the answers lists the conflicts again and finds those that are still open.

    Failure: during an outage nothing is asked or settled and one warning is logged, unless the connection was
    made with `on_error="raise"`.

    Args:
        binding: of the adapter.
        limit: most conflicts to ask about at once, the oldest first; None for all.

    Example:
        ```python
        from recallrai_integrations import connect
        from recallrai_integrations.adapter import Binding, MergeConflictQuestions
        from recallrai_integrations.adapter.wording import conflicts_value

        with connect(local=":memory:") as connection:
            questions = MergeConflictQuestions(Binding.of(connection, user_id="ada"))
            pending = questions.pending()
            if pending:
                print(conflicts_value(pending))  # what the framework's interrupt carries
                questions.settle(pending, {"conflict id": {"question": "answer"}})
        ```
    """

    def __init__(self, binding: Binding, limit: int | None = None) -> None:
        self._binding = binding
        self._limit = limit

    def pending(self, *places: Any) -> list[MergeConflict]:
        """Returns the conflicts to ask about; `places` as in `Binding.identity`."""
        return run(self._pending(places))

    async def apending(self, *places: Any) -> list[MergeConflict]:
        """The async twin of `pending`."""
        return await arun(self._pending(places))

    def settle(self, conflicts: Sequence[MergeConflict], answers: object, *places: Any) -> list[str]:
        """Resolves the conflicts that were answered.

        Args:
            conflicts: the conflicts that were asked about.
            answers: `{conflict_id: {question: answer}}`; any other value is ignored.
            places: as in `Binding.identity`.

        Returns:
            The ids of the conflicts that were resolved.
        """
        return run(self._settle(conflicts, answers, places))

    async def asettle(self, conflicts: Sequence[MergeConflict], answers: object, *places: Any) -> list[str]:
        """The async twin of `settle`."""
        return await arun(self._settle(conflicts, answers, places))

    def _pending(self, places: tuple[Any, ...]) -> Steps[list[MergeConflict]]:
        connection, user = yield from self._opening(places)
        try:
            return (yield from Twin(user.conflicts, user.aconflicts))[: self._limit]
        except ServiceUnavailableError as error:
            _pass_over(connection, error)
            return []

    def _settle(
        self, conflicts: Sequence[MergeConflict], answers: object, places: tuple[Any, ...]
    ) -> Steps[list[str]]:
        connection, user = yield from self._opening(places)
        resolved: list[str] = []
        try:
            for conflict in conflicts:
                chosen = _chosen(answers, conflict.conflict_id)
                if chosen and (yield from Twin(user.resolve, user.aresolve, conflict, chosen)):
                    resolved.append(conflict.conflict_id)
        except ServiceUnavailableError as error:
            _pass_over(connection, error)
        return resolved

    def _opening(self, places: tuple[Any, ...]) -> Steps[tuple[Connection, UserMemory]]:
        identity = self._binding.identity(*places)
        connection = yield from self._binding.connecting()
        return connection, connection.user(identity.user_id)


def _chosen(answers: object, conflict_id: str) -> dict[str, str]:
    given = _mapping(_mapping(answers).get(conflict_id))
    return {str(question): str(answer) for question, answer in given.items()}


def _mapping(value: Any) -> dict[Any, Any]:
    return dict(value) if isinstance(value, Mapping) else {}  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] - anybody's JSON


def _pass_over(connection: Connection, error: ServiceUnavailableError) -> None:
    if connection.delivery_options.on_error == "raise":
        raise error
    logger.warning("RecallrAI is not available; merge conflicts stay as they are: %s", error)

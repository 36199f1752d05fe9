"""Merge conflicts: contradictions in the memory, put to the user by a workflow's events."""

from typing import Any

from llama_index.core.workflow import (
    Context,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StopEvent,
    Workflow,
    step,  # pyright: ignore[reportUnknownVariableType] - the framework's own annotation is incomplete
)

from recallrai_integrations.adapter import Binding, MergeConflictQuestions
from recallrai_integrations.adapter.wording import conflicts_value
from recallrai_integrations.connection import Connection

__all__ = [
    "MergeConflictAnswersEvent",
    "MergeConflictWorkflow",
    "MergeConflictsEvent",
    "ask_merge_conflicts",
]


class MergeConflictsEvent(InputRequiredEvent):
    """Asks the user about contradictions.

    Attributes:
        type: always `"recallrai.merge_conflicts"`.
        conflicts: each `{"conflict_id", "proposed", "conflicting": […], "questions": [{"question",
            "options": […]}]}`, all text.

    Example:
        ```python
        from recallrai_integrations.llama_index import MergeConflictsEvent

        event = MergeConflictsEvent(
            conflicts=[
                {
                    "conflict_id": "c1",
                    "proposed": "User lives in Lisbon",
                    "conflicting": ["User lives in Porto"],
                    "questions": [{"question": "Where do you live?", "options": ["Lisbon", "Porto"]}],
                }
            ]
        )
        for asked in event.conflicts[0]["questions"]:
            print(asked["question"], asked["options"])
        ```
    """

    type: str = "recallrai.merge_conflicts"
    conflicts: list[dict[str, Any]]


class MergeConflictAnswersEvent(HumanResponseEvent):
    """The user's answers.

    Attributes:
        answers: `{conflict_id: {question: answer}}`, each answer one of the question's options. What fits
            nothing resolves nothing, and a conflict that is left out stays open.

    Example:
        ```python
        from recallrai_integrations.llama_index import MergeConflictAnswersEvent

        event = MergeConflictAnswersEvent(answers={"c1": {"Where do you live?": "Lisbon"}})
        ```
    """

    answers: dict[str, dict[str, str]]


async def ask_merge_conflicts(
    ctx: Context,
    user_id: str,
    *,
    connection: Connection | None = None,
    limit: int | None = None,
    timeout: float | None = 2000,
) -> list[str]:
    """Asks the user about pending merge conflicts and resolves them; for a step of your own workflow.

    The step is run again when the answers arrive, as with every `ctx.wait_for_event`; the conflicts that are
    still open are listed anew then, so an answer that came too late does no harm.

    Args:
        ctx: the step's context.
        user_id: whose conflicts.
        connection: where memories are; None connects with the environment's credentials.
        limit: ask at most so many at once, the oldest first; None for all.
        timeout: seconds to wait for the user; None for ever.

    Returns:
        The ids of the conflicts that were resolved. In an outage none, unless the connection was made with
        `on_error="raise"`; the conflicts stay open then.

    Raises:
        ServiceUnavailableError: an outage with `on_error="raise"`.
        TimeoutError: no answer in time.

    Example:
        ```python
        import asyncio

        from llama_index.core.workflow import Context, StartEvent, StopEvent, Workflow, step

        from recallrai_integrations import connect
        from recallrai_integrations.llama_index import ask_merge_conflicts

        with connect(local=":memory:") as connection:

            class Greeting(Workflow):
                @step
                async def greet(self, ctx: Context, begin: StartEvent) -> StopEvent:
                    resolved = await ask_merge_conflicts(ctx, "ada", connection=connection)
                    return StopEvent(result=f"Hello! {len(resolved)} questions are settled.")

            async def main() -> None:
                print(await Greeting().run())

            asyncio.run(main())
        ```
    """
    questions = MergeConflictQuestions(Binding.of(connection, user_id, where="user_id"), limit)
    pending = await questions.apending()
    if not pending:
        return []
    asked = MergeConflictsEvent(**conflicts_value(pending))
    reply = await ctx.wait_for_event(
        MergeConflictAnswersEvent, waiter_event=asked, waiter_id=f"{asked.type} {user_id}", timeout=timeout
    )
    return await questions.asettle(pending, reply.answers)


class MergeConflictWorkflow(Workflow):
    """A workflow that asks about a user's pending merge conflicts; its result are the ids it resolved.

    Args:
        user_id: whose conflicts.
        connection: where memories are; None connects with the environment's credentials at the first run.
        limit: ask at most so many at once, the oldest first; None for all.
        timeout: seconds to wait for the user; None for ever.
        options: more options of `Workflow`.

    Example:
        ```python
        import asyncio

        from recallrai_integrations import connect
        from recallrai_integrations.llama_index import (
            MergeConflictAnswersEvent,
            MergeConflictsEvent,
            MergeConflictWorkflow,
        )


        async def main() -> None:
            async with connect(local=":memory:") as connection:
                handler = MergeConflictWorkflow("ada", connection=connection).run()
                async for event in handler.stream_events():
                    if isinstance(event, MergeConflictsEvent):
                        answers = {
                            conflict["conflict_id"]: {
                                asked["question"]: asked["options"][0] for asked in conflict["questions"]
                            }
                            for conflict in event.conflicts
                        }
                        handler.ctx.send_event(MergeConflictAnswersEvent(answers=answers))
                print(await handler)


        asyncio.run(main())
        ```
    """

    def __init__(
        self,
        user_id: str,
        *,
        connection: Connection | None = None,
        limit: int | None = None,
        timeout: float | None = None,
        **options: Any,
    ) -> None:
        super().__init__(timeout=timeout, **options)
        binding = Binding.of(connection, where="MergeConflictWorkflow(user_id=…)")
        self.user_id = binding.identity({"user_id": user_id}).user_id
        self._source, self._limit = binding.source, limit

    @step  # pyright: ignore[reportUntypedFunctionDecorator] - the framework's own annotation is incomplete
    async def ask(self, ctx: Context, _ev: StartEvent) -> StopEvent:
        """Asks and resolves."""
        connection = await self._source.aget()
        resolved = await ask_merge_conflicts(
            ctx, self.user_id, connection=connection, limit=self._limit, timeout=None
        )
        return StopEvent(result=resolved)

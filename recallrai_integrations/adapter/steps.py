"""Work that is written once and runs sync and async: a generator of steps, and two short drivers.

An adapter's hooks come in pairs, one for threads and one for event loops, that do the same. Both use one
generator of `Twin` steps: `run` carries it out on a thread, `arun` on an event loop.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from functools import partial
from typing import Any, Generic, TypeAlias, cast

from typing_extensions import ParamSpec, TypeVar

__all__ = ["Steps", "Twin", "arun", "run"]

P = ParamSpec("P")
T = TypeVar("T")


class Twin(Generic[T]):
    """One call in its sync and its async form, such as `conversation.record` and `conversation.arecord`.

    Args:
        call: the sync form.
        acall: the async form, with the same arguments.
        args: for both forms.
        kwargs: for both forms.

    Example:
        ```python
        from recallrai_integrations import Conversation, connect
        from recallrai_integrations.adapter import Steps, Twin, run

        def count(conversation: Conversation) -> Steps[int]:
            history = yield from Twin(conversation.history, conversation.ahistory, limit=10)
            return len(history)

        with connect(local=":memory:") as connection:
            assert run(count(connection.conversation("ada", "thread-1"))) == 0
        ```
    """

    __slots__ = ("acall", "call")

    def __init__(
        self,
        call: Callable[P, T],
        acall: Callable[P, Awaitable[T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> None:
        self.call: Callable[[], T] = partial(call, *args, **kwargs)
        self.acall: Callable[[], Awaitable[T]] = partial(acall, *args, **kwargs)

    def __iter__(self) -> Generator[Twin[Any], Any, T]:
        return cast("T", (yield self))


Steps: TypeAlias = Generator[Twin[Any], Any, T]
"""A generator for `run` and `arun` that returns a `T`."""


def run(steps: Steps[T]) -> T:
    """Carries steps out on this thread.

    Raises:
        Exception: any error of a step that the generator does not catch.

    Example:
        ```python
        from recallrai_integrations import UserMemory, connect
        from recallrai_integrations.adapter import Steps, Twin, run

        def count(user: UserMemory) -> Steps[int]:
            return len((yield from Twin(user.memories, user.amemories)))

        with connect(local=":memory:") as connection:
            connection.conversation("ada").record(("user", "hi"))
            assert run(count(connection.user("ada"))) == 0
        ```
    """
    answer: Any = None
    error: BaseException | None = None
    while True:
        try:
            step = steps.send(answer) if error is None else steps.throw(error)
        except StopIteration as end:
            return cast("T", end.value)
        answer = error = None
        try:
            answer = step.call()
        except BaseException as raised:  # noqa: BLE001 - passed to the generator, which decides
            error = raised


async def arun(steps: Steps[T]) -> T:
    """Carries steps out on the running event loop; the async twin of `run`.

    Example:
        ```python
        import asyncio

        from recallrai_integrations import UserMemory, connect
        from recallrai_integrations.adapter import Steps, Twin, arun

        def count(user: UserMemory) -> Steps[int]:
            return len((yield from Twin(user.memories, user.amemories)))

        async def main() -> None:
            async with connect(local=":memory:") as connection:
                await connection.conversation("ada").arecord(("user", "hi"))
                assert await arun(count(connection.user("ada"))) == 0

        asyncio.run(main())
        ```
    """
    answer: Any = None
    error: BaseException | None = None
    while True:
        try:
            step = steps.send(answer) if error is None else steps.throw(error)
        except StopIteration as end:
            return cast("T", end.value)
        answer = error = None
        try:
            answer = await step.acall()
        except BaseException as raised:  # noqa: BLE001 - as in `run`; cancellation too
            error = raised

"""`Connection`, which all adapters of an application share."""

from __future__ import annotations

import asyncio
import atexit
import os
import time
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, get_args
from weakref import WeakSet

from typing_extensions import Self, override

from .conversation import Conversation
from .credentials import Credentials
from .errors import InvalidInputError
from .identity import thread_id_text, user_id_text
from .models import Forgotten, Imported
from .options import ContextOptions, DeliveryOptions, ProcessPolicy, RecallOptions, is_number
from .outbox import ConversationKey
from .user import UserMemory

if TYPE_CHECKING:
    from recallrai import AsyncRecallrAI, RecallrAI

    from ._engine.runtime import Runtime
    from .local import LocalRecallrAI

__all__ = ["Connection"]

_MIN_AUTO_PROCESS_SECONDS: Final = 600


_unclosed: WeakSet[Connection] = WeakSet()


@atexit.register
def _close_at_exit() -> None:
    for connection in list(_unclosed):
        connection.close()


def _after_fork() -> None:
    for connection in list(_unclosed):
        connection.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Connection:
    """A connection to one project of RecallrAI, made by `connect`.

    Threads, event loops and all users of an application share it. `close()` (or leaving it as a context
    manager) delivers pending messages; it does not process open threads. A connection that is still open is
    closed when the interpreter exits.

    Example:
        ```python
        import asyncio

        from recallrai_integrations import connect

        async def main() -> None:
            async with connect(local=":memory:") as connection:
                conversation = connection.conversation("ada", "thread-1")
                await conversation.arecord(("user", "I moved to Lisbon."))
                print((await conversation.arecall()).text)

        asyncio.run(main())
        ```
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        timeout: float,
        client: RecallrAI | None,
        async_client: AsyncRecallrAI | None,
        server: LocalRecallrAI | None,
        project: str,
        recall: RecallOptions,
        context: ContextOptions,
        delivery: DeliveryOptions,
    ) -> None:
        self.recall_options = recall
        self.context_options = context
        self.delivery_options = delivery
        self._credentials = credentials
        self._server = server
        self._min_auto_process_seconds: float = _MIN_AUTO_PROCESS_SECONDS
        if server is not None:
            self._min_auto_process_seconds = server.min_auto_process_seconds
        elif credentials.is_loopback:
            self._min_auto_process_seconds = (
                1  # a local service may allow less than 600; otherwise it refuses
            )
        self.runtime = _new_runtime(
            credentials,
            timeout=timeout,
            client=client,
            async_client=async_client,
            project=project,
            recall=recall,
            context=context,
            delivery=delivery,
        )
        _unclosed.add(self)

    @property
    def closed(self) -> bool:
        """Whether it was closed; a closed connection cannot be used."""
        return self.runtime.closed

    def conversation(
        self,
        user_id: str,
        thread_id: str | None = None,
        *,
        metadata: Mapping[str, Any] | None = None,
        process: ProcessPolicy | None = None,
        process_every: int = 10,
        auto_process_after_seconds: int = 600,
    ) -> Conversation:
        """Returns the conversation of a user in a thread, without I/O: cheap enough to call in every request.

        Args:
            user_id: the application's id of the user; text, an `int` or a `UUID`. The first message creates
                the user in the service.
            thread_id: the application's id of an ongoing conversation, by which every process finds it again;
                None for a separate conversation.
            metadata: JSON metadata for new sessions. This package uses the key `thread_id`.
            process: when `end_run()`, which adapters call after each run, processes the session: None
                (only for runs without a thread), `"every_run"`, `"every_n_turns"` or `"manual"` (never).
            process_every: n of `"every_n_turns"`, at least 1.
            auto_process_after_seconds: seconds without a message after which the service processes the
                session; at least 600.

        Raises:
            MissingIdentityError: no user id.
            InvalidInputError: an invalid id, or an option out of its range.
        """
        self.runtime.check_open()
        user, thread = user_id_text(user_id), thread_id_text(thread_id)
        if process is not None and process not in get_args(ProcessPolicy):
            raise InvalidInputError(
                f"process must be None or one of {', '.join(get_args(ProcessPolicy))}, not {process!r}."
            )
        if not is_number(process_every) or process_every < 1:
            raise InvalidInputError(f"process_every must be at least 1, not {process_every!r}.")
        floor = self._min_auto_process_seconds
        if not is_number(auto_process_after_seconds) or auto_process_after_seconds < floor:
            raise InvalidInputError(
                f"auto_process_after_seconds must be at least {floor}, the service's minimum, "
                f"not {auto_process_after_seconds!r}."
            )
        key = ConversationKey(
            uuid.uuid4().hex if thread is None else thread,
            user,
            thread,
            self.runtime.redacted_metadata(user, thread, metadata or {}),
            auto_process_after_seconds,
        )
        state = self.runtime.conversations.open(key, renewed=metadata is not None)
        return Conversation(self.runtime, state, connection=self, process=process, every=process_every)

    def user(self, user_id: str) -> UserMemory:
        """Returns a user's memories, to search, list and delete them and to answer merge conflicts. No I/O.

        Raises:
            MissingIdentityError: no user id.
            InvalidInputError: an invalid id.
        """
        self.runtime.check_open()
        return UserMemory(self.runtime, user_id)

    def forget(
        self,
        user_id: str,
        *,
        thread_id: str | None = None,
        session_id: str | None = None,
        memory_id: str | None = None,
    ) -> Forgotten:
        """Deletes a user, or one of their threads, sessions or memories, and checks that it is gone.

        Pending messages are dropped first, here and in a shared outbox, so that no late delivery restores
        them. They stay dropped if the service cannot be reached afterwards. The service also deletes the
        memories made from a deleted session. This cannot be undone: see `export`.

        Args:
            user_id: the application's id of the user.
            thread_id: only this thread. Pass at most one of the three.
            session_id: only this session, by the service's id.
            memory_id: only this memory, with its older versions.

        Returns:
            What was deleted, and where text of it remains for a while; see `Forgotten.remains_in`.

        Raises:
            NotFoundError: there was nothing to delete.
            InvalidInputError: an invalid id; nothing was sent or dropped.
            ForgetIncompleteError: something could still be read afterwards; the message names it.
            ServiceUnavailableError: an outage, whatever `on_error` says; call again.
        """
        flow = self.runtime.forgetting(user_id, thread_id, session_id, memory_id)
        with self.runtime.operation("forget", thread_id):
            forgotten = self._with_remains(self.runtime.run(flow, insist=True))
        self.runtime.emit_forgotten(forgotten, thread_id)
        return forgotten

    async def aforget(
        self,
        user_id: str,
        *,
        thread_id: str | None = None,
        session_id: str | None = None,
        memory_id: str | None = None,
    ) -> Forgotten:
        """The async twin of `forget`."""
        flow = self.runtime.forgetting(user_id, thread_id, session_id, memory_id)
        with self.runtime.operation("forget", thread_id):
            forgotten = self._with_remains(await self.runtime.arun(flow, insist=True))
        self.runtime.emit_forgotten(forgotten, thread_id)
        return forgotten

    def export(self, user_id: str) -> Iterator[dict[str, Any]]:
        """Yields everything of one user as dicts for JSON, one for each line: see `portability.Export`.

        The lines are read while you iterate, so a long history does not have to fit into memory. Pending
        messages are delivered first, if the service accepts them.

        Raises:
            NotFoundError: there is no such user, and no message of theirs is pending.
            ServiceUnavailableError: an outage, whatever `on_error` says.
        """
        for part in self.runtime.exporting(user_id_text(user_id)):
            yield from self.runtime.run(part, insist=True)

    async def aexport(self, user_id: str) -> AsyncIterator[dict[str, Any]]:
        """The async twin of `export`."""
        for part in self.runtime.exporting(user_id_text(user_id)):
            for line in await self.runtime.arun(part, insist=True):
                yield line

    def import_user(
        self, user_id: str, lines: Iterable[Mapping[str, Any]], *, process: bool = True
    ) -> list[Imported]:
        """Imports the conversations of an export, for the same or another user, in any project.

        Sessions keep their time; each message gets the time of the import. Messages that are already there
        are skipped, so an interrupted import continues when it is called again. The service makes the
        memories anew from the conversations.

        Args:
            user_id: the application's id. A new user gets the metadata and the merge conflict setting of the
                exported user; an existing user keeps their own.
            lines: from `export`.
            process: make memories of each conversation.

        Returns:
            The result for each conversation, in order.

        Raises:
            InvalidInputError: a line does not belong to an export; the lines before it have been
                imported.
            ServiceUnavailableError: an outage, whatever `on_error` says.
        """
        return [
            self.runtime.run(flow, insist=True)
            for flow in self.runtime.importing(user_id_text(user_id), lines, process=process)
        ]

    async def aimport_user(
        self, user_id: str, lines: Iterable[Mapping[str, Any]], *, process: bool = True
    ) -> list[Imported]:
        """The async twin of `import_user`."""
        return [
            await self.runtime.arun(flow, insist=True)
            for flow in self.runtime.importing(user_id_text(user_id), lines, process=process)
        ]

    @property
    def is_down(self) -> bool:
        """Whether the service failed at the last try, so that results may be incomplete."""
        return self.runtime.is_down

    def flush(self, timeout: float | None = None) -> int:
        """Delivers all pending messages, also those that an earlier process left in the outbox file.

        It tries even while the circuit breaker is open, and continues with other conversations if one fails.

        Args:
            timeout: seconds to wait, at least 0; deliveries that are under way then continue in the
                background. None waits until all have ended.

        Returns:
            The number of messages that are still pending: 0 unless the service is down or time ran out.

        Raises:
            InvalidInputError: `timeout` is not a number of at least 0.
            RequestRejectedError: the service rejected a message permanently; all others have been
                tried.
            ServiceUnavailableError: an outage with `on_error="raise"`.
        """
        self.runtime.run(self.runtime.flush(_checked(timeout)), insist=True)
        return self.runtime.outbox.count()

    async def aflush(self, timeout: float | None = None) -> int:
        """The async twin of `flush`."""
        await self.runtime.arun(self.runtime.flush(_checked(timeout)), insist=True)
        return await asyncio.to_thread(self.runtime.outbox.count)

    def close(self, timeout: float | None = None) -> int:
        """Delivers pending messages, then ends threads, clients and the local service; logs outages.

        Args:
            timeout: seconds for all of it, at least 0; what has not ended by then ends in the background.
                None continues as long as messages get through and gives up when none did for 30 seconds;
                leaving the context manager and the end of the interpreter do this too.

        Returns:
            The number of messages left, which is also logged. A file keeps them for the next connection; in
            memory they are lost. 0 if the connection was closed before.

        Raises:
            InvalidInputError: `timeout` is not a number of at least 0; nothing was closed.
        """
        started = time.monotonic()
        left = self.runtime.close(_checked(timeout))
        _unclosed.discard(self)
        if self._server is not None:
            self._server.stop(_time_left(timeout, started))
        return left

    async def aclose(self, timeout: float | None = None) -> int:
        """The async twin of `close`."""
        started = time.monotonic()
        left = await self.runtime.aclose(_checked(timeout))
        _unclosed.discard(self)
        if self._server is not None:
            await asyncio.to_thread(self._server.stop, _time_left(timeout, started))
        return left

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    @override
    def __repr__(self) -> str:
        return f"Connection({self._credentials.base_url!r}, project_id={self._credentials.project_id!r})"

    def after_fork(self) -> None:
        """Makes the connection usable in a forked child; the embedded service stays with the parent."""
        self._server = None
        self.runtime.after_fork()

    def _with_remains(self, forgotten: Forgotten) -> Forgotten:
        """Adds the embedded service's file if deleted text remains in it."""
        if self._server is None or not self._server.keeps_deleted_text:
            return forgotten
        return replace(forgotten, remains_in=(*forgotten.remains_in, self._server.path))


def _new_runtime(credentials: Credentials, **settings: Any) -> Runtime:
    """Imports the runtime late: the SDK, pydantic and httpx take a quarter of a second."""
    from ._engine.runtime import Runtime  # noqa: PLC0415

    return Runtime(credentials, **settings)


def _time_left(timeout: float | None, started: float) -> float | None:
    return None if timeout is None else max(0.0, timeout - (time.monotonic() - started))


def _checked(timeout: float | None) -> float | None:
    if timeout is not None and not (is_number(timeout) and 0 <= timeout < float("inf")):
        raise InvalidInputError(f"timeout must be a number of seconds of at least 0, not {timeout!r}.")
    return timeout

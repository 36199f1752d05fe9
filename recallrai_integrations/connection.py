"""`Connection`: what all adapters share, and applications without a framework hold."""

from __future__ import annotations

import asyncio
import atexit
import os
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

    Shared by threads, event loops and all users of an application. `close()` (or leaving it as a context
    manager) delivers what waits; it does not process open threads. A connection that nobody closed is closed
    when the interpreter exits.

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
            self._min_auto_process_seconds = 1  # a local service may allow less than 600, and says when not
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
        """Whether it was closed; it cannot be used any more then."""
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
        """The conversation of a user in a thread; no I/O, cheap enough for every request of a web handler.

        Args:
            user_id: the application's id of the user; text, or an `int` or `UUID` that is written out. The
                user is created in the service when the first message arrives.
            thread_id: the application's id of an ongoing conversation, found again by every process that
                knows it; None for a conversation by itself.
            metadata: for the session, when one is opened; JSON. The key `thread_id` is ours.
            process: when `end_run()`, which adapters call after each run, has the session processed: None
                for runs without a thread only, `"every_run"`, `"every_n_turns"` or `"manual"`.
            process_every: n of `"every_n_turns"`, at least 1.
            auto_process_after_seconds: the service processes after so much inactivity; at least 600.

        Raises:
            MissingIdentityError: no user id.
            InvalidInputError: an id that cannot be sent, or an option out of its range.
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
                f"auto_process_after_seconds must be at least {floor} (service), "
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
        """What is remembered of a user: search, list, delete, answer merge conflicts. No I/O.

        Raises:
            MissingIdentityError: no user id.
            InvalidInputError: an id that cannot be sent.
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
        """Deletes a user, or one thread, session or memory of theirs, and reads back that it is gone.

        What waits for delivery is dropped first, here and in a shared outbox, so that no late delivery
        brings it back; it stays dropped when the service cannot be reached afterwards. Memories made from a
        deleted session go with it (service). Cannot be undone: see `export`.

        Args:
            user_id: the application's id of the user.
            thread_id: only this thread. Two of these three cannot be combined.
            session_id: only this session, by the service's id.
            memory_id: only this memory, with its older versions.

        Returns:
            What was deleted, and where text of it remains for a while; see `Forgotten.remains_in`.

        Raises:
            NotFoundError: there was nothing to delete.
            InvalidInputError: an id that cannot be one; nothing was sent or dropped.
            ForgetIncompleteError: something could still be read afterwards; it is named.
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
        """Everything of one user as JSON-able dicts, one for each line of a file: see `portability.Export`.

        Read as it is asked for, so that a long history does not have to fit into memory. What waits is
        delivered first, if the service takes it.

        Raises:
            NotFoundError: there is no such user, and nothing of them waits.
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
        """Brings in the conversations of an export, for the same user or another, here or elsewhere.

        Sessions are backdated to their time; the time of each message is the service's. What is there
        already is passed over, so that an import that was interrupted goes on when it is called again.
        Memories are made anew by the service, from the conversations.

        Args:
            user_id: the application's id; created when there is none, with the metadata and the setting for
                merge conflicts of the exported user. Those of a user who exists stay as they are.
            lines: as `export` gave them.
            process: have memories made of each conversation.

        Returns:
            What became of each conversation, in order.

        Raises:
            InvalidInputError: a line does not belong to an export; those before it have been brought in.
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
        """Whether the service failed when it was last tried: what was read may not be all there is."""
        return self.runtime.is_down

    def flush(self, timeout: float | None = None) -> int:
        """Delivers all that waits, of all conversations, also what an earlier process left in the outbox.

        It tries even while the circuit breaker is open, and goes on with other conversations when one fails.

        Args:
            timeout: seconds to wait, at least 0; what is under way goes on beside the caller. None waits for
                the end.

        Returns:
            How many messages still wait: 0 unless the service is down, or time was short.

        Raises:
            InvalidInputError: `timeout` is not a number of at least 0.
            RequestRejectedError: the service refused a message for good; all others have been tried.
            ServiceUnavailableError: an outage with `on_error="raise"`.
        """
        self.runtime.run(self.runtime.flush(_checked(timeout)), insist=True)
        return self.runtime.outbox.count()

    async def aflush(self, timeout: float | None = None) -> int:
        """The async twin of `flush`."""
        await self.runtime.arun(self.runtime.flush(_checked(timeout)), insist=True)
        return await asyncio.to_thread(self.runtime.outbox.count)

    def close(self, timeout: float | None = None) -> int:
        """Delivers what waits, then ends workers, clients and the local service; an outage is only logged.

        Args:
            timeout: seconds to deliver in, at least 0. None goes on as long as messages get through: it
                gives up when none did for 30 seconds. A connection used as a context manager, and one that
                is closed by the end of the interpreter, do the same.

        Returns:
            How many messages still wait, which is logged as well: those in a file stay there for the next
            connection, those in memory are lost. 0 when it was closed before.

        Raises:
            InvalidInputError: `timeout` is not a number of at least 0; nothing was closed.
        """
        left = self.runtime.close(_checked(timeout))
        _unclosed.discard(self)
        if self._server is not None:
            self._server.stop()
        return left

    async def aclose(self, timeout: float | None = None) -> int:
        """The async twin of `close`."""
        left = await self.runtime.aclose(_checked(timeout))
        _unclosed.discard(self)
        if self._server is not None:
            await asyncio.to_thread(self._server.stop)
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
        """Makes it one of the child's own; the embedded service stays with the parent."""
        self._server = None
        self.runtime.after_fork()

    def _with_remains(self, forgotten: Forgotten) -> Forgotten:
        """What was deleted, with the embedded service's file where deleted text remains in it."""
        if self._server is None or not self._server.keeps_deleted_text:
            return forgotten
        return replace(forgotten, remains_in=(*forgotten.remains_in, self._server.path))


def _new_runtime(credentials: Credentials, **settings: Any) -> Runtime:
    """The one import that is put off: the SDK, pydantic and httpx take a quarter of a second."""
    from ._engine.runtime import Runtime  # noqa: PLC0415

    return Runtime(credentials, **settings)


def _checked(timeout: float | None) -> float | None:
    if timeout is not None and not (is_number(timeout) and 0 <= timeout < float("inf")):
        raise InvalidInputError(f"timeout must be a number of seconds of at least 0, not {timeout!r}.")
    return timeout

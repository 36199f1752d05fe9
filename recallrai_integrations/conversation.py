"""`Conversation`, which stores and recalls for one user and thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

from typing_extensions import Self, override

from . import _flows as flows
from .errors import InvalidInputError, NotFoundError
from .messages import Message, MessageInput, as_messages
from .models import SessionInfo
from .options import ContextOptions, ProcessPolicy, RecallOptions, is_number
from .recall import Recall

if TYPE_CHECKING:
    from ._engine.runtime import Runtime
    from ._engine.telemetry import Operation
    from .connection import Connection

__all__ = ["Conversation"]

WAIT_SECONDS = 600.0
"""How long `finish(wait=True)` waits for the service to make memories."""


class Conversation:
    """One conversation with one user. Made by `Connection.conversation`; making it does no I/O.

    Each method has a sync and an async form: `record` blocks its thread, `arecord` is awaited, and so on.
    Many threads and event loops can use a conversation at the same time; messages are stored in the order in
    which they were recorded. Objects for the same user and thread share their state.

    Leaving it as a context manager finishes it, except after an error or with `process="manual"`.

    Example:
        ```python
        from recallrai_integrations import connect

        with connect(local=":memory:") as connection:
            with connection.conversation("ada", "thread-1") as conversation:
                conversation.record(("user", "I moved to Lisbon last week."))
                print(conversation.recall().text)
                conversation.record(("assistant", "How do you like it there?"))
        ```
    """

    def __init__(
        self,
        runtime: Runtime,
        state: flows.State,
        *,
        connection: Connection,
        process: ProcessPolicy | None,
        every: int,
    ) -> None:
        self._runtime = runtime
        self._connection = connection
        self._state = state
        self._process: ProcessPolicy | None = process
        self._every = every

    @property
    def user_id(self) -> str:
        """The application's id of the user."""
        return self._state.key.user_id

    @property
    def thread_id(self) -> str | None:
        """The application's id of the thread; None for a separate conversation."""
        return self._state.key.thread_id

    @property
    def connection(self) -> Connection:
        """The connection that made it."""
        return self._connection

    def record(self, messages: MessageInput | Iterable[MessageInput]) -> None:
        """Stores messages, in order.

        Args:
            messages: a `Message`, a `(role, text)` pair, or a list of them. A message with an id that this
                conversation already has is skipped.

        Raises:
            InvalidInputError: a message is empty or invalid; nothing was sent.
            RequestRejectedError: the service rejected a message permanently; the others have been sent.
            ServiceUnavailableError: an outage with `on_error="raise"`; the messages are not kept. Recording
                one again with the same id stores it once.
            CredentialsError: the service refused the key or the project.
            RedactionError: your hook failed; nothing was sent.
        """
        storable = self._storable(messages)
        with self._runtime.operation("record", self.thread_id) as operation:
            operation.annotate_messages(storable)
            self._runtime.run(flows.record(self._state, storable))

    async def arecord(self, messages: MessageInput | Iterable[MessageInput]) -> None:
        """The async twin of `record`."""
        storable = self._storable(messages)
        with self._runtime.operation("record", self.thread_id) as operation:
            operation.annotate_messages(storable)
            await self._runtime.arun(flows.record(self._state, storable))

    def recall(
        self,
        *,
        options: RecallOptions | None = None,
        context: ContextOptions | None = None,
        on_progress: Callable[[str], object] | None = None,
    ) -> Recall:
        """Recalls the memories that help with the last recorded message of the user.

        Record the user's message first: the service recalls by the session's messages and takes no query.

        Args:
            options: replaces the connection's `RecallOptions`.
            context: replaces the connection's `ContextOptions`.
            on_progress: called with the service's status texts, such as "searching memories"; the recall is
                then a streamed request.

        Returns:
            The memories; `degraded` is True if they could not be recalled, or not in time.

        Raises:
            ServiceUnavailableError: an outage with `on_error="raise"`.
            RequestRejectedError: the service refused the request.
            CredentialsError: the service refused the key or the project.
        """
        options, context = self._options(options, context)
        started = time.monotonic()
        with self._runtime.operation("recall", self.thread_id) as operation:
            recalled = self._runtime.run(self._recall_flow(options, context, on_progress))
            return self._recall(recalled, options, context, started, operation)

    async def arecall(
        self,
        *,
        options: RecallOptions | None = None,
        context: ContextOptions | None = None,
        on_progress: Callable[[str], object] | None = None,
    ) -> Recall:
        """The async twin of `recall`."""
        options, context = self._options(options, context)
        started = time.monotonic()
        with self._runtime.operation("recall", self.thread_id) as operation:
            recalled = await self._runtime.arun(self._recall_flow(options, context, on_progress))
            return self._recall(recalled, options, context, started, operation)

    def history(self, limit: int | None = None) -> list[Message]:
        """Returns the messages of this conversation, oldest first, from all sessions of its thread.

        Args:
            limit: reads and returns only this many of the latest messages; None for all.

        Returns:
            The messages with the service's time stamps, followed by pending ones. During an outage, with
            `on_error="degrade"`, the messages that this process knows, followed by pending ones.

        Raises:
            InvalidInputError: a limit below 1.
            ServiceUnavailableError: an outage with `on_error="raise"`.
        """
        return self._runtime.run(flows.history(self._state, _checked(limit)))

    async def ahistory(self, limit: int | None = None) -> list[Message]:
        """The async twin of `history`."""
        return await self._runtime.arun(flows.history(self._state, _checked(limit)))

    def finish(self, wait: bool | float = False) -> SessionInfo | None:
        """Ends the conversation: delivers pending messages and has the session turned into memories.

        The thread may continue later: its next message opens a new session. Finishing twice is harmless.

        Args:
            wait: True waits until the memories are made, at most ten minutes; a number is the longest wait in
                seconds.

        Returns:
            With `wait`, the session as last read; its `status` says how the processing ended. None without
            `wait`, and if there was nothing to process.

        Raises:
            ServiceUnavailableError: an outage with `on_error="raise"`; otherwise the request is queued.
        """
        with self._runtime.operation("finish", self.thread_id):
            return self._runtime.run(flows.finish(self._state, wait=_seconds(wait)), insist=True)

    async def afinish(self, wait: bool | float = False) -> SessionInfo | None:
        """The async twin of `finish`."""
        with self._runtime.operation("finish", self.thread_id):
            return await self._runtime.arun(flows.finish(self._state, wait=_seconds(wait)), insist=True)

    def end_run(self) -> None:
        """Reports that a run of a chain, engine or agent ended normally; adapters call it after the answer.

        The `process` policy decides whether the session is processed now.
        """
        self._runtime.run(flows.end_run(self._state, self._process, self._every))

    async def aend_run(self) -> None:
        """The async twin of `end_run`."""
        await self._runtime.arun(flows.end_run(self._state, self._process, self._every))

    def flush(self) -> int:
        """Delivers this conversation's pending messages, even while the circuit breaker is open.

        Returns:
            The number of messages that are still pending: 0 unless the service is down.

        Raises:
            RequestRejectedError: the service rejected a message permanently.
            ServiceUnavailableError: an outage with `on_error="raise"`.
        """
        return self._runtime.run(flows.flush(self._state), insist=True)

    async def aflush(self) -> int:
        """The async twin of `flush`."""
        return await self._runtime.arun(flows.flush(self._state), insist=True)

    def info(self) -> SessionInfo:
        """Reads the session of this conversation: the open one, else the thread's latest.

        Raises:
            NotFoundError: nothing has been recorded yet.
        """
        return self._found(self._runtime.run(flows.find_session(self._state)))

    async def ainfo(self) -> SessionInfo:
        """The async twin of `info`."""
        return self._found(await self._runtime.arun(flows.find_session(self._state)))

    def update(self, metadata: Mapping[str, Any]) -> None:
        """Replaces the metadata of the session and of sessions that this conversation opens later.

        The keys of this package are kept. If the conversation has no session, one is opened.

        Raises:
            RedactionError: your hook failed; nothing was sent.
            ServiceUnavailableError: an outage, whatever `on_error` says.
        """
        self._runtime.run(flows.update(self._state, self._metadata(metadata)))

    async def aupdate(self, metadata: Mapping[str, Any]) -> None:
        """The async twin of `update`."""
        await self._runtime.arun(flows.update(self._state, self._metadata(metadata)))

    def clear(self) -> None:
        """Ends the thread's history for all processes: finishes and marks its sessions, and deletes nothing.

        During an outage the request to clear is queued behind pending messages; for this process
        the history is empty at once.

        Raises:
            RequestRejectedError: the service rejected a message, or the marks, permanently.
            ServiceUnavailableError: an outage with `on_error="raise"`; call again.
        """
        self._runtime.run(flows.clear(self._state))

    async def aclear(self) -> None:
        """The async twin of `clear`."""
        await self._runtime.arun(flows.clear(self._state))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._process != "manual":
            self.finish()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._process != "manual":
            await self.afinish()

    @override
    def __repr__(self) -> str:
        return f"Conversation(user_id={self.user_id!r}, thread_id={self.thread_id!r})"

    def _storable(self, messages: MessageInput | Iterable[MessageInput]) -> list[Message]:
        given = as_messages(messages)
        if self._runtime.delivery.redact is None:
            return given
        storable: list[Message] = []
        for message in given:
            for kept in self._runtime.redacted(self.user_id, self.thread_id, [message]):
                self._state.keep_stored_as(message, kept)
                storable.append(kept)
        return storable

    def _metadata(self, metadata: Mapping[str, Any]) -> dict[str, Any]:
        return self._runtime.redacted_metadata(self.user_id, self.thread_id, metadata)

    def _options(
        self, options: RecallOptions | None, context: ContextOptions | None
    ) -> tuple[RecallOptions, ContextOptions]:
        return options or self._runtime.recall, context or self._runtime.context

    def _recall_flow(
        self,
        options: RecallOptions,
        context: ContextOptions,
        on_progress: Callable[[str], object] | None,
    ) -> flows.Flow[flows.Recalled]:
        wanted = (
            options.include_system_prompt and context.instructions is None and context.placement != "user"
        )
        return flows.recall(
            self._state,
            options,
            late=self._runtime.late_recalls,
            instructions=self._runtime.instructions.start if wanted else None,
            on_progress=on_progress,
        )

    def _recall(
        self,
        recalled: flows.Recalled,
        options: RecallOptions,
        context: ContextOptions,
        started: float,
        operation: Operation,
    ) -> Recall:
        answer, elapsed = recalled.answer, time.monotonic() - started
        if answer is not None:
            operation.annotate(memories=len(answer.memory_ids), strategy=answer.strategy)
            operation.annotate_context(answer.text)
        operation.annotate(degraded=recalled.degraded)
        self._state.emit(
            "recalled",
            memories=0 if answer is None else len(answer.memory_ids),
            elapsed=round(elapsed, 4),
            degraded=recalled.degraded,
        )
        return Recall(
            context="" if answer is None else answer.text,
            strategy=options.wire_strategy if answer is None else answer.strategy,
            memory_ids=() if answer is None else answer.memory_ids,
            session_ids=() if answer is None else answer.session_ids,
            elapsed=elapsed,
            degraded=recalled.degraded,
            instructions=recalled.instructions,
            options=context,
            stored_as=self._state.stored_as,
        )

    def _found(self, session: SessionInfo | None) -> SessionInfo:
        if session is None:
            raise NotFoundError(f"{self!r} has no session yet: record a message first.")
        return session


def _checked(limit: int | None) -> int | None:
    if limit is not None and (
        not isinstance(cast("object", limit), int) or isinstance(limit, bool) or limit < 1
    ):
        raise InvalidInputError(f"limit must be a whole number of at least 1 or None, not {limit!r}.")
    return limit


def _seconds(wait: bool | float) -> float:
    if isinstance(wait, bool):
        return WAIT_SECONDS * wait
    if not is_number(wait) or not wait >= 0:
        raise InvalidInputError(f"wait must be True, False or a number of seconds, not {wait!r}.")
    return wait

"""`connect` and `Connection`: the way in, for all adapters and for applications without a framework."""

from __future__ import annotations

import atexit
import logging
import os
import time
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from os import PathLike
from os.path import realpath
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, get_args
from weakref import WeakSet

from typing_extensions import Self, override

from .conversation import Conversation
from .credentials import Credentials
from .errors import ConfigurationError, InvalidInputError, OutboxError, RecallrAIIntegrationError
from .identity import thread_id_text, user_id_text
from .messages import Message
from .options import ContextOptions, DeliveryOptions, ProcessPolicy, RecallOptions, is_number
from .plan import THREAD_KEY
from .redaction import redacted_messages, redacted_metadata

if TYPE_CHECKING:
    from recallrai import AsyncRecallrAI, RecallrAI

    from .drive import Engine
    from .flows import Flow, State
    from .instructions import Instructions
    from .local import LocalRecallrAI
    from .models import Forgotten, Imported
    from .observing import Observer
    from .outbox import Address
    from .registry import Registry
    from .telemetry import Operation, OperationName
    from .user import UserMemory

__all__ = ["Connection", "connect"]

T = TypeVar("T")

logger = logging.getLogger("recallrai_integrations")

_MIN_AUTO_PROCESS_SECONDS = 600
_CLOSE_PATIENCE = 30.0


def connect(
    *,
    api_key: str | None = None,
    project_id: str | None = None,
    base_url: str | None = None,
    timeout: float = 60.0,
    client: RecallrAI | None = None,
    async_client: AsyncRecallrAI | None = None,
    local: str | PathLike[str] | None = None,
    recall: RecallOptions | None = None,
    context: ContextOptions | None = None,
    delivery: DeliveryOptions | None = None,
) -> Connection:
    """Connects to RecallrAI: the hosted service, your own clients of it, or the embedded local service.

    No request is made; wrong credentials show at the first one.

    Args:
        api_key: default `RECALLRAI_API_KEY`.
        project_id: default `RECALLRAI_PROJECT_ID`.
        base_url: default `RECALLRAI_BASE_URL`, else the hosted service.
        timeout: seconds that a request may take, from connecting to the last byte of its answer, above 0.
            The service's agentic recall takes up to 20 seconds.
        client: your own SDK client, in place of credentials; stays yours to close.
        async_client: your own async SDK client. Either of the two is enough: the other one, and async
            clients for further event loops, are made with its credentials.
        local: path of a database file, or `":memory:"`: starts the embedded service in this process, on
            loopback and with a random key.
        recall: what to ask for when recalling.
        context: how memories are put into prompts.
        delivery: how messages are delivered, and what happens in an outage.

    Returns:
        A connection, also a context manager, to be shared by all threads and event loops of a process.

    Raises:
        CredentialsError: missing or malformed credentials.
        ConfigurationError: a wrong base URL or timeout, or forms of connecting that exclude each other.
        MissingDependencyError: `local` without the extra `local`.
        LocalServiceError: the local service cannot start: not a database, read-only …
        OutboxError: the outbox file cannot be used.

    Example:
        ```python
        from recallrai_integrations import connect

        with connect(local=":memory:") as connection:
            connection.conversation("ada", "thread-1").record(("user", "I am allergic to nuts."))
        ```
    """
    own_clients = client is not None or async_client is not None
    credentials_given = any(one is not None for one in (api_key, project_id, base_url))
    if own_clients + credentials_given + (local is not None) > 1:
        raise ConfigurationError(
            "Pass either credentials, or your own client and async_client, or local=…, not several of them."
        )
    if not is_number(timeout) or not 0 < timeout < float("inf"):
        raise ConfigurationError(f"timeout must be a number of seconds above 0, not {timeout!r}.")
    server: LocalRecallrAI | None = None
    if local is not None:
        from .local import LocalRecallrAI  # noqa: PLC0415 - an extra

        server = LocalRecallrAI(local, api_key=None)  # others on this machine cannot guess the key
        server.start()
        credentials = Credentials(server.api_key, server.project_id, server.base_url)
    elif own_clients:
        credentials = _credentials_of(client or async_client)
    else:
        credentials = Credentials.find(api_key, project_id, base_url)
    # The embedded service has another port each time: there it is the file that messages are for.
    service = credentials.base_url if local is None else f"local {realpath(local)}"
    try:
        return Connection(
            credentials,
            timeout=timeout,
            client=client,
            async_client=async_client,
            server=server,
            project=f"{service} {credentials.project_id}",
            recall=recall or RecallOptions(),
            context=context or ContextOptions(),
            delivery=delivery or DeliveryOptions(),
        )
    except BaseException:
        if server is not None:
            server.stop()
        raise


def _credentials_of(client: Any) -> Credentials:
    http = client._http  # noqa: SLF001 - where the SDK keeps what its client was made with
    return Credentials(http.api_key, http.project_id, http.base_url)


def _checked(timeout: float | None) -> float | None:
    if timeout is not None and not (is_number(timeout) and 0 <= timeout < float("inf")):
        raise InvalidInputError(f"timeout must be a number of seconds of at least 0, not {timeout!r}.")
    return timeout


def _ends(timeout: float | None) -> float:
    """When closing is to be over, by the monotonic clock, if nothing gets through."""
    checked = _checked(timeout)
    return time.monotonic() + (_CLOSE_PATIENCE if checked is None else checked)


_unclosed: WeakSet[Connection] = WeakSet()


@atexit.register
def _close_at_exit() -> None:
    for connection in list(_unclosed):
        connection.close()


def _go_on_in_a_fork() -> None:
    for connection in list(_unclosed):
        connection.go_on_in_a_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_go_on_in_a_fork)


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
        # The SDK, pydantic and httpx take a quarter of a second to import: not before they are needed.
        from .observing import Observer  # noqa: PLC0415
        from .outbox import open_outbox  # noqa: PLC0415
        from .registry import Registry  # noqa: PLC0415
        from .telemetry import Telemetry  # noqa: PLC0415

        self.recall_options = recall
        self.context_options = context
        self.delivery_options = delivery
        self._credentials = credentials
        self._timeout = timeout
        self._server = server
        self._min_auto_process_seconds: float = _MIN_AUTO_PROCESS_SECONDS
        if server is not None:
            self._min_auto_process_seconds = server.min_auto_process_seconds
        elif credentials.is_loopback:
            self._min_auto_process_seconds = 1  # a local service may allow less than 600, and says when not
        self._outbox = open_outbox(delivery, project=project)
        self._telemetry = Telemetry(credentials.base_url)
        self._observer: Observer = Observer(
            delivery.on_event,
            self._telemetry,
            when_degraded=self._when_degraded,
            when_recovered=self._when_recovered,
        )
        self._conversations: Registry = Registry(self._new_state, self._outbox)
        self._closed = False
        self._start(client, async_client)
        _unclosed.add(self)

    def _start(self, client: RecallrAI | None, async_client: AsyncRecallrAI | None) -> None:
        """What belongs to one process: sockets, threads and locks."""
        from .backend import Backend  # noqa: PLC0415 - see __init__
        from .courier import Courier  # noqa: PLC0415
        from .drive import Engine  # noqa: PLC0415
        from .instructions import Instructions  # noqa: PLC0415

        delivery = self.delivery_options
        self._backend = Backend(
            self._credentials, timeout=self._timeout, client=client, async_client=async_client
        )
        self._engine: Engine = Engine(self._backend, delivery, self._observer.engine)
        self.instructions: Instructions = Instructions(self._backend.system_prompt)
        self._courier = Courier(
            self._engine, self._outbox, self._conversations.at, retry_after=delivery.breaker_reset
        )

    @property
    def closed(self) -> bool:
        """Whether it was closed; it cannot be used any more then."""
        return self._closed

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
        from .outbox import Address  # noqa: PLC0415

        self._check_open()
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
        key = uuid.uuid4().hex if thread is None else thread
        address = Address(
            key,
            user,
            thread,
            self.redacted_metadata(user, thread, metadata or {}),
            auto_process_after_seconds,
        )
        state = self._conversations.open(address, renewed=metadata is not None)
        return Conversation(self, state, process=process, every=process_every)

    def user(self, user_id: str) -> UserMemory:
        """What is remembered of a user: search, list, delete, answer merge conflicts. No I/O.

        Raises:
            MissingIdentityError: no user id.
            InvalidInputError: an id that cannot be sent.
        """
        from .user import UserMemory  # noqa: PLC0415 - not needed to import the package

        self._check_open()
        return UserMemory(self, user_id)

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
            What was deleted.

        Raises:
            NotFoundError: there was nothing to delete.
            ForgetIncompleteError: something could still be read afterwards; it is named.
            ServiceUnavailableError: an outage, whatever `on_error` says; call again.
        """
        flow = self._forget_flow(user_id, thread_id, session_id, memory_id)
        with self.operation("forget", thread_id):
            forgotten = self.run(flow, insist=True)
        self._tell_forgotten(forgotten, thread_id)
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
        flow = self._forget_flow(user_id, thread_id, session_id, memory_id)
        with self.operation("forget", thread_id):
            forgotten = await self.arun(flow, insist=True)
        self._tell_forgotten(forgotten, thread_id)
        return forgotten

    def export(self, user_id: str) -> Iterator[dict[str, Any]]:
        """Everything of one user as JSON-able dicts, one for each line of a file: see `portability.Export`.

        Read as it is asked for, so that a long history does not have to fit into memory. What waits is
        delivered first, if the service takes it.

        Raises:
            NotFoundError: there is no such user, and nothing of them waits.
            ServiceUnavailableError: an outage, whatever `on_error` says.
        """
        for part in self._export_parts(user_id):
            yield from self.run(part, insist=True)

    async def aexport(self, user_id: str) -> AsyncIterator[dict[str, Any]]:
        """The async twin of `export`."""
        for part in self._export_parts(user_id):
            for line in await self.arun(part, insist=True):
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
            InvalidInputError: a line is none of an export; those before it have been brought in.
            ServiceUnavailableError: an outage, whatever `on_error` says.
        """
        return [self.run(flow, insist=True) for flow in self._imports(user_id, lines, process=process)]

    async def aimport_user(
        self, user_id: str, lines: Iterable[Mapping[str, Any]], *, process: bool = True
    ) -> list[Imported]:
        """The async twin of `import_user`."""
        return [await self.arun(flow, insist=True) for flow in self._imports(user_id, lines, process=process)]

    @property
    def is_down(self) -> bool:
        """Whether the service failed when it was last tried: what was read may not be all there is."""
        return self._engine.is_down

    def flush(self, timeout: float | None = None) -> int:
        """Delivers all that waits, of all conversations, also what an earlier process left in the outbox.

        It tries even while the circuit breaker is open, and goes on with other conversations when one fails.

        Args:
            timeout: seconds to wait, at least 0; what is under way goes on beside the caller. None waits for
                the end.

        Returns:
            How many messages still wait: 0 unless the service is down, or time was short.

        Raises:
            InvalidInputError: a timeout that is none.
            RequestRejectedError: the service refused a message for good; all others have been tried.
            ServiceUnavailableError: an outage with `on_error="raise"`.
        """
        self.run(self._flush_flow(_checked(timeout)), insist=True)
        return self._outbox.count()

    async def aflush(self, timeout: float | None = None) -> int:
        """The async twin of `flush`."""
        import asyncio  # noqa: PLC0415

        await self.arun(self._flush_flow(_checked(timeout)), insist=True)
        return await asyncio.to_thread(self._outbox.count)

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
            InvalidInputError: a timeout that is none; nothing was closed.
        """
        ends = _ends(timeout)
        if self._closed:
            return 0
        self._courier.close()
        try:
            self.run(self._flush_flow(timeout, patience=_CLOSE_PATIENCE), insist=True)
        except RecallrAIIntegrationError as error:
            logger.error("RecallrAI: %s", error)  # noqa: TRY400 - closing goes on; a trace says no more
        self._end_of_use()
        self._engine.close(max(0.0, ends - time.monotonic()))
        left = self._left()
        self.instructions.settle()
        self._backend.close()
        self._outbox.close()
        if self._server is not None:
            self._server.stop()
        return left

    async def aclose(self, timeout: float | None = None) -> int:
        """The async twin of `close`."""
        import asyncio  # noqa: PLC0415

        ends = _ends(timeout)
        if self._closed:
            return 0
        self._courier.close()
        try:
            await self.arun(self._flush_flow(timeout, patience=_CLOSE_PATIENCE), insist=True)
        except RecallrAIIntegrationError as error:
            logger.error("RecallrAI: %s", error)  # noqa: TRY400 - as in `close`
        self._end_of_use()
        await self._engine.aclose(max(0.0, ends - time.monotonic()))
        left = await asyncio.to_thread(self._left)
        await asyncio.to_thread(self.instructions.settle)
        await self._backend.aclose()
        self._outbox.close()
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

    # --- for conversations and adapters of this package

    def run(self, flow: Flow[T], *, insist: bool = False) -> T:
        """Runs a flow on this thread."""
        from .drive import drive  # noqa: PLC0415

        self._check_open()
        self._courier.start()
        return drive(flow, self._engine, insist=insist)

    async def arun(self, flow: Flow[T], *, insist: bool = False) -> T:
        """Runs a flow on the running event loop."""
        from .drive import adrive  # noqa: PLC0415

        self._check_open()
        self._courier.start()
        return await adrive(flow, self._engine, insist=insist)

    def go_on_in_a_fork(self) -> None:
        """Makes it one of the child's own: on shared sockets an answer could reach the wrong process.

        What waits in memory and the embedded service stay with the parent.
        """
        self._of_the_parent = (self._backend, self._engine, self._courier)  # kept, so that nothing is closed
        self._server = None
        self._outbox.go_on_in_a_fork()
        self._start(None, None)
        self._conversations.go_on_in_a_fork(self._courier)

    def redacted(self, address: Address, messages: Sequence[Message]) -> list[Message]:
        """The messages as they may leave the process: what the `redact` hook makes of them."""
        hook = self.delivery_options.redact
        return redacted_messages(hook, address.user_id, address.thread_id, messages)

    def redacted_metadata(
        self, user_id: str, thread_id: str | None, metadata: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The metadata as they may leave the process: what the `redact` hook makes of them."""
        return redacted_metadata(self.delivery_options.redact, user_id, thread_id, metadata)

    def operation(self, name: OperationName, thread_id: str | None) -> AbstractContextManager[Operation]:
        """Traces an operation where OpenTelemetry is installed."""
        return self._telemetry.operation(name, thread_id)

    def _flush_flow(self, timeout: float | None, *, patience: float | None = None) -> Flow[None]:
        from . import flows  # noqa: PLC0415

        return flows.flush_all(self._outbox, self._conversations.at, timeout=timeout, patience=patience)

    def _export_parts(self, user_id: str) -> Iterator[Flow[list[dict[str, Any]]]]:
        from .portability import Export  # noqa: PLC0415 - not needed to import the package

        user = user_id_text(user_id)
        states = partial(self._conversations.of_user, user)
        return Export(user, states, blocking=self._outbox.blocking).parts()

    def _imports(
        self, user_id: str, lines: Iterable[Mapping[str, Any]], *, process: bool
    ) -> Iterator[Flow[Imported]]:
        from .flows import import_transcript  # noqa: PLC0415
        from .portability import transcripts  # noqa: PLC0415 - as in `_export_parts`

        user = user_id_text(user_id)
        for one in transcripts(lines):
            thread = one.metadata.get(THREAD_KEY)
            messages = redacted_messages(self.delivery_options.redact, user, thread, one.messages)
            if messages:
                metadata = self.redacted_metadata(user, thread, one.metadata)
                of_user = self.redacted_metadata(user, None, one.profile.metadata)
                profile = replace(one.profile, metadata=of_user)
                redacted = replace(one, messages=messages, metadata=metadata, profile=profile)
                yield import_transcript(user, redacted, process=process)

    def _forget_flow(
        self, user_id: str, thread_id: str | None, session_id: str | None, memory_id: str | None
    ) -> Flow[Forgotten]:
        from . import flows  # noqa: PLC0415
        from .outbox import Address  # noqa: PLC0415

        user, thread = user_id_text(user_id), thread_id_text(thread_id)
        if sum(one is not None for one in (thread, session_id, memory_id)) > 1:
            raise InvalidInputError("Pass one of thread_id, session_id and memory_id, not several.")

        def states() -> list[State]:
            if thread is not None:
                return [self._conversations.at(Address(thread, user, thread))]
            return self._conversations.of_user(user)

        blocking = self._outbox.blocking
        if memory_id is not None:
            return flows.forget_memory(user, memory_id)
        if session_id is not None:
            return flows.forget_session(user, session_id, states, blocking=blocking)
        if thread is not None:
            return flows.forget_thread(user, thread, states, blocking=blocking)
        return flows.forget_user(user, states, blocking=blocking)

    def _tell_forgotten(self, forgotten: Forgotten, thread_id: str | None) -> None:
        detail = {"sessions": len(forgotten.sessions), "memories": len(forgotten.memories)}
        detail["waiting"] = forgotten.waiting
        self._observer.tell("forgotten", detail, user_id=forgotten.user_id, thread_id=thread_id)

    def _new_state(self, address: Address) -> State:
        from .flows import State  # noqa: PLC0415

        return State(
            address,
            self._outbox,
            self.delivery_options,
            observe=self._observer.conversation,
            workers=self._courier,
        )

    def _end_of_use(self) -> None:
        self._closed = True
        _unclosed.discard(self)

    def _left(self) -> int:
        """What a closing connection could not deliver, told."""
        try:
            left = self._outbox.count()
        except OutboxError:  # told already
            return 0
        if left and self._outbox.blocking:
            logger.warning("RecallrAI: %d messages wait in the outbox for the next connection to it.", left)
        elif left:
            logger.error(
                "RecallrAI: %d messages could not be delivered and are lost with this connection; "
                "DeliveryOptions(outbox=path) keeps them.",
                left,
            )
        return left

    def _when_degraded(self) -> None:
        self._courier.retry_later()

    def _when_recovered(self) -> None:
        if self._outbox.count():
            self._courier.drain()

    def _check_open(self) -> None:
        if self._closed:
            raise ConfigurationError(f"{self!r} is closed; make another with connect().")

"""`Runtime`: what one connection runs on, below the facade that an application holds."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import wait
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar
from weakref import ref

from recallrai_integrations import _flows as flows
from recallrai_integrations._backend import Backend
from recallrai_integrations._flows import Flow, State
from recallrai_integrations._flows.portability import Export, transcripts
from recallrai_integrations._flows.rules import THREAD_KEY
from recallrai_integrations.credentials import Credentials
from recallrai_integrations.errors import (
    ConnectionClosedError,
    InvalidInputError,
    OutboxError,
    RecallrAIIntegrationError,
)
from recallrai_integrations.identity import service_id_text, thread_id_text, user_id_text
from recallrai_integrations.messages import Message
from recallrai_integrations.models import Forgotten, Imported, remaining_until
from recallrai_integrations.options import ContextOptions, DeliveryOptions, RecallOptions
from recallrai_integrations.outbox import ConversationKey, Figures, open_outbox

from .background import BackgroundDelivery
from .driver import Engine, adrive
from .events import Observer
from .instructions import Instructions
from .redaction import redacted_messages, redacted_metadata
from .states import ConversationStates
from .telemetry import Operation, OperationName, Telemetry
from .threads import spawn_thread

if TYPE_CHECKING:
    from recallrai import AsyncRecallrAI, RecallrAI

__all__ = ["Runtime"]

T = TypeVar("T")

logger = logging.getLogger("recallrai_integrations")

_CLOSE_PATIENCE: Final = 30.0
"""Seconds without a delivered message after which closing gives up."""

_TIDYING: Final = 0.1
"""Seconds that closing an outbox file may take in any case."""

_AFTER_A_TIMEOUT: Final = 3.0
"""Seconds past a client's timeout in which a request is still expected to take effect (ours)."""


class Runtime:
    """Runs flows for one connection, and owns what they need: outbox, states, threads, clients.

    Args:
        credentials: of the service.
        timeout: seconds for each phase of a request.
        client: the application's own SDK client.
        async_client: the application's own async SDK client.
        project: names the service and project for which messages wait in an outbox.
        recall: what to ask for when recalling.
        context: how memories are put into prompts.
        delivery: how messages are delivered.

    Raises:
        OutboxError: the outbox file cannot be used.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        timeout: float,
        client: RecallrAI | None,
        async_client: AsyncRecallrAI | None,
        project: str,
        recall: RecallOptions,
        context: ContextOptions,
        delivery: DeliveryOptions,
    ) -> None:
        self.recall = recall
        self.context = context
        self.delivery = delivery
        self._credentials = credentials
        self._timeout = timeout
        settling_time = delivery.settling_time
        self.settling_time = timeout + _AFTER_A_TIMEOUT if settling_time is None else settling_time
        self.outbox = open_outbox(delivery, project=project)
        self._telemetry = Telemetry(credentials.base_url)
        self._observer = Observer(
            delivery.on_event,
            self._telemetry,
            when_degraded=self._when_degraded,
            when_recovered=self._when_recovered,
        )
        self.conversations = ConversationStates(self._new_state, self.outbox)
        self._closed = False
        self._telemetry.observe_outbox(project, partial(_figures, ref(self)))
        self._start(client, async_client)

    def _start(self, client: RecallrAI | None, async_client: AsyncRecallrAI | None) -> None:
        """Makes what belongs to one process: sockets, threads and locks."""
        self._backend = Backend(
            self._credentials, timeout=self._timeout, client=client, async_client=async_client
        )
        self._engine = Engine(self._backend, self.delivery, self._observer.engine)
        self.instructions = Instructions(self._backend.system_prompt)
        self._background = BackgroundDelivery(
            self._engine, self.outbox, self.conversations.at, longest_pause=self.delivery.breaker_reset
        )
        self.late_recalls = flows.LateRecalls(self._engine.recall_breaker)

    @property
    def closed(self) -> bool:
        """Whether it was closed; no flow runs any more then."""
        return self._closed

    @property
    def is_down(self) -> bool:
        """Whether some kind of request failed when it was last tried."""
        return self._engine.is_down

    def run(self, flow: Flow[T], *, insist: bool = False) -> T:
        """Runs a flow on this thread.

        Args:
            flow: what to run.
            insist: try although the circuit breaker is open.

        Raises:
            ConnectionClosedError: it is closed.
        """
        self.check_open()
        return self._engine.run(self._after_start(flow), insist=insist)

    async def arun(self, flow: Flow[T], *, insist: bool = False) -> T:
        """The async twin of `run`, on the running event loop."""
        self.check_open()
        return await adrive(self._after_start(flow), self._engine, insist=insist)

    def flush(self, timeout: float | None = None, *, patience: float | None = None) -> Flow[None]:
        """Returns the flow that delivers all pending messages; see `flows.flush_all`."""
        return flows.flush_all(self.outbox, self.conversations.at, timeout=timeout, patience=patience)

    def close(self, timeout: float | None) -> int:
        """Delivers pending messages, ends threads and clients, and returns how many messages are left.

        Args:
            timeout: seconds, at least 0; None gives up when no message got through for 30 seconds.
        """
        ends = _ends(timeout)
        if self._closed:
            return 0
        self._background.close()
        try:
            self.run(self.flush(timeout, patience=_CLOSE_PATIENCE), insist=True)
        except RecallrAIIntegrationError as error:
            logger.error("Not everything was delivered before closing: %s", error)  # noqa: TRY400 - closing goes on
        self._closed = True
        self._engine.close(_seconds_to(ends))
        left = self._left()
        self.instructions.join(_seconds_to(ends))
        self._backend.close()
        self._close_outbox(ends)
        return left

    async def aclose(self, timeout: float | None) -> int:
        """The async twin of `close`."""
        ends = _ends(timeout)
        if self._closed:
            return 0
        self._background.close()
        try:
            await self.arun(self.flush(timeout, patience=_CLOSE_PATIENCE), insist=True)
        except RecallrAIIntegrationError as error:
            logger.error("Not everything was delivered before closing: %s", error)  # noqa: TRY400 - as in `close`
        self._closed = True
        await self._engine.aclose(_seconds_to(ends))
        left = await asyncio.to_thread(self._left)
        await asyncio.to_thread(self.instructions.join, _seconds_to(ends))
        await self._backend.aclose()
        await asyncio.to_thread(self._close_outbox, ends)
        return left

    def after_fork(self) -> None:
        """Becomes the child's own: on shared sockets an answer could reach the wrong process.

        What waits in memory stays with the parent.
        """
        self._of_the_parent = (self._backend, self._engine, self._background)  # kept, so that nothing closes
        self.outbox.after_fork()
        self._start(None, None)
        self.conversations.after_fork(self._background)

    def operation(self, name: OperationName, thread_id: str | None) -> AbstractContextManager[Operation]:
        """Traces an operation where OpenTelemetry is installed."""
        return self._telemetry.operation(name, thread_id)

    def redacted(self, user_id: str, thread_id: str | None, messages: Sequence[Message]) -> list[Message]:
        """The messages as they may leave the process: what the `redact` hook makes of them."""
        return redacted_messages(self.delivery.redact, user_id, thread_id, messages)

    def redacted_metadata(
        self, user_id: str, thread_id: str | None, metadata: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The metadata as they may leave the process: what the `redact` hook makes of them."""
        return redacted_metadata(self.delivery.redact, user_id, thread_id, metadata)

    def forgetting(
        self, user_id: str, thread_id: str | None, session_id: str | None, memory_id: str | None
    ) -> Flow[Forgotten]:
        """The flow that deletes a user, or the one thing of theirs that is named.

        Raises:
            InvalidInputError: more than one is named, or an id that cannot be one.
        """
        user, thread = user_id_text(user_id), thread_id_text(thread_id)
        if sum(one is not None for one in (thread, session_id, memory_id)) > 1:
            raise InvalidInputError("Pass one of thread_id, session_id and memory_id, not several.")

        def states() -> list[State]:
            if thread is not None:
                return [self.conversations.at(ConversationKey(thread, user, thread))]
            return self.conversations.of_user(user)

        blocking = self.outbox.blocking
        if memory_id is not None:
            return flows.forget_memory(user, service_id_text("memory id", memory_id))
        if session_id is not None:
            session_id = service_id_text("session id", session_id)
            return flows.forget_session(user, session_id, states, blocking=blocking)
        if thread is not None:
            return flows.forget_thread(user, thread, states, blocking=blocking)
        return flows.forget_user(user, states, blocking=blocking)

    def exporting(self, user_id: str) -> Iterator[Flow[list[dict[str, Any]]]]:
        """The flows of an export, each to be run before the next is asked for."""
        states = partial(self.conversations.of_user, user_id)
        return Export(user_id, states, blocking=self.outbox.blocking).parts()

    def importing(
        self, user_id: str, lines: Iterable[Mapping[str, Any]], *, process: bool
    ) -> Iterator[Flow[Imported]]:
        """The flows of an import, one for each conversation, of what the `redact` hook leaves."""
        for one in transcripts(lines):
            thread = one.metadata.get(THREAD_KEY)
            messages = self.redacted(user_id, thread, one.messages)
            if messages:
                metadata = self.redacted_metadata(user_id, thread, one.metadata)
                of_user = self.redacted_metadata(user_id, None, one.profile.metadata)
                profile = replace(one.profile, metadata=of_user)
                redacted = replace(one, messages=messages, metadata=metadata, profile=profile)
                yield flows.import_transcript(self.conversations.alone(user_id), redacted, process=process)

    def emit_forgotten(self, forgotten: Forgotten, thread_id: str | None) -> None:
        """Reports to the application's hook and the counters what was deleted."""
        detail = {"sessions": len(forgotten.sessions), "memories": len(forgotten.memories)}
        detail["waiting"] = forgotten.waiting
        for file in forgotten.remains_in:
            logger.warning("Deleted text remains in %s.", remaining_until(file))
        self._observer.emit("forgotten", detail, user_id=forgotten.user_id, thread_id=thread_id)

    def check_open(self) -> None:
        """Raises a `ConnectionClosedError` when it is closed."""
        if self._closed:
            raise ConnectionClosedError(
                f"The connection to {self._credentials.base_url} is closed; make another with connect()."
            )

    def _after_start(self, flow: Flow[T]) -> Flow[T]:
        """Runs the flow after delivery of what an earlier process left in a file has started."""
        self._background.start()
        return (yield from flow)

    def _new_state(self, key: ConversationKey) -> State:
        return State(
            key,
            self.outbox,
            self.delivery,
            self.settling_time,
            observe=self._observer.conversation,
            deliverer=self._background,
        )

    def _left(self) -> int:
        """Returns and logs how many messages a closing connection could not deliver."""
        try:
            left = self.outbox.count()
        except OutboxError:  # logged already
            return 0
        if left and self.outbox.blocking:
            kept = "1 message stays" if left == 1 else f"{left} messages stay"
            logger.warning("%s in the outbox; the next connection delivers what is there.", kept)
        elif left:
            lost = "1 message could not be delivered and is"
            if left > 1:
                lost = f"{left} messages could not be delivered and are"
            logger.error("%s lost; DeliveryOptions(outbox=path) keeps messages in a file.", lost)
        return left

    def _close_outbox(self, ends: float) -> None:
        """Closes the outbox; one whose file another program keeps locked is closed beside the caller."""
        try:
            closing = spawn_thread(self.outbox.close)
        except RuntimeError:  # no threads any more: the interpreter is on its way out
            self.outbox.close()
        else:
            wait((closing,), max(_TIDYING, _seconds_to(ends)))

    def _when_degraded(self) -> None:
        self._background.retry_later()

    def _when_recovered(self) -> None:
        if self.outbox.blocking or self.outbox.count():  # a file is looked into by a worker, off the loop
            self._background.drain()


def _figures(runtime: ref[Runtime]) -> Figures | None:
    """What to watch of the outbox of a connection that is in use."""
    held = runtime()
    try:
        return None if held is None or held.closed else held.outbox.figures()
    except OutboxError:  # told by whoever delivers
        return None


def _ends(timeout: float | None) -> float:
    """Returns the monotonic time at which closing gives up if nothing gets through."""
    return time.monotonic() + (_CLOSE_PATIENCE if timeout is None else timeout)


def _seconds_to(ends: float) -> float:
    return max(0.0, ends - time.monotonic())

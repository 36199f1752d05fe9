"""Delivery beside the callers: background mode, another try after an outage, what an earlier process left."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable

from recallrai_integrations import _flows as flows
from recallrai_integrations.errors import (
    CredentialsError,
    OutboxUnavailableError,
    RecallrAIIntegrationError,
    ServiceUnavailableError,
)
from recallrai_integrations.outbox import ConversationKey, Outbox

from .breaker import Pauses
from .driver import Engine, drive

__all__ = ["BackgroundDelivery"]

logger = logging.getLogger("recallrai_integrations")


class BackgroundDelivery:
    """Owns the deliveries that no caller waits for. They run on workers of the engine, which ends with them.

    Args:
        engine: runs them.
        outbox: what waits.
        state_of: the state of a conversation.
        longest_pause: seconds at most until what an outage left waiting is tried again; the first tries
            come sooner.
    """

    def __init__(
        self,
        engine: Engine,
        outbox: Outbox,
        state_of: Callable[[ConversationKey], flows.State],
        *,
        longest_pause: float,
    ) -> None:
        self._engine = engine
        self._outbox = outbox
        self._state_of = state_of
        self._pauses = Pauses(longest_pause)
        self._lock = threading.Lock()
        self._woken: set[ConversationKey] = set()
        self._waits_to_retry = False
        self._trouble: RecallrAIIntegrationError | None = None  # why the last delivery did not get through
        self._refused: CredentialsError | None = None  # to be raised where an application can see it
        self._started = not outbox.blocking  # memory holds nothing of an earlier process
        self._ended = threading.Event()

    def start(self) -> None:
        """At the first use of a connection: delivers what an earlier process left in the file."""
        if not self._started:
            self._started = True
            self.drain()
            if self._outbox.poll_seconds is not None:
                self._engine.submit(lambda: self._watch(self._outbox.poll_seconds or 0.0))

    def wake(self, state: flows.State) -> None:
        """Has a worker deliver what waits for a conversation; one worker for one conversation at a time.

        Raises:
            CredentialsError: the service refused the credentials in the background since that was told last.
                What waits is tried again all the same: a key may be valid again.
        """
        with self._lock:
            is_woken = state.key in self._woken
            self._woken.add(state.key)
            refused, self._refused = self._refused, None
        if not is_woken:
            self._engine.submit(lambda: self._deliver(state))
        if refused is not None:
            raise CredentialsError(str(refused)) from refused

    def make_room(self, state: flows.State) -> bool:
        """`wake`; says whether what is delivered here gets through, so that waiting for room makes sense."""
        self.wake(state)
        return self._trouble is None

    def drain(self) -> None:
        """Has a worker deliver all that waits, for conversations that may never come back by themselves."""
        self._engine.submit(self._drain)

    def retry_later(self) -> None:
        """After an outage: drains once the service may be back."""
        with self._lock:
            if self._waits_to_retry or self._ended.is_set():
                return
            self._waits_to_retry = True
        # Waiting on a worker has a thread ready for the last deliveries when the interpreter is on its way
        # out and lets none be started any more.
        self._engine.submit(self._retry)

    def close(self) -> None:
        """Starts no delivery by itself any more; what was woken is still delivered."""
        self._ended.set()

    def _retry(self) -> None:
        self._ended.wait(max(self._pauses.next(), self._engine.seconds_refused))
        with self._lock:
            self._waits_to_retry = False
        self._drain()

    def _deliver(self, state: flows.State) -> None:
        with self._lock:
            self._woken.discard(state.key)
        self._run(state)

    def _watch(self, seconds: float) -> None:
        """Delivers what processes that are gone have left, until this connection ends."""
        while not self._ended.wait(random.uniform(0.5, 1.0) * seconds):  # noqa: S311 - not all at once
            self._drain()

    def _drain(self) -> None:
        try:
            keys = self._outbox.due()
        except OutboxUnavailableError:  # it has told of that itself
            self.retry_later()
            return
        except RecallrAIIntegrationError as error:
            logger.error("RecallrAI: %s", error)  # noqa: TRY400 - its text says all
            return
        in_a_row = 0
        for key in keys:
            if self._ended.is_set() or in_a_row == flows.GIVE_UP_AFTER:
                return
            in_a_row = 0 if self._run(self._state_of(key), patience=0.0) else in_a_row + 1

    def _run(self, state: flows.State, *, patience: float | None = None) -> bool:
        """Delivers for one conversation; False when it did not get through."""
        try:
            delivered = drive(flows.deliver_alone(state, patience=patience), self._engine)
        except RecallrAIIntegrationError as error:
            self._tell(state, error)
            return False
        if delivered:  # else nothing was asked, and nothing is known
            self._trouble = None
            self._pauses.reset()
        return True

    def _tell(self, state: flows.State, error: RecallrAIIntegrationError) -> None:
        """Nobody waits for this delivery: what went wrong is logged, each trouble once, and tried again."""
        if self._ended.is_set():  # closing tells what is left
            return
        if isinstance(error, ServiceUnavailableError):
            state.emit_outage(error)
        elif type(error) is not type(self._trouble):
            logger.error("RecallrAI: %s Messages wait.", error)
        if isinstance(error, CredentialsError):
            self._refused = error
        self._trouble = error
        self.retry_later()

"""Background delivery: background mode, retries after an outage, and what an earlier process left."""

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
    """Owns the deliveries that no caller waits for. They run on the engine's threads; closing waits for them.

    Args:
        engine: runs them.
        outbox: holds the pending messages.
        state_of: returns the state of a conversation.
        longest_pause: longest pause in seconds between two tries after an outage; the first pauses are
            shorter.
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
        self._refused: CredentialsError | None = None  # raised by the next call of the application
        self._started = not outbox.blocking  # an outbox in memory has no messages of an earlier process
        self._ended = threading.Event()

    def start(self) -> None:
        """Delivers what an earlier process left in the file; runs at the first use of a connection."""
        if not self._started:
            self._started = True
            self.drain()
            if self._outbox.poll_seconds is not None:
                self._engine.submit(lambda: self._watch(self._outbox.poll_seconds or 0.0))

    def wake(self, state: flows.State) -> None:
        """Starts delivery of a conversation on a thread, unless it has been started already.

        Raises:
            CredentialsError: the service has refused the credentials in the background since the last such
                error. Delivery is started anyway: the key may be valid again.
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
        """Wakes delivery; returns False if the last delivery failed, so waiting for room is pointless."""
        self.wake(state)
        return self._trouble is None

    def drain(self) -> None:
        """Starts delivery of all conversations: some of them may never be used again."""
        self._engine.submit(self._drain)

    def retry_later(self) -> None:
        """After an outage: drains once the service may be back."""
        with self._lock:
            if self._waits_to_retry or self._ended.is_set():
                return
            self._waits_to_retry = True
        # The wait occupies a thread of the pool, so that one is there for the last deliveries: an interpreter
        # that shuts down starts no new threads.
        self._engine.submit(self._retry)

    def close(self) -> None:
        """Stops retries; deliveries that were woken still run."""
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
            logger.error("Pending messages could not be read: %s", error)  # noqa: TRY400 - its text says all
            return
        in_a_row = 0
        for key in keys:
            if self._ended.is_set() or in_a_row == flows.GIVE_UP_AFTER:
                return
            in_a_row = 0 if self._run(self._state_of(key), patience=0.0) else in_a_row + 1

    def _run(self, state: flows.State, *, patience: float | None = None) -> bool:
        """Delivers one conversation; returns False if that failed."""
        try:
            delivered = drive(flows.deliver_alone(state, patience=patience), self._engine)
        except RecallrAIIntegrationError as error:
            self._tell(state, error)
            return False
        if delivered:  # else no request was sent, and nothing is known
            self._trouble = None
            self._pauses.reset()
        return True

    def _tell(self, state: flows.State, error: RecallrAIIntegrationError) -> None:
        """Logs a failed delivery, each kind of failure once, and retries later: no caller sees the error."""
        if self._ended.is_set():  # closing logs what is left
            return
        if isinstance(error, ServiceUnavailableError):
            state.emit_outage(error)
        elif type(error) is not type(self._trouble):
            logger.error("Background delivery failed, the messages are kept: %s", error)
        if isinstance(error, CredentialsError):
            self._refused = error
        self._trouble = error
        self.retry_later()

"""Which conversations a process has in mind: two objects for one thread share what they know of it."""

from __future__ import annotations

import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from weakref import WeakValueDictionary

from recallrai_integrations._flows import Deliverer, State
from recallrai_integrations.outbox import ConversationKey, Outbox

__all__ = ["ConversationStates"]

_IN_MIND = 10_000
_IMPORT_RETRIES = 3
_IMPORT_BUDGET = 30.0  # seconds beyond the settling time


class ConversationStates:
    """The states of the latest conversations, and of all that somebody still holds.

    Args:
        new: makes the state of a conversation.
        outbox: where its messages wait. A conversation for which some wait in memory is not let go: nobody
            else knows what is in doubt.
    """

    def __init__(self, new: Callable[[ConversationKey], State], outbox: Outbox) -> None:
        self._new = new
        self._outbox = outbox
        self._lock = threading.Lock()
        self._latest: OrderedDict[ConversationKey, State] = OrderedDict()
        self._held: WeakValueDictionary[ConversationKey, State] = WeakValueDictionary()

    def at(self, key: ConversationKey) -> State:
        """The state of a conversation."""
        with self._lock:
            return self._at(key)

    def open(self, key: ConversationKey, *, renewed: bool) -> State:
        """The state of a conversation that the application goes on with.

        Args:
            key: the conversation.
            renewed: its sessions are opened with the metadata of this key from now on.
        """
        with self._lock:
            state = self._at(key)
            if renewed:
                state.key = key
            self._latest[key] = state
            self._latest.move_to_end(key)
            if len(self._latest) > _IN_MIND:
                oldest, kept = self._latest.popitem(last=False)
                if not self._outbox.blocking and not self._outbox.is_empty(oldest):
                    self._latest[oldest] = kept
            return state

    def alone(self, user_id: str) -> State:
        """A state that nobody else shares, for an import: it fills sessions of its own.

        No turn waits for it, and nothing of it waits in an outbox: it is patient until it is certain what the
        service has.
        """
        state = self._new(ConversationKey(uuid.uuid4().hex, user_id, None))
        state.delivery = replace(
            state.delivery,
            retries=max(_IMPORT_RETRIES, state.delivery.retries),
            retry_budget=max(state.settling_time + _IMPORT_BUDGET, state.delivery.retry_budget),
        )
        return state

    def of_user(self, user_id: str) -> list[State]:
        """All of one user's that this process has in mind, or that the outbox knows."""
        with self._lock:
            here = [key for key in self._held if key.user_id == user_id]
        return [self.at(one) for one in {*here, *self._outbox.keys(user_id=user_id)}]

    def after_fork(self, deliverer: Deliverer) -> None:
        """In the child of a fork: locks that threads of the parent may hold are made anew."""
        self._lock = threading.Lock()
        for state in list(self._held.values()):
            state.after_fork(deliverer)

    def _at(self, key: ConversationKey) -> State:
        state = self._held.get(key)
        if state is None:
            state = self._held[key] = self._new(key)
        return state

"""Which conversations a process has in mind: two objects for one thread share what they know of it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from weakref import WeakValueDictionary

from .flows import State, Workers
from .outbox import Address, Outbox

__all__ = ["Registry"]

_IN_MIND = 10_000


class Registry:
    """The states of the latest conversations, and of all that somebody still holds.

    Args:
        new: makes the state of a conversation.
        outbox: where its messages wait. A conversation for which some wait in memory is not let go: nobody
            else knows what is in doubt.
    """

    def __init__(self, new: Callable[[Address], State], outbox: Outbox) -> None:
        self._new = new
        self._outbox = outbox
        self._lock = threading.Lock()
        self._latest: OrderedDict[Address, State] = OrderedDict()
        self._held: WeakValueDictionary[Address, State] = WeakValueDictionary()

    def at(self, address: Address) -> State:
        """The state of a conversation."""
        with self._lock:
            return self._at(address)

    def open(self, address: Address, *, renewed: bool) -> State:
        """The state of a conversation that the application goes on with.

        Args:
            address: the conversation.
            renewed: its sessions are opened with the metadata of this address from now on.
        """
        with self._lock:
            state = self._at(address)
            if renewed:
                state.address = address
            self._latest[address] = state
            self._latest.move_to_end(address)
            if len(self._latest) > _IN_MIND:
                oldest, kept = self._latest.popitem(last=False)
                if not self._outbox.blocking and self._outbox.waiting(oldest):
                    self._latest[oldest] = kept
            return state

    def of_user(self, user_id: str) -> list[State]:
        """All of one user's that this process has in mind, or that the outbox knows."""
        with self._lock:
            here = [address for address in self._held if address.user_id == user_id]
        return [self.at(one) for one in {*here, *self._outbox.addresses(user_id=user_id)}]

    def go_on_in_a_fork(self, workers: Workers) -> None:
        """In the child of a fork: locks that threads of the parent may hold are made anew."""
        self._lock = threading.Lock()
        for state in list(self._held.values()):
            state.go_on_in_a_fork(workers)

    def _at(self, address: Address) -> State:
        state = self._held.get(address)
        if state is None:
            state = self._held[address] = self._new(address)
        return state

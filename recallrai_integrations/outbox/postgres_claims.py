"""Claims of a process on conversations: who holds them, and their renewal while it runs."""

from __future__ import annotations

import os
import platform
import threading
import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakMethod

from recallrai_integrations.errors import OutboxError

__all__ = ["LEASE_SECONDS", "Claim", "Renewal", "new_owner"]

LEASE_SECONDS: Final = 30.0
"""How long a claim holds, by the server's clock, without being renewed; a thread renews it (ours)."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim of this process on a conversation, by the key of its row; the token is new in each claim."""

    pk: int
    token: uuid.UUID


class Renewal:
    """A thread that renews claims until it is ended, or until the outbox that holds them is gone."""

    def __init__(self, renew: WeakMethod[Any]) -> None:
        self._renew = renew
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()

    @property
    def has_ended(self) -> bool:
        """Whether the outbox is closed."""
        return self._ended.is_set()

    def start(self) -> None:
        """Starts the thread, once."""
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="recallrai-claims", daemon=True)
                with suppress(RuntimeError):  # the interpreter is on its way out
                    self._thread.start()

    def end(self) -> None:
        """Ends the thread."""
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.wait(LEASE_SECONDS / 3):
            renew = self._renew()
            if renew is None:
                return
            with suppress(OutboxError):  # tried again; a delivery finds out whether its claim still holds
                renew()
            del renew


def new_owner() -> str:
    """A name of this process, for people who look at claims."""
    return f"{platform.node()} {os.getpid()} {uuid.uuid4().hex}"

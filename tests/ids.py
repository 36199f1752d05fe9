"""Two users, and ids with which one would reach the other."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from recallrai_integrations import Connection, MergeConflict, NotFoundError, connect
from recallrai_integrations.local import LocalRecallrAI

UNFIT = [
    "",
    " ",
    ".",
    "..",
    "...",
    "../../bob",
    "../bob",
    "/../../bob",
    "a/b",
    "%2e%2e",
    "..%2f..%2fbob",
    "?x",
    "#",
    "a;b",
    "a\0b",
    "a\nb",
    "a\n",
    "a\\b",
    "..\\..\\bob",
    "x" * 10_000,
    "bób",
    "\u202e",
]
"""Ids that no service gives."""


@dataclass(frozen=True)
class Users:
    """Ada, who is served, and bob, of whom nothing may be read or changed."""

    server: LocalRecallrAI
    service: dict[str, str]
    conflict: MergeConflict
    unfit: list[str]
    _bobs: Connection

    def bob(self) -> Any:
        """All that the service holds of bob."""
        left = list(self._bobs.export("bob")), self._bobs.user("bob").conflicts(None)
        self._settle()
        self.server.requests.clear()
        return left

    def paths(self) -> list[str]:
        """Of the requests since bob was looked at last."""
        self._settle()
        beside = ("/system-prompt", "/settled")
        return [one.path for one in self.server.requests if not one.path.endswith(beside)]

    def _settle(self) -> None:
        """A request is in the log shortly after its answer has come; waits until all are."""
        seen = self._noted()
        with suppress(NotFoundError):
            self._bobs.user("settled").info()
        while self._noted() == seen:
            time.sleep(0.001)

    def _noted(self) -> int:
        return sum(one.path.endswith("/settled") for one in self.server.requests)


@contextmanager
def two_users() -> Generator[Users]:
    """A service that knows both, with memories, a session and a merge conflict of each."""
    with LocalRecallrAI(merge_conflict_enabled=True) as server:
        service = {"api_key": server.api_key, "project_id": server.project_id, "base_url": server.base_url}
        with connect(**service) as connection:  # type: ignore[arg-type]
            for user in ("ada", "bob"):
                for fact in ("My favourite colour is blue.", "My favourite colour is red."):
                    with connection.conversation(user) as earlier:
                        earlier.record(("user", fact))
                        earlier.finish(wait=30)
                connection.conversation(user, "thread-1").record(("user", "Hello."))
            bob, ada = connection.user("bob"), connection.user("ada")
            session = connection.conversation("bob", "thread-1").info().session_id
            unfit = [
                *UNFIT,
                f"../../bob/memory/{bob.memories()[0].memory_id}",
                f"../../bob/sessions/{session}",
                f"../../bob/merge-conflicts/{bob.conflicts()[0].conflict_id}",
                f"{session}/../../../bob/sessions/{session}",
            ]
            yield Users(server, service, ada.conflicts()[0], unfit, connection)

"""The service that a suite runs over, and looking at what it was sent and what it holds."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final, TypeAlias

import pytest

from recallrai_integrations import Connection, DeliveryOptions, connect
from recallrai_integrations.local import LocalRecallrAI

from .hooks import Answered, Hooks, done

__all__ = ["TURN", "Served", "said"]

Said: TypeAlias = list[tuple[str, str]]

TURN: Final = ["POST add-message", "GET context", "POST add-message"]
"""The requests of a warm turn."""


class Served(Hooks):
    """A service and connections of its own for each test."""

    server: LocalRecallrAI
    connection: Connection
    elsewhere: Connection

    fact = "My dog is called Biscuit."
    question = "What is my dog called?"
    clue = "Biscuit"
    """What must show in a prompt when the fact was recalled."""

    @contextmanager
    def serving(self) -> Generator[None]:
        """The service and the connections of one test; a fixture does this for each."""
        with LocalRecallrAI() as self.server:
            api_key, project_id, base_url = self.server.api_key, self.server.project_id, self.server.base_url
            again = connect(api_key=api_key, project_id=project_id, base_url=base_url)
            # One try for each request: an outage on purpose is not worth waiting for.
            once = DeliveryOptions(retries=0)
            given = connect(api_key=api_key, project_id=project_id, base_url=base_url, delivery=once)
            with again as self.elsewhere, given as self.connection:
                yield

    @pytest.fixture(autouse=True)
    def _served(self) -> Generator[None]:
        with self.serving():
            yield

    def _turn(self, user_id: str | None, thread_id: str | None, text: str) -> Answered:
        return done(self.turn(self.connection, user_id, thread_id, text))

    def _teach(self, user_id: str) -> None:
        with self.elsewhere.conversation(user_id, "earlier") as conversation:
            conversation.record(("user", self.fact))
            conversation.finish(wait=30)
        self.server.requests.clear()

    def _requests(self, *ends: str) -> list[str]:
        """The requests so far, instructions left out, or only those whose paths end so."""
        return [
            f"{one.method} {one.path.rsplit('/', 1)[-1]}"
            for one in self.server.requests
            if not one.path.endswith("system-prompt") and (not ends or one.path.endswith(ends))
        ]

    def _history(self, user_id: str, thread_id: str) -> Said:
        history = self.elsewhere.conversation(user_id, thread_id).history()
        return [(one.role, one.content) for one in history]

    def _sessions(self, user_id: str) -> list[Said]:
        """What each session of a user holds, oldest first."""
        lines = self.elsewhere.export(user_id)
        sessions = [line["messages"] for line in lines if line["type"] == "session"]
        return [[(one["role"], one["content"]) for one in messages] for messages in sessions]


def said(question: str, answer: str) -> Said:
    """A turn as it is stored."""
    return [("user", question), ("assistant", answer)]

"""A user whose memory is told things and asked questions, over the service's real tables."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from datetime import datetime, timezone

import pytest

from recallrai_integrations.local import memory, schema
from recallrai_integrations.local.memory import ContextAnswer, ContextQuery, Engine, Message, SessionView

NOW = datetime(2026, 3, 11, 15, 30, tzinfo=timezone.utc)  # a Wednesday


class Person:
    """One user of the service; `tell` and `ask` are sessions of theirs."""

    def __init__(self, db, pk: int = 1, engine: Engine | None = None) -> None:
        self.db = db
        self.pk = pk
        self.engine = engine or Engine()

    def tell(self, *said: str, at: datetime = NOW, backdated: datetime | None = None, conflicts=False) -> str:
        """Hold a conversation ("A: " begins what the assistant says) and process it; returns the session's id."""
        session_id = self.begin(*said, at=backdated or at, said_at=at, status="processed")
        memory.process_session(
            self.db,
            user_pk=self.pk,
            session_id=session_id,
            session_created_at=backdated or at,
            messages=self.messages(said, at),
            conflicts_enabled=conflicts,
            engine=self.engine,
            now=at,
        )
        return session_id

    def begin(
        self, *said: str, at: datetime = NOW, said_at: datetime | None = None, status: str = "pending"
    ) -> str:
        """A session with these messages, as the HTTP side stores it."""
        session_id, stamp = str(uuid.uuid4()), at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        session_pk = self.db.execute(
            "INSERT INTO sessions (session_id, user_pk, status, metadata, created_at, started_at,"
            " auto_process_after_seconds, due_at) VALUES (?, ?, ?, '{}', ?, ?, 600, 0)",
            (session_id, self.pk, status, stamp, stamp),
        ).lastrowid
        for message in self.messages(said, said_at or at):
            self.db.execute(
                "INSERT INTO messages (session_pk, user_pk, role, content, created_at) VALUES (?, ?, ?, ?, ?)",
                (session_pk, self.pk, message.role, memory.text.clean(message.content), stamp),
            )
        return session_id

    @staticmethod
    def messages(said, at: datetime) -> list[Message]:
        return [
            Message("assistant", text[3:], at) if text.startswith("A: ") else Message("user", text, at)
            for text in said
        ]

    def ask(self, *said: str, now: datetime = NOW, **query) -> ContextAnswer:
        return memory.recall(
            self.db,
            user_pk=self.pk,
            session=SessionView("asking", "pending", now, self.messages(said, now)),
            query=ContextQuery(**query),
            engine=self.engine,
            now=now,
        )

    def recalled(self, *said: str, **query) -> list[str]:
        """The memories that are listed for a question by their own similarity, best first."""
        return re.findall(
            r"^\d+\. (.*) \(Similarity: [01]\.\d{4}\) \[", self.ask(*said, **query).context, re.MULTILINE
        )

    def items(self) -> list[dict]:
        """The current memories in wire form, oldest first."""
        return memory.list_memories(self.db, user_pk=self.pk, limit=200).items[::-1]

    def known(self) -> set[str]:
        return {item["content"] for item in self.items()}

    def history(self, content: str) -> list[tuple[str, str | None]]:
        """The superseded versions of a memory: content and why it expired, newest first."""
        item = next(item for item in self.items() if item["content"] == content)
        return [(old["content"], old["expiration_reason"]) for old in item["previous_versions"]]

    def conflicts(self) -> list[dict]:
        return memory.list_conflicts(self.db, user_pk=self.pk, limit=100).items


@pytest.fixture
def db() -> Iterator:
    connection = schema.open_writer(":memory:")
    yield connection
    connection.close()


@pytest.fixture
def user(db) -> Person:
    return Person(db)


@pytest.fixture
def other_user(db) -> Person:
    return Person(db, pk=2)


@pytest.fixture
def person(db):
    """Makes a user with an engine of its own."""
    return lambda engine: Person(db, engine=engine)

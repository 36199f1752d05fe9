"""The guarantees of an outbox, for those in memory, in a file and in PostgreSQL."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from typing_extensions import override

from recallrai_integrations.credentials import Secret
from recallrai_integrations.outbox import MemoryOutbox, Outbox, owners
from recallrai_integrations.outbox.file import FileOutbox
from recallrai_integrations.testing.outbox import OutboxContract


class TestMemory(OutboxContract):
    is_shared = False
    claims_end = False

    @override
    def open(self, *, project: str = "p", limit: int = 100) -> Outbox:
        return MemoryOutbox(limit=limit)


class TestFile(OutboxContract):
    claims_end = False

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.file = tmp_path / "outbox.db"

    @override
    def open(self, *, project: str = "p", limit: int = 100) -> Outbox:
        return FileOutbox(self.file, project=project, limit=limit)


class TestFileOfSeveralContainers(TestFile):
    """Processes that cannot be looked at: the lease decides."""

    claims_end = True

    @pytest.fixture(autouse=True)
    def _monkeypatch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch

    @override
    def open(self, *, project: str = "p", limit: int = 100) -> Outbox:
        outbox = FileOutbox(self.file, project=project, limit=limit)
        outbox._owner = owners.Owner(
            outbox._owner.token, f"container {time.time_ns()}", owners.boot(), os.getpid(), 0.0
        )
        return outbox

    @override
    def let_claims_end(self) -> None:
        later = time.monotonic() + owners.LEASE_SECONDS + 1
        self.monkeypatch.setattr(time, "monotonic", lambda: later)


class TestPostgres(OutboxContract):
    @pytest.fixture(autouse=True)
    def _database(self, database: str) -> None:
        self.url = database

    @override
    def open(self, *, project: str = "p", limit: int = 100) -> Outbox:
        from recallrai_integrations.outbox.postgres import PostgresOutbox

        return PostgresOutbox(Secret(self.url), project=project, limit=limit, hold=False)

    @override
    def let_claims_end(self) -> None:
        import psycopg

        with psycopg.connect(self.url) as connection:
            connection.execute("UPDATE recallrai_integrations.conversations SET lease_until = '-infinity'")

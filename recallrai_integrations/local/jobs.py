"""Processing in the background, and the timer that starts it after inactivity.

The queue is the database itself: a session in `processing` waits for the one worker. So a job that a crash
interrupted is taken up again at the next start, and nothing is processed twice: the memories and the status
`processed` are committed together.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Final

from . import logs, memory, sessions, users
from .database import Database
from .faults import Outcome
from .memory import Engine
from .memory.schema import moment as parsed
from .problems import Refused
from .sessions import Session

logger = logs.events

_WARNINGS: Final = 5  # the latest, told by `/health` and on the page
_PAUSE_AFTER_FAILED_WRITE: Final = 1.0  # seconds; the disk may be full


class Jobs:
    """One worker thread; `wake` it after a session was put into `processing`."""

    def __init__(
        self,
        database: Database,
        engine: Engine,
        *,
        next_outcome: Callable[[], Outcome | None],
        merge_conflict_enabled: bool,
        tick: float,
    ) -> None:
        self._database = database
        self._engine = engine
        self._next_outcome = next_outcome
        self._merge_conflict_enabled = merge_conflict_enabled
        self._tick = tick
        self.warnings: deque[str] = deque(maxlen=_WARNINGS)
        self._awake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="recallrai-process", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """There may be something to do."""
        self._awake.set()

    def close(self) -> None:
        """Finish the job in hand and stop."""
        self._closing = True
        self._awake.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._closing:
            try:
                self._start_due()
                while (found := self._database.submit_read(_next).result()) is not None:
                    self._process(found)
                    if self._closing:  # the rest is taken up at the next start
                        break
            except sqlite3.Error as error:
                logger.error("processing is held up", extra={"error": type(error).__name__})  # noqa: TRY400
                self._awake.wait(_PAUSE_AFTER_FAILED_WRITE)
            self._awake.wait(self._tick)
            self._awake.clear()

    def _start_due(self) -> None:
        """Puts sessions into `processing` that nobody has written to for their time."""
        moment = time.time()
        if self._database.submit_read(lambda db: _any_due(db, moment)).result():
            self._database.submit(lambda db: _mark_due(db, moment)).result()

    def _process(self, session: Session) -> None:
        started = time.perf_counter()
        outcome: str | None = self._next_outcome()
        if outcome is None:
            try:
                messages, known = self._database.submit_read(lambda db: self._material(db, session)).result()
                reading = memory.read_session(
                    session.session_id, parsed(session.created_at), messages, self._engine, known
                )
                for warning in reading.warnings:
                    logger.warning(warning, extra={"session_id": session.session_id})
                    self.warnings.append(f"{users.now()} {warning}")
                self._database.submit(lambda db: self._remember(db, session, reading)).result()
                outcome = "processed"
            except sqlite3.Error:
                raise
            except Exception as error:  # noqa: BLE001 - whatever a model throws fails this session alone
                logger.warning(
                    "processing failed",
                    extra={"session_id": session.session_id, "error": type(error).__name__},
                )
                outcome = "failed"
        if outcome != "processed":
            status = outcome
            self._database.submit(lambda db: _finish(db, session, status)).result()
        logger.info(
            "session processed",
            extra={
                "session_id": session.session_id,
                "status": outcome,
                "seconds": round(time.perf_counter() - started, 4),
            },
        )

    def _material(
        self, db: sqlite3.Connection, session: Session
    ) -> tuple[list[memory.Message], list[memory.Known]]:
        """What the session said and what is known; a model reads it while nobody waits."""
        messages = sessions.all_messages(db, session)
        return messages, memory.known_memories(db, session.user_pk, messages, self._engine)

    def _remember(self, db: sqlite3.Connection, session: Session, reading: memory.Reading) -> None:
        row = db.execute(
            "SELECT u.merge_conflict_enabled FROM sessions s JOIN users u ON u.pk = s.user_pk"
            " WHERE s.pk = ? AND s.status = 'processing'",
            (session.pk,),
        ).fetchone()
        if row is None:  # deleted meanwhile
            return
        memory.process_session(
            db,
            user_pk=session.user_pk,
            session_id=session.session_id,
            session_created_at=parsed(session.created_at),
            messages=sessions.all_messages(db, session),
            conflicts_enabled=self._merge_conflict_enabled if row[0] is None else bool(row[0]),
            engine=self._engine,
            now=datetime.now(timezone.utc),
            reading=reading,
        )
        _finish(db, session, "processed")


def start(db: sqlite3.Connection, custom_user_id: str, session_id: str) -> None:
    """Puts a session into `processing`; the caller wakes the worker after the commit.

    A session that failed, or for which there was no balance, may be processed again.

    Raises:
        Refused: 404; 400 when it is being processed or has been.
    """
    session = sessions.find(db, custom_user_id, session_id)
    if session.status in ("processing", "processed"):
        raise Refused(400, f"Cannot process session with status {session.status}")
    db.execute("UPDATE sessions SET status = 'processing' WHERE pk = ?", (session.pk,))
    users.touch(db, session.user_pk, users.now())


def _next(db: sqlite3.Connection) -> Session | None:
    row = db.execute("SELECT * FROM sessions WHERE status = 'processing' ORDER BY pk LIMIT 1").fetchone()
    return Session(*row) if row else None


def _any_due(db: sqlite3.Connection, moment: float) -> bool:
    row = db.execute("SELECT 1 FROM sessions WHERE status = 'pending' AND due_at <= ? LIMIT 1", (moment,))
    return row.fetchone() is not None


def _mark_due(db: sqlite3.Connection, moment: float) -> None:
    db.execute(
        "UPDATE sessions SET status = 'processing' WHERE status = 'pending' AND due_at <= ?", (moment,)
    )


def _finish(db: sqlite3.Connection, session: Session, status: str) -> None:
    db.execute(
        "UPDATE sessions SET status = ?, processed_at = ? WHERE pk = ?",
        (status, users.now() if status == "processed" else None, session.pk),
    )

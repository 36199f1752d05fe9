# ruff: noqa: S608 - statements are put together from constants, values are passed beside them
"""An outbox in PostgreSQL: what waits outlives process and host, and is shared by all of them."""

from __future__ import annotations

import logging
import random
import uuid
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final
from weakref import WeakMethod

from typing_extensions import override

from recallrai_integrations.credentials import Secret
from recallrai_integrations.errors import OutboxError, OutboxFullError, OutboxUnavailableError
from recallrai_integrations.messages import Message

from .base import (
    ClaimLostError,
    ConversationKey,
    Figures,
    Outbox,
    OutboxEntry,
    Request,
    SessionCursor,
    on_a_loop,
)
from .codec import escaped, message_to_json
from .postgres_claims import LEASE_SECONDS, Claim, Renewal, new_owner
from .postgres_held import Held, entry
from .postgres_rows import (
    ENTRY,
    FIGURES,
    FORGET_IDLE,
    MATCH,
    address,
    cursor_of,
    cursor_text,
    entry_of,
    id_of,
    key_of,
    where,
)
from .postgres_schema import SCHEMA
from .postgres_server import Server, waiting_when_full

__all__ = ["LEASE_SECONDS", "PostgresOutbox"]

logger = logging.getLogger("recallrai_integrations")

_DUE_AT_ONCE: Final = 100
_IDLE: Final = "30 days"


class PostgresOutbox(Outbox):
    """Keeps what waits in a schema of its own of a PostgreSQL database; see `init`.

    The database holds message texts, session metadata and ids, and no credentials. A conversation in which
    nothing waits is forgotten by it, with the ids of its messages, 30 days after its last use.

    Args:
        url: `postgresql://user:password@host/database`, as libpq takes it.
        project: which service and project the messages are for; others in the same database are not touched.
        limit: most messages that may wait for this project.
        hold: keep messages in this process while the server cannot be reached, and put them into the
            database, in order, once it can. False raises.

    On an event loop, which must not wait, the database is checked at the first use, on a thread.

    Raises:
        OutboxUnavailableError: the server cannot be reached, without `hold`.
        OutboxError: the database cannot be used; the message says why and what to do.
    """

    blocking = True
    poll_seconds = LEASE_SECONDS / 3

    def __init__(self, url: Secret, *, project: str, limit: int, hold: bool) -> None:
        self._server = Server(url)
        self._project, self._limit, self._hold = project, limit, hold
        self._claims: dict[ConversationKey, Claim] = {}
        self._owner = new_owner()
        self._held = Held(limit)
        self._renewal = Renewal(WeakMethod(self.renew))
        self._is_ready = False
        if not on_a_loop():
            self._get_ready()

    @override
    def put(self, key: ConversationKey, items: Sequence[Message | Request]) -> list[OutboxEntry]:
        ids = [id_of(one) for one in items]
        with self._held.lock:
            with suppress(OutboxUnavailableError):
                self._hand_over()
            if self._held:
                return self._held.add(key, items, ids)
        try:
            return self._put(key, items, ids)
        except OutboxUnavailableError as error:
            if not self._hold:
                raise
            if not self._held:
                logger.warning(
                    "%s Messages are kept in this process until it can, and are lost with the process.", error
                )
            return self._held.add(key, items, ids)

    @override
    def claim(self, key: ConversationKey, cursor: SessionCursor) -> SessionCursor | None:
        token = uuid.uuid4()
        rows = self._run(
            "SELECT * FROM {}.claim(%s, %s, %s, %s, %s, %s, %s::uuid, %s, %s)",
            *address(self._project, key),
            token,
            LEASE_SECONDS,
            self._owner,
        )
        if not rows:
            return None
        self._claims[key] = Claim(rows[0]["pk"], token)
        self._renewal.start()
        return cursor_of(rows[0], cursor, self._server.name)

    @override
    def cursor(self, key: ConversationKey, cursor: SessionCursor) -> SessionCursor:
        rows = self._run(
            "SELECT cursor, extract(epoch FROM clock_timestamp() - kept_at)::double precision AS age"
            " FROM {}.conversations WHERE " + MATCH,
            *where(self._project, key),
        )
        return cursor_of(rows[0], replace(cursor), self._server.name) if rows else cursor

    @override
    def keep(self, key: ConversationKey, cursor: SessionCursor, *, synced: bool = True) -> None:
        mine = self._claims.get(key)
        if mine is None:
            self._keep_unclaimed(key, cursor)
            return
        kept = cursor_text(cursor)
        if not self._run(
            "SELECT 1 AS kept FROM {}.keep(%s, %s::uuid, %s, %s) AS kept WHERE kept",
            mine.pk,
            mine.token,
            LEASE_SECONDS,
            kept,
        ):
            raise ClaimLostError(f"Another process has taken the conversation over in {self._server.name}.")

    @override
    def holds(self, key: ConversationKey, waiting: OutboxEntry) -> bool:
        return bool(
            self._run(
                "SELECT 1 FROM {0}.entries WHERE seq = %s AND conversation = "
                "(SELECT pk FROM {0}.conversations WHERE " + MATCH + ")",
                waiting.seq,
                *where(self._project, key),
            )
        )

    @override
    def next(self, key: ConversationKey) -> OutboxEntry | None:
        mine = self._claims.get(key)
        if mine is None:
            return None
        rows = self._run(
            f"SELECT {ENTRY} FROM {{0}}.entries WHERE conversation = %s AND EXISTS (SELECT 1 FROM"
            " {0}.conversations WHERE pk = %s AND claim = %s::uuid) ORDER BY seq LIMIT 1",
            mine.pk,
            mine.pk,
            mine.token,
        )
        return entry_of(rows[0]) if rows else None

    @override
    def done(self, key: ConversationKey, waiting: OutboxEntry, cursor: SessionCursor) -> None:
        self._done(key, waiting, cursor_text(cursor), None)

    @override
    def reject(self, key: ConversationKey, waiting: OutboxEntry, reason: str) -> None:
        self._done(key, waiting, None, escaped(reason))

    @override
    def withdraw(self, key: ConversationKey, taken: Iterable[OutboxEntry]) -> None:
        self._run(
            "SELECT {0}.withdraw(pk, %s::bigint[]) FROM {0}.conversations WHERE " + MATCH,
            [one.seq for one in taken],
            *where(self._project, key),
        )

    @override
    def release(self, key: ConversationKey, cursor: SessionCursor) -> None:
        mine = self._claims.pop(key, None)
        if mine is not None:
            with suppress(OutboxUnavailableError):  # its lease ends by itself
                self._run("SELECT {}.release(%s, %s::uuid, %s)", mine.pk, mine.token, cursor_text(cursor))

    @override
    def waiting(self, key: ConversationKey) -> list[OutboxEntry]:
        rows = self._run(
            f"SELECT {ENTRY} FROM {{0}}.entries WHERE conversation ="
            " (SELECT pk FROM {0}.conversations WHERE " + MATCH + ") ORDER BY seq",
            *where(self._project, key),
        )
        return [entry_of(row) for row in rows]

    @override
    def keys(self, *, user_id: str | None = None) -> list[ConversationKey]:
        self._hand_over()
        which, values = ("waiting_since IS NOT NULL", ()) if user_id is None else ("user_id = %s", (user_id,))
        return self._keys(which + " ORDER BY waiting_since", *map(escaped, values))

    @override
    def due(self) -> list[ConversationKey]:
        """Those that nobody delivers, in random order, so that several processes share them."""
        self._hand_over()
        due = self._keys(
            "waiting_since IS NOT NULL AND (claim IS NULL OR lease_until < clock_timestamp())"
            " ORDER BY waiting_since LIMIT %s FOR UPDATE SKIP LOCKED",
            _DUE_AT_ONCE,
        )
        random.shuffle(due)
        return due

    @override
    def is_empty(self, key: ConversationKey) -> bool:
        self._hand_over()
        return not self._run(
            "SELECT 1 FROM {}.conversations WHERE waiting_since IS NOT NULL AND " + MATCH,
            *where(self._project, key),
        )

    @override
    def last(self, key: ConversationKey) -> OutboxEntry | None:
        if (held := self._held.last(key)) is not None:
            return held
        try:
            rows = self._run(
                f"SELECT {ENTRY} FROM {{0}}.entries WHERE conversation ="
                " (SELECT pk FROM {0}.conversations WHERE " + MATCH + ") ORDER BY seq DESC LIMIT 1",
                *where(self._project, key),
            )
        except OutboxUnavailableError:
            if not self._hold:
                raise
            return None
        return entry_of(rows[0]) if rows else None

    @override
    def count(self, key: ConversationKey | None = None) -> int:
        if key is not None:
            query = "SELECT count(*) AS n FROM {0}.entries WHERE conversation = (SELECT pk FROM"
            rows = self._run(query + " {0}.conversations WHERE " + MATCH + ")", *where(self._project, key))
            return int(rows[0]["n"]) + self._held.count(key)
        rows = self._run(
            "SELECT coalesce(sum(waiting), 0) AS n FROM {}.counts WHERE project = %s", self._project
        )
        return int(rows[0]["n"]) + self._held.count()

    @override
    def figures(self) -> Figures:
        (row,) = self._run(FIGURES, self._project, self._project, self._project)
        waiting = int(row["waiting"]) + self._held.count()
        return Figures(waiting, max(0.0, row["oldest"] or 0.0), row["claims"])

    @override
    def purge(self, key: ConversationKey) -> int:
        held = self._held.drop(key)
        rows = self._run(
            "SELECT {0}.purge(pk) AS n FROM {0}.conversations WHERE " + MATCH, *where(self._project, key)
        )
        return held + int(sum(row["n"] for row in rows))

    @override
    def erase(self) -> tuple[str, ...]:
        """The database itself: its pages, log and backups keep what is deleted for a while."""
        return (self._server.name,)

    @override
    def after_fork(self) -> None:
        self._server.after_fork()
        self._claims, self._renewal = {}, Renewal(WeakMethod(self.renew))
        self._held = Held(self._limit)
        self._owner = new_owner()

    @override
    def close(self) -> None:
        if self._renewal.has_ended:
            return
        self._renewal.end()
        with suppress(OutboxError):
            self._hand_over()
        for key, mine in list(self._claims.items()):  # deliveries still on their way find their claim gone
            del self._claims[key]
            with suppress(OutboxError):
                self._run("SELECT {}.release(%s, %s::uuid, NULL)", mine.pk, mine.token)
        if self._held:
            lost = self._held.count()
            logger.error("%s cannot be reached: %d messages are lost with this process.", self, lost)
        self._server.close()

    @override
    def __repr__(self) -> str:
        return f"PostgresOutbox({self._server.name!r})"

    # --- statements

    def _get_ready(self) -> None:
        self._is_ready = True
        try:
            self._server.check()
            self._run(FORGET_IDLE, self._project, _IDLE)
        except OutboxError as error:
            if not (self._hold and isinstance(error, OutboxUnavailableError)):
                self._is_ready = False
                raise
            logger.warning("%s Messages are kept in this process until it can.", error)

    def _run(self, query: str, *values: object) -> list[dict[str, Any]]:
        if not self._is_ready:
            self._get_ready()
        return self._server.run(query.format(SCHEMA), values)

    def _keys(self, which: str, *values: object) -> list[ConversationKey]:
        rows = self._run(
            "SELECT key, user_id, thread_id, metadata, auto_process_after_seconds"
            " FROM {}.conversations WHERE project = %s AND " + which,
            self._project,
            *values,
        )
        return [key_of(row) for row in rows]

    def _done(
        self, key: ConversationKey, waiting: OutboxEntry, cursor: str | None, reason: str | None
    ) -> None:
        mine = self._claims.get(key)
        if mine is not None:  # else another process has it, finds the message in the session, and says so
            self._run(
                "SELECT {}.done(%s, %s::uuid, %s, %s, %s, %s)",
                mine.pk,
                mine.token,
                LEASE_SECONDS,
                waiting.seq,
                cursor,
                reason,
            )

    def _keep_unclaimed(self, key: ConversationKey, cursor: SessionCursor) -> None:
        """For whoever changes a conversation for which nothing waits; whoever delivers it knows better."""
        if self._renewal.has_ended:  # a delivery that is still on its way has no claim any more
            raise OutboxError(f"The outbox in {self._server.name} is closed.")
        self._run(
            "UPDATE {}.conversations SET cursor = %s, kept_at = clock_timestamp()"
            " WHERE claim IS NULL AND " + MATCH + " RETURNING pk",
            cursor_text(cursor),
            *where(self._project, key),
        )

    def renew(self) -> None:
        """Renews the claims of this process that are still its own."""
        claims = list(self._claims.values())
        if claims:
            tokens, pks = [one.token for one in claims], [one.pk for one in claims]
            self._run("SELECT {}.renew(%s::uuid[], %s::bigint[], %s)", tokens, pks, LEASE_SECONDS)

    # --- what is held in the process while the server cannot be reached

    def _put(
        self, key: ConversationKey, items: Sequence[Message | Request], ids: list[bytes]
    ) -> list[OutboxEntry]:
        kinds = ["message" if isinstance(one, Message) else one for one in items]
        said = [message_to_json(one) if isinstance(one, Message) else None for one in items]
        try:
            rows = self._run(
                "SELECT * FROM {}.put(%s, %s, %s, %s, %s, %s, %s, %s::uuid, %s::bytea[], %s::text[],"
                " %s::text[])",
                *address(self._project, key),
                self._limit,
                uuid.uuid4(),
                ids,
                kinds,
                said,
            )
        except OutboxError as error:
            waiting = waiting_when_full(error)
            if waiting is None:
                raise
            raise OutboxFullError(
                f"{waiting} messages wait for RecallrAI already in {self._server.name} "
                f"(outbox_limit={self._limit}); the new ones were not taken."
            ) from None
        return [entry(row["seq"], items[int(row["place"]) - 1], row["recorded_at"]) for row in rows]

    def _hand_over(self) -> None:
        """Puts what was held into the database, in order; an error while that cannot be reached."""
        if self._held:
            self._held.hand_over(self._put)
            logger.info("The outbox in %s is available again.", self._server.name)

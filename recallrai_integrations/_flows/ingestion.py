"""Imports a conversation from elsewhere, completely and once, however often the import is interrupted.

The session carries a fingerprint of the conversation in its metadata. Another try finds it by that, counts
what has arrived and goes on from there; a conversation that is complete is passed over.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cached_property
from math import inf
from typing import Any, Final

from recallrai_integrations.errors import NotFoundError, RequestRejectedError, ServiceUnavailableError
from recallrai_integrations.messages import Message
from recallrai_integrations.models import Imported, SessionInfo
from recallrai_integrations.outbox import OutboxEntry, SessionCursor

from . import rules
from .ops import (
    CreateSession,
    CreateUser,
    Flow,
    GetSession,
    ListSessions,
    Process,
    ReadMessages,
)
from .patience import Patience, after_failure
from .sessions import NOT_YET_THERE
from .state import State, now
from .transmission import send

__all__ = ["Profile", "Transcript", "import_transcript"]

IMPORT_MARK: Final = "import"
"""Key among this package's marks of a session; its value has `sha256` and `part`."""

_AUTO_PROCESS_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Profile:
    """What the application has set for a user.

    Args:
        metadata: JSON.
        merge_conflict_enabled: None inherits the project's setting.
    """

    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    merge_conflict_enabled: bool | None = None


@dataclass(frozen=True)
class Transcript:
    """A conversation as it was held.

    Args:
        messages: in order, each one storable (see `messages.as_messages`); at least one.
        started_at: timezone-aware; backdates the session, whose memories carry it. None for now.
        metadata: for the session.
        session_id: the session it was exported from; if it still exists, there is nothing to import.
        profile: for a new user.
    """

    messages: Sequence[Message]
    started_at: datetime | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    session_id: str | None = None
    profile: Profile = field(default_factory=Profile)

    @cached_property
    def fingerprint(self) -> str:
        """A hash that is equal for equal messages at the same time, whatever file they come from."""
        started = None if self.started_at is None else self.started_at.astimezone(timezone.utc).isoformat()
        said = [(one.role, one.content) for one in self.messages]
        return hashlib.sha256(json.dumps([started, said]).encode()).hexdigest()


def import_transcript(
    state: State,
    transcript: Transcript,
    *,
    process: bool = True,
    on_stored: Callable[[], object] | None = None,
) -> Flow[Imported]:
    """Stores what is still missing of a conversation, and starts its processing.

    Two processes that import the same conversation at the same moment may store it twice: the service has
    no way to reserve a fingerprint. An import that was killed, or given up during an outage, and is repeated
    before its last request has taken effect may store that message twice.

    Args:
        state: a state of its own, not that of a conversation of the application. A new user is created with
            the transcript's profile.
        transcript: the conversation.
        process: make memories now; otherwise the service makes them after ten minutes of inactivity.
        on_stored: called after each message.

    Raises:
        ServiceUnavailableError: an outage; import again to go on from there.
        RequestRejectedError: the service refused the conversation, such as one from the future.
    """
    user_id = state.user_id
    parts, user_exists = yield from _parts(user_id, transcript)
    if user_exists and not parts and (yield from _is_at_home(user_id, transcript)):
        return Imported((), 0, len(transcript.messages))
    counts: list[int] = []
    for part in parts:
        page = yield from ReadMessages(user_id, part.session_id, limit=1)
        counts.append(page.total)
    already = sum(counts)
    missing = transcript.messages[already:]
    if missing:
        if not parts or parts[-1].status != "pending":
            parts.append((yield from _open(state, transcript, len(parts) + 1, user_exists=user_exists)))
            counts.append(0)
        cursor = SessionCursor(parts[-1].session_id, stored=counts[-1])
        for number, message in enumerate(missing, 1):
            yield from send(state, cursor, OutboxEntry(-number, message, now()), message)
            if on_stored is not None:
                on_stored()
    if process and parts and (missing or parts[-1].status == "pending"):
        try:
            yield from Process(user_id, parts[-1].session_id)
        except RequestRejectedError as error:
            if error.status != 400:  # noqa: PLR2004 - 400 says: it is processed already (service)
                raise
    return Imported(tuple(part.session_id for part in parts), len(missing), already)


def _parts(user_id: str, transcript: Transcript) -> Flow[tuple[list[SessionInfo], bool]]:
    """The sessions that hold the beginning of this transcript, in order, and whether the user exists."""
    mark = {rules.OWN_KEY: {IMPORT_MARK: {"sha256": transcript.fingerprint}}}
    try:
        page = yield from ListSessions(user_id, metadata_filter=mark)
    except NotFoundError:
        return [], False
    return sorted(page.items, key=lambda one: one.metadata[rules.OWN_KEY][IMPORT_MARK]["part"]), True


def _is_at_home(user_id: str, transcript: Transcript) -> Flow[bool]:
    """Whether the session that this was exported from is still there."""
    if transcript.session_id is None:
        return False
    try:
        yield from GetSession(user_id, transcript.session_id)
    except (NotFoundError, RequestRejectedError):  # an id of another service may not even look like one
        return False
    return True


def _open(state: State, transcript: Transcript, part: int, *, user_exists: bool) -> Flow[SessionInfo]:
    user_id = state.user_id
    if not user_exists:
        profile = transcript.profile
        yield from CreateUser(user_id, profile.metadata, profile.merge_conflict_enabled)
    mark = {"sha256": transcript.fingerprint, "part": part}
    marks = {**rules.own_marks(transcript.metadata), IMPORT_MARK: mark}
    metadata = {**transcript.metadata, rules.OWN_KEY: marks}
    started = None if transcript.started_at is None else transcript.started_at.astimezone(timezone.utc)
    create = CreateSession(user_id, metadata, _AUTO_PROCESS_SECONDS, created_at=started)
    patience, settled_at = Patience(state.delivery), -inf
    while True:
        is_settled = (
            time.monotonic() >= settled_at
        )  # read the clock first: a request that settles later could be missed
        if settled_at > -inf:
            parts, _ = yield from _parts(user_id, transcript)
            if len(parts) >= part:
                return parts[part - 1]
        error = ServiceUnavailableError(NOT_YET_THERE)
        if is_settled:
            settled_at = time.monotonic() + state.settling_time
            try:
                return (yield from create)
            except ServiceUnavailableError as failed:
                if not failed.may_have_taken_effect:
                    raise
                settled_at, error = after_failure(failed, settled_at, state.settling_time), failed
        yield from patience.wait(error, until=settled_at)

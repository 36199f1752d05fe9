"""The SDK's objects, made without asking the service for them first.

`User` and `Session` of the SDK cost a request each when they are got in the public way; here they are built
from models made by hand. That is the one private thing used, pinned to the SDK's 0.6 line and checked by the
contract tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Final

import httpx
from recallrai.models import MergeConflictModel, MergeConflictStatus, SessionModel, SessionStatus, UserModel

from recallrai_integrations.credentials import Credentials, Secret
from recallrai_integrations.identity import encode_id

__all__ = ["Sdk", "credentials_of", "http_of"]

_NEVER: Final = datetime.fromtimestamp(0, timezone.utc)
_ANY_SESSION: Final = SessionModel.model_construct(
    session_id="", status=SessionStatus.PENDING, created_at=_NEVER, metadata={}
)
"""The same for all: making one costs more than all else of a session object, and each request needs one."""


def http_of(client: Any) -> Any:
    """The SDK's own HTTP client inside its client."""
    return client._http  # noqa: SLF001 - see the module's docstring


def credentials_of(client: Any) -> Credentials:
    """What an application's own client was made with."""
    http = http_of(client)
    return Credentials(Secret(http.api_key), http.project_id, http.base_url)


@dataclass(frozen=True, slots=True)
class Sdk:
    """The SDK in one colour, with objects made without a request."""

    client: Any
    user_class: Any
    session_class: Any
    conflict_class: Any

    @property
    def http(self) -> Any:
        """The SDK's own HTTP client."""
        return http_of(self.client)

    @property
    def seconds(self) -> float | None:
        """How long a request may take; None without a limit."""
        return httpx.Timeout(self.http.timeout).read

    def user(self, user_id: str) -> Any:
        """A `User`, known by the application's id."""
        model = UserModel.model_construct(
            user_id=encode_id(user_id),
            metadata={},
            merge_conflict_enabled=None,
            created_at=_NEVER,
            last_active_at=_NEVER,
        )
        return self.user_class(self.http, model)

    def session(self, user_id: str, session_id: str) -> Any:
        """A `Session` of a user."""
        session = self.session_class(self.http, encode_id(user_id), _ANY_SESSION)
        session.session_id = session_id
        return session

    def conflict(self, user_id: str, conflict_id: str) -> Any:
        """A `MergeConflict` of a user, to be resolved."""
        model = MergeConflictModel.model_construct(
            id=conflict_id,
            project_user_session_id="",
            proposed_memory_content=None,
            new_memories=None,
            conflicting_memories=[],
            clarifying_questions=[],
            status=MergeConflictStatus.PENDING,
            resolution_data=None,
            created_at=_NEVER,
            resolved_at=None,
        )
        return self.conflict_class(self.http, encode_id(user_id), model)

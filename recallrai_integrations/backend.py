"""The only place that knows the SDK: requests go out here, answers and errors are translated here.

The SDK's sync and async classes have the same methods. `_send` writes each request once, for either: its
answer is a value from a sync SDK object and an awaitable from an async one; `_read` turns the value into
ours. `User` and `Session` objects are made without asking the service for them first, which saves the
`get_user` and `get_session` that the SDK's public way costs; that is the one private thing used here,
pinned to the SDK's 0.6 line and checked by the contract tests.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import singledispatch
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

import httpx
from recallrai import (
    AsyncMergeConflict,
    AsyncRecallrAI,
    AsyncSession,
    AsyncUser,
    RecallrAI,
    Session,
    User,
)
from recallrai import (
    MergeConflict as SdkMergeConflict,
)
from recallrai.exceptions import (
    AuthenticationError,
    RecallrAIError,
    UserAlreadyExistsError,
    ValidationError,
)
from recallrai.exceptions import (
    ConnectionError as SdkConnectionError,
)
from recallrai.exceptions import (
    TimeoutError as SdkTimeoutError,
)
from recallrai.models import (
    MergeConflictAnswer,
    MergeConflictModel,
    MergeConflictStatus,
    MessageRole,
    RecallStrategy,
    SessionModel,
    SessionStatus,
    UserModel,
)

from . import ops
from .credentials import Credentials
from .errors import (
    CredentialsError,
    NotFoundError,
    RecallrAIIntegrationError,
    RequestRejectedError,
    ServiceUnavailableError,
)
from .identity import encode_id
from .messages import Message, Role
from .models import (
    ConflictingMemory,
    ContextAnswer,
    Memory,
    MemoryVersion,
    MergeConflict,
    MessagePage,
    Page,
    Question,
    SessionInfo,
    UserInfo,
)
from .ops import ServiceOp

__all__ = ["Backend"]

T = TypeVar("T")

_NEVER = datetime.fromtimestamp(0, timezone.utc)
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
_HTTP_BAD_REQUEST, _HTTP_UNAUTHORIZED, _HTTP_FORBIDDEN, _HTTP_NOT_FOUND = 400, 401, 403, 404
_HTTP_REQUEST_TIMEOUT, _HTTP_TOO_EARLY, _HTTP_TOO_MANY, _HTTP_SERVER_ERROR = 408, 425, 429, 500


def _http(client: Any) -> Any:
    return client._http  # noqa: SLF001 - see the module's docstring


@dataclass(frozen=True, slots=True)
class _Sdk:
    """The SDK in one colour, with objects made without a request."""

    client: Any
    user_class: Any
    session_class: Any
    conflict_class: Any

    @property
    def http(self) -> Any:
        return _http(self.client)

    def user(self, user_id: str) -> Any:
        model = UserModel.model_construct(
            user_id=encode_id(user_id),
            metadata={},
            merge_conflict_enabled=None,
            created_at=_NEVER,
            last_active_at=_NEVER,
        )
        return self.user_class(self.http, model)

    def session(self, user_id: str, session_id: str) -> Any:
        model = SessionModel.model_construct(
            session_id=session_id, status=SessionStatus.PENDING, created_at=_NEVER, metadata={}
        )
        return self.session_class(self.http, encode_id(user_id), model)


class Backend:
    """Sends ops through the SDK, in both colours.

    The async client of the SDK is bound to the event loop that it is first used in, so there is one for
    each loop; it is closed with its loop by `asyncio.run`, or by `aclose`.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        timeout: float,
        client: RecallrAI | None = None,
        async_client: AsyncRecallrAI | None = None,
    ) -> None:
        self._credentials = credentials
        self._timeout = timeout
        self._owns_client = client is None
        self._given_async = async_client
        self._sync = _Sdk(client or self._new_client(), User, Session, SdkMergeConflict)
        _watch(self._sync.http.client)
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _Sdk] = WeakKeyDictionary()
        self._lifetimes: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncGenerator[None, None]] = (
            WeakKeyDictionary()
        )

    def send(self, op: ServiceOp[T]) -> T:
        """One request, without retries; errors are ours.

        Raises:
            CredentialsError, RequestRejectedError, NotFoundError, ServiceUnavailableError: see `errors`.
        """
        _answered.set(None)
        try:
            if isinstance(op, ops.GetContext) and op.on_progress is not None:
                return cast("T", _last(op, list(_progress(op, self._sync))))
            return cast("T", _read(op, _send(op, self._sync)))
        except Exception as error:  # the SDK leaks many types; all are translated, none is dropped
            if (harmless := _harmless(op, error)) is not None:
                return cast("T", harmless)
            raise translate(error, op) from error

    async def asend(self, op: ServiceOp[T]) -> T:
        """The async twin of `send`."""
        _answered.set(None)
        try:
            sdk = await self._async_sdk()
            if isinstance(op, ops.GetContext) and op.on_progress is not None:
                events: list[Any] = [event async for event in _aprogress(op, sdk)]
                return cast("T", _last(op, events))
            return cast("T", _read(op, await cast("Awaitable[Any]", _send(op, sdk))))
        except Exception as error:  # as in `send`
            if (harmless := _harmless(op, error)) is not None:
                return cast("T", harmless)
            raise translate(error, op) from error

    def system_prompt(self, strategy: str) -> str:
        """The service's instructions for texts of this strategy; "" when it has none.

        Sync only: it is fetched from a worker thread beside a turn.

        Raises:
            ServiceError: see `send`.
        """
        try:
            answer = self._sync.http.get("/api/v1/system-prompt", params={"recall_strategy": strategy})
            return answer.json().get("system_prompt") or ""
        except Exception as error:
            raise translate(error) from error

    def close(self) -> None:
        """Closes the sync client, if it is ours."""
        if self._owns_client:
            self._sync.http.client.close()

    async def aclose(self) -> None:
        """Closes the sync client and the async one of the running loop."""
        self.close()
        lifetime = self._lifetimes.pop(asyncio.get_running_loop(), None)
        if lifetime is not None:
            await lifetime.aclose()

    async def _async_sdk(self) -> _Sdk:
        loop = asyncio.get_running_loop()
        sdk = self._loops.get(loop)
        if sdk is None:
            given, self._given_async = self._given_async, None
            client = given or self._new_async_client()
            sdk = self._loops[loop] = _Sdk(client, AsyncUser, AsyncSession, AsyncMergeConflict)
            await sdk.http._ensure_client()  # noqa: SLF001 - the SDK makes it on first use; the hook needs it
            _watch(sdk.http._client)  # noqa: SLF001 - the SDK has no public hook
            if given is None:
                # A loop closes its async generators before it ends: that is the one moment at which a client
                # of this loop can be closed for callers who never say aclose().
                lifetime = self._lifetimes[loop] = _lifetime(self._loops, loop, client)
                await anext(lifetime)
        return sdk

    def _new_client(self) -> RecallrAI:
        client = RecallrAI(**self._arguments())
        if self._credentials.is_loopback:
            http = _http(client)
            http.client = httpx.Client(**_past_proxies(http.client))
        return client

    def _new_async_client(self) -> AsyncRecallrAI:
        client = AsyncRecallrAI(**self._arguments())
        if self._credentials.is_loopback:
            # The sync client's headers are the same; the async one does not exist before its first use.
            _http(client)._client = httpx.AsyncClient(  # noqa: SLF001 - see _past_proxies
                **_past_proxies(self._sync.http.client)
            )
        return client

    def _arguments(self) -> dict[str, Any]:
        return {
            "api_key": self._credentials.api_key,
            "project_id": self._credentials.project_id,
            "base_url": self._credentials.base_url,
            "timeout": self._timeout,
        }


async def _lifetime(
    loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _Sdk],
    loop: asyncio.AbstractEventLoop,
    client: Any,
) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        loops.pop(loop, None)
        await client.close()


def _past_proxies(client: httpx.Client) -> dict[str, Any]:
    """Settings of a client for this machine: httpx sends even loopback traffic to HTTP_PROXY otherwise."""
    return {
        "headers": client.headers,
        "timeout": client.timeout,
        "limits": httpx.Limits(max_connections=500, max_keepalive_connections=100),
        "trust_env": False,
    }


# --- what the transport saw and the SDK does not tell: the status behind an unreadable body, Retry-After


@dataclass(frozen=True, slots=True)
class _Answered:
    status: int
    retry_after: float | None


_answered: ContextVar[_Answered | None] = ContextVar("recallrai_answered", default=None)


def _note(response: httpx.Response) -> None:
    wait = response.headers.get("Retry-After", "")
    _answered.set(_Answered(response.status_code, float(wait) if wait.isdecimal() else None))


async def _anote(response: httpx.Response) -> None:
    _note(response)


def _watch(client: httpx.Client | httpx.AsyncClient) -> None:
    note = _anote if isinstance(client, httpx.AsyncClient) else _note
    hooks = client.event_hooks
    if note not in hooks["response"]:
        client.event_hooks = {**hooks, "response": [*hooks["response"], note]}


# --- requests: one for each op, for both colours


@singledispatch
def _send(op: ServiceOp[Any], sdk: _Sdk) -> Any:  # noqa: ARG001 - the signature that all share
    raise TypeError(f"no request is known for {type(op).__name__}")


@_send.register
def _(op: ops.CreateUser, sdk: _Sdk) -> Any:
    return sdk.client.create_user(encode_id(op.user_id), metadata={})


@_send.register
def _(op: ops.GetUser, sdk: _Sdk) -> Any:
    return sdk.client.get_user(encode_id(op.user_id))


@_send.register
def _(op: ops.DeleteUser, sdk: _Sdk) -> Any:
    return sdk.user(op.user_id).delete()


@_send.register
def _(op: ops.CreateSession, sdk: _Sdk) -> Any:
    return sdk.user(op.user_id).create_session(
        auto_process_after_seconds=op.auto_process_after_seconds,
        metadata=dict(op.metadata),
        custom_created_at_utc=op.created_at,
    )


@_send.register
def _(op: ops.ListSessions, sdk: _Sdk) -> Any:
    return sdk.user(op.user_id).list_sessions(
        offset=op.offset,
        limit=op.limit,
        metadata_filter=None if op.metadata_filter is None else dict(op.metadata_filter),
        status_filter=[SessionStatus(status) for status in op.statuses] or None,
    )


@_send.register
def _(op: ops.GetSession, sdk: _Sdk) -> Any:
    return sdk.user(op.user_id).get_session(op.session_id)


@_send.register
def _(op: ops.UpdateSession, sdk: _Sdk) -> Any:
    return sdk.session(op.user_id, op.session_id).update(new_metadata=dict(op.metadata))


@_send.register
def _(op: ops.DeleteSession, sdk: _Sdk) -> Any:
    return sdk.session(op.user_id, op.session_id).delete()


@_send.register
def _(op: ops.AddMessage, sdk: _Sdk) -> Any:
    role = MessageRole(op.message.role)
    return sdk.session(op.user_id, op.session_id).add_message(role=role, content=op.message.content)


@_send.register
def _(op: ops.ReadMessages, sdk: _Sdk) -> Any:
    return sdk.session(op.user_id, op.session_id).get_messages(offset=op.offset, limit=op.limit)


def _context_arguments(op: ops.GetContext) -> dict[str, Any]:
    options = op.options
    return {
        "recall_strategy": RecallStrategy(options.wire_strategy),
        "min_top_k": options.min_top_k,
        "max_top_k": options.max_top_k,
        "memories_threshold": options.memories_threshold,
        "summaries_threshold": options.summaries_threshold,
        "last_n_messages": options.last_n_messages,
        "last_n_summaries": options.last_n_summaries,
        "timezone": options.timezone,
        "include_system_prompt": False,  # fetched beside the turn and cached by the connection
        "include_metadata_ids": True,
    }


@_send.register
def _(op: ops.GetContext, sdk: _Sdk) -> Any:
    return sdk.session(op.user_id, op.session_id).get_context(**_context_arguments(op))


@_send.register
def _(op: ops.Process, sdk: _Sdk) -> Any:
    return sdk.session(op.user_id, op.session_id).process()


@_send.register
def _(op: ops.ListMemories, sdk: _Sdk) -> Any:
    return sdk.user(op.user_id).list_memories(
        offset=op.offset,
        limit=op.limit,
        categories=list(op.categories) or None,
        session_id_filter=list(op.session_ids) or None,
    )


@_send.register
def _(op: ops.GetMemory, sdk: _Sdk) -> Any:
    return sdk.user(op.user_id).get_memory(op.memory_id)


@_send.register
def _(op: ops.DeleteMemory, sdk: _Sdk) -> Any:
    return sdk.user(op.user_id).delete_memory(op.memory_id, delete_previous_versions=op.previous_versions)


@_send.register
def _(op: ops.ListConflicts, sdk: _Sdk) -> Any:
    return sdk.user(op.user_id).list_merge_conflicts(
        offset=op.offset,
        limit=op.limit,
        status=None if op.status is None else MergeConflictStatus(op.status),
        sort_order="asc",
    )


@_send.register
def _(op: ops.GetConflict, sdk: _Sdk) -> Any:
    return sdk.user(op.user_id).get_merge_conflict(op.conflict_id)


@_send.register
def _(op: ops.ResolveConflict, sdk: _Sdk) -> Any:
    model = MergeConflictModel.model_construct(
        id=op.conflict.conflict_id,
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
    conflict = sdk.conflict_class(sdk.http, encode_id(op.user_id), model)
    return conflict.resolve(
        [
            MergeConflictAnswer(question=given.question, answer=given.answer, message=given.message)
            for given in op.answers
        ]
    )


def _progress(op: ops.GetContext, sdk: _Sdk) -> Iterator[Any]:
    session = sdk.session(op.user_id, op.session_id)
    for event in session.get_context_stream(**_context_arguments(op)):
        if event.status_update_message and op.on_progress is not None:
            op.on_progress(event.status_update_message)
        if event.is_final or event.error_message:
            yield event


async def _aprogress(op: ops.GetContext, sdk: _Sdk) -> AsyncIterator[Any]:
    session = sdk.session(op.user_id, op.session_id)
    async for event in session.get_context_stream(**_context_arguments(op)):
        if event.status_update_message and op.on_progress is not None:
            op.on_progress(event.status_update_message)
        if event.is_final or event.error_message:
            yield event


def _last(op: ops.GetContext, events: list[Any]) -> ContextAnswer:
    if not events:
        # An API error in a stream, or a stream cut short, looks like an empty one (SDK).
        raise ServiceUnavailableError(
            "The stream of the recall ended without an answer.", status=_status_seen(success=False)
        )
    return _context(op, events[-1])


# --- answers


def _read(op: ServiceOp[Any], raw: Any) -> Any:
    reader = _READERS.get(type(op))
    return None if reader is None else reader(op, raw)


def _session_info(op: ServiceOp[Any], raw: Any) -> SessionInfo:
    return SessionInfo(raw.session_id, op.user_id, raw.status.value, raw.metadata, raw.created_at)


def _user_info(op: ServiceOp[Any], raw: Any) -> UserInfo:
    return UserInfo(op.user_id, raw.metadata, raw.merge_conflict_enabled, raw.created_at, raw.last_active_at)


def _sessions(op: ops.ListSessions, raw: Any) -> Page:
    return Page(tuple(_session_info(op, item) for item in raw.sessions), raw.total, raw.has_more)


def _messages(_: ops.ReadMessages, raw: Any) -> MessagePage:
    return MessagePage(
        tuple(
            Message(cast("Role", item.role.value), item.content, created_at=item.timestamp)
            for item in raw.messages
        ),
        raw.total,
    )


def _context(op: ops.GetContext, raw: Any) -> ContextAnswer:
    if raw.context is None and raw.error_message:
        raise ServiceUnavailableError("The service could not recall; it answered with an error message.")
    seen = raw.metadata
    used = getattr(seen, "recall_strategy_used", None)
    return ContextAnswer(
        raw.context or "",
        used.value if used is not None else op.options.wire_strategy,
        tuple(getattr(seen, "memory_ids", None) or ()),
        tuple(getattr(seen, "session_ids", None) or ()),
    )


def _memory(_: ServiceOp[Any], raw: Any) -> Memory:
    return Memory(
        memory_id=raw.memory_id,
        content=raw.content,
        categories=tuple(raw.categories),
        created_at=raw.created_at,
        event_start=raw.event_date_start,
        event_end=raw.event_date_end,
        version=raw.version_number,
        session_id=raw.session_id,
        previous_versions=tuple(
            MemoryVersion(
                memory_id=getattr(old, "memory_id", raw.memory_id),
                version=old.version_number,
                content=old.content,
                created_at=old.created_at,
                expired_at=old.expired_at,
                reason=old.expiration_reason,
                event_start=old.event_date_start,
                event_end=old.event_date_end,
            )
            for old in raw.previous_versions or ()
        ),
        connected=tuple((other.memory_id, other.content) for other in raw.connected_memories or ()),
        expired_at=getattr(raw, "expired_at", None),
        in_conflict=raw.merge_conflict_in_progress,
    )


def _memories(op: ops.ListMemories, raw: Any) -> Page:
    return Page(tuple(_memory(op, item) for item in raw.items), raw.total, raw.has_more)


def _conflict(_: ServiceOp[Any], raw: Any) -> MergeConflict:
    return MergeConflict(
        conflict_id=raw.conflict_id,
        proposed=raw.proposed_memory_content or "",
        conflicting=tuple(
            ConflictingMemory(getattr(old, "memory_id", ""), old.content, old.reason)
            for old in raw.conflicting_memories
        ),
        questions=tuple(Question(asked.question, tuple(asked.options)) for asked in raw.clarifying_questions),
        status=raw.status.value,
        created_at=raw.created_at,
    )


def _conflicts(op: ops.ListConflicts, raw: Any) -> Page:
    return Page(tuple(_conflict(op, item) for item in raw.conflicts), raw.total, raw.has_more)


_READERS: dict[type[ServiceOp[Any]], Callable[[Any, Any], Any]] = {
    ops.GetUser: _user_info,
    ops.CreateSession: _session_info,
    ops.ListSessions: _sessions,
    ops.GetSession: _session_info,
    ops.ReadMessages: _messages,
    ops.GetContext: _context,
    ops.ListMemories: _memories,
    ops.GetMemory: _memory,
    ops.ListConflicts: _conflicts,
    ops.GetConflict: _conflict,
}


# --- errors


def _harmless(op: ServiceOp[Any], error: Exception) -> bool | None:
    """Not None for an error that says that what was wanted is so already."""
    return True if isinstance(op, ops.CreateUser) and isinstance(error, UserAlreadyExistsError) else None


def _status_seen(*, success: bool = True) -> int | None:
    seen = _answered.get()
    return None if seen is None or (not success and seen.status < _HTTP_BAD_REQUEST) else seen.status


def translate(error: Exception, op: ServiceOp[Any] | None = None) -> RecallrAIIntegrationError:
    """Any error out of the SDK as one of ours; the text of the service's `detail` is kept, no header is."""
    if isinstance(error, RecallrAIIntegrationError):
        return error
    what = "The request" if op is None else type(op).__name__
    status = getattr(error, "http_status", None) or _status_seen()
    if isinstance(error, AuthenticationError) or status in {_HTTP_UNAUTHORIZED, _HTTP_FORBIDDEN}:
        return CredentialsError(
            f"RecallrAI refused the API key or the project id (HTTP {status}). Check RECALLRAI_API_KEY and "
            "RECALLRAI_PROJECT_ID, and that they belong to the same project."
        )
    if isinstance(error, UnicodeEncodeError):
        return RequestRejectedError(f"{what}: the text holds characters that have no UTF-8 form.")
    outage = (
        status is None
        or status < _HTTP_BAD_REQUEST
        or status in {_HTTP_REQUEST_TIMEOUT, _HTTP_TOO_EARLY, _HTTP_TOO_MANY}
        or status >= _HTTP_SERVER_ERROR
        # A 404 of a gateway or of another server is no answer of the API: nothing is known to be gone.
        or (status == _HTTP_NOT_FOUND and not _is_api_error(error))
    )
    if not outage:
        assert status is not None
        detail = getattr(error, "message", "") or type(error).__name__
        if status == _HTTP_NOT_FOUND:
            return NotFoundError(f"{what}: {detail}", status=status)
        if isinstance(error, ValidationError):
            detail = "the service found a value that it does not accept (its answer is dropped by the SDK)"
        return RequestRejectedError(f"{what} was refused (HTTP {status}): {detail}", status=status)
    seen = _answered.get()
    return ServiceUnavailableError(
        f"{what} failed: {_plain_cause(error, status)}.",
        status=status,
        may_have_taken_effect=not (status == _HTTP_TOO_MANY or _never_sent(error)),
        retry_after=None if seen is None else seen.retry_after,
    )


def _is_api_error(error: Exception) -> bool:
    return isinstance(error, RecallrAIError) and not isinstance(error, SdkConnectionError)


def _never_sent(error: Exception) -> bool:
    return isinstance(error, _NOT_SENT) or isinstance(error.__cause__, _NOT_SENT)


def _plain_cause(error: Exception, status: int | None) -> str:
    cause = error.__cause__ or error
    if status is not None and status >= _HTTP_BAD_REQUEST:
        return f"the service answered HTTP {status}"
    if isinstance(error, SdkTimeoutError | httpx.TimeoutException):
        return "the service did not answer in time"
    if isinstance(cause, httpx.ConnectError):
        return "no connection to the service"
    if isinstance(cause, httpx.TransportError):
        return f"the connection broke ({type(cause).__name__})"
    if isinstance(cause, json.JSONDecodeError | UnicodeDecodeError | LookupError | TypeError | ValueError):
        return "the service's answer could not be read" + (f" (HTTP {status})" if status else "")
    return type(cause).__name__

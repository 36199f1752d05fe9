"""`connect`, which makes the connection that adapters and applications use."""

from __future__ import annotations

from os import PathLike
from os.path import realpath
from typing import TYPE_CHECKING

from .connection import Connection
from .credentials import Credentials, Secret
from .errors import ConfigurationError
from .options import ContextOptions, DeliveryOptions, RecallOptions, is_number

if TYPE_CHECKING:
    from recallrai import AsyncRecallrAI, RecallrAI

    from .local import LocalRecallrAI

__all__ = ["connect"]


def connect(
    *,
    api_key: str | None = None,
    project_id: str | None = None,
    base_url: str | None = None,
    timeout: float = 60.0,
    client: RecallrAI | None = None,
    async_client: AsyncRecallrAI | None = None,
    local: str | PathLike[str] | None = None,
    recall: RecallOptions | None = None,
    context: ContextOptions | None = None,
    delivery: DeliveryOptions | None = None,
) -> Connection:
    """Connects to RecallrAI: the hosted service, your own clients of it, or the embedded local service.

    No request is sent; wrong credentials are reported by the first request.

    Args:
        api_key: default `RECALLRAI_API_KEY`.
        project_id: default `RECALLRAI_PROJECT_ID`.
        base_url: default `RECALLRAI_BASE_URL`, else the hosted service.
        timeout: seconds that a request may take, from connecting to the last byte of its answer, above 0.
            The service's agentic recall takes up to 20 seconds.
        client: your own SDK client, instead of credentials; closing it stays your task.
        async_client: your own async SDK client. One of the two is enough: the other, and async clients for
            further event loops, are created with its credentials.
        local: path of a database file, or `":memory:"`: starts the embedded service in this process, on
            loopback and with a random key.
        recall: what to ask for when recalling.
        context: how memories are put into prompts.
        delivery: how messages are delivered, and what happens in an outage.

    Returns:
        A connection, also a context manager. All threads and event loops of a process can share it.

    Raises:
        CredentialsError: missing or malformed credentials.
        ConfigurationError: an invalid base URL or timeout, or arguments that exclude each other.
        MissingDependencyError: `local` without the extra `local`.
        LocalServiceError: the local service cannot start: not a database, read-only …
        OutboxError: the outbox file cannot be used.

    Example:
        ```python
        from recallrai_integrations import connect

        with connect(local=":memory:") as connection:
            connection.conversation("ada", "thread-1").record(("user", "I am allergic to nuts."))
        ```
    """
    key = None if api_key is None else Secret(api_key)
    del api_key  # error trackers record the variables of frames
    own_clients = client is not None or async_client is not None
    credentials_given = any(one is not None for one in (key, project_id, base_url))
    if own_clients + credentials_given + (local is not None) > 1:
        raise ConfigurationError(
            "Pass either credentials, or your own client and async_client, or local=…, not several of them."
        )
    if not is_number(timeout) or not 0 < timeout < float("inf"):
        raise ConfigurationError(f"timeout must be a number of seconds above 0, not {timeout!r}.")
    server: LocalRecallrAI | None = None
    if local is not None:
        from .local import LocalRecallrAI  # noqa: PLC0415 - an extra

        server = LocalRecallrAI(
            local, api_key=None
        )  # a random key, which other users of this machine cannot guess
        server.start()
        credentials = Credentials(Secret(server.api_key), server.project_id, server.base_url)
    elif own_clients:
        from ._backend import credentials_of  # noqa: PLC0415 - a client exists, so the SDK is installed

        credentials = credentials_of(client or async_client)
    else:
        credentials = Credentials.find(key, project_id, base_url)
        # The port of the embedded service changes at each start, so the file identifies the service.
    service = credentials.base_url if local is None else f"local {realpath(local)}"
    try:
        return Connection(
            credentials,
            timeout=timeout,
            client=client,
            async_client=async_client,
            server=server,
            project=f"{service} {credentials.project_id}",
            recall=recall or RecallOptions(),
            context=context or ContextOptions(),
            delivery=delivery or DeliveryOptions(),
        )
    except BaseException:
        if server is not None:
            server.stop()
        raise

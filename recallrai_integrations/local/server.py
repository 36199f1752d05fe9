"""Running the service: in this process on a thread, or as the whole of a process."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import signal
import sys
import threading
from collections import deque
from collections.abc import Generator, Iterable
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Final

from typing_extensions import Self, override

from recallrai_integrations.errors import ConfigurationError, LocalServiceError

from . import logs
from .faults import Faults, FileFaults
from .front import RequestRecord
from .listening import Address, is_loopback
from .running import Server
from .schema import MEMORY
from .service import PUBLIC_KEY, Settings

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings
    from langchain_core.language_models import BaseChatModel

logger = logs.events

_HIGHEST_PORT: Final = 65_535


class LocalRecallrAI:
    """The local service in this process, on a thread of its own.

    A context manager; or call `start()` and `stop()`. Two that are opened on the same file in one process
    share one server, with the settings of the first. Another process on the same file gets an error that
    says how to share it.

    Args:
        path: the database file, made if absent, for its owner alone (mode 0600); `":memory:"` keeps nothing.
            Ours: acknowledged writes survive a killed process and a power cut. Beside the file lie its
            write-ahead log and an empty lock file.
        host: address to listen on. Requests are answered under it and under the names of loopback, so that no
            web page can rebind a name of its own; under any address where it is `0.0.0.0` or `::`.
        port: 1 to 65535; 0 takes a free one.
        api_key: what clients must send; the SDKs want it to start with `rai_`. The default is public. None
            makes a random one, or takes that of the server that is shared.
        project_id: what clients must send.
        min_auto_process_seconds: least `auto_process_after_seconds` that is accepted. The hosted service's
            is 600; a lower one is for tests of the inactivity timer.
        model: a LangChain chat model, or its name for `init_chat_model` such as `openai:gpt-5-mini`; None for
            the rules. One that fails marks the session `failed`, and nothing is lost.
        embeddings: LangChain embeddings, or their name for `init_embeddings`; None for those of the extra
            `semantic` where it is installed, "off" for words alone.
        merge_conflict_enabled: whether contradictions become merge conflicts for users who do not say.
        faults: what shall go wrong; see `Faults`. May be replaced or added to while the service runs.
        allowed_hosts: further names under which clients reach the service, such as `memory` in a container
            network; a request for any other is a 421.

    Raises:
        ConfigurationError: a port out of range, a key that SDKs would refuse …; from `start()`, a model that
            cannot be loaded.

    Example:
        ```python
        from recallrai import RecallrAI
        from recallrai_integrations.local import LocalRecallrAI

        with LocalRecallrAI() as server:
            client = RecallrAI(
                api_key=server.api_key, project_id=server.project_id, base_url=server.base_url
            )
            user = client.create_user("ada")
            assert user.user_id == "ada"
        ```
    """

    def __init__(
        self,
        path: str | os.PathLike[str] = MEMORY,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        api_key: str | None = PUBLIC_KEY,
        project_id: str = "local",
        min_auto_process_seconds: float = 600,
        model: str | BaseChatModel | None = None,
        embeddings: str | Embeddings | None = None,
        merge_conflict_enabled: bool = False,
        faults: Faults | None = None,
        allowed_hosts: Iterable[str] = (),
    ) -> None:
        if not 0 <= port <= _HIGHEST_PORT:
            raise ConfigurationError(f"port must be 0 (any free one) or 1 to {_HIGHEST_PORT}, not {port}.")
        if isinstance(allowed_hosts, str):
            raise ConfigurationError(f"allowed_hosts must be a list of names: [{allowed_hosts!r}].")
        self._any_key = api_key is None
        api_key = f"rai_{secrets.token_urlsafe(32)}" if api_key is None else api_key
        if not api_key.startswith("rai_"):
            raise ConfigurationError("api_key must start with rai_: the SDKs refuse any other.")
        if not project_id:
            raise ConfigurationError("project_id must not be empty.")
        if not min_auto_process_seconds > 0:
            raise ConfigurationError("min_auto_process_seconds must be above 0.")
        text = os.fspath(path)
        self._path = text if text == MEMORY else os.path.realpath(text)
        self._address = Address(host, port, tuple(allowed_hosts))
        self._settings = Settings(
            api_key=api_key,
            project_id=project_id,
            min_auto_process_seconds=min_auto_process_seconds,
            merge_conflict_enabled=merge_conflict_enabled,
            model=model,
            embeddings=embeddings,
        )
        self._faults = faults
        self._server: Server | None = None

    @override
    def __repr__(self) -> str:
        return f"LocalRecallrAI({self._path!r}, {'running' if self._server else 'stopped'})"

    def start(self) -> Self:
        """Opens the database and accepts requests. Idempotent.

        Raises:
            LocalServiceError: the port is taken, or the database cannot be used; the message says what to do.
        """
        if self._server is None:
            self._server = Server.shared(
                self._path, self._address, self._settings, self._faults, any_key=self._any_key
            )
        return self

    def stop(self, timeout: float | None = None) -> None:
        """Finish the requests in hand and close the database, unless others share it. Idempotent.

        Args:
            timeout: seconds to wait for that, at least 0; None waits for its end. What takes longer ends by
                itself: requests have five seconds, and the session that is being processed, which is
                processed anew at the next start if the process ends sooner, has as long as it takes.
        """
        server, self._server = self._server, None
        if server is not None:
            server.release(timeout)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def path(self) -> str:
        """The database file, absolute; `":memory:"` for none."""
        return self._path

    @property
    def base_url(self) -> str:
        """Where it listens, such as `http://127.0.0.1:49152`."""
        return self._running.base_url

    @property
    def api_key(self) -> str:
        """What clients must send as `X-Recallr-Api-Key`."""
        return self._running.service.settings.api_key if self._server else self._settings.api_key

    @property
    def project_id(self) -> str:
        """What clients must send as `X-Recallr-Project-Id`."""
        return self._running.service.settings.project_id if self._server else self._settings.project_id

    @property
    def min_auto_process_seconds(self) -> float:
        """Least `auto_process_after_seconds` that is accepted."""
        return self._settings.min_auto_process_seconds

    @property
    def keeps_deleted_text(self) -> bool:
        """Whether deleted text is still in the file's log: until no other program needs it any more."""
        return self._running.service.database.keeps_deleted_text

    @property
    def faults(self) -> Faults:
        """What goes wrong on purpose."""
        return self._running.service.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._running.service.faults = faults

    @property
    def requests(self) -> deque[RequestRecord]:
        """The last 10,000 requests, oldest first; a request is there once it has been answered."""
        return self._running.front.requests

    @property
    def _running(self) -> Server:
        if self._server is None:
            raise LocalServiceError(
                "The local service is not running. Use it in a with block, or call start()."
            )
        return self._server


def serve(
    path: str | os.PathLike[str] = "recallrai.db",
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    api_key: str = PUBLIC_KEY,
    project_id: str = "local",
    min_auto_process_seconds: float = 600,
    model: str | None = None,
    embeddings: str | None = None,
    merge_conflict_enabled: bool = False,
    faults: str | os.PathLike[str] | None = None,
    allowed_hosts: Iterable[str] = (),
) -> None:
    """Runs the service until SIGTERM or SIGINT, writing its log as JSON lines to standard error.

    The first line tells the address: `{"event": "listening", "url": "http://127.0.0.1:8000", …}`. Both
    signals stop it gracefully: requests in hand are answered, the database is closed.

    Args:
        path: the database file, made if absent.
        host: address to listen on; anything but loopback lets others in who know the key.
        port: 1 to 65535; 0 takes a free one.
        api_key: as for `LocalRecallrAI`.
        project_id: as for `LocalRecallrAI`.
        min_auto_process_seconds: as for `LocalRecallrAI`.
        model: as for `LocalRecallrAI`.
        embeddings: as for `LocalRecallrAI`.
        merge_conflict_enabled: as for `LocalRecallrAI`.
        faults: a JSON file of faults, read again whenever it changes; see `FileFaults`.
        allowed_hosts: as for `LocalRecallrAI`.

    Raises:
        ConfigurationError: an argument is wrong.
        LocalServiceError: the port is taken, or the database cannot be used.

    Example:
        ```python
        import signal
        import subprocess
        import sys

        code = "from recallrai_integrations.local import serve; serve('memory.db', port=0)"
        process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
        print(process.stderr.readline())  # {"event": "listening", "url": "http://127.0.0.1:…", …}
        process.send_signal(signal.SIGTERM)
        process.communicate()
        assert process.returncode == 0
        ```
    """
    server = LocalRecallrAI(
        path,
        host=host,
        port=port,
        api_key=api_key,
        project_id=project_id,
        min_auto_process_seconds=min_auto_process_seconds,
        model=model,
        embeddings=embeddings,
        merge_conflict_enabled=merge_conflict_enabled,
        faults=None if faults is None else FileFaults(os.fspath(faults)),
        allowed_hosts=allowed_hosts,
    )
    stopping = threading.Event()
    handler = logs.write_to(sys.stderr)
    try:
        with _on_signals(stopping), server:
            logger.info("listening", extra={"url": server.base_url, "database": Path(path).name})
            if api_key == PUBLIC_KEY and not is_loopback(host):
                logger.warning("others on the network can read everything: the key is the public one")
            while not stopping.wait(1):  # with a limit: some platforms deliver signals only between waits
                pass
            logger.info("stopping")
        logger.info("stopped")
    finally:
        logging.getLogger(logs.LOGGER).removeHandler(handler)


@contextlib.contextmanager
def _on_signals(stopping: threading.Event) -> Generator[None]:
    """Sets the event on SIGTERM and SIGINT, where this is the main thread."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

"""Faults on demand, for tests of what clients do when the service misbehaves.

A fault says which requests it strikes and what happens to them:

```python
from recallrai_integrations.local import Fault, Faults, LocalRecallrAI

with LocalRecallrAI() as server:
    server.faults.add(status=503, path="*/add-message", times=2)  # refused twice
    server.faults.add(status=502, path="*/add-message", when="after")  # stored, then a bad gateway
    server.faults.add(drop=True, method="POST", when="after", nth=3)  # the third POST: stored, no answer
    server.faults.add(status=429, retry_after=2, probability=0.1)  # one request in ten, by the seed
    server.faults.add(delay=0.5, path="*/context")  # slow
    server.faults.add(hang=True, path="*/context", times=1)  # never answered
    server.faults.add(status=200, body="<html>", path="*/context")  # not JSON
    server.faults.add(drop=True, when="late", delay=0.5, path="*/add-message")  # stored 0.5 s later
    server.faults.add(status=200, body={"error": "busy"}, path="*/add-message")  # JSON, and no answer
    server.faults.add(stale=True, path="*/messages")  # each page as it was when it was asked for first
    server.faults.outcomes("failed", "insufficient_balance")  # of the next two sessions processed
    server.faults.clear()
```
"""

from __future__ import annotations

import json
import random
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal, cast, get_args

from typing_extensions import override

from recallrai_integrations.errors import ConfigurationError

Outcome = Literal["processed", "failed", "insufficient_balance"]
When = Literal["before", "after", "late"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One rule; the first that applies to a request strikes.

    Args:
        method: `GET`, `POST` …; None for any.
        path: a shell pattern of the whole path (`*` also matches slashes), such as `*/sessions/*/context`.
        nth: strikes only the nth request that fits method and path, from 1.
        times: strikes at most so often; None without limit.
        probability: of striking a request that fits, 0 to 1, decided by the seed of `Faults`.
        when: `before` the request is carried out (it is not), `after` (its effect stays), or `late`: the
            client has its answer, or none, at once; `delay` seconds later the request is carried out.
        delay: seconds to wait; alone, the request is then carried out as usual.
        status: answer with this status, 200 to 599.
        body: its body: text is sent as it is (HTML, or nothing), anything else as JSON; None is a
            `{"detail": …}`.
        headers: more headers of the answer.
        retry_after: seconds, for the header `Retry-After`.
        drop: close the connection without an answer.
        hang: neither answer nor close until the client goes away.
        stale: answer as the same request (method, path, query) was answered when this rule struck it first.

    Raises:
        ConfigurationError: the rule does nothing, or does several things that exclude each other.

    Example:
        ```python
        from recallrai_integrations.local import Fault, Faults, LocalRecallrAI

        busy = Fault(status=503, path="*/add-message", times=2)
        with LocalRecallrAI(faults=Faults(busy)) as server:
            print(server.base_url)  # refuses the first two messages
        ```
    """

    method: str | None = None
    path: str = "*"
    nth: int | None = None
    times: int | None = None
    probability: float = 1.0
    when: When = "before"
    delay: float = 0.0
    status: int | None = None
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    retry_after: float | None = None
    drop: bool = False
    hang: bool = False
    stale: bool = False

    def __post_init__(self) -> None:
        ends = [self.status is not None, self.drop, self.hang, self.stale]
        if sum(ends) > 1 or not (any(ends) or self.delay > 0):
            raise ConfigurationError("A fault needs one of status, drop, hang and stale, or a delay.")
        if not 0 <= self.probability <= 1 or self.delay < 0 or self.when not in get_args(When):
            raise ConfigurationError(
                "A fault needs a probability from 0 to 1, a delay of at least 0, "
                'when="before", "after" or "late".'
            )
        if self.when == "late" and not any(ends[:3]):
            raise ConfigurationError('A fault with when="late" needs one of status, drop and hang.')
        if self.status is not None and not 200 <= self.status <= 599:  # noqa: PLR2004
            raise ConfigurationError(f"A fault's status lies between 200 and 599, not at {self.status}.")

    def fits(self, method: str, path: str) -> bool:
        """Whether the rule is about such requests."""
        return (self.method is None or self.method.upper() == method) and fnmatchcase(path, self.path)

    def answer(self) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """Status, headers and body to be sent."""
        status = self.status or 200
        if isinstance(self.body, str):
            content, kind = self.body.encode(), b"text/html; charset=utf-8"
        else:
            value = self.body
            if value is None:  # a success that says nothing must not look like an acknowledgement
                value = {"detail": f"Fault on demand: {status}"} if status >= HTTPStatus.BAD_REQUEST else {}
            content, kind = json.dumps(value).encode(), b"application/json"
        extra = dict(self.headers)
        if self.retry_after is not None:
            extra["Retry-After"] = f"{self.retry_after:g}"
        headers = [(b"content-type", kind)] + [(k.lower().encode(), v.encode()) for k, v in extra.items()]
        if status not in (204, 304):
            headers.append((b"content-length", str(len(content)).encode()))
        else:
            content = b""
        return status, headers, content


class Faults:
    """The rules in force. Thread-safe; may be changed while the service runs.

    Args:
        rules: in the order in which they are tried.
        seed: of the dice for `probability`; the same requests in the same order meet the same fate.

    Example:
        ```python
        from recallrai_integrations import connect
        from recallrai_integrations.local import LocalRecallrAI

        with LocalRecallrAI() as server:
            server.faults.add(drop=True, path="*/add-message", when="after", times=1)  # stored, no answer
            with connect(
                api_key=server.api_key, project_id=server.project_id, base_url=server.base_url
            ) as connection:
                conversation = connection.conversation("ada", "thread-1")
                conversation.record(("user", "I moved to Lisbon."))
                assert len(conversation.history()) == 1  # sent once, although the answer was lost
        ```
    """

    def __init__(self, *rules: Fault, seed: int = 0) -> None:
        self._lock = threading.Lock()
        self._dice = random.Random(seed)  # noqa: S311 - reproducible on purpose
        self._rules: list[Fault] = []
        self._seen: dict[int, int] = {}
        self._struck: dict[int, int] = {}
        self._outcomes: deque[Outcome] = deque()
        for rule in rules:
            self._append(rule)

    def add(self, **rule: Any) -> Fault:
        """Adds a rule, given as the arguments of `Fault`."""
        fault = Fault(**rule)
        with self._lock:
            self._append(fault)
        return fault

    def clear(self) -> None:
        """Back to normal: no rules, no outcomes."""
        with self._lock:
            self._rules.clear()
            self._outcomes.clear()

    def outcomes(self, *outcomes: Outcome) -> None:
        """How the next sessions that are processed end, in order; after them all is normal again."""
        with self._lock:
            self._outcomes.extend(outcomes)

    def next_outcome(self) -> Outcome | None:
        """How the session at hand ends, where that is prescribed and is not `processed`."""
        if not self._outcomes:
            return None
        with self._lock:
            outcome = self._outcomes.popleft() if self._outcomes else None
        return None if outcome == "processed" else outcome

    def strike(self, method: str, path: str) -> Fault | None:
        """The fault that a request meets; counts."""
        if not self._rules:
            return None
        with self._lock:
            for rule in self._rules:
                if rule.fits(method, path) and self._strikes(rule):
                    return rule
        return None

    def _append(self, rule: Fault) -> None:
        self._rules.append(rule)
        self._seen[id(rule)] = self._struck[id(rule)] = 0

    def _strikes(self, rule: Fault) -> bool:
        key = id(rule)
        self._seen[key] += 1
        if rule.nth is not None and self._seen[key] != rule.nth:
            return False
        if rule.times is not None and self._struck[key] >= rule.times:
            return False
        if rule.probability < 1 and self._dice.random() >= rule.probability:
            return False
        self._struck[key] += 1
        return True


class FileFaults(Faults):
    """Rules from a JSON file, read again whenever it changes: the switch for a service in another process.

    Args:
        path: a file such as `{"seed": 1, "rules": [{"status": 503, "path": "*/add-message", "times": 2}]}`;
            while it is absent there are no faults.

    Raises:
        ConfigurationError: the file is there and cannot be understood.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = Path(path)
        self._read_at: tuple[int, int] | None = None
        self._reload()

    @override
    def strike(self, method: str, path: str) -> Fault | None:
        """The fault that a request meets by the file's present rules; counts."""
        self._reload()
        return super().strike(method, path)

    def _reload(self) -> None:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            self._read_at = None
            self.clear()
            return
        stamp = (found.st_mtime_ns, found.st_size)
        if stamp == self._read_at:
            return
        try:
            plan = cast("dict[str, Any]", json.loads(self._path.read_text(encoding="utf-8")))
            rules = [Fault(**rule) for rule in plan.get("rules", [])]
        except (ValueError, TypeError, AttributeError) as error:
            if self._read_at is None:
                raise ConfigurationError(f"{self._path} does not hold faults: {error}") from error
            return  # being written just now: the old rules stay until the new ones can be read
        with self._lock:
            self._read_at = stamp
            self._dice = random.Random(plan.get("seed", 0))  # noqa: S311 - reproducible on purpose
            self._rules.clear()
            for rule in rules:
                self._append(rule)

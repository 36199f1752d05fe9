"""Structured logs: events with fields, as text in a process that has us as a guest, else as JSON lines."""

from __future__ import annotations

import json
import logging
from collections.abc import MutableMapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Final, TextIO

from typing_extensions import override

if TYPE_CHECKING:
    _Adapter = logging.LoggerAdapter[logging.Logger]
else:
    _Adapter = logging.LoggerAdapter  # takes no parameter before Python 3.11

LOGGER: Final = "recallrai_integrations.local"

_STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


def _on_one_line(value: object) -> str:
    text = str(value)
    return text if text.isprintable() else repr(text)  # a path may hold what would end the line


class _Events(_Adapter):
    """Has what is given as `extra` in the text as well: a usual formatter shows nothing else."""

    @override
    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        fields: dict[str, Any] = dict(kwargs.get("extra") or {})
        told = ", ".join(f"{name} {_on_one_line(value)}" for name, value in fields.items())
        return f"{msg}: {told}" if told else msg, {**kwargs, "extra": {**fields, "event": msg}}


events: Final = _Events(logging.getLogger(LOGGER), {})
"""The log of the local service: `events.info("request", extra={"status": 200})`."""


class JsonLines(logging.Formatter):
    """Time, level, event and the extra fields; no traces, for these could quote stored texts."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        extra = {key: value for key, value in record.__dict__.items() if key not in _STANDARD}
        return json.dumps(line | extra, default=str)


def write_to(stream: TextIO) -> logging.Handler:
    """Sends the service's log to a stream; returns the handler, to be removed at the end."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    logger = logging.getLogger(LOGGER)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    return handler

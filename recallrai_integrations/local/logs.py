"""Structured logs: one JSON object per line, with the fields that were given as `extra`."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timezone
from typing import Final, TextIO

from typing_extensions import override

LOGGER: Final = "recallrai_integrations.local"

_STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


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
    """Send the service's log to a stream; returns the handler, to be removed at the end."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    logger = logging.getLogger(LOGGER)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    return handler

"""Structured logs: one JSON object a line, without what anybody sent or was answered."""

from __future__ import annotations

import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import IO

import msgspec

__all__ = ["JsonLines", "log_to"]

_FIELDS = ("request_id", "route", "status", "milliseconds", "key", "arm", "system", "model")
"""What a line may tell besides time, level and event: names and figures, never a payload."""


class JsonLines(logging.Formatter):
    """Writes a record as one line of JSON: time (ISO 8601, UTC), level, event, and the fields given as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        told |= {name: getattr(record, name) for name in _FIELDS if hasattr(record, name)}
        if record.exc_info:
            told["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        return msgspec.json.encode(told).decode()


def log_to(stream: IO[str] | None = None) -> None:
    """Write what the server has to say to a stream (standard error), as JSON lines, from level info on."""
    logger = logging.getLogger("mainspring")
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False

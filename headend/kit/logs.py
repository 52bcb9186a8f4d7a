"""The headend's log: standard error, one line an event, as text for people or as JSON for machines.

What a line may hold: when, how bad, from which room, what happened; the side, the job with its slot, and
for a request on the named line or the console a random id, its route's template, its status and its time.
Never an address, a body, a title, or a path as it was asked for; of a request on the anonymous line nothing,
but that the headend itself failed.
"""

import json
import logging
from contextvars import ContextVar
from typing import Any, Final

from shared.clock import from_ms

FORMATS: Final = ("text", "json")
SIDES: Final = ("billing", "analytics", "console")
FIELDS: Final = ("side", "job", "slot", "route", "method", "status", "seconds")
"""What a line may carry beside its message, given as `extra`."""

REQUEST: ContextVar[str] = ContextVar("request", default="")
"""The random id of the request that is being answered; none on the anonymous line."""


class JsonFormatter(logging.Formatter):
    """One JSON object a line; an exception's traceback is one of its fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        told: dict[str, Any] = {
            "time": from_ms(int(record.created * 1000)).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_particulars(record),
        }
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return json.dumps(told, ensure_ascii=False, default=str)


class TextFormatter(logging.Formatter):
    """The same for people; the journal knows the time."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, and beneath it the traceback if there is one."""
        more = " ".join(f"{name}={value}" for name, value in _particulars(record).items())
        line = f"[{record.levelname}] {record.name}: {record.getMessage()}{' ' if more else ''}{more}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _particulars(record: logging.LogRecord) -> dict[str, Any]:
    found = {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
    rooms = record.name.split(".")
    if "side" not in found and len(rooms) > 1 and rooms[0] == "headend" and rooms[1] in SIDES:
        found["side"] = rooms[1]
    request = REQUEST.get()
    return {**found, "request": request} if request else found


def log_config(form: str) -> dict[str, Any]:
    """The configuration of Python's logging, granian's own lines included, for one of `FORMATS`."""
    formatter = {"json": JsonFormatter, "text": TextFormatter}[form]
    to_stderr = {"handlers": ["stderr"], "level": "INFO", "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": f"{formatter.__module__}.{formatter.__qualname__}"}},
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stderr"}
        },
        "loggers": {
            "_granian": dict(to_stderr),
            "granian.access": {**to_stderr, "level": "CRITICAL"},  # it would hold addresses and paths
            "headend": dict(to_stderr),
        },
        "root": {"handlers": ["stderr"], "level": "WARNING"},
    }

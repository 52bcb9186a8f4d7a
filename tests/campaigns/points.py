"""Write points: every place at which a process that is killed may leave its files half done.

They are watched from outside: SQLite's connections are made by a class that counts what writes, and the
calls of `os` that make files are wrapped. The product knows nothing of it. What lies between two points
within one COMMIT is SQLite's own; kills at any moment (see tests.campaigns.kill) fall there too.
"""

import os
import re
import signal
import sqlite3
from collections.abc import Callable
from typing import Any

WRITES = re.compile(
    r"\s*(INSERT|UPDATE|DELETE|REPLACE|CREATE|ALTER|DROP|BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE"
    r"|PRAGMA (journal_mode|user_version)\s*=)",
    re.IGNORECASE,
)
BOUNDS = re.compile(r"\s*(BEGIN|COMMIT)", re.IGNORECASE)
CALLS = ("fsync", "replace", "link", "unlink", "ftruncate")
Pass = Callable[[str], None]


class Points:
    """Counts the points that are passed, and kills the process at one of them."""

    def __init__(self, kill_at: int | None = None) -> None:
        self.passed: list[str] = []
        self._kill_at = kill_at

    def __call__(self, what: str) -> None:
        self.passed.append(what)
        if len(self.passed) == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)


def watch(point: Pass) -> Callable[[], None]:
    """From now on tell of every write point of this process; gives what ends it."""
    before: list[tuple[Any, str, Any]] = [(sqlite3, "connect", sqlite3.connect)]
    before += [(os, name, getattr(os, name)) for name in CALLS]
    connect = sqlite3.connect
    sqlite3.connect = lambda *values, **named: connect(  # type: ignore[assignment] # the same, with a factory
        *values, **{"factory": _watched(point), **named}
    )
    for name in CALLS:
        setattr(os, name, _around(name, getattr(os, name), point))

    def undo() -> None:
        for place, name, value in before:
            setattr(place, name, value)

    return undo


def _around(name: str, call: Callable[..., Any], point: Pass) -> Callable[..., Any]:
    def wrapped(*values: Any, **named: Any) -> Any:
        point(f"before {name}")
        result = call(*values, **named)
        point(f"after {name}")
        return result

    return wrapped


def _watched(point: Pass) -> type[sqlite3.Connection]:
    class Watched(sqlite3.Connection):
        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            if not WRITES.match(sql):
                return super().execute(sql, *values)
            point(f"before {sql}")
            cursor = super().execute(sql, *values)
            if BOUNDS.match(sql):
                point(f"after {sql}")
            return cursor

        def executemany(self, sql: str, *values: Any) -> sqlite3.Cursor:
            point(f"before {sql}")
            return super().executemany(sql, *values)

        def executescript(self, sql: str) -> sqlite3.Cursor:
            point(f"before {sql}")
            return super().executescript(sql)

        def close(self) -> None:
            point("before close")
            super().close()
            point("after close")

    return Watched

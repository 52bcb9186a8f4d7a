"""The store looked at from beside: read-only, without the lock, while an agent uses it or not."""

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from box_agent.store import Store, fault_of

_PATIENCE_S = 5.0


@dataclass(frozen=True)
class Inspection:
    """What was found: the schema's version, and SQLite's verdict on the file ("ok", or what is wrong)."""

    version: int
    verdict: str


class ReadOnlyStore(Store):
    """A store that is never written, made or migrated; its doors answer questions only."""

    def connection(self) -> sqlite3.Connection:
        """See `Store.connection`.

        Raises:
            StoreError: there is none, or it cannot be read.
        """
        if self._connection is None:
            try:
                self._connection = sqlite3.connect(
                    f"file:{quote(self.path)}?{self._how()}",
                    uri=True,
                    isolation_level=None,
                    timeout=_PATIENCE_S,
                )
            except sqlite3.Error as error:
                raise fault_of(error) from error
        return self._connection

    def _how(self) -> str:
        # A reader of a log leaves the log's files behind; where there is none, nobody writes, and there is
        # nothing to read but the file itself (sqlite.org/wal.html, "Read-Only Databases").
        return "mode=ro" if Path(f"{self.path}-wal").exists() else "mode=ro&immutable=1"


def inspect(path: Path) -> Inspection:
    """Look whether a store can be read, and is whole.

    Raises:
        StoreError: it cannot be read at all.
    """
    store = ReadOnlyStore(path)
    try:
        version = store.connection().execute("PRAGMA user_version").fetchone()[0]
        verdict = store.connection().execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        raise fault_of(error) from error
    finally:
        store.park()
    return Inspection(version, verdict)

"""The box's one SQLite file, and the doors through which each path may use it.

WAL with synchronous=FULL: what has been committed survives kill -9 and a power cut. Pages of 1,024 bytes,
since an append writes whole pages and flash memory counts them. There is one connection, opened when
needed; `park` closes it. The schema is checked by number, so that sqlite-utils is imported only when
there is something to migrate.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shared.errors import StbError

SCHEMA_VERSION = 3
PAGE_SIZE = 1024
STORE_NAME = "box.sqlite"

NAMED_TABLES = frozenset(
    {"identity", "head", "chain", "orders", "catalogue", "duties", "asks", "named_alarms"}
)
MEETING_TABLES = frozenset({"wallet", "directories"})
ANONYMOUS_TABLES = MEETING_TABLES | {
    "consent",
    "consent_log",
    "events",
    "ordered",
    "rolled",
    "outbox",
    "sentlog",
    "pin",
    "anonymous_alarms",
}

Value = int | str | bytes | None
Row = tuple[Any, ...]
"""STRICT tables give what their columns declare; the statement beside the call says which."""

_PRAGMAS = (
    "PRAGMA synchronous = FULL",
    "PRAGMA busy_timeout = 5000",
    "PRAGMA cache_size = -16",  # KiB: thousands of agents may share one process
    "PRAGMA wal_autocheckpoint = 64",
)


class NewerStoreError(StbError):
    """The file was written by a newer version of this agent."""


class ForbiddenTableError(StbError):
    """A path reached for a table that is not its own."""


class Store:
    """The file. Private to the thread that holds the agent; see `Door` for what the paths are given."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def connection(self) -> sqlite3.Connection:
        """The open connection; opens the file, and creates or migrates it, when needed.

        Raises:
            NewerStoreError: the file is of a later version.
        """
        if self._connection is None:
            self._connection = _open(self._path)
        return self._connection

    def park(self) -> None:
        """Close the connection until it is needed again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, and durable afterwards. A transaction within one joins it."""
        connection = self.connection()
        if connection.in_transaction:
            yield
            return
        # IMMEDIATE: a deferred one that reads first and writes later fails when another process writes.
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def door(self, tables: frozenset[str]) -> "Door":
        """A way to these tables only."""
        return Door(self, tables)


class Door:
    """SQL on a closed list of tables: what lies outside cannot be named through it."""

    def __init__(self, store: Store, tables: frozenset[str]) -> None:
        self._store = store
        self._tables = tables
        self.transaction = store.transaction

    def rows(self, sql: str, parameters: Sequence[Value] = ()) -> list[Row]:
        """All rows of a query.

        Raises:
            ForbiddenTableError: the statement names a table of the other path.
        """
        return self._run(sql, parameters).fetchall()

    def row(self, sql: str, parameters: Sequence[Value] = ()) -> Row | None:
        """The first row of a query, or None.

        Raises:
            ForbiddenTableError: likewise.
        """
        found: Row | None = self._run(sql, parameters).fetchone()
        return found

    def write(self, sql: str, parameters: Sequence[Value] = ()) -> int:
        """Run one statement that writes; answers with the number of rows it changed.

        Outside a transaction it is one of its own.

        Raises:
            ForbiddenTableError: likewise.
        """
        return self._run(sql, parameters).rowcount

    def write_many(self, sql: str, parameters: Iterable[Sequence[Value]]) -> None:
        """Run one statement for many rows, in one transaction.

        Raises:
            ForbiddenTableError: likewise.
        """
        listed = list(parameters)
        if not listed:
            return
        self._permit(sql, listed[0])
        with self.transaction():
            self._store.connection().executemany(sql, listed)

    def _run(self, sql: str, parameters: Sequence[Value]) -> sqlite3.Cursor:
        self._permit(sql, parameters)
        return self._store.connection().execute(sql, parameters)

    def _permit(self, sql: str, parameters: Sequence[Value]) -> None:
        touched = tables_in(self._store.connection(), sql, parameters)
        if not touched <= self._tables:
            raise ForbiddenTableError(f"not through this door: {', '.join(sorted(touched - self._tables))}")


_seen: dict[str, frozenset[str]] = {}
_TOUCHES = frozenset(
    {sqlite3.SQLITE_READ, sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE}
)


def tables_in(connection: sqlite3.Connection, sql: str, parameters: Sequence[Value]) -> frozenset[str]:
    """The tables that a statement touches, as SQLite's own authorizer reports them.

    Asked once a process for each statement. They are literals of this package, so what is remembered
    grows to their number and no further.
    """
    found = _seen.get(sql)
    if found is not None:
        return found
    touched: set[str] = set()

    def note(action: int, table: str | None, *_rest: object) -> int:
        if action in _TOUCHES and table:
            touched.add(table)
        return sqlite3.SQLITE_OK

    connection.set_authorizer(note)
    try:
        connection.execute("EXPLAIN " + sql, parameters).fetchall()
    finally:
        connection.set_authorizer(None)
    return _seen.setdefault(sql, frozenset(touched))


def _open(path: Path) -> sqlite3.Connection:
    fresh = not path.exists()
    if fresh:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Created here, so that no moment exists at which others could read the key that will be in it.
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=12)
    try:
        _prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise NewerStoreError(f"the store is of version {version}, this agent knows {SCHEMA_VERSION}")
    if version < SCHEMA_VERSION:
        connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
        connection.execute("PRAGMA journal_mode = WAL")
        from box_agent.migrations import migrate

        migrate(connection)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    for pragma in _PRAGMAS:
        connection.execute(pragma)

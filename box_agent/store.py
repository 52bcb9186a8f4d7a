"""The box's one SQLite file, and the doors through which each path may use it.

WAL with synchronous=FULL: what has been committed survives kill -9 and a power cut. Pages of 1,024 bytes,
since an append writes whole pages and flash memory counts them. There is one connection, opened when
needed; `park` closes it. The schema is checked by number, so that sqlite-utils is imported only when
there is something to migrate. See `box_agent.lean` for why annotations alone name what is not imported.

What the disk does is told by typed errors: full, read-only, damaged. An order that meets one is refused,
never answered yes; `box_agent.salvage` takes what can be read out of a damaged file.
"""

from __future__ import annotations

import os
import sqlite3

from shared.errors import StbError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import TracebackType
    from typing import Any

SCHEMA_VERSION = 5
PAGE_SIZE = 1024
MOST_PAGES = 65536
"""64 MiB: what an agent may take of the box's flash, in all."""

NAMED_TABLES = frozenset(
    {"identity", "head", "chain", "orders", "catalogue", "duties", "asks", "named_alarms"}
)
MEETING_TABLES = frozenset({"wallet", "directories"})
ANONYMOUS_TABLES = MEETING_TABLES | {
    "consent",
    "consent_log",
    "viewing",
    "ordered",
    "rolled",
    "outbox",
    "sentlog",
    "pin",
    "anonymous_alarms",
}

FILES = ("", "-wal", "-shm")
"""What SQLite puts behind a store's name: the file itself, its log, and the log's index."""
_CHECKPOINT = "PRAGMA wal_checkpoint(TRUNCATE)"
Value = int | str | bytes | None
Row = tuple["Any", ...]
"""STRICT tables give what their columns declare; the statement beside the call says which."""

_PRAGMAS = (
    "PRAGMA synchronous = FULL",
    "PRAGMA secure_delete = ON",  # as Debian builds SQLite: what is deleted is overwritten
    "PRAGMA busy_timeout = 5000",
    "PRAGMA cache_size = -16",  # KiB: thousands of agents may share one process
    "PRAGMA wal_autocheckpoint = 1000",  # a page that changes often is copied back once
    "PRAGMA journal_size_limit = 1048576",
    f"PRAGMA max_page_count = {MOST_PAGES}",
)


class StoreError(StbError):
    """The box's file cannot be read or written; what was asked for has not happened."""


class NewerStoreError(StoreError):
    """The file was written by a newer version of this agent."""


class StoreFullError(StoreError):
    """There is no room left: on the disk, or in what this agent may take of it."""


class ReadOnlyStoreError(StoreError):
    """The disk takes no writing, or the file cannot be opened at all."""


class DamagedStoreError(StoreError):
    """What stands in the file is no database any more, in part or whole."""


class ForbiddenTableError(StbError):
    """A path reached for a table that is not its own."""


_FAULTS: dict[int, type[StoreError]] = {
    sqlite3.SQLITE_FULL: StoreFullError,
    sqlite3.SQLITE_READONLY: ReadOnlyStoreError,
    sqlite3.SQLITE_CANTOPEN: ReadOnlyStoreError,
    sqlite3.SQLITE_CORRUPT: DamagedStoreError,
    sqlite3.SQLITE_NOTADB: DamagedStoreError,
}
_PRIMARY = 0xFF
"""SQLite's extended result codes hold the primary one in their low byte (sqlite.org/rescode.html)."""


def fault_of(error: sqlite3.Error) -> StoreError:
    """What SQLite's error means for whoever asked."""
    code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY
    return _FAULTS.get(code, StoreError)(str(error))


class Store:
    """The file. Private to the thread that holds the agent; see `Door` for what the paths are given."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)
        self._connection: sqlite3.Connection | None = None

    @property
    def path(self) -> str:
        """Where the file is."""
        return self._path

    def connection(self) -> sqlite3.Connection:
        """The open connection; opens the file, and creates or migrates it, when needed.

        Raises:
            NewerStoreError: the file is of a later version.
            StoreError: it cannot be opened; its subclass says why.
        """
        if self._connection is None:
            try:
                self._connection = _open(self._path)
            except sqlite3.Error as error:
                raise fault_of(error) from error
            except OSError as error:
                raise ReadOnlyStoreError(f"{self._path}: {error.strerror}") from error
        return self._connection

    def park(self) -> None:
        """Close the connection until it is needed again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def scrub(self) -> None:
        """Leave nothing of what was deleted in the file or its log; outside any transaction.

        Raises:
            StoreError: there is no room for it, or somebody else reads; what was deleted may still be found.
        """
        connection = self.connection()
        # The first checkpoint overwrites what VACUUM gives back to the disk afterwards.
        for statement in (_CHECKPOINT, "PRAGMA temp_store = MEMORY", "VACUUM", _CHECKPOINT):
            row = _execute(connection, statement).fetchone()
            if statement == _CHECKPOINT and row[0]:
                raise StoreError("the store is being read by somebody else")

    def transaction(self) -> Transaction:
        """All or nothing, and durable afterwards. A transaction within one joins it."""
        return Transaction(self)

    def door(self, tables: frozenset[str]) -> Door:
        """A way to these tables only."""
        return Door(self, tables)


class Transaction:
    """What `Store.transaction` answers with; see there.

    Raises, when it begins or ends:
        StoreError: it could not be begun or made durable, and nothing of it has happened.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._joined = False

    def __enter__(self) -> None:
        connection = self._store.connection()
        self._joined = connection.in_transaction
        if not self._joined:
            # IMMEDIATE: a deferred one that reads first and writes later fails when another process writes.
            _execute(connection, "BEGIN IMMEDIATE")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._joined:
            return
        connection = self._store.connection()
        if kind is None:
            try:
                _execute(connection, "COMMIT")
            except StoreError:
                _roll_back(connection)
                raise
        else:
            _roll_back(connection)


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:  # SQLite itself rolls back on a full disk
        _execute(connection, "ROLLBACK")


def _execute(connection: sqlite3.Connection, sql: str, parameters: Sequence[Value] = ()) -> sqlite3.Cursor:
    try:
        return connection.execute(sql, parameters)
    except sqlite3.IntegrityError:
        raise  # a fault of this program's, not of the disk's
    except sqlite3.DatabaseError as error:
        raise fault_of(error) from error


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
        try:
            return self._run(sql, parameters).fetchall()
        except sqlite3.DatabaseError as error:
            raise fault_of(error) from error

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
            try:
                self._store.connection().executemany(sql, listed)
            except sqlite3.OperationalError as error:
                raise fault_of(error) from error

    def _run(self, sql: str, parameters: Sequence[Value]) -> sqlite3.Cursor:
        self._permit(sql, parameters)
        return _execute(self._store.connection(), sql, parameters)

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
        _execute(connection, "EXPLAIN " + sql, parameters).fetchall()
    finally:
        connection.set_authorizer(None)
    return _seen.setdefault(sql, frozenset(touched))


def remove_files(path: str | os.PathLike[str]) -> None:
    """Delete a store, and what SQLite keeps beside it; what is not there is no fault."""
    for suffix in FILES:
        try:
            os.unlink(f"{os.fspath(path)}{suffix}")  # noqa: PTH108 (see `_open`)
        except FileNotFoundError:
            continue


def sync_folder(folder: str) -> None:
    """Make durable that a file in it was made, renamed or deleted.

    Raises:
        OSError: the disk does not take it.
    """
    held = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(held)
    finally:
        os.close(held)


def _open(path: str) -> sqlite3.Connection:
    if not os.path.exists(path):  # noqa: PTH110 (pathlib is a third of Python's own start)
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)  # noqa: PTH103, PTH120 (likewise)
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

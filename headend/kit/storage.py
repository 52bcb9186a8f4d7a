"""SQLite for one side: migrations at the door, one writer that commits in groups, readers that cannot write.

A side's writes go over one connection: whoever comes first takes what is waiting into one BEGIN IMMEDIATE …
COMMIT with synchronous=FULL, and answers afterwards: nothing is acknowledged before it is durable. Each piece
of work of several is a savepoint of its own, so that one failure undoes itself and nothing else.
"""

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import sqlite_utils
from sqlite_utils.migrations import Migrations

from headend.kit.engine import Connection, Shelf
from headend.kit.files import make_private
from headend.kit.metering import GroupMeter
from headend.kit.shelf import FolderShelf
from headend.kit.together import ClosedError, Together
from shared.errors import StbError
from shared.field_register import declared_columns

_LOG = logging.getLogger(__name__)

T = TypeVar("T")
P = ParamSpec("P")

GROUP_LIMIT = 256
"""Pieces of work in one commit; more would only make the first of them wait longer."""
BUSY_MS = 10_000
SETTINGS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "trusted_schema=OFF",
    "secure_delete=ON",
)
"""What every connection is told."""
WRITER = ("temp_store=MEMORY", "cache_spill=4000")
"""What a group would take back stays in memory instead of a temporary file, and what it changes until it is
committed, up to 16 MB. A larger cache is no help: a single order takes longer with it."""


class StorageError(StbError):
    """The database could not do what was asked; nothing was changed."""


class UnfitValueError(StorageError):
    """The database cannot keep a value, such as a text with a zero character; nothing was changed."""


class MissingRowError(StorageError):
    """There is no such row."""


class UndeclaredColumnError(StbError):
    """A table or column that the register of fields does not declare."""


class NewerDatabaseError(StbError):
    """The database was migrated by a newer version of this code, which knows what this one does not."""


def connect(path: Path, *, checkpoints: bool) -> sqlite3.Connection:
    """A connection with this house's settings; only the serving worker checkpoints the WAL.

    A new file is for its owner alone, and so are the log and its index, which SQLite makes like it.

    Raises:
        StorageError: it does not open.
    """
    try:
        return _connect(path, checkpoints=checkpoints)
    except (OSError, sqlite3.Error) as error:
        raise StorageError(f"{path} does not open: {error}") from error


def _connect(path: Path, *, checkpoints: bool) -> sqlite3.Connection:
    make_private(path)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY_MS / 1000)
    connection.row_factory = sqlite3.Row
    try:
        for pragma in SETTINGS if checkpoints else (*SETTINGS, "wal_autocheckpoint=0"):
            connection.execute(f"PRAGMA {pragma}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def migrate(path: Path, migrations: Migrations) -> None:
    """Bring the file to the newest schema, and refuse columns that the register does not declare.

    Raises:
        NewerDatabaseError: newer code has migrated it; nothing was changed.
        UndeclaredColumnError: a column stands in the schema but not in the register of fields.
        StorageError: the database refused, such as for want of room or of the right to write.
    """
    connection = connect(path, checkpoints=True)
    try:
        database = sqlite_utils.Database(connection)
        if newer := newer_than_known(database, migrations):
            raise NewerDatabaseError(
                f"{path} is newer than this code ({', '.join(newer)}): install the version that served it "
                "last, or restore the backup made before the upgrade"
            )
        migrations.apply(database)
        check_declared(database, migrations.name)
    except sqlite3.Error as error:
        raise StorageError(f"{path}: {error}") from error
    finally:
        connection.close()


def newer_than_known(database: sqlite_utils.Database, migrations: Migrations) -> list[str]:
    """The migrations of the database that this code does not know; asks, never writes."""
    empty = sqlite_utils.Database(memory=True)
    try:
        known = {one.name for one in migrations.pending(empty)}  # of an empty database all are pending
    finally:
        empty.close()
    return [one.name for one in migrations.applied(database) if one.name not in known]


def check_declared(database: sqlite_utils.Database, side: str) -> None:
    """Refuse columns that the register of fields does not declare; asks, never writes.

    Raises:
        UndeclaredColumnError: there is one.
    """
    declared = declared_columns(side)
    for table in database.tables:
        if table.name.startswith(("sqlite_", "_sqlite_migrations")):
            continue
        unknown = {column.name for column in table.columns} - declared.get(table.name, frozenset())
        if unknown:
            raise UndeclaredColumnError(f"{side}.{table.name}: {', '.join(sorted(unknown))}")


def own_outcome(make: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | Exception:
    """What `make` gives or raises, so that what is wrong with one of a group stays with that one.

    Raises:
        StorageError: the database is away, and so it is for all of them.
    """
    try:
        return make(*args, **kwargs)
    except Exception as error:
        if isinstance(error, StorageError) and not isinstance(error, UnfitValueError):
            raise
        return error


@contextmanager
def immediate(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """One write transaction, begun IMMEDIATE: a deferred one that reads first can fail at its first write."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


Work = Callable[[Connection], Any]


@dataclass(frozen=True, slots=True)
class Done:
    """What a piece of work gave, which may be nothing."""

    result: Any


_SWEEPS, _SWEEP_MS = 6, 500
"""How often a log is tried to be emptied, and how long each waits for readers: meanwhile nobody can write."""


class Storage:
    """One side's database file; see `Engine`. One process serves it, so all of its writes are alone."""

    def __init__(self, path: Path, migrations: Migrations, *, checkpoints: bool = False) -> None:
        migrate(path, migrations)
        self.path = path
        self._writer = connect(path, checkpoints=checkpoints)
        for pragma in WRITER:
            self._writer.execute(f"PRAGMA {pragma}")
        self._together: Together[Work, Done] = Together(
            self._commit, GROUP_LIMIT, GroupMeter(migrations.name)
        )
        self._local = threading.local()
        self._readers: list[sqlite3.Connection] = []
        self._lock = threading.Lock()

    def write(self, work: Callable[[Connection], T]) -> T:
        """Do `work` in a durable transaction and give its answer after the commit.

        Raises:
            StorageError: the database refused (full disk, corruption); nothing was changed.
            Exception: whatever `work` raised; its changes are undone.
        """
        try:
            result: T = self._together.ask(work).result
        except ClosedError as error:
            raise StorageError("the storage is closed") from error
        return result

    write_beside = write

    def shelf(self, folder: Path) -> Shelf:
        """Files: there is one node."""
        return FolderShelf(folder)

    def turn(self) -> AbstractContextManager[bool]:
        """Always: the one process that serves has the installation's lock."""
        return nullcontext(enter_result=True)

    @staticmethod
    def stream(connection: Connection, sql: str, values: Sequence[Any] = ()) -> Iterator[Any]:
        """The rows of a question as plain tuples, as they are read."""
        assert isinstance(connection, sqlite3.Connection)  # noqa: S101 (this storage made it)
        cursor = connection.cursor()
        cursor.row_factory = None
        return cursor.execute(sql, values)

    def read(self) -> sqlite3.Connection:
        """This thread's own connection, which refuses to write."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = connect(self.path, checkpoints=False)
            connection.execute("PRAGMA query_only=ON")
            self._local.connection = connection
            with self._lock:
                self._readers.append(connection)
        return connection

    def close(self) -> None:
        """Let the writer finish what is waiting, then let go of the file."""
        self._together.close()
        with self._lock:
            for connection in (self._writer, *self._readers):
                connection.close()

    def sweep(self) -> None:
        """Empty the write-ahead log into the database.

        Deleted rows are overwritten in the file (secure_delete), but stand in the log until then. Whoever
        reads keeps it from being emptied, and is waited for a few times.
        """
        connection = connect(self.path, checkpoints=True)
        try:
            connection.execute(f"PRAGMA busy_timeout={_SWEEP_MS}")
            for _ in range(_SWEEPS):
                blocked, *_rest = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                if not blocked:
                    return
            _LOG.warning("the log of %s could not be emptied: somebody reads from it", self.path.name)
        finally:
            connection.close()

    def measured(self) -> list[tuple[str, float]]:
        """The sizes of the file and of its log."""
        log = self.path.with_name(f"{self.path.name}-wal")
        files = (("headend_database_bytes", self.path), ("headend_database_log_bytes", log))
        return [(name, path.stat().st_size) for name, path in files if path.exists()]

    def backup_to(self, target: Path) -> None:
        """Copy the database as it stands at one moment into a new file."""
        make_private(target)
        copy = sqlite3.connect(target)
        try:
            self.read().backup(copy)
        finally:
            copy.close()

    def _commit(self, group: list[Work]) -> list[Done | Exception]:
        try:
            if len(group) == 1:
                return [self._told(_do_alone(self._writer, group[0]))]
            with immediate(self._writer):
                return [self._told(_do(self._writer, work)) for work in group]
        except sqlite3.Error as error:
            raise StorageError(f"{self.path}: {error}") from error

    def _told(self, done: Done | Exception) -> Done | Exception:
        """The same, unless the database could not write: for want of room, or because it may not."""
        return StorageError(f"{self.path}: {done}") if isinstance(done, sqlite3.OperationalError) else done


class _UndoneError(Exception):
    """A work raised, so its transaction is rolled back."""


def _do_alone(connection: sqlite3.Connection, work: Work) -> Done | Exception:
    """Without a savepoint: SQLite would copy every page before its first change, only to throw that away."""
    met: list[Exception] = []
    with suppress(_UndoneError), immediate(connection):
        try:
            return Done(work(connection))
        except Exception as error:  # whatever it is, it reaches the one who waits
            met.append(error)
            raise _UndoneError from error
    return met[0]


def _do(connection: sqlite3.Connection, work: Work) -> Done | Exception:
    connection.execute("SAVEPOINT work")
    try:
        done: Done | Exception = Done(work(connection))
    except Exception as error:  # noqa: BLE001 (whatever it is, it reaches the one who waits)
        connection.execute("ROLLBACK TO work")
        done = error
    connection.execute("RELEASE work")
    return done

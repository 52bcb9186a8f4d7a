"""PostgreSQL for one side: what the SQLite storage promises, for several processes on several machines.

Most writes are alone, as on SQLite: they hold a lock that excludes all other writes of that database, so
that whatever they decide by stands still. Work that is given to `write_beside` holds it together with the
like from other nodes, and locks the rows it decides by. What all of it would have to queue for, such as the
end of a chain, is put off to the end of the transaction (`PostgresTransaction.later`), where it is done for
a whole group at once under a lock that is held until the commit and no longer.

Nothing here outlives a transaction on the server: no settings, no session locks, no statements by name where
a pooler stands between. So pgbouncer may pool transactions.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Final, TypeVar

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import tuple_row

from headend.kit.engine import Connection, Found, Shelf
from headend.kit.metering import GroupMeter
from headend.kit.postgres_locks import Lock, taking
from headend.kit.postgres_rows import adapt, rows
from headend.kit.postgres_schema import Schema, migrate
from headend.kit.postgres_weeks import Weeks
from headend.kit.shelf import TableShelf
from headend.kit.spelling import spelled
from headend.kit.storage import GROUP_LIMIT, Done, StorageError, UnfitValueError
from headend.kit.together import ClosedError, Together

T = TypeVar("T")
Work = Callable[[Connection], Any]
Settle = Callable[[Connection, list[Any]], None]

log = logging.getLogger(__name__)

CONNECT_SECONDS = 10
_TRIES = 5
_streams = count()
_STREAMED = 2_000
"""Rows that are fetched at once of what is read without being held in memory."""
NEAREST_LIMIT: Final = (
    "SELECT whose, taken, most FROM (VALUES "
    "('server', (SELECT sum(numbackends) FROM pg_stat_database), current_setting('max_connections')::int "
    "- current_setting('superuser_reserved_connections')::int "
    "- coalesce(current_setting('reserved_connections', true)::int, 0)), "
    "('database', (SELECT numbackends FROM pg_stat_database WHERE datname = current_database()), "
    "(SELECT datconnlimit FROM pg_database WHERE datname = current_database())), "
    "('role', (SELECT count(*) FROM pg_stat_activity WHERE usename = current_user), "
    "(SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user))"
    ") AS limits (whose, taken, most) WHERE most >= 0 ORDER BY taken::float / greatest(most, 1) DESC LIMIT 1"
)
"""Of the server's, the database's and the role's limit of connections the one of which the largest part is
taken: whose it is, how many are taken, by whomever, and how many there may be."""
BY_BYTES: Final = frozenset({"C", "C.UTF-8", "C.utf8", "POSIX"})
"""Collations that sort texts by their bytes."""
_AGAIN = (errors.SerializationFailure, errors.DeadlockDetected, errors.LockNotAvailable)


class ReadOnlyError(StorageError):
    """A look was asked to write."""


class UnsafeServerError(StorageError):
    """The server's settings break a promise: commits that are not durable, or texts in another order."""


class BadAddressError(StorageError):
    """The address of a database cannot be read; the message holds nothing of it."""

    def __init__(self, whose: str = "the") -> None:
        super().__init__(
            f"the address of {whose} database cannot be read: in names and passwords whatever is no letter "
            "or digit is written %XX"
        )


def read_address(url: str) -> dict[str, str]:
    """What an address says, by the names of libpq's parameters.

    Raises:
        BadAddressError: it cannot be read; what libpq says of it may be part of a password, and is not told.
    """
    try:
        said = {name: str(value) for name, value in conninfo_to_dict(url).items() if value is not None}
    except psycopg.ProgrammingError:
        raise BadAddressError from None
    if not all(port.isdecimal() for port in said.get("port", "").split(",") if port):
        raise BadAddressError
    return said


def connect(url: str) -> psycopg.Connection[Any]:
    """A connection; statements are prepared only where no pooler stands between.

    Raises:
        BadAddressError: the address cannot be read.
        StorageError: no server answers, or it does not let us in.
    """
    read_address(url)
    try:
        raw = psycopg.connect(url, autocommit=True, connect_timeout=CONNECT_SECONDS, row_factory=rows)
    except psycopg.Error as error:
        raise StorageError(f"no connection to the database: {error}") from error
    adapt(raw)
    own = raw.execute("SELECT pg_backend_pid()").fetchone()
    # A pooler tells a process number of its own when it connects, and hands each transaction to any server.
    if own is None or own[0] != raw.info.backend_pid:
        raw.prepare_threshold = None
    return raw


class PostgresConnection:
    """`Connection` over one connection of the driver."""

    def __init__(self, raw: psycopg.Connection[Any]) -> None:
        self.raw = raw

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> Found:
        """Run one statement.

        Raises:
            UnfitValueError: a value is none that its column can keep, such as a text with U+0000.
        """
        said = spelled(sql, bare=not values)
        try:
            return self.raw.execute(said.text, said.bind(values))
        except psycopg.DataError as error:
            raise UnfitValueError(f"the database cannot keep that: {error}") from error

    def executemany(self, sql: str, many: Iterable[Sequence[Any]], /) -> Found:
        """Run one statement for each row of values, in one trip to the server.

        Raises:
            UnfitValueError: as `execute`.
        """
        said = spelled(sql, bare=False)
        cursor = self.raw.cursor()
        try:
            cursor.executemany(said.text, [said.bind(values) or () for values in many])
        except psycopg.DataError as error:
            raise UnfitValueError(f"the database cannot keep that: {error}") from error
        return cursor


class PostgresLook(PostgresConnection):
    """A connection for reading: it takes questions only, and comes back after the server has been away."""

    def __init__(self, url: str) -> None:
        self._url = url
        super().__init__(connect(url))

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> Found:
        """Run one question.

        Raises:
            ReadOnlyError: it is none.
            StorageError: the server is away.
        """
        if not sql.startswith(("SELECT", "WITH")):
            raise ReadOnlyError("a look cannot write")
        if not self.raw.closed:
            with suppress(psycopg.OperationalError):
                return super().execute(sql, values)
            self.raw.close()
        self.raw = connect(self._url)
        try:
            return super().execute(sql, values)
        except psycopg.OperationalError as error:
            raise StorageError(str(error)) from error

    def executemany(self, sql: str, many: Iterable[Sequence[Any]], /) -> Found:  # noqa: ARG002
        """Never.

        Raises:
            ReadOnlyError: always.
        """
        raise ReadOnlyError("a look cannot write")


class _Held:
    """A look in a thread's hands; when the thread has ended the next one that begins gets it."""

    def __init__(self, look: PostgresLook, free: deque[PostgresLook]) -> None:
        self.look = look
        self._free = free

    def __del__(self) -> None:
        self._free.append(self.look)


class _Sent:
    """The rows of a statement that was sent without waiting; whoever asks for them waits."""

    def __init__(self, cursor: psycopg.Cursor[Any], pipeline: psycopg.Pipeline) -> None:
        self._cursor, self._pipeline = cursor, pipeline

    @property
    def rowcount(self) -> int:
        """How many rows were changed."""
        self._pipeline.sync()
        return self._cursor.rowcount

    def fetchone(self) -> Any:  # noqa: ANN401 (a row of the driver)
        """The next row, or None."""
        return self._cursor.fetchone()

    def fetchall(self) -> list[Any]:
        """All rows that are left."""
        return self._cursor.fetchall()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._cursor)


class PostgresTransaction(PostgresConnection):
    """One transaction of a group of works; what is put off is done at its end.

    With a pipeline a statement is sent without waiting for the one before, and what fails is told by a later
    one, at the latest at the end of the transaction.
    """

    def __init__(
        self, raw: psycopg.Connection[Any], *, alone: bool, pipeline: psycopg.Pipeline | None = None
    ) -> None:
        super().__init__(raw)
        self.alone = alone
        self.pipeline = pipeline
        self._put_off: dict[str, tuple[Settle, list[Any]]] = {}

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> Found:
        """Run one statement, or send it."""
        found = super().execute(sql, values)
        if self.pipeline is None:
            return found
        assert isinstance(found, psycopg.Cursor)  # noqa: S101 (the driver's own)
        return _Sent(found, self.pipeline)

    def later(self, what: str, item: object, settle: Settle) -> None:
        """Put `item` off to the end of the transaction, where `settle` is called once with all of `what`."""
        self._put_off.setdefault(what, (settle, []))[1].append(item)

    def waiting(self, what: str) -> bool:
        """Whether anything of `what` is put off."""
        return bool(self._put_off.get(what, (None, ()))[1])

    def settle(self) -> None:
        """Do what was put off, with the ends of all chains locked until the commit."""
        if not any(items for _, items in self._put_off.values()):
            return
        self.raw.execute(taking(Lock.ENDS))
        for settle, items in self._put_off.values():
            waiting, items[:] = list(items), []
            if waiting:
                settle(self, waiting)

    def do(self, work: Work) -> Done | Exception:
        """Do one work; if it fails, it alone is undone."""
        marks = {what: len(items) for what, (_, items) in self._put_off.items()}
        self.raw.execute("SAVEPOINT work")
        try:
            done: Done | Exception = Done(work(self))
        except psycopg.OperationalError:
            raise  # a deadlock, or the server is away: all of the group is done again
        except Exception as error:  # noqa: BLE001 (whatever it is, it reaches the one who waits)
            self.raw.execute("ROLLBACK TO SAVEPOINT work")
            for what, (_, items) in self._put_off.items():
                del items[marks.get(what, 0) :]
            done = error
        self.raw.execute("RELEASE SAVEPOINT work")
        return done


class PostgresStorage:
    """One side's database on a PostgreSQL server; see `Engine`."""

    def __init__(self, url: str, schema: Schema) -> None:
        self.url = url
        try:
            opened = connect(url)
        except BadAddressError:
            raise BadAddressError(f"{schema.side}'s") from None
        with opened as raw:
            check(raw)
            migrate(raw, schema)
        self._alone: Together[Work, Done] = Together(
            partial(self._group, alone=True), GROUP_LIMIT, GroupMeter(schema.side)
        )
        self._beside: Together[Work, Done] = Together(
            partial(self._group, alone=False), GROUP_LIMIT, GroupMeter(schema.side)
        )
        self.weeks = Weeks()
        self._writers: dict[bool, psycopg.Connection[Any]] = {}
        self._local = threading.local()
        self._looks: list[PostgresLook] = []
        self._free: deque[PostgresLook] = deque()
        self._lock = threading.Lock()

    # --- writing
    def write(self, work: Callable[[Connection], T]) -> T:
        """Do `work` alone; see `Engine.write`."""
        return _asked(self._alone, work)

    def write_beside(self, work: Callable[[Connection], T]) -> T:
        """Do `work` beside that of other nodes; if they get in each other's way, alone."""
        try:
            return _asked(self._beside, work)
        except psycopg.Error:
            return self.write(work)

    def _group(self, group: list[Work], *, alone: bool) -> list[Done | Exception]:
        for attempt in range(1, _TRIES + 1):
            try:
                return self._commit(group, alone=alone)
            except _AGAIN:
                log.info("a transaction is done again (%s)", attempt)
            except psycopg.OperationalError as error:
                self._drop_writer(alone=alone)
                log.warning("the database went away: %s", error)
            except psycopg.Error:
                self._drop_writer(alone=alone)
                if len(group) == 1:
                    raise
                # One of them fails at the end of the transaction, where it takes the others with it.
                return [self._single(work, alone=alone) for work in group]
        raise StorageError("the database did not take it")

    def _single(self, work: Work, *, alone: bool) -> Done | Exception:
        try:
            return self._group([work], alone=alone)[0]
        except (psycopg.Error, StorageError) as error:
            return error

    def _commit(self, group: list[Work], *, alone: bool) -> list[Done | Exception]:
        """Do a group and commit it: swiftly, hoping that nothing fails; if something does, with savepoints.

        What went wrong at the commit itself is never repeated here: see `_end`.
        """
        if alone and len(group) > 1:
            done = self._carefully(group, alone=alone)
        else:
            try:
                with self._begun(alone=alone, swift=True) as transaction:
                    done = [Done(work(transaction)) for work in group]
            except psycopg.OperationalError:
                raise
            except Exception as error:  # noqa: BLE001 (whatever it is, it reaches the one whose it is)
                if len(group) == 1:
                    return [error]
                done = self._carefully(group, alone=alone)
        self._end(self._writers[alone], alone=alone)
        return done

    def _carefully(self, group: list[Work], *, alone: bool) -> list[Done | Exception]:
        with self._begun(alone=alone, swift=False) as transaction:
            return [transaction.do(work) for work in group]

    @contextmanager
    def _begun(self, *, alone: bool, swift: bool) -> Iterator[PostgresTransaction]:
        """A transaction that is ready to be committed after the body, or undone if that fails."""
        raw = self._writer(alone=alone)
        how = "pg_advisory_xact_lock" if alone else "pg_advisory_xact_lock_shared"
        raw.execute(f"BEGIN; {taking(Lock.WRITES, how)}")
        try:
            with ExitStack() as opened:
                # A pooler has to see where each statement ends; work that is alone may stream.
                piped = swift and not alone and raw.prepare_threshold is not None
                pipeline = opened.enter_context(raw.pipeline()) if piped else None
                transaction = PostgresTransaction(raw, alone=alone, pipeline=pipeline)
                yield transaction
                transaction.settle()
        except BaseException:
            if not raw.closed:
                raw.execute("ROLLBACK")
            raise

    def _end(self, raw: psycopg.Connection[Any], *, alone: bool) -> None:
        """Commit; whether it happened cannot be known if the connection breaks now, so nothing is repeated.

        Raises:
            StorageError: it may or may not be stored; whoever asked asks again, which is safe.
        """
        try:
            said = raw.execute("COMMIT").statusmessage
        except psycopg.OperationalError as error:
            self._drop_writer(alone=alone)
            raise StorageError(f"the database went away while it was to commit: {error}") from error
        if said != "COMMIT":
            raise StorageError(f"the database answered a commit with {said}")

    def _writer(self, *, alone: bool) -> psycopg.Connection[Any]:
        raw = self._writers.get(alone)
        if raw is None or raw.closed:
            raw = self._writers[alone] = connect(self.url)
        return raw

    def _drop_writer(self, *, alone: bool) -> None:
        raw = self._writers.pop(alone, None)
        if raw is not None:
            raw.close()

    # --- reading
    def read(self) -> Connection:
        """This thread's own connection, which refuses to write."""
        held: _Held | None = getattr(self._local, "held", None)
        if held is None:
            held = self._local.held = _Held(self._look(), self._free)
        return held.look

    def _look(self) -> PostgresLook:
        with suppress(IndexError):
            return self._free.popleft()
        look = PostgresLook(self.url)
        with self._lock:
            self._looks.append(look)
        return look

    def stream(self, connection: Connection, sql: str, values: Sequence[Any] = ()) -> Iterator[Any]:
        """The rows of a question as they are read; a look reads them over a connection of their own."""
        said = spelled(sql, bare=not values)
        if isinstance(connection, PostgresTransaction) and connection.pipeline is not None:
            # No cursor of the server's in a pipeline; work beside that of others has little to read.
            yield from connection.raw.cursor(row_factory=tuple_row).execute(said.text, said.bind(values))
            return
        if isinstance(connection, PostgresTransaction):
            yield from streamed(connection.raw, said.text, said.bind(values))
            return
        with connect(self.url) as raw:
            raw.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield from streamed(raw, said.text, said.bind(values))
            raw.execute("COMMIT")

    # --- the rest
    def shelf(self, folder: Path) -> Shelf:
        """Sealed rows, under the key in `folder` that all nodes have."""
        return TableShelf(self, folder)

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """Hold the lock of the jobs as long as the body runs, in a transaction of a connection of its own.

        If this process dies, or its connection does, the server lets the lock go.
        """
        with connect(self.url) as raw:
            found = raw.execute(f"BEGIN; {taking(Lock.JOBS, 'pg_try_advisory_xact_lock')}")
            while found.nextset():
                pass
            mine = found.fetchone()
            try:
                yield bool(mine and mine[0])
            finally:
                with suppress(psycopg.Error):
                    raw.execute("ROLLBACK")

    def sweep(self) -> None:
        """Nothing to do: the server takes away what was deleted by itself (autovacuum)."""

    def measured(self) -> list[tuple[str, float]]:
        """The size of the database, and how near the nearest limit of its connections is."""
        (size,) = self.read().execute("SELECT pg_database_size(current_database())").fetchone()
        _, taken, most = self.read().execute(NEAREST_LIMIT).fetchone()
        return [
            ("headend_database_bytes", size),
            ("headend_database_connections", taken),
            ("headend_database_connections_limit", most),
        ]

    def close(self) -> None:
        """Let the writers finish what is waiting, then let go of every connection."""
        self._alone.close()
        self._beside.close()
        for raw in self._writers.values():
            raw.close()
        with self._lock:
            for look in self._looks:
                look.raw.close()


def _asked(line: Together[Work, Done], work: Callable[[Connection], T]) -> T:
    try:
        result: T = line.ask(work).result
    except ClosedError as error:
        raise StorageError("the storage is closed") from error
    return result


def streamed(raw: psycopg.Connection[Any], text: str, values: Any) -> Generator[Any, None, None]:  # noqa: ANN401
    """The rows of a question as plain tuples, as they are read; within a transaction."""
    with raw.cursor(name=f"streamed {next(_streams)}", row_factory=tuple_row) as cursor:
        cursor.itersize = _STREAMED
        cursor.execute(text, values)
        yield from cursor


def check(raw: psycopg.Connection[Any]) -> None:
    """Refuse a server on which what this code promises would not hold.

    Raises:
        UnsafeServerError: with what to set.
    """
    for setting, wanted, why in (
        ("synchronous_commit", {"on", "local", "remote_write", "remote_apply"}, "a commit must be durable"),
        ("server_encoding", {"UTF8"}, "texts are UTF-8"),
    ):
        found = raw.execute(f"SHOW {setting}").fetchone()
        if found is None or found[0] not in wanted:
            raise UnsafeServerError(f"{setting} is {found and found[0]}: {why}")
    order = raw.execute("SELECT datcollate FROM pg_database WHERE datname = current_database()").fetchone()
    if order is None or order[0] not in BY_BYTES:
        raise UnsafeServerError(f"the database sorts by {order and order[0]}: make it with LC_COLLATE 'C'")

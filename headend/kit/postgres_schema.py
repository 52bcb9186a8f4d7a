"""A side's tables on PostgreSQL: migrations by name, made by whichever node comes first."""

from dataclasses import dataclass
from typing import Any, Final

import psycopg

from headend.kit.engine import ENGINE_COLUMNS
from headend.kit.postgres_locks import Lock, taking
from headend.kit.storage import NewerDatabaseError, StorageError, UndeclaredColumnError
from shared.field_register import declared_columns

_OWN = (
    "CREATE TABLE IF NOT EXISTS migrations "
    "(name TEXT PRIMARY KEY, breaks BOOLEAN NOT NULL, made TIMESTAMPTZ NOT NULL DEFAULT now())"
)
_COLUMNS = """
SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = current_schema() AND table_name NOT IN (
    SELECT inhrelid::regclass::text FROM pg_inherits)"""


class HalfMovedError(StorageError):
    """`headend migrate` is filling this database and has not verified it yet."""


@dataclass(frozen=True)
class Migration:
    """One step: its name, for ever, and the script that makes it."""

    name: str
    script: str
    breaks: bool = False
    """Whether the version before this step cannot go on with it; a step that only adds breaks nothing."""


@dataclass(frozen=True)
class Schema:
    """A side's steps, in order; `partitioned` names the tables that have a part for each week."""

    side: str
    steps: tuple[Migration, ...]
    partitioned: tuple[str, ...] = ()


SEALED_KEYS: Final = Migration(
    "sealed_keys", "CREATE TABLE sealed_keys (name TEXT PRIMARY KEY, sealed BYTEA NOT NULL)"
)
"""Every side's: its own keys, which all nodes share; see headend.kit.shelf."""
_NOT_KEPT: Final = frozenset({"migrations", "moving", "sealed_keys"})
"""Tables of the machinery, in which nothing stands that the register would have to declare."""


def migrate(raw: psycopg.Connection[Any], schema: Schema, *, moving: bool = False) -> None:
    """Bring the database to the newest schema, and refuse columns that the register does not declare.

    `moving` says that whoever asks is filling it from a file.

    Raises:
        HalfMovedError: somebody else is.
        NewerDatabaseError: it has been through steps that this version does not know and that break it. Steps
            that only add are let be: while nodes are replaced one by one, old ones start beside new ones.
        UndeclaredColumnError: a column stands in the schema but not in the register of fields.
    """
    with raw.transaction():
        raw.execute(taking(Lock.SCHEMA))
        raw.execute(_OWN)
        done = {
            str(name): bool(breaks) for name, breaks in raw.execute("SELECT name, breaks FROM migrations")
        }
        known = {step.name for step in schema.steps}
        unknown = {name for name, breaks in done.items() if breaks} - known
        if unknown:
            raise NewerDatabaseError(
                f"the database of {schema.side} has been through {', '.join(sorted(unknown))}, "
                "which this version does not know; install the version that made it"
            )
        for step in schema.steps:
            if step.name not in done:
                raw.execute(step.script.encode())
                said = (step.name, "true" if step.breaks else "false")
                raw.execute("INSERT INTO migrations (name, breaks) VALUES (%s, %s::boolean)", said)
        if set(done) <= known:
            check_declared(raw, schema.side)
        if not moving:
            check_whole(raw, schema.side)


def check_whole(raw: psycopg.Connection[Any], side: str) -> None:
    """Refuse a database that is being filled from a file; asks, never writes.

    Raises:
        HalfMovedError: `headend migrate` has not verified it yet.
    """
    marked = raw.execute("SELECT to_regclass('moving')").fetchone()
    if marked is None or marked[0] is None:
        return
    row = raw.execute("SELECT done FROM moving WHERE what = ''").fetchone()
    if row is None or not row[0]:
        raise HalfMovedError(f"the database of {side} is being filled by `headend migrate`; end that first")


def check_declared(raw: psycopg.Connection[Any], side: str) -> None:
    """Refuse columns that the register of fields does not declare; asks, never writes.

    Raises:
        UndeclaredColumnError: one stands in the schema but not in the register.
    """
    declared = declared_columns(side)
    found: dict[str, set[str]] = {}
    for table, column in raw.execute(_COLUMNS):
        if table not in _NOT_KEPT:
            found.setdefault(table, set()).add(column)
    for table, columns in found.items():
        unknown = columns - declared.get(table, frozenset()) - ENGINE_COLUMNS
        if unknown:
            raise UndeclaredColumnError(f"{side}.{table}: {', '.join(sorted(unknown))}")

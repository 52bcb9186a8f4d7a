"""Copying one table, some rows in a transaction, which records in the same breath how far it has come.

The tables' triggers are off within these transactions, and on again when they commit. What they would do has
been done: running sums are copied as they stand and recounted at the end, and a credit that fitted its bill
still does. Foreign keys, keys and checks stay in force. Nobody else sees a table without its guards, since
switching them off locks it until the commit.
"""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, Final

import psycopg

from headend.kit.engine import Connection
from headend.kit.postgres import PostgresConnection
from headend.kit.storage import StorageError
from headend.moving.marks import advance, position
from headend.moving.tables import STRAND, Table, quoted

AT_ONCE: Final = 5_000
"""Rows in one transaction, unless they are long."""
MOST_BYTES: Final = 16 << 20
"""Signed messages, tables of releases: a transaction of them is held in memory once."""
_SPARE: Final = 64
"""Bytes that a row may have beside what can be measured."""

Tell = Callable[[str, int], None]
"""Hears a table's name and how many of its rows are there, after each commit."""


class UnfitRowError(StorageError):
    """PostgreSQL refuses a row that SQLite has kept."""


def copy_table(source: Connection, target: PostgresConnection, table: Table, at_once: int, tell: Tell) -> int:
    """Copy what is not there yet; gives how many rows there are.

    Raises:
        UnfitRowError: a row does not fit; the message says after which key.
    """
    last, count, done = position(target, table.name)
    if done:
        return count
    rows = _rows(source, table, last)
    for chunk in _chunks(rows, at_once):
        last, count = _place(table, chunk[-1]), count + len(chunk)
        try:
            with target.raw.transaction():
                _insert(target, table, chunk)
                advance(target, table.name, last, count, done=False)
        except psycopg.DataError as error:
            raise UnfitRowError(f"{table.name}: a row up to {last} does not fit: {error}") from error
        tell(table.name, count)
    with target.raw.transaction():
        _count_on(target, table)
        advance(target, table.name, last, count, done=True)
    return count


def _rows(source: Connection, table: Table, last: list[Any] | None) -> Iterator[tuple[Any, ...]]:
    walked = quoted(*table.walked)
    marks = ", ".join("?" for _ in table.walked)
    after = f"WHERE ({walked}) > ({marks}) " if last is not None else ""
    sql = f"SELECT {quoted(*table.columns)} FROM {quoted(table.name)} {after}ORDER BY {walked}"
    return (tuple(row) for row in source.execute(sql, last or ()))


def _place(table: Table, row: tuple[Any, ...]) -> list[Any]:
    return [row[table.columns.index(column)] for column in table.walked]


def _chunks(rows: Iterator[tuple[Any, ...]], at_once: int) -> Iterator[list[tuple[Any, ...]]]:
    chunk: list[tuple[Any, ...]] = []
    size = 0
    for row in rows:
        chunk.append(row)
        size += _SPARE + sum(len(value) for value in row if isinstance(value, bytes | str))
        if len(chunk) >= at_once or size >= MOST_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _insert(target: PostgresConnection, table: Table, chunk: list[tuple[Any, ...]]) -> None:
    name, strand = quoted(table.name), (STRAND,) if table.stranded else ()
    if table.guarded:
        target.execute(f"ALTER TABLE {name} DISABLE TRIGGER USER")
    copy = f"COPY {name} ({quoted(*table.columns, *strand)}) FROM STDIN"
    with target.raw.cursor() as cursor, cursor.copy(copy.encode()) as copied:
        for row in chunk:
            copied.write_row(tuple(chain(row, (0 for _ in strand))))
    if table.guarded:
        target.execute(f"ALTER TABLE {name} ENABLE TRIGGER USER")


def _count_on(target: PostgresConnection, table: Table) -> None:
    """Let the target number its next row as SQLite would: one more than the highest."""
    if table.numbered is None:
        return
    column = quoted(table.numbered)
    target.execute(
        "SELECT setval(pg_get_serial_sequence(?, ?), "
        f"coalesce((SELECT max({column}) FROM {quoted(table.name)}), 0) + 1, FALSE)",
        (quoted(table.name), table.numbered),
    )

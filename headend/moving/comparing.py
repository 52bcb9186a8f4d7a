"""Comparing one table in both databases, row by row in the order of its key, never all in memory."""

import hashlib
from contextlib import closing
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import msgspec

from headend.kit.engine import Connection
from headend.kit.postgres import PostgresConnection, streamed
from headend.moving.tables import Table, quoted
from shared.errors import StbError

_GUARDS_OFF = "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'O'"
_UNCHECKED = "SELECT count(*) FROM pg_constraint WHERE NOT convalidated"


class NotTheSameError(StbError):
    """The target does not hold what the file does; the message says where."""


@dataclass(frozen=True)
class Same:
    """A table that is the same in both: how many rows, and the SHA-256 of all of them in order.

    The hash is over each row's values as a MessagePack array, one after another.
    """

    table: str
    rows: int
    sha256: str


def compare(source: Connection, target: PostgresConnection, table: Table) -> Same:
    """Read both tables through; every row is compared.

    Raises:
        NotTheSameError: a row differs, is missing or is one too many; names its key.
    """
    sql = f"SELECT {quoted(*table.columns)} FROM {quoted(table.name)} ORDER BY {quoted(*table.key)}"
    digest, count = hashlib.sha256(), 0
    here = (tuple(row) for row in source.execute(sql))
    with target.raw.transaction(), closing(streamed(target.raw, sql, None)) as there:
        for ours, theirs in zip_longest(here, there):
            if ours != theirs:
                raise NotTheSameError(f"{table.name}: {_told(table, ours, theirs)}")
            digest.update(msgspec.msgpack.encode(theirs))
            count += 1
    return Same(table.name, count, digest.hexdigest())


def _told(table: Table, ours: tuple[Any, ...] | None, theirs: tuple[Any, ...] | None) -> str:
    """Where two rows part, by their keys; never what stands in them."""
    if ours is None:
        return f"the target has a row too many, {_key(table, theirs)}"
    if theirs is None or _key(table, ours) != _key(table, theirs):
        return f"the row {_key(table, ours)} is not where it should be in the target"
    pairs = zip(table.columns, ours, theirs, strict=True)
    other = [column for column, one, two in pairs if one != two]
    return f"the row {_key(table, ours)} differs in {', '.join(other)}"


def _key(table: Table, row: tuple[Any, ...] | None) -> str:
    values = dict(zip(table.columns, row or (), strict=True))
    return "/".join(
        value.hex() if isinstance(value, bytes) else str(value)
        for value in (values[column] for column in table.key)
    )


def check_guards(target: Connection) -> None:
    """Make sure that every trigger is on and every constraint holds for every row.

    Raises:
        NotTheSameError: one is off.
    """
    if target.execute(_GUARDS_OFF).fetchone()[0] or target.execute(_UNCHECKED).fetchone()[0]:
        raise NotTheSameError("a guard of the target's tables is off")

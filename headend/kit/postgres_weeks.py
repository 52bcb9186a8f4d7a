"""Parts of a table by week, on PostgreSQL: made when a week begins, dropped when it is forgotten.

A part is made beside its table and then attached, since that lets everybody else go on writing.
"""

import re
import weakref
from typing import Final

from headend.kit.engine import Connection
from headend.kit.postgres_locks import Lock, taking
from shared.errors import StbError

_WEEK: Final = re.compile(r"[0-9]{4}-W[0-9]{2}")


class NoWeekError(StbError):
    """A part was asked for of what is no week."""


def part_of(table: str, week: str) -> str:
    """The name of a week's part.

    >>> part_of("spent", "2026-W41")
    'spent_2026_w41'

    Raises:
        NoWeekError: it is no week.
    """
    if not _WEEK.fullmatch(week):
        raise NoWeekError(f"{week!r} is no week")
    return f"{table}_{week.replace('-', '_').lower()}"


class Weeks:
    """Which weeks' parts this process has seen standing.

    One that is made is not taken to stand before another transaction has seen it: its own may fail.
    """

    def __init__(self) -> None:
        self._seen: set[tuple[str, str]] = set()
        self._made: dict[tuple[str, str], weakref.ref[Connection]] = {}

    def open(self, connection: Connection, tables: tuple[str, ...], week: str) -> None:
        """Make a week's parts if they do not stand yet, in the transaction of `connection`.

        Raises:
            NoWeekError: it is no week.
        """
        for table in tables:
            if (table, week) not in self._seen:
                self._open(connection, table, week)

    def _open(self, connection: Connection, table: str, week: str) -> None:
        part = part_of(table, week)
        if _stands(connection, part):
            made = self._made.pop((table, week), None)
            if made is None or made() is not connection:
                self._seen.add((table, week))
            else:
                self._made[table, week] = made
            return
        # Two may come at once; the second finds it standing when the first has committed.
        connection.execute(taking(Lock.PARTS))
        if not _stands(connection, part):
            connection.execute(f"CREATE TABLE {part} (LIKE {table} INCLUDING ALL)")
            connection.execute(f"ALTER TABLE {table} ATTACH PARTITION {part} FOR VALUES IN ('{week}')")
            self._made[table, week] = weakref.ref(connection)

    def drop(self, connection: Connection, tables: tuple[str, ...], week: str) -> None:
        """Drop a week's parts with all that is in them.

        Raises:
            NoWeekError: it is no week.
        """
        for table in tables:
            connection.execute(f"DROP TABLE IF EXISTS {part_of(table, week)}")
            self._seen.discard((table, week))


def _stands(connection: Connection, part: str) -> bool:
    return connection.execute("SELECT to_regclass(?)", (part,)).fetchone()[0] is not None

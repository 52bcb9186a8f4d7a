"""The analytics store on PostgreSQL: fragments counted by several nodes at once, a part of its tables a week.

A group of fragments is three statements, whatever its size, each with its rows in the order of their key.
What is counted is added up once for a whole transaction, when it ends, under the lock of ends: so two nodes
that count the same cells wait for each other, never in a circle.
"""

from collections import Counter as Tally
from importlib.resources import files

from headend.analytics.sql import SqlDesk, SqlStore, added_up
from headend.analytics.store import Contribution, Counted, StoredDirectory, WeekState
from headend.kit.engine import Connection
from headend.kit.postgres import PostgresStorage, PostgresTransaction
from headend.kit.postgres_schema import SEALED_KEYS, Migration, Schema
from headend.kit.postgres_weeks import Weeks
from shared.weeks import Week

WEEKLY = ("spent", "counters")
"""Tables of which every week has a part of its own, which is dropped when the week is forgotten."""
SCHEMA = Schema(
    "analytics",
    (Migration("tables", (files("headend.analytics") / "tables.sql").read_text()), SEALED_KEYS),
    WEEKLY,
)
_OPEN = "SELECT week FROM weeks WHERE state = ? AND week = ANY(?)"
_SPEND = (
    "INSERT INTO spent (week, nonce) SELECT * FROM unnest(CAST(? AS TEXT[]), CAST(? AS BYTEA[])) "
    "ON CONFLICT DO NOTHING RETURNING week, nonce"
)
_ACCEPT = (
    "INSERT INTO accepted (week, measure, n) "
    "SELECT * FROM unnest(CAST(? AS TEXT[]), CAST(? AS TEXT[]), CAST(? AS BIGINT[])) "
    "ON CONFLICT (week, measure) DO UPDATE SET n = accepted.n + excluded.n"
)
_ADD = (
    "INSERT INTO counters (week, measure, cell, amount, rest) SELECT * FROM unnest("
    "CAST(? AS TEXT[]), CAST(? AS TEXT[]), CAST(? AS BIGINT[]), CAST(? AS BIGINT[]), CAST(? AS BIGINT[])) "
    "ON CONFLICT (week, measure, cell) DO UPDATE "
    "SET amount = counters.amount + excluded.amount, rest = counters.rest + excluded.rest"
)


class PostgresDesk(SqlDesk):
    """`ReleaseDesk` over one connection."""

    def __init__(self, connection: Connection, weeks: Weeks) -> None:
        super().__init__(connection)
        self._weeks = weeks

    def drop_counters(self, week: Week) -> None:
        """Forget the week's exact sums: the file that held them is removed."""
        self._weeks.drop(self._connection, ("counters",), str(week))

    def drop_nonces(self, week: Week, limit: int) -> bool:  # noqa: ARG002 (a part goes as a whole)
        """Forget which tokens of the week were spent, likewise."""
        self._weeks.drop(self._connection, ("spent",), str(week))
        return False


class PostgresStore(SqlStore):
    """`AnalyticsStore` on a PostgreSQL server."""

    storage: PostgresStorage

    def __init__(self, url: str) -> None:
        super().__init__(PostgresStorage(url, SCHEMA))

    def accept_directory(self, directory: StoredDirectory) -> None:
        self.storage.write(lambda connection: self._open_week(connection, str(directory.week)))
        super().accept_directory(directory)

    def _open_week(self, connection: Connection, week: str) -> None:
        self.storage.weeks.open(connection, WEEKLY, week)

    def _desk(self, connection: Connection | None = None) -> SqlDesk:
        return PostgresDesk(connection or self.storage.read(), self.storage.weeks)

    def _count(self, connection: Connection, contributions: list[Contribution]) -> list[Counted]:
        """Spend each token, then add up what was first; the week's state cannot change beside."""
        weeks = sorted({str(one.week) for one in contributions})
        is_open = {week for (week,) in connection.execute(_OPEN, (WeekState.OPEN.value, weeks))}
        asked = [(str(one.week), one.nonce) for one in contributions]
        keys = sorted({key for key in asked if key[0] in is_open})
        spent: set[tuple[str, bytes]] = set()
        if keys:
            found = connection.execute(_SPEND, ([week for week, _ in keys], [nonce for _, nonce in keys]))
            spent = {(week, nonce) for week, nonce in found}
        verdicts: list[Counted] = []
        first: list[tuple[str, Contribution]] = []
        for key, one in zip(asked, contributions, strict=True):
            if key[0] not in is_open:
                verdicts.append(Counted.TOO_LATE)
            elif key in spent:
                spent.discard(key)  # the second of a group with this token is not the first
                verdicts.append(Counted.FIRST)
                first.append((key[0], one))
            else:
                verdicts.append(Counted.DUPLICATE)
        if isinstance(connection, PostgresTransaction):
            connection.later("counted", first, _add_all)
        else:
            _add(connection, first)
        return verdicts


def _add_all(connection: Connection, groups: list[list[tuple[str, Contribution]]]) -> None:
    _add(connection, [one for group in groups for one in group])


def _add(connection: Connection, first: list[tuple[str, Contribution]]) -> None:
    accepted = sorted(Tally((week, one.measure) for week, one in first).items())
    if accepted:
        rows = [(*key, n) for key, n in accepted]
        connection.execute(_ACCEPT, [list(column) for column in zip(*rows, strict=True)])
    cells = added_up(first)
    if cells:
        connection.execute(_ADD, [list(column) for column in zip(*cells, strict=True)])

"""The move: SQLite files to PostgreSQL, resumable at any moment, verified before it counts.

(1) Nobody serves the installation, its files hold together and every target is free or begun by this very
move; nothing has been changed so far. (2) Both ends are marked, so that nothing else opens them. (3) Each
table is copied, those first that others point at. (4) Both databases are read through and compared, and the
books in the target are followed and recounted. (5) The settings name the targets: from this moment on they
are the installation's databases. (6) The marks are taken away, key files that are sealed in the database now
are removed, and the old databases renamed.

Whenever it is cut short, a second start goes on: before (5) where the copying stopped, after it with (6).
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

import psycopg
from psycopg.conninfo import conninfo_to_dict

from headend.installation import Installation, InstallationError, databases_of
from headend.kit.engine import Connection, is_url
from headend.kit.postgres import PostgresConnection, check, connect
from headend.kit.postgres_schema import migrate
from headend.kit.postgres_weeks import Weeks
from headend.kit.storage import connect as open_file
from headend.moving import keys, marks
from headend.moving.comparing import NotTheSameError, Same, check_guards, compare
from headend.moving.copying import AT_ONCE, copy_table
from headend.moving.sides import MOVED, MovedSide
from headend.moving.tables import Table, quoted, tables_of
from shared.errors import StbError

Heard = Callable[[str, str, int], None]
"""Hears of a side and a table how many rows are there; for the comparison the table is named `= table`."""


class BadTargetError(StbError):
    """What was named cannot be moved to."""


class AlreadyMovedError(StbError):
    """The side is on PostgreSQL already."""


class UnsoundError(StbError):
    """What the files hold does not hold together; it is to be looked into before it is moved."""


class NothingBegunError(StbError):
    """There is no move that could be given up."""


@dataclass(frozen=True)
class Order:
    """What is to be moved where: addresses by side, rows in one transaction, a name if the move is new."""

    targets: dict[str, str]
    name: str
    at_once: int = AT_ONCE


def targets_of(to: str, sides: tuple[str, ...]) -> dict[str, str]:
    """Addresses by side: `to` with `{side}` replaced.

    Raises:
        BadTargetError: it is no address of PostgreSQL, has a password, or is the same for two sides.
    """
    if not is_url(to):
        raise BadTargetError("a move goes to postgresql://…; there is no way back to files")
    try:
        found = databases_of(to, sides)
        conninfo_to_dict(to)  # with no password in it, what is told of it tells none
    except (InstallationError, psycopg.Error) as error:
        raise BadTargetError(str(error).strip()) from error
    return found


def move(installation: Installation, order: Order, heard: Heard) -> dict[str, list[Same]]:
    """Move these sides; gives of each what was found the same in both databases.

    Raises:
        InstallationError: somebody serves the installation, or its settings cannot be written.
        AlreadyMovedError: all of that has been done.
        BadTargetError: a side's file is not there.
        UnsoundError: the file does not hold together; nothing was changed.
        TargetNotEmptyError, OtherMoveError: the target is somebody else's.
        StorageError: a target cannot be used, or does not take something.
        NotTheSameError: the target does not hold what the file does; the file stays in use.
    """
    with _alone(installation):
        if _finish(installation):
            return {}
        for side in order.targets:
            _check_source(installation, side)
        with ExitStack() as opened:
            moves = [opened.enter_context(_opened(installation, side, order)) for side in order.targets]
            for one in moves:
                one.begin()
            for one in moves:
                one.copy(partial(heard, one.side.name))
            found = {one.side.name: one.verify(partial(heard, one.side.name)) for one in moves}
            for side in order.targets:
                marks.set_verified(installation, side)
            moved = installation.place_at(order.targets)
        _finish(moved)
        return found


def give_up(installation: Installation) -> list[str]:
    """Let a move that was begun go: the files are in use again. Gives the sides.

    What is in the targets stays there; a new move wants empty databases.

    Raises:
        InstallationError: somebody serves the installation.
        NothingBegunError: no move has begun.
        AlreadyMovedError: it is past its end; starting it again finishes it.
    """
    with _alone(installation):
        begun = [side for side in MOVED if installation.moving_mark(side).exists()]
        if not begun:
            raise NothingBegunError("no move has begun")
        if any(side in installation.settings.databases for side in begun):
            raise AlreadyMovedError("the settings name the new databases: start it again to finish it")
        for side in begun:
            installation.moving_mark(side).unlink()
        return begun


@contextmanager
def _alone(installation: Installation) -> Iterator[None]:
    with ExitStack() as held:
        for lock in (installation.lock, installation.gateway_lock):
            held.callback(os.close, lock())
        yield


def _finish(installation: Installation) -> list[str]:
    """Take the marks away of sides that are moved, and rename their files; gives the sides.

    Raises:
        BadTargetError: the settings name a database that was not verified.
    """
    moved = [
        side
        for side in MOVED
        if side in installation.settings.databases and installation.moving_mark(side).exists()
    ]
    for side in moved:
        if not marks.verified(installation, side):
            raise BadTargetError(
                f"[databases] names one for {side}, whose move has not ended: take that line away"
            )
        with connect(installation.settings.databases[side]) as raw:
            keys.let_go(installation, side, PostgresConnection(raw))
            marks.remove(PostgresConnection(raw))
        if installation.database(side).exists():
            # What stands in the write-ahead log would be lost under another name.
            source = open_file(installation.database(side), checkpoints=True)
            source.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            source.close()
            installation.database(side).rename(installation.moved_file(side))
        installation.moving_mark(side).unlink()
    return moved


def _check_source(installation: Installation, side: str) -> None:
    if installation.address(side) is not None:
        raise AlreadyMovedError(f"{side} is on PostgreSQL already")
    if not installation.database(side).exists():
        raise BadTargetError(f"there is no {installation.database(side).name} to be moved")
    if installation.moving_mark(side).exists():
        return
    faults = MOVED[side].faults(installation.database(side), installation)
    if faults:
        raise UnsoundError(f"{side} does not hold together before it is moved: {'; '.join(faults)}")


@contextmanager
def _opened(installation: Installation, side: str, order: Order) -> Iterator["_Move"]:
    """One side's move with both databases open; nobody writes to the file meanwhile."""
    with ExitStack() as opened:
        source = open_file(installation.database(side), checkpoints=False)
        opened.callback(source.close)
        source.execute("BEGIN IMMEDIATE")
        raw = opened.enter_context(connect(order.targets[side]))
        check(raw)
        migrate(raw, MOVED[side].schema, moving=True)
        yield _Move(installation, MOVED[side], source, PostgresConnection(raw), order)


class _Move:
    """One side's move; the connections are open, and the source takes no writes but ours, which are none."""

    def __init__(
        self,
        installation: Installation,
        side: MovedSide,
        source: Connection,
        target: PostgresConnection,
        order: Order,
    ) -> None:
        self.side = side
        self._installation = installation
        self._source, self._target = source, target
        self._order = order
        self._tables: list[Table] = tables_of(source, target)
        mine = marks.name_here(installation, side.name)
        empty = [table.name for table in self._tables if table.name not in side.initial]
        self._begun = marks.check_free(target, empty, mine)

    def begin(self) -> None:
        """Mark both ends, and make the parts of weeks."""
        name = marks.name_of(self._installation, self.side.name, self._order.name)
        with self._target.raw.transaction():
            if not self._begun:
                marks.begin(self._target, name)
                for table in self.side.initial:
                    self._target.execute(f"DELETE FROM {quoted(table)}")
            marks.reopen(self._target)
            weeks = Weeks()
            for table in self.side.schema.partitioned:
                for week in self.side.weeks_in(self._source, table):
                    weeks.open(self._target, (table,), week)

    def copy(self, tell: Callable[[str, int], None]) -> None:
        """Copy every table, then seal the side's keys into the target."""
        for table in self._tables:
            copy_table(self._source, self._target, table, self._order.at_once, tell)
        keys.shelve(self._installation, self.side.name, self._target)

    def verify(self, tell: Callable[[str, int], None]) -> list[Same]:
        """Compare every table, then the books in the target.

        Raises:
            NotTheSameError: something is not as it was.
        """
        found = []
        for table in self._tables:
            found.append(compare(self._source, self._target, table))
            tell(f"= {table.name}", found[-1].rows)
        check_guards(self._target)
        marks.finish(self._target)
        faults = self.side.faults(self._order.targets[self.side.name], self._installation)
        if faults:
            marks.reopen(self._target)
            raise NotTheSameError(f"{self.side.name}, in the target: {'; '.join(faults)}")
        return found

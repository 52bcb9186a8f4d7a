"""What a side asks of its database, whatever engine it is: a connection, and the store around it.

Statements are written once, in the words that SQLite and PostgreSQL share, with `?` or `?1` for values; what
one of them spells otherwise stands in the room of that engine.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from shared.errors import StbError

T = TypeVar("T")

Place = Path | str
"""Where a side's database is: a file (SQLite), or a URL that begins with postgresql://."""


class Found(Protocol):
    """The rows that a statement gave; each can be read by place and by column name."""

    @property
    def rowcount(self) -> int:
        """How many rows were changed."""
        ...

    def fetchone(self) -> Any:  # noqa: ANN401 (a row of the driver)
        """The next row, or None."""
        ...

    def fetchall(self) -> list[Any]:
        """All rows that are left."""
        ...

    def __iter__(self) -> Iterator[Any]:
        """The rows, one after another."""
        ...


class Connection(Protocol):
    """One connection; inside `Engine.write` it is one transaction."""

    def execute(self, sql: str, values: Sequence[Any] = ..., /) -> Found:
        """Run one statement."""
        ...

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> Found:
        """Run one statement for each row of values."""
        ...


class Streams(Protocol):
    """Whoever can read a long answer row by row."""

    def stream(self, connection: Connection, sql: str, values: Sequence[Any] = ()) -> Iterator[Any]:
        """The rows of a question as plain tuples, as they are read, never all in memory."""
        ...


class Desk(Protocol):
    """Whoever can be asked, and does work in a transaction."""

    def write(self, work: Callable[[Connection], T]) -> T:
        """Do `work` in a durable transaction; see `Engine.write`."""
        ...

    def read(self) -> Connection:
        """A connection for questions."""
        ...


class Shelf(Protocol):
    """A side's own keys by name."""

    def get(self, name: str) -> bytes | None:
        """A key, if it is there.

        Raises:
            KeyFileError: it cannot be trusted or opened.
        """
        ...

    def put_once(self, name: str, key: bytes) -> bytes:
        """Keep a key unless one of that name is kept already, durably; gives the one that is kept."""
        ...

    def remove(self, prefix: str) -> None:
        """Forget every key whose name begins so."""
        ...


class Engine(Desk, Streams, Protocol):
    """One side's database."""

    def write(self, work: Callable[[Connection], T]) -> T:
        """Do `work` in a durable transaction, alone, and give its answer after the commit.

        `work` may be done again from the start if the database asks for that, so it changes nothing but
        the database.

        Raises:
            StorageError: the database refused (full disk, no connection); nothing was changed.
            Exception: whatever `work` raised; its changes are undone.
        """
        ...

    def write_beside(self, work: Callable[[Connection], T]) -> T:
        """Likewise, while other nodes do such work too: for work that locks the rows it decides by."""
        ...

    def read(self) -> Connection:
        """This thread's own connection, which refuses to write."""
        ...

    def shelf(self, folder: Path) -> Shelf:
        """Where the side's own keys stand: in `folder`, or in the database if several nodes share it."""
        ...

    def turn(self) -> AbstractContextManager[bool]:
        """Whether this process may run jobs now; while the turn is held no other process has it."""
        ...

    def sweep(self) -> None:
        """Let go of what was deleted, as far as the engine still keeps it."""
        ...

    def measured(self) -> list[tuple[str, float]]:
        """What it tells Prometheus of itself, by the names of families: its size, and what runs out.

        Raises:
            StorageError: the server is away.
        """
        ...

    def close(self) -> None:
        """Let the writer finish what is waiting, then let go of the database."""
        ...


ENGINE_COLUMNS: Final = frozenset({"rowid", "strand"})
"""Columns that say nothing of what is kept: the order of arrival, and which of several sums a writer uses."""


class DriverMissingError(StbError):
    """A database is PostgreSQL's, and the driver for it is not installed."""


def has_driver() -> bool:
    """Whether PostgreSQL's driver, which is an extra, is installed."""
    return find_spec("psycopg") is not None


def check_driver() -> None:
    """Say what is missing before it is imported.

    Raises:
        DriverMissingError: PostgreSQL's driver is not installed.
    """
    if not has_driver():
        raise DriverMissingError("a database on PostgreSQL needs the extra `postgres` (psycopg)")


def is_url(place: Place) -> bool:
    """Whether the place is a PostgreSQL database."""
    return isinstance(place, str) and place.startswith(("postgresql://", "postgres://"))

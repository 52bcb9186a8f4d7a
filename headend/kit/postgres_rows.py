"""Values and rows between PostgreSQL's driver and this house.

Flags are whole numbers in every table, sums of whole numbers are whole numbers, and a row can be read by
place and by name, as on SQLite.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, ClassVar

import psycopg
from psycopg.adapt import Loader
from psycopg.types.numeric import Int8Dumper


class Flag(Int8Dumper):
    """True and False as 1 and 0."""

    def dump(self, obj: bool) -> bytes:  # noqa: FBT001 (the driver's own signature)
        """The number as text."""
        return b"1" if obj else b"0"


class Whole(Loader):
    """What the server calls numeric, such as the sum of a column, as a whole number."""

    def load(self, data: Any) -> int:  # noqa: ANN401 (a buffer of the driver)
        """The number; ValueError if it is not whole."""
        return int(bytes(data))


class Row(tuple[Any, ...]):
    """One row, by place or by column name."""

    __slots__ = ()
    places: ClassVar[dict[str, int]] = {}

    def __getitem__(self, key: Any) -> Any:  # noqa: ANN401 (any column)
        """The value of a column."""
        return tuple.__getitem__(self, self.places[key] if isinstance(key, str) else key)

    def keys(self) -> list[str]:
        """The names of the columns."""
        return list(self.places)


@lru_cache(maxsize=512)
def _shape(names: tuple[str, ...]) -> type[Row]:
    return type("Row", (Row,), {"__slots__": (), "places": {name: n for n, name in enumerate(names)}})


def rows(cursor: psycopg.Cursor[Any]) -> Callable[[Sequence[Any]], Row]:
    """The driver's row factory."""
    return _shape(tuple(column.name for column in cursor.description or ()))


def adapt(raw: psycopg.Connection[Any]) -> None:
    """Teach a connection how values go to the server and come back."""
    raw.adapters.register_dumper(bool, Flag)
    raw.adapters.register_dumper(int, Int8Dumper)
    raw.adapters.register_loader("numeric", Whole)

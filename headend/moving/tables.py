"""What is to be moved: the tables of both databases as they stand, and in which order."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from graphlib import TopologicalSorter

from headend.kit.engine import ENGINE_COLUMNS, Connection
from headend.kit.storage import StorageError

ARRIVAL, STRAND = "rowid", "strand"
"""The order of arrival, which SQLite keeps unsaid; and which of several sums: a move fills the first."""
_HERE = "relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition"
_COLUMNS = f"""
SELECT relname, attname, attidentity <> '' FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
WHERE {_HERE} AND relname NOT IN ('migrations', 'moving') AND attnum > 0 AND NOT attisdropped
ORDER BY relname, attnum
"""
_KEYS = f"""
SELECT relname, attname FROM pg_class JOIN pg_index ON indrelid = pg_class.oid AND indisprimary
CROSS JOIN LATERAL unnest(indkey) WITH ORDINALITY AS place (number, n)
JOIN pg_attribute ON attrelid = indrelid AND attnum = number WHERE {_HERE} ORDER BY relname, n
"""
_POINTS = """
SELECT DISTINCT child.relname, parent.relname FROM pg_constraint
JOIN pg_class AS child ON child.oid = conrelid JOIN pg_class AS parent ON parent.oid = confrelid
WHERE contype = 'f' AND connamespace = current_schema()::regnamespace AND child.oid <> parent.oid
"""
_GUARDED = f"""
SELECT DISTINCT relname FROM pg_class JOIN pg_trigger ON tgrelid = pg_class.oid
WHERE {_HERE} AND NOT tgisinternal
"""


class OtherTablesError(StorageError):
    """The two databases do not have the same tables or columns."""


@dataclass(frozen=True)
class Table:
    """One table: its columns as the file has them, its key, and what only the target has.

    `walked` are the columns by which it is copied: arrival where that is kept, else the key. `numbered` is
    the column that the target counts up by itself, if one does; `guarded` says that triggers stand on it.
    """

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    numbered: str | None
    guarded: bool
    stranded: bool

    @property
    def walked(self) -> tuple[str, ...]:
        """By what it is copied."""
        return (ARRIVAL,) if ARRIVAL in self.columns else self.key


def quoted(*names: str) -> str:
    """Names as both engines take them in a statement."""
    return ", ".join(f'"{name}"' for name in names)


def tables_of(source: Connection, target: Connection) -> list[Table]:
    """The tables that are to be moved, those first that others point at.

    Raises:
        OtherTablesError: the file has what the target has no place for.
    """
    there: dict[str, dict[str, bool]] = defaultdict(dict)
    for table, column, counts in target.execute(_COLUMNS):
        there[table][column] = counts
    here = _names(source)
    if missing := here - there.keys():
        raise OtherTablesError(f"the target has no table {', '.join(sorted(missing))}")
    keys, points = _by_table(target, _KEYS), _by_table(target, _POINTS)
    guarded = {name for (name,) in target.execute(_GUARDED)}
    found = []
    for name in TopologicalSorter({name: points[name] for name in sorted(there)}).static_order():
        if name in here:
            columns = _columns(source, name, there[name])
            key = tuple(column for column in keys[name] if column in columns)
            numbered = next((column for column, counts in there[name].items() if counts), None)
            found.append(Table(name, columns, key, numbered, name in guarded, STRAND in there[name]))
    return found


def _by_table(target: Connection, sql: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for table, name in target.execute(sql):
        found[table].append(name)
    return found


def _names(source: Connection) -> set[str]:
    sql = "SELECT name FROM sqlite_master WHERE type = 'table'"
    return {name for (name,) in source.execute(sql) if not name.startswith(("sqlite_", "_sqlite_"))}


def _columns(source: Connection, name: str, there: Collection[str]) -> tuple[str, ...]:
    here = [row["name"] for row in source.execute(f"PRAGMA table_info({quoted(name)})")]
    other = set(here) ^ set(there)
    if other - ENGINE_COLUMNS:
        raise OtherTablesError(f"{name} has other columns: {', '.join(sorted(other))}")
    return (*here, ARRIVAL) if ARRIVAL in there else tuple(here)

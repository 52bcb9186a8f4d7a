"""The console's database on a PostgreSQL server; its tables are in tables.sql."""

from importlib.resources import files
from pathlib import Path

from headend.console.sql import SqlConsole
from headend.kit.postgres import PostgresStorage
from headend.kit.postgres_schema import SEALED_KEYS, Migration, Schema
from headend.kit.shelf import Shelf, TableShelf

SCHEMA = Schema(
    "console", (Migration("tables", (files("headend.console") / "tables.sql").read_text()), SEALED_KEYS)
)


class PostgresConsole(SqlConsole):
    """`ConsoleStore` on a PostgreSQL server."""

    def __init__(self, url: str, *, simulated: bool) -> None:
        self._engine = PostgresStorage(url, SCHEMA)
        super().__init__(self._engine, simulated=simulated)

    def shelf(self, folder: Path) -> Shelf:
        return TableShelf(self._engine, folder)

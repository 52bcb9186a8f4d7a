"""The console's database on a PostgreSQL server; its tables are in tables.sql."""

from importlib.resources import files

from headend.console.sql import SqlConsole
from headend.kit.postgres import PostgresStorage
from headend.kit.postgres_schema import SEALED_KEYS, Migration, Schema

SCHEMA = Schema(
    "console", (Migration("tables", (files("headend.console") / "tables.sql").read_text()), SEALED_KEYS)
)


class PostgresConsole(SqlConsole):
    """`ConsoleStore` on a PostgreSQL server."""

    def __init__(self, url: str, *, simulated: bool) -> None:
        super().__init__(PostgresStorage(url, SCHEMA), simulated=simulated)

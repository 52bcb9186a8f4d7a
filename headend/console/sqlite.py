"""The console's database in one SQLite file."""

from pathlib import Path

from headend.console.schema import migrations
from headend.console.sql import SqlConsole
from headend.kit.storage import Storage


class SqliteConsole(SqlConsole):
    """`ConsoleStore` in one SQLite file."""

    def __init__(self, path: Path, *, simulated: bool, checkpoints: bool = False) -> None:
        super().__init__(Storage(path, migrations, checkpoints=checkpoints), simulated=simulated)

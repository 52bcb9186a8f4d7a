"""Which engine the console's database is on."""

from pathlib import Path

from headend.console.sql import SqlConsole
from headend.console.sqlite import SqliteConsole
from headend.kit.engine import Place, check_driver, is_url


def open_store(place: Place, *, simulated: bool, checkpoints: bool = False) -> SqlConsole:
    """The console's store at `place`, made or brought to the newest schema.

    Raises:
        DriverMissingError: it is PostgreSQL's, whose driver is not installed.
        StorageError: it cannot be opened.
        WrongStampError: it belongs to a simulated installation and this is none, or vice versa.
    """
    if is_url(place):
        check_driver()
        from headend.console.postgres import PostgresConsole  # noqa: PLC0415 (the driver is an extra)

        return PostgresConsole(str(place), simulated=simulated)
    return SqliteConsole(Path(place), simulated=simulated, checkpoints=checkpoints)

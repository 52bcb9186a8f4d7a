"""Which engine analytics' database is on."""

from pathlib import Path

from headend.analytics.sqlite import SqliteStore
from headend.analytics.store import AnalyticsStore
from headend.kit.engine import Place, check_driver, is_url


def open_store(place: Place, *, checkpoints: bool = False) -> AnalyticsStore:
    """Analytics' store at `place`, made or brought to the newest schema.

    Raises:
        DriverMissingError: it is PostgreSQL's, whose driver is not installed.
        StorageError: it cannot be opened.
    """
    if is_url(place):
        check_driver()
        from headend.analytics.postgres import PostgresStore  # noqa: PLC0415 (the driver is an extra)

        return PostgresStore(str(place))
    return SqliteStore(Path(place), checkpoints=checkpoints)

"""The analytics store in one SQLite file; every write goes through the storage's one writer."""

from pathlib import Path

from headend.analytics.schema import migrations
from headend.analytics.sql import SqlStore
from headend.kit.storage import Storage


class SqliteStore(SqlStore):
    """`AnalyticsStore` in one SQLite file, in which what is deleted is overwritten."""

    storage: Storage

    def __init__(self, path: Path, *, checkpoints: bool = False) -> None:
        super().__init__(Storage(path, migrations, checkpoints=checkpoints))

"""Billing's database in one SQLite file."""

from pathlib import Path

from headend.billing.known_offers import KnownOffers
from headend.billing.schema import migrations
from headend.billing.sql import SqlBillingTx
from headend.billing.sql_store import SqlBilling
from headend.kit.storage import Storage


class SqliteBilling(SqlBilling):
    """`BillingStore` in one SQLite file."""

    storage: Storage

    def __init__(self, path: Path, *, checkpoints: bool = False) -> None:
        storage = Storage(path, migrations, checkpoints=checkpoints)
        super().__init__(storage, SqlBillingTx, KnownOffers(lambda _: storage.read()))

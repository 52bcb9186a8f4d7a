"""Which engine billing's database is on."""

from pathlib import Path

from headend.billing.sqlite import SqliteBilling
from headend.billing.store import BillingStore
from headend.kit.engine import Place, check_driver, is_url


def open_store(place: Place, *, checkpoints: bool = False) -> BillingStore:
    """Billing's store at `place`, made or brought to the newest schema.

    Raises:
        DriverMissingError: it is PostgreSQL's, whose driver is not installed.
        StorageError: it cannot be opened.
    """
    if is_url(place):
        check_driver()
        from headend.billing.postgres import PostgresBilling  # noqa: PLC0415 (the driver is an extra)

        return PostgresBilling(str(place))
    return SqliteBilling(Path(place), checkpoints=checkpoints)

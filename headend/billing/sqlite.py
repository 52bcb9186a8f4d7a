"""Billing's database in one SQLite file."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeVar

from headend.billing.known_offers import KnownOffers
from headend.billing.schema import migrations
from headend.billing.sql import SqlBillingTx
from headend.billing.store import BillingTx
from headend.kit.engine import Connection
from headend.kit.shelf import FolderShelf, Shelf
from headend.kit.storage import Storage

T = TypeVar("T")


class SqliteBilling:
    """`BillingStore` in one SQLite file."""

    def __init__(self, path: Path, *, checkpoints: bool = False) -> None:
        self.storage = Storage(path, migrations, checkpoints=checkpoints)
        self._known = KnownOffers(lambda _: self.storage.read())

    def write(self, work: Callable[[BillingTx], T]) -> T:
        return self.storage.write(lambda connection: work(self._tx(connection)))

    write_beside = write

    def read(self) -> BillingTx:
        return self._tx(self.storage.read())

    def _tx(self, connection: Connection) -> SqlBillingTx:
        return SqlBillingTx(connection, self.storage, self._known)

    def shelf(self, folder: Path) -> Shelf:
        return FolderShelf(folder)

    def turn(self) -> AbstractContextManager[bool]:
        return self.storage.turn()

    def sweep(self) -> None:
        self.storage.sweep()

    def measured(self) -> list[tuple[str, float]]:
        return self.storage.measured()

    def close(self) -> None:
        self.storage.close()

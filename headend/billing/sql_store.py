"""Billing's store over one engine; what an engine does otherwise stands in its transaction."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeVar

from headend.billing.known_offers import KnownOffers
from headend.billing.sql import SqlBillingTx
from headend.billing.store import BillingTx
from headend.kit.engine import Connection, Engine, Shelf

T = TypeVar("T")


class SqlBilling:
    """`BillingStore` over one engine, in whose transactions `form` speaks."""

    storage: Engine

    def __init__(self, storage: Engine, form: type[SqlBillingTx], known: KnownOffers) -> None:
        self.storage = storage
        self._form = form
        self._known = known

    def write(self, work: Callable[[BillingTx], T]) -> T:
        return self.storage.write(lambda connection: work(self._tx(connection)))

    def write_beside(self, work: Callable[[BillingTx], T]) -> T:
        return self.storage.write_beside(lambda connection: work(self._tx(connection)))

    def read(self) -> BillingTx:
        return self._tx(self.storage.read())

    def _tx(self, connection: Connection) -> SqlBillingTx:
        return self._form(connection, self.storage, self._known)

    def shelf(self, folder: Path) -> Shelf:
        return self.storage.shelf(folder)

    def turn(self) -> AbstractContextManager[bool]:
        return self.storage.turn()

    def sweep(self) -> None:
        self.storage.sweep()

    def measured(self) -> list[tuple[str, float]]:
        return self.storage.measured()

    def close(self) -> None:
        self.storage.close()

"""What is looked at: an installation's folder, opened as far as it can be, without changing a byte of it."""

import tomllib
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from headend.billing.store import BillingTx
from headend.installation import SETTINGS, Installation
from headend.kit.engine import Shelf
from headend.kit.shelf import FolderShelf
from shared.clock import to_ms
from shared.errors import StbError
from shared.system_clock import SystemClock

Row = tuple[Any, ...]


class CannotLookError(StbError):
    """This could not be looked at, because of what another check tells of."""


class Look(Protocol):
    """A side's database, read only. SQL is such as every engine of the house understands."""

    def rows(self, sql: str) -> list[Row]:
        """What a question gives.

        Raises:
            CannotLookError: the database refuses.
        """
        ...

    def billing(self) -> BillingTx:
        """The same database as billing's store sees it."""
        ...

    def shelf(self, folder: Path) -> Shelf:
        """The side's own keys, of which those in files stand in `folder`."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class Engine(Protocol):
    """How a side's database is opened for looking at."""

    def __call__(self, patient: "Patient", side: str) -> Look:
        """Open it.

        Raises:
            CannotLookError: there is none, or it cannot be opened.
        """
        ...


class Patient:
    """An installation that may be damaged anywhere; whatever is asked of it may raise.

    `sides` are those that this machine should have; `thorough` asks for what takes as long as there are rows.
    """

    def __init__(self, folder: Path, sides: tuple[str, ...], engine: Engine, *, thorough: bool) -> None:
        self.folder = folder
        self.sides = sides
        self.thorough = thorough
        self._engine = engine
        self._looks: dict[str, Look] = {}

    @cached_property
    def installation(self) -> Installation:
        """The installation by its settings."""
        return Installation(self.folder)

    @cached_property
    def said(self) -> dict[str, Any]:
        """The settings as they stand in their file, whether they make sense or not."""
        return tomllib.loads((self.folder / SETTINGS).read_text())

    @property
    def now(self) -> datetime:
        """The instant by the installation's clock."""
        return self.installation.clock().now()

    @property
    def now_ms(self) -> int:
        """Likewise, in Unix milliseconds."""
        return to_ms(self.now)

    @property
    def real_ms(self) -> int:
        """The instant by the machine's own clock: what the console goes by."""
        return to_ms(SystemClock().now())

    def has(self, *sides: str) -> bool:
        """Whether all of them are looked at here."""
        return set(sides) <= set(self.sides)

    def look(self, side: str) -> Look:
        """A side's database, read only.

        Raises:
            CannotLookError: there is none, or it cannot be opened.
        """
        if side not in self._looks:
            self._looks[side] = self._engine(self, side)
        return self._looks[side]

    def on_postgres(self, side: str) -> bool:
        """Whether a side's database is PostgreSQL's, or should be and its address cannot be read."""
        try:
            installation = self.installation
        except StbError:
            return False
        try:
            return installation.address(side) is not None
        except StbError:
            return True

    def shelf(self, side: str) -> Shelf:
        """A side's own keys.

        Raises:
            CannotLookError: they stand in a database that cannot be opened.
        """
        keys = self.installation.keys_of(side)
        return self.look(side).shelf(keys) if self.on_postgres(side) else FolderShelf(keys)

    def rows(self, side: str, sql: str) -> list[Row]:
        """What a question to a side's database gives.

        Raises:
            CannotLookError: there is no such database, or it refuses.
        """
        return self.look(side).rows(sql)

    def close(self) -> None:
        """Let go of every database."""
        for look in self._looks.values():
            look.close()

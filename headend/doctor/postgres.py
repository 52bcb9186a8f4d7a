"""PostgreSQL looked at without touching it.

Each question is a read-only transaction of its own, so that no lock outlives it: whoever drops a week's part
waits for nobody who looks. Billing's books are read in one such transaction, as they stand at one moment.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import psycopg

from headend.billing.postgres import PostgresBillingTx
from headend.billing.store import BillingTx
from headend.doctor.patient import CannotLookError, Patient, Row
from headend.kit.engine import Connection, Shelf
from headend.kit.postgres import PostgresConnection, connect, streamed
from headend.kit.shelf import TableShelf
from headend.kit.spelling import spelled
from headend.kit.storage import StorageError

T = TypeVar("T")


class PostgresLook:
    """One database, read only."""

    def __init__(self, url: str) -> None:
        try:
            self.raw = connect(url)
        except StorageError as error:
            raise CannotLookError(str(error)) from error
        self.pooled = self.raw.prepare_threshold is None
        self.raw.read_only = True

    def within(self, ask: Callable[[psycopg.Connection[Any]], T]) -> T:
        """What is asked in one read-only transaction.

        Raises:
            CannotLookError: the database refuses.
        """
        self._end()
        try:
            with self.raw.transaction():
                return ask(self.raw)
        except psycopg.Error as error:
            raise CannotLookError(f"the database refuses: {error}") from error

    def rows(self, sql: str) -> list[Row]:
        """What a question gives."""
        return self.within(lambda raw: [tuple(row) for row in raw.execute(sql.encode())])

    def billing(self) -> BillingTx:
        """The same database as billing's store sees it, at one moment, until something else is asked."""
        self._end()
        self.raw.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        return PostgresBillingTx(PostgresConnection(self.raw), self)

    def stream(self, connection: Connection, sql: str, values: Sequence[Any] = ()) -> Iterator[Any]:
        """The rows of a question within `billing`, as they are read."""
        del connection  # there is one
        said = spelled(sql, bare=not values)
        return streamed(self.raw, said.text, said.bind(values))

    def shelf(self, folder: Path) -> Shelf:
        """The side's own keys: sealed rows."""
        return TableShelf(_Desk(self), folder)

    def _end(self) -> None:
        if not self.raw.closed and self.raw.info.transaction_status:
            self.raw.execute("ROLLBACK")

    def close(self) -> None:
        """Let go of it."""
        with suppress(psycopg.Error):
            self._end()
        self.raw.close()


class _Desk:
    """A look as a shelf asks for it; nothing can be laid on the shelf."""

    def __init__(self, look: PostgresLook) -> None:
        self._look = look

    def read(self) -> Connection:
        self._look.billing()
        return PostgresConnection(self._look.raw)

    def write(self, work: object) -> NoReturn:  # noqa: ARG002
        raise CannotLookError("a key that should be there is not")


def open_postgres(patient: Patient, side: str) -> PostgresLook:
    """The engine of a side whose database is PostgreSQL's.

    Raises:
        CannotLookError: it has no address, or cannot be opened.
    """
    url = patient.installation.address(side)
    if url is None:
        raise CannotLookError(f"nothing says where {side}'s database is")
    return PostgresLook(url)


def looked_at(patient: Patient, side: str) -> PostgresLook:
    """The look at a side's database, for what only PostgreSQL has.

    Raises:
        CannotLookError: it is another engine's, or cannot be opened.
    """
    look = patient.look(side)
    if not isinstance(look, PostgresLook):
        raise CannotLookError(f"{side} is not kept in PostgreSQL")
    return look

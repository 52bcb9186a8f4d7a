"""What the console's lists ask of billing's database: pages of rows, newest first, whatever is chosen.

A page begins after a place, which the last row of the page before tells; each costs its own rows only.
"""

from dataclasses import dataclass
from typing import Protocol

from headend.billing.rows import Batch, Dispute, Entry, OrderRow, OrderState


@dataclass(frozen=True)
class Chosen:
    """Which orders are wanted; what is empty is not asked for.

    `display` is the class that bills name (film, game, on demand), `month` the usage month (2026-10).
    """

    state: OrderState | None = None
    month: str = ""
    display: str = ""
    account: str = ""
    box: str = ""


@dataclass(frozen=True)
class ChosenBills:
    """Which bills and credit notes are wanted; what is empty is not asked for."""

    account: str = ""
    month: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Cell:
    """Orders of one usage month, state and class: how many, their payable cents, and cents credited since."""

    month: str
    state: OrderState
    display: str
    orders: int
    cents: int
    credited_cents: int


@dataclass(frozen=True)
class Waiting:
    """Orders that wait for one reason: how many, their value in cents, and since when the oldest waits."""

    reason: str
    orders: int
    cents: int
    oldest_ms: int


@dataclass(frozen=True)
class BillHead:
    """A bill or credit note without its lines; amounts in cents."""

    number: str
    kind: str
    refers_to: str | None
    account: str
    month: str
    currency: str
    issued_ms: int
    gross: int
    net: int
    vat: int


@dataclass(frozen=True)
class Verification:
    """What came of verifying a batch again; `detail` says what does not hold."""

    batch: int
    at_ms: int
    who: str
    verdict: str
    detail: str


class ListsTx(Protocol):
    """The part of a transaction, or of a look, that lists."""

    # --- orders
    def orders_page(self, chosen: Chosen, before: int | None, limit: int) -> list[tuple[int, OrderRow]]:
        """Orders in the reverse order of their receipt, each with its place, before a place."""
        ...

    def order_cells(self) -> list[Cell]:
        """Orders by usage month, state and class, as counted while they came and moved."""
        ...

    def orders_received(self, from_ms: int) -> int:
        """How many orders have been received since an instant."""
        ...

    def waiting(self) -> list[Waiting]:
        """What waits in suspense, by reason."""
        ...

    def waiting_page(
        self, reason: str, after: tuple[int, int] | None, limit: int
    ) -> list[tuple[int, OrderRow]]:
        """Orders in suspense, the longest waiting first, each with its place; empty `reason`: every one.

        `after` is one's moment of receipt and place.
        """
        ...

    def entries_of(self, ref: str) -> list[Entry]:
        """The ledger entries of an order, bill or credit note, by its reference."""
        ...

    def neighbours(self, box: str, epoch: int, seq: int) -> tuple[str | None, str | None]:
        """The hashes of the messages before and after one in its chain, as far as there are any."""
        ...

    # --- names
    def names_like(self, text: str, limit: int) -> list[tuple[str, str]]:
        """What begins with `text`: (account, box or number; its name), at most `limit` of each."""
        ...

    # --- bills
    def bills_page(self, chosen: ChosenBills, before: int | None, limit: int) -> list[tuple[int, BillHead]]:
        """Bills and credit notes in the reverse order of their numbers being given, each with its place."""
        ...

    def bill_months(self) -> list[str]:
        """The months of which there are bills, newest first."""
        ...

    def disputes_of(self, number: str) -> list[Dispute]:
        """The disputes about a bill, oldest first."""
        ...

    def disputes_due(self, now_ms: int) -> tuple[int, int]:
        """How many disputes are open, and how many of them are past their deadline."""
        ...

    def open_disputes(self, after: tuple[int, int] | None, limit: int) -> list[Dispute]:
        """Open disputes by deadline, after one's (deadline, number)."""
        ...

    def decided_disputes(self, before: int | None, limit: int) -> list[Dispute]:
        """Decided disputes, the newest first, before one's number."""
        ...

    # --- export
    def batches_page(self, before: int | None, limit: int) -> list[Batch]:
        """Batches, the newest first, before a number."""
        ...

    def add_verification(self, found: Verification) -> None:
        """Store what came of verifying a batch."""
        ...

    def verifications(self, batch: int, limit: int) -> list[Verification]:
        """How a batch was verified, the newest first."""
        ...

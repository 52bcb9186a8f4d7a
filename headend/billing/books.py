"""What billing's books can be asked and told: ledger, bills, corrections, export; see also `store`."""

from collections.abc import Iterator
from typing import Any, Protocol

from headend.billing.documents.document import Seller
from headend.billing.ledger import Draft
from headend.billing.rows import (
    Batch,
    BatchAcknowledgement,
    Dispute,
    DisputeState,
    Entry,
    ExportKey,
    Invoice,
    MonthTotals,
)


class BooksTx(Protocol):
    """The part of a transaction, or of a look, that keeps books."""

    # --- ledger
    def last_entry(self) -> tuple[int, str]:
        """Number and hash of the newest entry; (0, genesis) if there is none."""
        ...

    def post(self, draft: Draft) -> None:
        """Append a balanced entry to the ledger; it gets its number and its hash by the commit.

        Raises:
            UnbalancedError: its amounts do not add up to nothing.
        """
        ...

    def entries(self, first: int, last: int) -> Iterator[Entry]:
        """Entries first to last, in order, as they are read: never all in memory."""
        ...

    def entry_rows(self, first: int, last: int) -> Iterator[tuple[Any, ...]]:
        """Likewise, as plain tuples of their columns in the order of `Entry`'s fields, for exports."""
        ...

    def usage_entry(self, ref: str) -> Entry | None:
        """The entry by which an order was posted."""
        ...

    def ledger_totals(self, first: int, last: int | None) -> dict[str, int]:
        """Cents by ledger account over entries first to last (None: the newest).

        Of the whole ledger, 1 to None, it is what has been added up as entries came; see `recount_ledger`.
        """
        ...

    def recount_ledger(self) -> dict[str, int]:
        """Cents by ledger account, added up anew over every entry: the check of the sums."""
        ...

    def batch_totals(self, batch: int) -> dict[str, int]:
        """Cents by ledger account of a closed batch, as added up when it was closed."""
        ...

    def tail_totals(self) -> dict[str, int]:
        """Cents by ledger account of what is in no batch yet."""
        ...

    # --- bills
    def next_number(self, series: str, year: int) -> int:
        """Take the next number of a series: gapless, since it is taken in the invoice's transaction."""
        ...

    def add_invoice(self, invoice: Invoice) -> None:
        """Store a bill or credit note with its lines and VAT groups."""
        ...

    def invoice(self, number: str) -> Invoice | None:
        """One bill or credit note."""
        ...

    def invoices(self, account: str | None, limit: int) -> Iterator[Invoice]:
        """Bills and credit notes, newest first."""
        ...

    def bill_of(self, account: str, month: str) -> str | None:
        """The number of an account's bill of a month, if it has been raised."""
        ...

    def notes_of(self, number: str) -> list[Invoice]:
        """The credit notes of a bill, oldest first."""
        ...

    def add_seller(self, seller: Seller, from_ms: int) -> None:
        """Store who bills in a country from an instant on."""
        ...

    def seller(self, country: str, at_ms: int) -> Seller | None:
        """Who bills in a country at an instant; the first one ever stored also before it was."""
        ...

    def sellers(self) -> Iterator[tuple[int, Seller]]:
        """Every seller with the instant from which it is the one, by country and time."""
        ...

    def month_totals(self) -> Iterator[MonthTotals]:
        """Orders by usage month and state, as counted while they came and moved."""
        ...

    def recount_months(self) -> Iterator[MonthTotals]:
        """The same counted anew over every order: the check of the sums."""
        ...

    # --- disputes
    def add_dispute(self, dispute: Dispute) -> int:
        """Store a dispute; gives its number, which replaces the one it came with."""
        ...

    def dispute(self, number: int) -> Dispute:
        """One dispute; raises NotFoundError."""
        ...

    def disputes(self, state: DisputeState | None, account: str | None) -> Iterator[Dispute]:
        """Disputes, the nearest deadline first."""
        ...

    def decide_dispute(self, number: int, state: DisputeState, decided_ms: int, note: str | None) -> None:
        """Record how a dispute ended, with the credit note that it led to."""
        ...

    # --- export
    def last_batch(self) -> Batch | None:
        """The newest batch."""
        ...

    def batch(self, batch: int) -> Batch | None:
        """One batch."""
        ...

    def batch_with(self, entry: int) -> Batch | None:
        """The batch that an entry is in; None while it is in the tail."""
        ...

    def batches(self) -> Iterator[Batch]:
        """All batches, oldest first."""
        ...

    def add_batch(self, batch: Batch) -> None:
        """Store a closed batch."""
        ...

    def add_export_key(self, key: ExportKey) -> None:
        """Store a receiver's key by its hash."""
        ...

    def export_key(self, key_hash: str) -> ExportKey | None:
        """A receiver's key by its hash."""
        ...

    def export_keys(self) -> Iterator[ExportKey]:
        """All keys, oldest first."""
        ...

    def revoke_export_key(self, name: str, now_ms: int) -> bool:
        """End a key; False if there is none of that name that still holds."""
        ...

    def acknowledge_batch(self, acknowledgement: BatchAcknowledgement) -> bool:
        """Record a receiver's acknowledgement; the first stands, and False says that there was one."""
        ...

    def acknowledgements(self, batch: int) -> list[BatchAcknowledgement]:
        """Who has acknowledged a batch."""
        ...

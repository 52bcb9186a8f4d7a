"""What billing remembers, in billing's words: rows, and the Protocol that a database has to keep.

Money is whole cents including VAT, times are Unix milliseconds, VAT rates are basis points.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeVar

from headend.kit.storage import StorageError
from shared.named import AccountId, BoxId, Offer

T = TypeVar("T")


class OrderState(StrEnum):
    """Where an order stands; docs/billing.md draws the transitions."""

    RATED = "rated"
    ZERO_RATED = "zero-rated"
    SUSPENDED = "suspended"
    REJECTED = "rejected"
    BILLED = "billed"
    CREDITED = "credited"


class NotFoundError(StorageError):
    """There is no such row."""


@dataclass(frozen=True)
class Account:
    """One subscriber: who pays, where, and what the law there says."""

    account: AccountId
    zone: str
    country: str
    postal_area: str
    spending_limit_cents: int | None
    created_ms: int


@dataclass(frozen=True)
class Box:
    """One set-top box and the account that it is bound to now."""

    box: BoxId
    serial: str
    public_key: str
    account: AccountId
    epoch: int
    enrolled_ms: int


@dataclass(frozen=True)
class ChainEnd:
    """How far a box's epoch is stored, and how far the box said that it had come."""

    box: BoxId
    epoch: int
    last_seq: int
    last_hash: str
    last_ms: int
    told_seq: int
    told_ms: int

    @property
    def missing(self) -> int:
        """Positions that the box is known to have used and that are not here yet."""
        return max(0, self.told_seq - self.last_seq)


@dataclass(frozen=True)
class Link:
    """One stored message of a chain: the signed bytes, and their place."""

    box: BoxId
    epoch: int
    seq: int
    hash: str
    kind: str
    envelope: bytes | None
    envelope_hash: str
    received_ms: int


@dataclass(frozen=True)
class OrderRow:
    """An order as it is rated; the title stands in the annex, which can be removed."""

    box: BoxId
    epoch: int
    seq: int
    account: AccountId | None
    state: OrderState
    reason: str
    kind: str
    display: str
    price_cents: int
    currency: str
    vat_bp: int
    placed_ms: int
    effective_ms: int
    received_ms: int
    title_hash: str
    invoice: str | None

    @property
    def ref(self) -> str:
        """The order's identity, for ever: box, epoch and seq."""
        return f"{self.box}/{self.epoch}/{self.seq}"


@dataclass(frozen=True)
class AnnexRow:
    """The removable half of an order: which title it was, and how long its rental window is open."""

    box: BoxId
    epoch: int
    seq: int
    account: AccountId
    offer: str
    offer_version: int
    title: str
    salt: str
    window_from_ms: int
    window_until_ms: int


@dataclass(frozen=True)
class Posting:
    """One line of a ledger entry; the lines of an entry add up to nothing."""

    ledger: str
    cents: int


@dataclass(frozen=True)
class Entry:
    """One balanced ledger entry, chained by hash to the one before."""

    entry: int
    kind: str
    account: str
    ref: str
    month: str
    text: str
    currency: str
    vat_bp: int
    proof: str
    at_ms: int
    postings: tuple[Posting, ...]
    prev_hash: str
    hash: str


@dataclass(frozen=True)
class InvoiceLine:
    """One line of a bill: the display class, never more than the offer allows."""

    order_ref: str
    text: str
    placed_ms: int
    cents: int
    vat_bp: int
    late: bool


@dataclass(frozen=True)
class Invoice:
    """One bill or credit note; amounts in cents, gross = net + vat + rounding."""

    number: str
    kind: str
    refers_to: str | None
    account: AccountId
    month: str
    currency: str
    issued_ms: int
    gross: int
    net: int
    vat: int
    rounding: int
    lines: tuple[InvoiceLine, ...]


@dataclass(frozen=True)
class Batch:
    """One closed export batch: contiguous ledger entries, and what was known to be missing then."""

    batch: int
    first_entry: int
    last_entry: int
    closed_ms: int
    prev_hash: str
    root: str
    missing: str
    hash: str


@dataclass(frozen=True)
class Alarm:
    """Something a person has to look at."""

    kind: str
    box: str
    account: str
    detail: str
    raised_ms: int


class BillingTx(Protocol):
    """One transaction, or one look, at what billing remembers."""

    def stamp(self, fact: str, value: str) -> str:
        """Remember a fact of the installation if it is not known yet; gives what is known."""
        ...

    # --- accounts and boxes
    def add_account(self, account: Account) -> None:
        """Store a new account."""
        ...

    def account(self, account: str) -> Account:
        """One account; raises NotFoundError."""
        ...

    def accounts(self) -> Iterator[Account]:
        """All accounts, in order."""
        ...

    def add_code(self, code_hash: str, account: str, box: str | None, expires_ms: int) -> None:
        """Store the hash of a one-time enrolment code."""
        ...

    def code(self, code_hash: str) -> tuple[AccountId, BoxId | None, int, str | None] | None:
        """A code's account, box to renew, expiry and the key that has used it."""
        ...

    def use_code(self, code_hash: str, public_key: str, box: str) -> None:
        """Bind a code to the key that used it, for ever."""
        ...

    def box_of_code(self, code_hash: str) -> Box:
        """The box that was enrolled with a code; raises NotFoundError."""
        ...

    def put_box(self, box: Box) -> None:
        """Store a box, or its new key, account and epoch; opens the epoch."""
        ...

    def box(self, box: str) -> Box:
        """One box; raises NotFoundError."""
        ...

    def boxes(self) -> Iterator[Box]:
        """All boxes, in order."""
        ...

    def accounts_with_boxes(self) -> Iterator[tuple[AccountId, tuple[BoxId, ...]]]:
        """Each account that has boxes, with them."""
        ...

    # --- chain
    def chain_end(self, box: str, epoch: int) -> ChainEnd | None:
        """How far an epoch is stored; None if it was never issued."""
        ...

    def chain_ends(self) -> Iterator[ChainEnd]:
        """Every epoch of every box."""
        ...

    def link(self, box: str, epoch: int, seq: int) -> Link | None:
        """One stored message."""
        ...

    def add_link(self, link: Link, effective_ms: int) -> None:
        """Store a message and move the chain's end."""
        ...

    def tell(self, box: str, epoch: int, seq: int, now_ms: int) -> None:
        """The box says that it has come as far as `seq`."""
        ...

    # --- catalogue
    def add_catalogue(self, version: int, envelope: bytes, offers: list[Offer]) -> None:
        """Store a signed catalogue with its offers."""
        ...

    def catalogue(self) -> tuple[int, bytes] | None:
        """The newest catalogue: version and envelope."""
        ...

    def catalogue_version(self) -> int:
        """The newest catalogue's version; 0 if there is none."""
        ...

    def offer(self, offer: str, version: int) -> Offer | None:
        """One version of an offer."""
        ...

    # --- orders
    def add_order(self, order: OrderRow) -> None:
        """Store an order."""
        ...

    def order(self, box: str, epoch: int, seq: int) -> OrderRow | None:
        """One order."""
        ...

    def set_order_state(self, order: OrderRow, state: OrderState, reason: str, invoice: str | None) -> None:
        """Move an order on."""
        ...

    def orders(self, state: OrderState | None, account: str | None, limit: int) -> Iterator[OrderRow]:
        """Orders, newest first."""
        ...

    def due_orders(self, account: str, before_ms: int) -> list[OrderRow]:
        """Rated orders of an account that took effect before an instant, oldest first."""
        ...

    def accounts_with_due_orders(self) -> list[AccountId]:
        """Accounts that have rated orders."""
        ...

    def order_totals(self) -> dict[OrderState, tuple[int, int]]:
        """Number and cents of orders by state."""
        ...

    def orders_since(self, account: str, from_ms: int) -> tuple[int, int]:
        """Number and cents of an account's paid orders since an instant."""
        ...

    def add_annex(self, row: AnnexRow) -> None:
        """Store the removable half of an order."""
        ...

    def annex(self, box: str, epoch: int, seq: int) -> AnnexRow | None:
        """The removable half of an order, if it still stands."""
        ...

    def open_window(self, account: str, offer: str, at_ms: int) -> AnnexRow | None:
        """The account's window for an offer that is open at an instant."""
        ...

    # --- ledger
    def last_entry(self) -> tuple[int, str]:
        """Number and hash of the newest entry; (0, genesis) if there is none."""
        ...

    def add_entry(self, entry: Entry) -> None:
        """Store a balanced entry with its postings."""
        ...

    def entries(self, first: int, last: int) -> Iterator[Entry]:
        """Entries first to last, in order."""
        ...

    def ledger_totals(self, last: int | None) -> dict[str, int]:
        """Cents by ledger account, up to an entry."""
        ...

    # --- invoices
    def next_number(self, series: str, year: int) -> int:
        """Take the next number of a series: gapless, since it is taken in the invoice's transaction."""
        ...

    def add_invoice(self, invoice: Invoice) -> None:
        """Store a bill or credit note with its lines."""
        ...

    def invoice(self, number: str) -> Invoice | None:
        """One bill or credit note."""
        ...

    def invoices(self, account: str | None, limit: int) -> Iterator[Invoice]:
        """Bills and credit notes, newest first."""
        ...

    # --- export
    def last_batch(self) -> Batch | None:
        """The newest batch."""
        ...

    def batch(self, batch: int) -> Batch | None:
        """One batch."""
        ...

    def add_batch(self, batch: Batch) -> None:
        """Store a closed batch."""
        ...

    # --- tokens
    def draw_reporting(self, week: str, account: str, box: str) -> None:
        """Remember the reporting box of an account and week; the first draw stands."""
        ...

    def reporting_box(self, week: str, account: str) -> BoxId | None:
        """The reporting box of an account and week."""
        ...

    def grants(self, week: str, account: str, measure: str) -> list[tuple[str, bytes]]:
        """What was signed: hash of the request and the response, in order."""
        ...

    def add_grant(self, week: str, account: str, measure: str, request_hash: str, response: bytes) -> None:
        """Remember a signature, so that asking again gives the same."""
        ...

    def issued(self, week: str) -> tuple[int, int, dict[str, int]]:
        """Accounts drawn, accounts that asked, and tokens issued by measure."""
        ...

    def forget_tokens(self, week: str) -> None:
        """Forget who reported in a week and what was signed for it."""
        ...

    # --- the rest
    def put_directory(self, week: str, envelope: bytes) -> None:
        """Store a published directory; the first one stands."""
        ...

    def directory(self, week: str) -> bytes | None:
        """A published directory's exact bytes."""
        ...

    def raise_alarm(self, alarm: Alarm, evidence: bytes | None) -> bool:
        """Store an alarm once per kind, box and detail; whether it is new."""
        ...

    def alarms(self, limit: int) -> Iterator[Alarm]:
        """Alarms, newest first."""
        ...

    def add_audit(self, at_ms: int, who: str, what: str, ref: str, detail: str) -> None:
        """Add a line to the audit of this side's changes."""
        ...

    def add_tally(self, counts: dict[str, int]) -> None:
        """Add to the counts of refusals."""
        ...

    def tally(self) -> dict[str, int]:
        """Refusals by name."""
        ...

    def claim(self, job: str, slot: str, now_ms: int) -> bool:
        """Record a job's slot as done; False if it was before."""
        ...

    def last_slot(self, job: str) -> str | None:
        """The newest slot that a job has done."""
        ...


class BillingStore(Protocol):
    """Billing's database."""

    def write(self, work: Callable[[BillingTx], T]) -> T:
        """Do `work` in one durable transaction; answers after the commit."""
        ...

    def read(self) -> BillingTx:
        """A look that cannot write."""
        ...

    def close(self) -> None:
        """Let go of the database."""
        ...

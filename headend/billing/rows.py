"""What billing remembers, as rows in billing's words.

Money is whole cents including VAT, times are Unix milliseconds, VAT rates are basis points.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from msgspec import Struct

from headend.billing.documents.document import InvoiceLine
from headend.kit.storage import MissingRowError
from shared.money import VatGroup
from shared.named import AccountId, BoxId


class OrderState(StrEnum):
    """Where an order stands; docs/billing.md draws the transitions."""

    RATED = "rated"
    ZERO_RATED = "zero-rated"
    SUSPENDED = "suspended"
    REJECTED = "rejected"
    BILLED = "billed"
    CREDITED = "credited"


class NotFoundError(MissingRowError):
    """There is no such row."""


_BOX_ID = re.compile(r"bx[0-9a-f]{16}")


def new_box_id(random_bytes: Callable[[int], bytes]) -> BoxId:
    """A box's id: nothing of the device is in it.

    >>> new_box_id(bytes)
    'bx0000000000000000'
    """
    return BoxId("bx" + random_bytes(8).hex())


def is_box_id(text: str) -> bool:
    """Whether a text has the form that `new_box_id` gives; no box has any other id."""
    return _BOX_ID.fullmatch(text) is not None


@dataclass(frozen=True)
class Account:
    """One subscriber: who pays, where, and what the law there says."""

    account: AccountId
    zone: str
    country: str
    postal_area: str
    language: str
    spending_limit_cents: int | None
    created_ms: int


@dataclass(frozen=True)
class Box:
    """One set-top box and the account that it is bound to, or was last if it has been released."""

    box: BoxId
    serial: str
    public_key: str
    account: AccountId
    epoch: int
    enrolled_ms: int
    released_ms: int | None = None


@dataclass(frozen=True)
class ChainEnd:
    """How far a box's epoch is stored, how far the box said that it had come, and since when there is a gap.

    `gap_ms` is 0 while nothing is missing.
    """

    box: BoxId
    epoch: int
    last_seq: int
    last_hash: str
    last_ms: int
    told_seq: int
    told_ms: int
    gap_ms: int

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
    """An order as it is rated; the title stands in the annex, which can be removed.

    `month` is the usage month in the account's zone; `credit_cents` is what a promotion takes off (with its
    `category`), `credited_cents` what credit notes have given back of it since.
    """

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
    month: str
    promotion: str
    category: str
    credit_cents: int
    credited_cents: int
    invoice: str | None

    @property
    def payable(self) -> int:
        """What is charged for it: the price shown less the promotion's credit shown, in cents."""
        return self.price_cents - self.credit_cents

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


LEDGERS = ("unbilled", "usage", "receivable", "revenue", "vat", "rounding")
"""The accounts of the ledger, as columns of an entry."""


class Entry(Struct, frozen=True, tag_field="row", tag="entry"):
    """One ledger entry, chained by hash to the one before; its six amounts add up to nothing.

    Debits are positive. The ledger's accounts are its columns: an entry is one row in the database and in an
    export.
    """

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
    unbilled: int
    usage: int
    receivable: int
    revenue: int
    vat: int
    rounding: int
    prev_hash: str
    hash: str


@dataclass(frozen=True)
class Invoice:
    """One bill or credit note; amounts in cents, gross = net + vat + rounding.

    `groups` are its VAT groups, one a rate; of a credit note they are the bill's before less those after.
    Country, zone and language are the account's when it was issued.
    """

    number: str
    kind: str
    refers_to: str | None
    account: AccountId
    country: str
    zone: str
    language: str
    month: str
    currency: str
    issued_ms: int
    gross: int
    net: int
    vat: int
    rounding: int
    lines: tuple[InvoiceLine, ...]
    groups: tuple[VatGroup, ...]


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


ALARM_KINDS: Final = (
    "equivocation",
    "fork",
    "gap",
    "not-billed",
    "not-credited",
    "not-decided",
    "over-limit",
    "velocity",
    "wrong-binding",
)
"""What an alarm may be about."""


@dataclass(frozen=True)
class Alarm:
    """Something a person has to look at."""

    kind: str
    box: str
    account: str
    detail: str
    raised_ms: int


@dataclass(frozen=True)
class ExportKey:
    """A receiver's key to the pull API; the key itself is never stored, only its hash."""

    key_hash: str
    name: str
    recipient: str
    scopes: str
    created_ms: int
    revoked_ms: int | None


@dataclass(frozen=True)
class BatchAcknowledgement:
    """A receiver's word that it has a batch, with the hash that it computed itself."""

    batch: int
    name: str
    sha256: str
    at_ms: int


class DisputeState(StrEnum):
    """Where a dispute stands."""

    OPEN = "open"
    UPHELD = "upheld"
    DISMISSED = "dismissed"


@dataclass(frozen=True)
class Dispute:
    """A subscriber's objection to one line of a bill, to be decided before its deadline."""

    dispute: int
    number: str
    order_ref: str
    why: str
    opened_ms: int
    deadline_ms: int
    state: DisputeState
    decided_ms: int | None
    note: str | None


class RequestKind(StrEnum):
    """What a subscriber can ask of those who keep records (GDPR articles 15 and 17)."""

    ACCESS = "access"
    ERASURE = "erasure"


class RequestState(StrEnum):
    """Where a subscriber's request stands."""

    OPEN = "open"
    ANSWERED = "answered"
    REFUSED = "refused"


@dataclass(frozen=True)
class SubscriberRequest:
    """What a subscriber has asked, by when it is to be answered, and how it was; `note` says why not."""

    request: int
    account: AccountId
    kind: RequestKind
    received_ms: int
    deadline_ms: int
    state: RequestState
    decided_ms: int | None
    who: str
    note: str


@dataclass(frozen=True)
class AuditLine:
    """One line of billing's audit: who did what to which account, box, order, bill or batch."""

    line: int
    at_ms: int
    who: str
    what: str
    ref: str
    detail: str
    hash: str


@dataclass(frozen=True)
class MonthTotals:
    """Orders of one usage month in one state: how many, their payable cents, and cents credited since."""

    month: str
    state: OrderState
    orders: int
    cents: int
    credited_cents: int

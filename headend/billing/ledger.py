"""The ledger: balanced, append-only entries, each chained by hash to the one before. Pure of storage.

Accounts of the ledger: `unbilled` (ordered, not on a bill yet) against `usage`; a bill reverses that into
`receivable` against `revenue`, `vat` and `rounding`. A credit note is a bill's postings the other way round.
"""

import hashlib
from dataclasses import dataclass, fields

import msgspec

from headend.billing.store import BillingTx, Entry, Posting
from shared.errors import StbError

UNBILLED, USAGE = "unbilled", "usage"
RECEIVABLE, REVENUE, VAT, ROUNDING = "receivable", "revenue", "vat", "rounding"


class UnbalancedError(StbError):
    """An entry's postings do not add up to nothing."""


@dataclass(frozen=True)
class Draft:
    """An entry before it has a place: what happened, for whom, in which usage month, with which proof."""

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


def usage(gross: int) -> tuple[Posting, ...]:
    """An order at receipt; negative when it is taken back before it was billed."""
    return (Posting(UNBILLED, gross), Posting(USAGE, -gross))


def billing(gross: int, net: int, vat: int, rounding: int) -> tuple[Posting, ...]:
    """A bill: what was unbilled becomes receivable, revenue and tax."""
    return (
        Posting(UNBILLED, -gross),
        Posting(USAGE, gross),
        *claim(gross, net, vat, rounding),
    )


def claim(gross: int, net: int, vat: int, rounding: int) -> tuple[Posting, ...]:
    """A claim on the subscriber; all amounts negative for a credit note."""
    return (
        Posting(RECEIVABLE, gross),
        Posting(REVENUE, -net),
        Posting(VAT, -vat),
        Posting(ROUNDING, -rounding),
    )


def entry_bytes(entry: Entry) -> bytes:
    """The bytes that an entry's hash is taken over: its fields as a JSON array, without the hash."""
    values = [getattr(entry, field.name) for field in fields(Entry) if field.name not in {"hash", "postings"}]
    lines = [[posting.ledger, posting.cents] for posting in entry.postings]
    return msgspec.json.encode([*values, lines])


def entry_hash(entry: Entry) -> str:
    """SHA-256 over `entry_bytes`, in hex; the previous hash is among them."""
    return hashlib.sha256(entry_bytes(entry)).hexdigest()


def chained(draft: Draft, last: int, last_hash: str) -> Entry:
    """The entry that follows number `last`.

    Raises:
        UnbalancedError: the postings do not add up to nothing.
    """
    if sum(posting.cents for posting in draft.postings) != 0:
        raise UnbalancedError(f"{draft.kind} {draft.ref} does not balance")
    values = {field.name: getattr(draft, field.name) for field in fields(Draft)}
    bare = Entry(entry=last + 1, prev_hash=last_hash, hash="", **values)
    return Entry(entry=last + 1, prev_hash=last_hash, hash=entry_hash(bare), **values)


def post_entry(tx: BillingTx, draft: Draft) -> Entry:
    """Append an entry to the ledger, within the caller's transaction.

    Raises:
        UnbalancedError: the postings do not add up to nothing.
    """
    entry = chained(draft, *tx.last_entry())
    tx.add_entry(entry)
    return entry

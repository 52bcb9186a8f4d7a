"""The ledger: balanced, append-only entries, each chained by hash to the one before. Pure of storage.

Accounts of the ledger: `unbilled` (ordered, not on a bill yet) against `usage`; a bill reverses that into
`receivable` against `revenue`, `vat` and `rounding`. A credit note is a bill's claim the other way round.
"""

import hashlib
from dataclasses import dataclass

import msgspec
from msgspec import structs

from headend.billing.rows import Entry
from shared.errors import StbError


class UnbalancedError(StbError):
    """An entry's amounts do not add up to nothing."""


@dataclass(frozen=True)
class Amounts:
    """What an entry moves on each account of the ledger, in cents; debits are positive."""

    unbilled: int = 0
    usage: int = 0
    receivable: int = 0
    revenue: int = 0
    vat: int = 0
    rounding: int = 0


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
    amounts: Amounts


def usage(gross: int) -> Amounts:
    """An order at receipt; negative for a promotion's credit, or when it is taken back unbilled."""
    return Amounts(unbilled=gross, usage=-gross)


def billing(gross: int, net: int, vat: int, rounding: int) -> Amounts:
    """A bill: what was unbilled becomes receivable, revenue and tax."""
    return Amounts(-gross, gross, gross, -net, -vat, -rounding)


def claim(gross: int, net: int, vat: int, rounding: int) -> Amounts:
    """A claim on the subscriber; all amounts negative for a credit note."""
    return Amounts(receivable=gross, revenue=-net, vat=-vat, rounding=-rounding)


def entry_bytes(entry: Entry) -> bytes:
    """The bytes that an entry's hash is taken over: its fields in order as a JSON array, without the hash."""
    return msgspec.json.encode(structs.astuple(entry)[:-1])


def entry_hash(entry: Entry) -> str:
    """SHA-256 over `entry_bytes`, in hex; the previous hash is among them."""
    return hashlib.sha256(entry_bytes(entry)).hexdigest()


def check_balanced(draft: Draft) -> None:
    """Refuse what would put the books out of balance.

    Raises:
        UnbalancedError: the amounts do not add up to nothing.
    """
    if sum(vars(draft.amounts).values()) != 0:
        raise UnbalancedError(f"{draft.kind} {draft.ref} does not balance")


def chained(draft: Draft, last: int, last_hash: str) -> Entry:
    """The entry that follows number `last`.

    Raises:
        UnbalancedError: the amounts do not add up to nothing.
    """
    check_balanced(draft)
    values = {name: value for name, value in vars(draft).items() if name != "amounts"}
    bare = Entry(entry=last + 1, prev_hash=last_hash, hash="", **values, **vars(draft.amounts))
    return structs.replace(bare, hash=entry_hash(bare))

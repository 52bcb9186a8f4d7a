"""Making the proof of one order from the books; headend.billing.proofs says what is in it, and checks it."""

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Raw

from headend.billing import ledger, merkle
from headend.billing.exports import leaves_of, signed_head
from headend.billing.formats.jsonl import check_whole, some_rows
from headend.billing.formats.registry import BatchChangedError
from headend.billing.proofs import Proof
from headend.billing.rows import Batch, Entry
from headend.billing.store import BillingTx
from shared.errors import StbError


class NoSuchOrderError(StbError):
    """No order of that reference stands in the ledger: it is unknown, or nothing was charged for it."""


class NotClosedError(StbError):
    """The order's entry is in no batch yet, so nothing about it has been signed."""


def prove(tx: BillingTx, ref: str, key: Ed25519PrivateKey) -> bytes:
    """The proof that an order, by its reference (box/epoch/seq), stands in its batch.

    Reads the batch's entries once.

    Raises:
        NoSuchOrderError: no such order has been posted.
        NotClosedError: it has, but its batch is not closed yet.
        BatchChangedError: the batch's entries are not those that were closed.
    """
    entry = tx.usage_entry(ref)
    if entry is None:
        raise NoSuchOrderError(f"no order {ref!r} stands in the ledger")
    batch = tx.batch_with(entry.entry)
    if batch is None:
        raise NotClosedError(f"order {ref} is in no closed batch yet")
    check_whole(entry)
    index, size = entry.entry - batch.first_entry, batch.last_entry - batch.first_entry + 1
    path = _path(tx, batch, entry)
    proof = Proof(
        entry=Raw(ledger.entry_bytes(entry)),
        index=index,
        size=size,
        path=tuple(node.hex() for node in path),
        head=Raw(signed_head(batch, key)),
    )
    return msgspec.json.encode(proof)


def _path(tx: BillingTx, batch: Batch, entry: Entry) -> list[merkle.Hash]:
    index, size = entry.entry - batch.first_entry, batch.last_entry - batch.first_entry + 1
    leaves = (leaf for rows in some_rows(tx, batch.first_entry, batch.last_entry) for leaf in leaves_of(rows))
    leaf = merkle.leaf_hash(bytes.fromhex(entry.hash))
    path = merkle.path_of(index, size, leaves)
    if merkle.root_from(leaf, index, size, path).hex() != batch.root:
        raise BatchChangedError(f"the entries of batch {batch.batch} are not those that were closed")
    return path

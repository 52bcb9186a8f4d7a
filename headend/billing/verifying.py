"""Verifying a closed batch again, from what is stored: what a receiver would check, and what only we can.

1. Its head is signed by billing's key. 2. It follows the batch before: number, entries, hash. 3. Its entries
are gapless, each hashes to what it says and names the one before. 4. Rendered again it has the bytes that
were hashed when it was closed. 5. Its Merkle root and its totals are those that were stored.
"""

from collections.abc import Callable
from itertools import starmap

from headend.billing import ledger, merkle
from headend.billing.checker import BatchError, Verdict
from headend.billing.exports import closed, leaves_of
from headend.billing.formats import jsonl
from headend.billing.formats.registry import BatchChangedError
from headend.billing.heads import Head
from headend.billing.lists import Verification
from headend.billing.rows import LEDGERS, Batch, Entry
from headend.billing.store import BillingStore, BillingTx
from shared.dsse import DsseError
from shared.named import GENESIS

ReadHead = Callable[[Batch], Head]
"""A batch's head, signed and read again with the public key."""


def verify_batch(store: BillingStore, number: int, head_of: ReadHead, who: str, now_ms: int) -> Verification:
    """Verify a closed batch and store the verdict, with who asked and when (Unix milliseconds).

    Raises:
        NoSuchBatchError: no such batch.
    """
    look = store.read()
    batch = closed(look, number)
    try:
        check(look, batch, head_of)
        found = Verification(number, now_ms, who, Verdict.OK, "")
    except BatchError as error:
        found = Verification(number, now_ms, who, error.verdict, str(error))
    store.write(lambda tx: _record(tx, found))
    return found


def _record(tx: BillingTx, found: Verification) -> None:
    tx.add_verification(found)
    tx.add_audit(found.at_ms, found.who, "export batch verified", str(found.batch), found.verdict)


def check(look: BillingTx, batch: Batch, head_of: ReadHead) -> None:
    """Check one batch against what is stored of it and of the one before.

    Raises:
        BatchError: with the verdict.
    """
    _check_head(batch, head_of)  # 1
    before = look.batch(batch.batch - 1)
    _check_place(batch, before)  # 2
    tree, totals = merkle.Tree(), dict.fromkeys(LEDGERS, 0)
    last_hash = _last_hash(look, batch)
    expected = batch.first_entry
    try:
        for rows in jsonl.whole_rows(look, batch):  # 4, which raises at the end
            for entry in starmap(Entry, rows):
                _check_entry(entry, expected, last_hash)  # 3
                _add(totals, entry)
                expected, last_hash = expected + 1, entry.hash
            tree.add(leaves_of(rows))
    except BatchChangedError as error:
        raise BatchError(Verdict.CHAIN, str(error)) from error
    if expected != batch.last_entry + 1:
        raise BatchError(Verdict.GAP, f"entries from {expected} on are missing")
    if tree.root().hex() != batch.root:  # 5
        raise BatchError(Verdict.CHAIN, "the Merkle root is not that of the entries")
    if totals != look.batch_totals(batch.batch):
        raise BatchError(Verdict.TOTALS, "the totals are not those that were stored when it was closed")


def _check_head(batch: Batch, head_of: ReadHead) -> None:
    try:
        head = head_of(batch)
    except DsseError as error:
        raise BatchError(Verdict.SIGNATURE, "its head is not signed by billing's key") from error
    if (head.batch, head.jsonl_sha256, head.root) != (batch.batch, batch.hash, batch.root):
        raise BatchError(Verdict.SIGNATURE, "its head is that of another batch")


def _check_place(batch: Batch, before: Batch | None) -> None:
    first, prev_hash = (1, GENESIS) if before is None else (before.last_entry + 1, before.hash)
    if batch.first_entry != first:
        raise BatchError(Verdict.GAP, f"it begins at entry {batch.first_entry}, not {first}")
    if batch.prev_hash != prev_hash:
        raise BatchError(Verdict.CHAIN, "it does not name the hash of the batch before")


def _last_hash(look: BillingTx, batch: Batch) -> str:
    before = next(look.entries(batch.first_entry - 1, batch.first_entry - 1), None)
    return GENESIS if before is None else before.hash


def _check_entry(entry: Entry, expected: int, last_hash: str) -> None:
    if entry.entry != expected:
        raise BatchError(Verdict.GAP, f"entry {entry.entry} stands where {expected} should")
    if entry.prev_hash != last_hash or ledger.entry_hash(entry) != entry.hash:
        raise BatchError(Verdict.CHAIN, f"entry {entry.entry} does not hash to what it says")


def _add(totals: dict[str, int], entry: Entry) -> None:
    for name in LEDGERS:
        totals[name] += getattr(entry, name)

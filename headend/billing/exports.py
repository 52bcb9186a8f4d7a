"""Export batches: the contiguous ledger entries since the batch before, numbered, chained and signed.

A batch is closed in one transaction and rendered as a pure function of what then stood, byte for byte
repeatable, in the formats of headend.billing.formats. Nothing here holds a batch in memory.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from headend.billing import heads, merkle
from headend.billing.formats import jsonl
from headend.billing.formats.registry import Format
from headend.billing.heads import Head
from headend.billing.reconcile import missing
from headend.billing.rows import Batch
from headend.billing.store import BillingTx
from headend.disclosure import Purpose, Recipient, clear
from headend.kit.files import write_file, write_pieces
from shared.errors import StbError
from shared.named import GENESIS


class NothingToCloseError(StbError):
    """There is no ledger entry since the last batch."""


class NoSuchBatchError(StbError):
    """No batch of that number has been closed."""


class MovedOnError(StbError):
    """The books have moved on since the batch was previewed; look at it again."""


@dataclass(frozen=True)
class Tail:
    """What would be closed next: the entries that are in no batch yet."""

    batch: int
    first_entry: int
    last_entry: int

    @property
    def entries(self) -> int:
        """How many there are."""
        return self.last_entry - self.first_entry + 1


def tail(tx: BillingTx) -> Tail:
    """What stands behind the last batch, which may be nothing."""
    last, (newest, _) = tx.last_batch(), tx.last_entry()
    return Tail(1, 1, newest) if last is None else Tail(last.batch + 1, last.last_entry + 1, newest)


def close_batch(tx: BillingTx, now_ms: int, last_entry: int | None = None, who: str = "billing") -> Batch:
    """Close the next batch over everything that was posted since the last one, or up to an entry of it.

    Raises:
        NothingToCloseError: nothing was.
        MovedOnError: `last_entry` is not in the tail (any more).
    """
    open_tail, before = tail(tx), tx.last_batch()
    first, newest = open_tail.first_entry, open_tail.last_entry
    if newest < first:
        raise NothingToCloseError(f"no entry since number {first - 1}")
    if last_entry is not None and not first <= last_entry <= newest:
        raise MovedOnError(f"entry {last_entry} is not among {first} to {newest}, which are in no batch")
    draft = Batch(
        batch=open_tail.batch,
        first_entry=first,
        last_entry=newest if last_entry is None else last_entry,
        closed_ms=now_ms,
        prev_hash=GENESIS if before is None else before.hash,
        root="",
        missing=_missing(tx),
        hash="",
    )
    batch = _hashed(tx, draft)
    tx.add_batch(batch)
    said = f"entries {first} to {batch.last_entry}"
    tx.add_audit(now_ms, who, "export batch closed", str(batch.batch), said)
    return batch


def _missing(tx: BillingTx) -> str:
    gaps = [jsonl.MissingRange(gap.box, gap.epoch, gap.first, gap.last, gap.since_ms) for gap in missing(tx)]
    return msgspec.json.encode(gaps).decode()


def _hashed(tx: BillingTx, draft: Batch) -> Batch:
    """The batch with its root and hash, in one pass over its entries."""
    digest, tree = hashlib.sha256(jsonl.header(draft)), merkle.Tree()
    for rows in jsonl.some_rows(tx, draft.first_entry, draft.last_entry):
        digest.update(jsonl.lines(rows))
        tree.add(leaves_of(rows))
    rooted = replace(draft, root=tree.root().hex())
    digest.update(jsonl.trailer(tx, rooted))
    return replace(rooted, hash=digest.hexdigest())


def leaves_of(rows: jsonl.Rows) -> list[merkle.Hash]:
    """The Merkle leaves of entries: over the 32 bytes of each entry's hash, which commits to all of it."""
    return merkle.leaf_hashes(bytes.fromhex("".join([row[-1] for row in rows])))


def closed(tx: BillingTx, number: int) -> Batch:
    """A closed batch.

    Raises:
        NoSuchBatchError: no such batch.
    """
    batch = tx.batch(number)
    if batch is None:
        raise NoSuchBatchError(f"no batch {number}")
    return batch


def signed_head(batch: Batch, key: Ed25519PrivateKey) -> bytes:
    """The batch's signed head, made of what is stored of it: it costs no rendering."""
    head = Head(
        batch=batch.batch,
        first_entry=batch.first_entry,
        last_entry=batch.last_entry,
        closed_ms=batch.closed_ms,
        prev_hash=batch.prev_hash,
        root=batch.root,
        jsonl_sha256=batch.hash,
    )
    return heads.sign(head, key)


def own_head(batch: Batch, key: Ed25519PrivateKey) -> Head:
    """The batch's head as a receiver reads it, with the public key.

    Raises:
        DsseError: it is not signed by this key.
    """
    return heads.read_head(signed_head(batch, key), key.public_key())


def cleared(tx: BillingTx, batch: Batch, form: Format) -> Iterator[bytes]:
    """The batch in a format, for the billing system, in pieces.

    Raises:
        DisclosureError: it may not leave.
        StbError: as the format's `render`.
    """
    return clear(form.render(tx, batch), form.kind, Recipient.BILLING_SYSTEM, Purpose.BILLING).payload


def write_batch(
    tx: BillingTx,
    number: int,
    key: Ed25519PrivateKey,
    folder: Path,
    forms: Iterable[Format],
) -> Iterator[Path]:
    """Write a closed batch's files, each whole or not at all; gives each as it is written, the head last.

    Raises:
        NoSuchBatchError: no such batch.
        DisclosureError: it may not leave.
        StbError: as the formats' `render`.
    """
    batch, name, listed = closed(tx, number), heads.name_of(number), []
    for form in forms:
        measured = _Measured(cleared(tx, batch, form))
        path = folder / f"{name}{form.suffix}"
        write_pieces(path, measured)
        listed.append(measured.listed(path.name))
        yield path
    files = heads.sign(heads.FileList(number, batch.hash, tuple(listed)), key)
    for suffix, content in ((heads.LIST_SUFFIX, files), (heads.HEAD_SUFFIX, signed_head(batch, key))):
        path = folder / f"{name}{suffix}"
        write_file(path, content)
        yield path


class _Measured:
    """Pieces of a file, counted and hashed as they pass."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._size = 0
        self._digest = hashlib.sha256()

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self._size += len(piece)
            self._digest.update(piece)
            yield piece

    def listed(self, name: str) -> heads.ListedFile:
        return heads.ListedFile(name, self._size, self._digest.hexdigest())

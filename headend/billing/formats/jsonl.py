"""JSON Lines, a batch's canonical form: a header, a row an entry, a trailer. Its SHA-256 is the batch's hash.

Every other format takes its rows from here, so that no format can be written of a batch that has changed.
"""

import hashlib
from collections.abc import Iterator
from itertools import islice, starmap
from typing import Any, Literal

import msgspec
from msgspec import Struct, field

from headend.billing import ledger
from headend.billing.formats.registry import BatchChangedError, Format
from headend.billing.heads import EXPORT_FORMAT
from headend.billing.rows import Batch, Entry
from headend.billing.store import BillingTx

Rows = list[tuple[Any, ...]]
"""Entries as tuples of their columns, in the order of `Entry`'s fields."""
AT_A_TIME = 256
"""Entries that are read, encoded and hashed together: pieces of some 150 kB."""


class Header(Struct, frozen=True, forbid_unknown_fields=True, tag_field="row", tag="header"):
    """The first line: which batch this is, and the hash of the one before."""

    format: Literal["stb-telemetry billing export 1"]
    batch: int
    first_entry: int
    last_entry: int
    closed_ms: int
    prev_hash: str


class MissingRange(Struct, frozen=True, forbid_unknown_fields=True):
    """Positions that a box told of and that were not here at the close, known since Unix milliseconds."""

    box: str
    epoch: int
    first: int = field(name="from")
    last: int = field(name="to")
    since_ms: int


class Trailer(Struct, frozen=True, forbid_unknown_fields=True, tag_field="row", tag="trailer"):
    """The last line: how many entries, cents by ledger account, what was missing, the Merkle root."""

    count: int
    totals: dict[str, int]
    missing: tuple[MissingRange, ...]
    root: str


_ENCODER = msgspec.json.Encoder()


def header(batch: Batch) -> bytes:
    """A batch's first line."""
    line = Header(
        EXPORT_FORMAT,
        batch.batch,
        batch.first_entry,
        batch.last_entry,
        batch.closed_ms,
        batch.prev_hash,
    )
    return _ENCODER.encode(line) + b"\n"


def lines(rows: Rows) -> bytes:
    """The lines of these entries."""
    return _ENCODER.encode_lines(list(starmap(Entry, rows)))


def trailer(tx: BillingTx, batch: Batch) -> bytes:
    """A batch's last line."""
    line = Trailer(
        batch.last_entry - batch.first_entry + 1,
        tx.ledger_totals(batch.first_entry, batch.last_entry),
        msgspec.json.decode(batch.missing, type=tuple[MissingRange, ...]),
        batch.root,
    )
    return _ENCODER.encode(line) + b"\n"


def some_rows(tx: BillingTx, first: int, last: int) -> Iterator[Rows]:
    """Entries first to last in order, some at a time."""
    stream = tx.entry_rows(first, last)
    while rows := list(islice(stream, AT_A_TIME)):
        yield rows


def whole_rows(tx: BillingTx, batch: Batch) -> Iterator[Rows]:
    """A batch's entries as they were closed, some at a time.

    Raises:
        BatchChangedError: instead of ending, if they are others; at once, if the first one is.
    """
    for rows, _ in _checked(tx, batch):
        if rows:
            yield rows


def render(tx: BillingTx, batch: Batch) -> Iterator[bytes]:
    """The batch in pieces.

    Raises:
        BatchChangedError: before the last piece, if it is not what was closed; at once, if the first entry is
            not.
    """
    for _, piece in _checked(tx, batch):
        yield piece


def _checked(tx: BillingTx, batch: Batch) -> Iterator[tuple[Rows, bytes]]:
    first = header(batch)
    digest = hashlib.sha256(first)
    started = False
    for rows in some_rows(tx, batch.first_entry, batch.last_entry):
        piece = lines(rows)
        digest.update(piece)
        if not started:
            check_whole(Entry(*rows[0]))
            yield [], first
            started = True
        yield rows, piece
    last = trailer(tx, batch)
    digest.update(last)
    if digest.hexdigest() != batch.hash:
        raise BatchChangedError(f"the entries of batch {batch.batch} are not those that were closed")
    yield [], last


def check_whole(entry: Entry) -> None:
    """Whether one entry still is what its hash says.

    Raises:
        BatchChangedError: it is not.
    """
    if ledger.entry_hash(entry) != entry.hash:
        raise BatchChangedError(f"entry {entry.entry} is not what was closed; it may be past the tax period")


FORMAT = Format("jsonl", ".jsonl", "application/jsonl", render)

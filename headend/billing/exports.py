"""Export batches: the contiguous ledger entries since the batch before, numbered, chained and signed.

A batch is closed in one transaction and rendered as a pure function of what then stood, byte for byte
repeatable. Formats: JSON Lines (header, one row an entry, trailer) and CSV; one signature over both.
"""

import csv
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from headend.billing import ledger
from headend.billing.merkle import leaf_hash, root_of
from headend.billing.store import Batch, BillingTx, Entry
from shared import dsse
from shared.errors import StbError
from shared.named import GENESIS

FORMAT = "stb-telemetry billing export 1"
CSV_COLUMNS = (
    "entry",
    "kind",
    "account",
    "ref",
    "month",
    "text",
    "currency",
    "vat_bp",
    "at_ms",
    "unbilled",
    "usage",
    "receivable",
    "revenue",
    "vat",
    "rounding",
)
_LEDGERS = CSV_COLUMNS[9:]


class NothingToCloseError(StbError):
    """There is no ledger entry since the last batch."""


class NoSuchBatchError(StbError):
    """No batch of that number has been closed."""


@dataclass(frozen=True)
class BatchFiles:
    """A rendered batch: names and bytes of its files."""

    jsonl: tuple[str, bytes]
    csv: tuple[str, bytes]
    signature: tuple[str, bytes]

    def all(self) -> tuple[tuple[str, bytes], ...]:
        """The three files."""
        return (self.jsonl, self.csv, self.signature)


def close_batch(tx: BillingTx, now_ms: int) -> Batch:
    """Close the next batch over everything that was posted since the last one.

    Raises:
        NothingToCloseError: nothing was.
    """
    last = tx.last_batch()
    first = 1 if last is None else last.last_entry + 1
    newest, _ = tx.last_entry()
    if newest < first:
        raise NothingToCloseError(f"no entry since number {first - 1}")
    root = root_of([leaf_hash(ledger.entry_bytes(entry)) for entry in tx.entries(first, newest)])
    draft = Batch(
        batch=1 if last is None else last.batch + 1,
        first_entry=first,
        last_entry=newest,
        closed_ms=now_ms,
        prev_hash=GENESIS if last is None else last.hash,
        root=root.hex(),
        missing=_missing(tx),
        hash="",
    )
    digest = hashlib.sha256()
    for line in json_lines(draft, tx.entries(first, newest)):
        digest.update(line)
    batch = replace(draft, hash=digest.hexdigest())
    tx.add_batch(batch)
    tx.add_audit(now_ms, "billing", "export batch closed", str(batch.batch), f"entries {first} to {newest}")
    return batch


def _missing(tx: BillingTx) -> str:
    gaps = [
        {
            "box": end.box,
            "epoch": end.epoch,
            "from": end.last_seq + 1,
            "to": end.told_seq,
            "since_ms": end.told_ms,
        }
        for end in tx.chain_ends()
        if end.missing
    ]
    return msgspec.json.encode(gaps).decode()


def _row(entry: Entry) -> dict[str, Any]:
    return {
        "row": "entry",
        "entry": entry.entry,
        "kind": entry.kind,
        "account": entry.account,
        "ref": entry.ref,
        "month": entry.month,
        "text": entry.text,
        "currency": entry.currency,
        "vat_bp": entry.vat_bp,
        "proof": entry.proof,
        "at_ms": entry.at_ms,
        "postings": [[posting.ledger, posting.cents] for posting in entry.postings],
        "prev_hash": entry.prev_hash,
        "hash": entry.hash,
    }


def json_lines(batch: Batch, entries: Iterator[Entry]) -> Iterator[bytes]:
    """The batch as JSON Lines: a header, its rows, a trailer with the totals of each ledger account."""
    encode = msgspec.json.Encoder().encode
    header = {
        "row": "header",
        "format": FORMAT,
        "batch": batch.batch,
        "first_entry": batch.first_entry,
        "last_entry": batch.last_entry,
        "closed_ms": batch.closed_ms,
        "prev_hash": batch.prev_hash,
    }
    yield encode(header) + b"\n"
    totals = dict.fromkeys(_LEDGERS, 0)
    count = 0
    for entry in entries:
        count += 1
        for posting in entry.postings:
            totals[posting.ledger] += posting.cents
        yield encode(_row(entry)) + b"\n"
    trailer = {
        "row": "trailer",
        "count": count,
        "totals": totals,
        "missing": msgspec.json.decode(batch.missing),
        "root": batch.root,
    }
    yield encode(trailer) + b"\n"


def csv_lines(entries: Iterator[Entry]) -> Iterator[bytes]:
    """The batch's entries as CSV (RFC 4180), a column for each ledger account, in cents."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow(CSV_COLUMNS)
    for entry in entries:
        cents = dict.fromkeys(_LEDGERS, 0)
        for posting in entry.postings:
            cents[posting.ledger] += posting.cents
        plain = (getattr(entry, name) for name in CSV_COLUMNS[:9])
        writer.writerow([*(_harmless(value) for value in plain), *cents.values()])
        yield buffer.getvalue().encode()
        buffer.seek(0)
        buffer.truncate()
    if buffer.getvalue():
        yield buffer.getvalue().encode()


def _harmless(value: object) -> object:
    # A spreadsheet must not take a text for a formula.
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return "'" + value
    return value


def render(tx: BillingTx, number: int, key: Ed25519PrivateKey) -> BatchFiles:
    """The files of a closed batch, the same bytes whenever they are asked for.

    Raises:
        NoSuchBatchError: no such batch.
    """
    batch = tx.batch(number)
    if batch is None:
        raise NoSuchBatchError(f"no batch {number}")
    lines = b"".join(json_lines(batch, tx.entries(batch.first_entry, batch.last_entry)))
    table = b"".join(csv_lines(tx.entries(batch.first_entry, batch.last_entry)))
    name = f"BILL-{number:08}"
    statement = msgspec.json.encode(
        {
            "format": FORMAT,
            "batch": number,
            "jsonl_sha256": hashlib.sha256(lines).hexdigest(),
            "csv_sha256": hashlib.sha256(table).hexdigest(),
            "prev_hash": batch.prev_hash,
            "root": batch.root,
        }
    )
    signature = dsse.sign(statement, dsse.PayloadType.EXPORT, key, dsse.key_id(key.public_key()))
    return BatchFiles((f"{name}.jsonl", lines), (f"{name}.csv", table), (f"{name}.sig.json", signature))

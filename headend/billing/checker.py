"""The receiver's check of export batches, with the public key alone.

For each batch: (1) the signature is billing's, over these bytes; (2) the header continues the batch
before (number, entries, hash); (3) the rows are gapless, each hashes to what it says and to the next one's
previous; (4) each entry balances; (5) count, totals and Merkle root are the trailer's; (6) the CSV is the
one that was signed. The verdict is the first that does not hold.
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from headend.billing import ledger
from headend.billing.exports import FORMAT
from headend.billing.merkle import leaf_hash, root_of
from headend.billing.store import Entry, Posting
from shared import dsse
from shared.errors import StbError
from shared.named import GENESIS


class Verdict(StrEnum):
    """What a receiver may conclude of a batch."""

    OK = "ok"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    GAP = "gap"
    CHAIN = "chain"
    TOTALS = "totals"
    SIGNATURE = "signature"
    UNREADABLE = "unreadable"


class BatchError(StbError):
    """A batch does not hold; carries the verdict."""

    def __init__(self, verdict: Verdict, words: str) -> None:
        super().__init__(words)
        self.verdict = verdict


@dataclass(frozen=True)
class Taken:
    """What a receiver remembers of the last batch that it took."""

    batch: int = 0
    last_entry: int = 0
    hash: str = GENESIS
    entry_hash: str = GENESIS


@dataclass(frozen=True)
class Checked:
    """The verdict on one batch file."""

    name: str
    verdict: Verdict
    words: str
    entries: int = 0


def check_folder(folder: Path, key: Ed25519PublicKey) -> list[Checked]:
    """Check every batch of a folder in the order of their numbers."""
    taken, seen, found = Taken(), dict[int, str](), list[Checked]()
    for path in sorted(folder.glob("BILL-*.jsonl")):
        try:
            after = check_batch(path, key, taken, seen)
            found.append(Checked(path.name, Verdict.OK, "holds", after.last_entry - taken.last_entry))
            taken = after
        except BatchError as error:
            found.append(Checked(path.name, error.verdict, str(error)))
    return found


def check_batch(path: Path, key: Ed25519PublicKey, taken: Taken, seen: dict[int, str]) -> Taken:
    """Check one batch against what was taken before; `seen` maps numbers to hashes and is added to.

    Raises:
        BatchError: with the verdict.
    """
    raw = _bytes_of(path)
    statement = _statement(path, key)
    digest = hashlib.sha256(raw).hexdigest()
    if statement["jsonl_sha256"] != digest:
        raise BatchError(Verdict.SIGNATURE, "other bytes than were signed")
    number = statement["batch"]
    if number in seen:
        same = seen[number] == digest
        verdict = Verdict.DUPLICATE if same else Verdict.CONFLICT
        raise BatchError(verdict, f"batch {number} was taken before" + ("" if same else " with other bytes"))
    header, rows, trailer = _lines(raw)
    _check_header(header, statement, taken)
    entry_hash = _check_rows(rows, header, taken)
    _check_trailer(rows, trailer, statement)
    table = path.with_suffix(".csv")
    if table.exists() and hashlib.sha256(_bytes_of(table)).hexdigest() != statement["csv_sha256"]:
        raise BatchError(Verdict.SIGNATURE, "the CSV holds other bytes than were signed")
    seen[number] = digest
    return Taken(number, header["last_entry"], digest, entry_hash)


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BatchError(Verdict.UNREADABLE, f"{path.name}: {error.strerror}") from error


def _statement(path: Path, key: Ed25519PublicKey) -> dict[str, Any]:
    envelope = _bytes_of(path.with_name(path.name.removesuffix(".jsonl") + ".sig.json"))
    try:
        statement = msgspec.json.decode(dsse.verify(envelope, dsse.PayloadType.EXPORT, key))
    except dsse.DsseError as error:
        raise BatchError(Verdict.SIGNATURE, str(error)) from error
    if statement.get("format") != FORMAT:
        raise BatchError(Verdict.UNREADABLE, "another format")
    return dict(statement)


def _lines(raw: bytes) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any]]:
    try:
        lines = [msgspec.json.decode(line, type=dict[str, Any]) for line in raw.splitlines()]
        kinds = [line["row"] for line in lines]
    except (msgspec.DecodeError, KeyError) as error:
        raise BatchError(Verdict.UNREADABLE, str(error)) from error
    if kinds != ["header", *["entry"] * (len(lines) - 2), "trailer"]:
        raise BatchError(Verdict.UNREADABLE, "not a header, entries and a trailer")
    return lines[0], lines[1:-1], lines[-1]


def _check_header(header: dict[str, Any], statement: dict[str, Any], taken: Taken) -> None:
    if header["batch"] != statement["batch"] or header["prev_hash"] != statement["prev_hash"]:
        raise BatchError(Verdict.CHAIN, "header and signature name different batches")
    if header["batch"] != taken.batch + 1 or header["first_entry"] != taken.last_entry + 1:
        raise BatchError(Verdict.GAP, f"batch {taken.batch + 1} from entry {taken.last_entry + 1} comes next")
    if header["prev_hash"] != taken.hash:
        raise BatchError(Verdict.CHAIN, "does not follow the batch that was taken before")


def _check_rows(rows: list[dict[str, Any]], header: dict[str, Any], taken: Taken) -> str:
    if [row["entry"] for row in rows] != list(range(header["first_entry"], header["last_entry"] + 1)):
        raise BatchError(Verdict.GAP, "entries are missing")
    previous = taken.entry_hash
    for row in rows:
        entry = _entry(row)
        if entry.prev_hash != previous or ledger.entry_hash(entry) != entry.hash:
            raise BatchError(Verdict.CHAIN, f"entry {entry.entry} does not hash to what it says")
        if sum(posting.cents for posting in entry.postings) != 0:
            raise BatchError(Verdict.TOTALS, f"entry {entry.entry} does not balance")
        previous = entry.hash
    return previous


def _entry(row: dict[str, Any]) -> Entry:
    values = {name: value for name, value in row.items() if name not in {"row", "postings"}}
    postings = tuple(Posting(ledger_name, cents) for ledger_name, cents in row["postings"])
    return Entry(postings=postings, **values)


def _check_trailer(rows: list[dict[str, Any]], trailer: dict[str, Any], statement: dict[str, Any]) -> None:
    totals = dict.fromkeys(trailer["totals"], 0)
    for row in rows:
        for name, cents in row["postings"]:
            totals[name] = totals.get(name, 0) + cents
    if trailer["count"] != len(rows) or trailer["totals"] != totals:
        raise BatchError(Verdict.TOTALS, "count or totals are not those of the rows")
    root = root_of([leaf_hash(ledger.entry_bytes(_entry(row))) for row in rows]).hex()
    if not root == trailer["root"] == statement["root"]:
        raise BatchError(Verdict.CHAIN, "the Merkle root is not that of the rows")

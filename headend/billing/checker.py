"""The receiver's check of export batches, with the public key alone, line by line.

For each batch: (1) its head is billing's, and over these bytes; (2) it was not taken before; (3) head and
header are one batch, which continues the one before (number, entries, hash); (4) the rows are gapless, each
hashes to what it says and to the next one's previous, and balances; (5) count, totals and Merkle root are the
trailer's; (6) every other file of the batch is on its signed list, as it stands. The verdict is the first
that does not hold. What was taken can be remembered from one run to the next.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Struct, field

from headend.billing import heads, ledger, merkle
from headend.billing.formats.jsonl import Header, Trailer
from headend.billing.heads import HEAD_SUFFIX, LIST_SUFFIX, Head, ListedFile
from headend.billing.rows import LEDGERS, Entry
from headend.kit.files import write_file
from shared import dsse
from shared.errors import StbError
from shared.named import GENESIS

_T = TypeVar("_T")

ROWS_SUFFIX = ".jsonl"
_Line = Header | Entry | Trailer
_LINE = msgspec.json.Decoder[_Line](_Line)
_SAME = ("batch", "first_entry", "last_entry", "closed_ms", "prev_hash")
_MOST_SIGNED = 65_536
"""Bytes of a head or list that are read at all, as shared.dsse has it."""


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


class BadTakenError(StbError):
    """The file in which a receiver remembers what it took cannot be read."""


class Taken(Struct, frozen=True, forbid_unknown_fields=True):
    """What a receiver remembers: the last batch that it took, and the hash of every one by its number."""

    batch: int = 0
    last_entry: int = 0
    hash: str = GENESIS
    entry_hash: str = GENESIS
    seen: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Checked:
    """The verdict on one batch."""

    name: str
    verdict: Verdict
    words: str
    entries: int = 0


def read_taken(path: Path) -> Taken:
    """What `write_taken` remembered; nothing yet, if there is no such file.

    Raises:
        BadTakenError: there is one, and it cannot be read.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Taken)
    except FileNotFoundError:
        return Taken()
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadTakenError(f"{path}: {error}") from error


def write_taken(path: Path, taken: Taken) -> None:
    """Remember what was taken."""
    write_file(path, msgspec.json.encode(taken))


def check_folder(folder: Path, key: Ed25519PublicKey, taken: Taken) -> tuple[list[Checked], Taken]:
    """Check every batch of a folder in the order of their numbers; gives what is taken afterwards."""
    found = list[Checked]()
    for name in _names(folder):
        try:
            after = check_batch(folder, name, key, taken)
            found.append(Checked(name, Verdict.OK, "holds", after.last_entry - taken.last_entry))
            taken = after
        except BatchError as error:
            found.append(Checked(name, error.verdict, str(error)))
    return found, taken


def _names(folder: Path) -> list[str]:
    suffixes = (ROWS_SUFFIX, HEAD_SUFFIX)
    return sorted({path.name.split(".")[0] for end in suffixes for path in folder.glob(f"BILL-*{end}")})


def check_batch(folder: Path, name: str, key: Ed25519PublicKey, taken: Taken) -> Taken:
    """Check one batch, by the name that its files begin with, against what was taken before.

    Raises:
        BatchError: with the verdict.
    """
    rows = folder / f"{name}{ROWS_SUFFIX}"
    head = _signed(folder / f"{name}{HEAD_SUFFIX}", key, heads.read_head)  # 1
    if _file_hash(rows) != head.jsonl_sha256:
        raise BatchError(Verdict.SIGNATURE, f"{rows.name} holds other bytes than were signed")
    _check_new(head, taken)  # 2
    entry_hash = _check_lines(rows, head, taken)  # 3, 4, 5
    _check_files(folder, name, head, key)  # 6
    return Taken(
        batch=head.batch,
        last_entry=head.last_entry,
        hash=head.jsonl_sha256,
        entry_hash=entry_hash,
        seen={**taken.seen, head.batch: head.jsonl_sha256},
    )


def _signed(path: Path, key: Ed25519PublicKey, form: Callable[[bytes, Ed25519PublicKey], _T]) -> _T:
    try:
        with path.open("rb") as file:
            return form(file.read(_MOST_SIGNED + 1), key)
    except OSError as error:
        raise BatchError(Verdict.UNREADABLE, f"{path.name}: {error.strerror}") from error
    except dsse.DsseError as error:
        raise BatchError(Verdict.SIGNATURE, f"{path.name}: {error}") from error
    except heads.UnreadableHeadError as error:
        raise BatchError(Verdict.UNREADABLE, f"{path.name}: {error}") from error


def _file_hash(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BatchError(Verdict.UNREADABLE, f"{path.name}: {error.strerror}") from error


def _check_new(head: Head, taken: Taken) -> None:
    before = taken.seen.get(head.batch)
    if before == head.jsonl_sha256:
        raise BatchError(Verdict.DUPLICATE, f"batch {head.batch} was taken before")
    if before is not None:
        raise BatchError(Verdict.CONFLICT, f"batch {head.batch} was taken before with other bytes")


def _check_lines(path: Path, head: Head, taken: Taken) -> str:
    """Check the rows as they are read; gives the last entry's hash."""
    with path.open("rb") as file:
        lines = (_line(raw) for raw in file)
        _check_header(next(lines, None), head, taken)
        rows = _Rows(head, taken.entry_hash)
        trailer = _take_entries(lines, rows)
        if next(lines, None) is not None:
            raise BatchError(Verdict.UNREADABLE, "something follows the trailer")
    rows.check_trailer(trailer)
    return rows.entry_hash


def _line(raw: bytes) -> _Line:
    try:
        line: _Line = _LINE.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BatchError(Verdict.UNREADABLE, str(error)) from error
    return line


def _check_header(header: _Line | None, head: Head, taken: Taken) -> None:
    if not isinstance(header, Header):
        raise BatchError(Verdict.UNREADABLE, "there is no header")
    if any(getattr(header, name) != getattr(head, name) for name in _SAME):
        raise BatchError(Verdict.CHAIN, "header and head say different things")
    if header.batch != taken.batch + 1 or header.first_entry != taken.last_entry + 1:
        raise BatchError(Verdict.GAP, f"batch {taken.batch + 1} from entry {taken.last_entry + 1} comes next")
    if header.prev_hash != taken.hash:
        raise BatchError(Verdict.CHAIN, "does not follow the batch that was taken before")


def _take_entries(lines: Iterator[_Line], rows: "_Rows") -> Trailer:
    for line in lines:
        if isinstance(line, Trailer):
            return line
        if not isinstance(line, Entry):
            raise BatchError(Verdict.UNREADABLE, "a second header")
        rows.take(line)
    raise BatchError(Verdict.UNREADABLE, "there is no trailer")


class _Rows:
    """The entries of a batch as they pass: what comes next, sums and Merkle tree so far."""

    def __init__(self, head: Head, entry_hash: str) -> None:
        self.entry_hash = entry_hash
        self._head = head
        self._next = head.first_entry
        self._totals = dict.fromkeys(LEDGERS, 0)
        self._tree = merkle.Tree()

    def take(self, entry: Entry) -> None:
        if entry.entry != self._next or entry.entry > self._head.last_entry:
            raise BatchError(Verdict.GAP, f"entry {entry.entry} stands where {self._next} should")
        if entry.prev_hash != self.entry_hash or ledger.entry_hash(entry) != entry.hash:
            raise BatchError(Verdict.CHAIN, f"entry {entry.entry} does not hash to what it says")
        cents = {name: getattr(entry, name) for name in LEDGERS}
        if sum(cents.values()) != 0:
            raise BatchError(Verdict.TOTALS, f"entry {entry.entry} does not balance")
        for name, moved in cents.items():
            self._totals[name] += moved
        self._tree.add([merkle.leaf_hash(bytes.fromhex(entry.hash))])
        self._next, self.entry_hash = entry.entry + 1, entry.hash

    def check_trailer(self, trailer: Trailer) -> None:
        if self._next != self._head.last_entry + 1:
            raise BatchError(Verdict.GAP, f"entries from {self._next} on are missing")
        if trailer.count != self._tree.size or trailer.totals != self._totals:
            raise BatchError(Verdict.TOTALS, "count or totals are not those of the rows")
        if not self._tree.root().hex() == trailer.root == self._head.root:
            raise BatchError(Verdict.CHAIN, "the Merkle root is not that of the rows")


def _check_files(folder: Path, name: str, head: Head, key: Ed25519PublicKey) -> None:
    """Whether each further file of the batch is one that was signed; one that is not here is not missed."""
    path = folder / f"{name}{LIST_SUFFIX}"
    listed = dict[str, ListedFile]()
    if path.exists():
        files = _signed(path, key, heads.read_files)
        if (files.batch, files.jsonl_sha256) != (head.batch, head.jsonl_sha256):
            raise BatchError(Verdict.SIGNATURE, f"{path.name} is the list of another batch")
        listed = {one.name: one for one in files.files}
    own = {f"{name}{suffix}" for suffix in (ROWS_SUFFIX, HEAD_SUFFIX, LIST_SUFFIX)}
    for other in sorted(folder.glob(f"{name}.*")):
        if other.name not in own:
            _check_file(other, listed.get(other.name))


def _check_file(path: Path, listed: ListedFile | None) -> None:
    if listed is None:
        raise BatchError(Verdict.SIGNATURE, f"{path.name} is not on the batch's signed list")
    if _file_hash(path) != listed.sha256:
        raise BatchError(Verdict.SIGNATURE, f"{path.name} holds other bytes than were signed")

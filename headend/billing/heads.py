"""What billing signs of an export batch: its head, and the list of its files. Pure of storage.

Both are DSSE envelopes of type `PayloadType.EXPORT`, told apart by their `format`. A head commits to every
byte of the batch's JSON Lines and, by the Merkle root, to each entry alone; it is small, and made of what is
stored of the batch.
"""

from typing import Final, TypeVar

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Struct

from shared import dsse
from shared.errors import StbError
from shared.named import Count, Hash, Milliseconds, Position

_T = TypeVar("_T")

EXPORT_FORMAT: Final = "stb-telemetry billing export 1"
LIST_FORMAT: Final = "stb-telemetry billing export files 1"
HEAD_SUFFIX = ".sig.json"
LIST_SUFFIX = ".files.json"


class UnreadableHeadError(StbError):
    """What is signed is no statement about a batch, or is of a format that is not spoken."""


class Head(Struct, frozen=True, forbid_unknown_fields=True, tag_field="format", tag=EXPORT_FORMAT):
    """A closed batch: its entries, when it was closed (Unix milliseconds), and hashes in hex.

    `prev_hash` is the `jsonl_sha256` of the batch before (64 zeros for the first), `root` the RFC 6962 root
    over the entries' hashes.
    """

    batch: Position
    first_entry: Position
    last_entry: Position
    closed_ms: Milliseconds
    prev_hash: Hash
    root: Hash
    jsonl_sha256: Hash


class ListedFile(Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a batch: its name, bytes and SHA-256."""

    name: str
    size: Count
    sha256: Hash


class FileList(Struct, frozen=True, forbid_unknown_fields=True, tag_field="format", tag=LIST_FORMAT):
    """The files that were written of a batch, which `jsonl_sha256` names beside its number."""

    batch: Position
    jsonl_sha256: Hash
    files: tuple[ListedFile, ...]


def name_of(batch: int) -> str:
    """What the names of a batch's files begin with.

    >>> name_of(1)
    'BILL-00000001'
    """
    return f"BILL-{batch:08}"


def sign(statement: Head | FileList, key: Ed25519PrivateKey) -> bytes:
    """The signed statement; the same bytes whenever it is asked for."""
    keyid = dsse.key_id(key.public_key())
    return dsse.sign(msgspec.json.encode(statement), dsse.PayloadType.EXPORT, key, keyid)


def read_head(envelope: bytes, key: Ed25519PublicKey) -> Head:
    """The head that this key signed.

    Raises:
        DsseError: it is not signed by this key.
        UnreadableHeadError: it is signed, but is no head.
    """
    return _read(envelope, key, Head)


def read_files(envelope: bytes, key: Ed25519PublicKey) -> FileList:
    """The list of files that this key signed.

    Raises:
        DsseError: it is not signed by this key.
        UnreadableHeadError: it is signed, but is no list of files.
    """
    return _read(envelope, key, FileList)


def _read(envelope: bytes, key: Ed25519PublicKey, form: type[_T]) -> _T:
    payload = dsse.verify(envelope, dsse.PayloadType.EXPORT, key)
    # The hint is not signed; held to the key, every byte of the envelope is.
    if dsse.read(envelope).keyid != dsse.key_id(key):
        raise dsse.BadSignatureError("the envelope names another key than the one that signed it")
    try:
        return msgspec.json.decode(payload, type=form)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableHeadError(f"signed, but another thing: {error}") from error

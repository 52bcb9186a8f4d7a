"""Proofs of single orders, checked with nothing but the file and billing's public key.

A proof holds the order's ledger entry byte for byte as it was hashed, its place in the Merkle tree of its
batch, the path from there to the root (RFC 6962 section 2.1.1) and the batch's signed head. Nothing here
knows a database; headend.billing.proving makes proofs from one.
"""

import hashlib
from dataclasses import dataclass

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Raw, Struct

from headend.billing import merkle
from headend.billing.heads import Head, UnreadableHeadError, read_head
from shared import dsse
from shared.errors import StbError
from shared.named import Count, Hash, title_hash

PROOF_FORMAT = "stb-telemetry order proof 1"
MOST_BYTES = 256 * 1024


class ProofError(StbError):
    """A proof does not hold."""


class UnreadableProofError(ProofError):
    """The bytes are no proof of this format."""


class ProofSignatureError(ProofError):
    """The head in the proof is not signed by this key."""


class NotIncludedError(ProofError):
    """The entry does not stand in the batch that was signed, or it is no order's."""


class WrongEnvelopeError(ProofError):
    """The envelope is not the one by which this was ordered."""


class WrongTitleError(ProofError):
    """The salt and offer are not those of this order."""


class Proof(Struct, frozen=True, forbid_unknown_fields=True, tag_field="format", tag=PROOF_FORMAT):
    """One order's proof: `index` is the entry's place in its batch (from 0), `size` the batch's entries.

    `entry` is the JSON array that the entry's hash is taken over, see `ProvenEntry`.
    """

    entry: Raw
    index: Count
    size: Count
    path: tuple[Hash, ...]
    head: Raw


class ProvenEntry(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A ledger entry as it is hashed: its fields in order, without names and without the hash.

    Amounts are cents, debits positive, `vat_bp` basis points, `at_ms` Unix milliseconds.
    """

    entry: int
    kind: str
    account: str
    ref: str
    month: str
    text: str
    currency: str
    vat_bp: int
    proof: str
    at_ms: int
    unbilled: int
    usage: int
    receivable: int
    revenue: int
    vat: int
    rounding: int
    prev_hash: str


@dataclass(frozen=True)
class Proven:
    """What a proof proves: this order, at this price, stands in this batch; and what else was compared."""

    ref: str
    account: str
    month: str
    text: str
    currency: str
    cents: int
    at_ms: int
    entry: int
    batch: int
    closed_ms: int
    envelope_compared: bool
    title_compared: bool


def check_proof(
    raw: bytes,
    public_key: Ed25519PublicKey,
    envelope: bytes | None = None,
    title: tuple[str, str] | None = None,
) -> Proven:
    """Check a proof; with the order's signed `envelope`, or its `title` as (salt, offer), those too.

    1. It is a proof. 2. Its head is signed by this key. 3. The entry is an order's, and its place is one of
    the batch's. 4. The path leads from the entry to the root that was signed. 5. The envelope hashes to what
    the entry says. 6. So do salt and offer.

    Raises:
        UnreadableProofError: step 1 failed.
        ProofSignatureError: step 2 failed.
        NotIncludedError: step 3 or 4 failed.
        WrongEnvelopeError: step 5 failed.
        WrongTitleError: step 6 failed.
    """
    proof = _read(raw)
    head = _head(proof, public_key)
    entry = _entry(proof)
    _check_place(proof, entry, head)
    _check_path(proof, head)
    envelope_hash, _, salted = entry.proof.partition(":")
    if envelope is not None and hashlib.sha256(envelope).hexdigest() != envelope_hash:
        raise WrongEnvelopeError(f"{entry.ref} was ordered by another envelope")
    if title is not None and _salted(*title) != salted:
        raise WrongTitleError(f"{entry.ref} was of another title")
    return Proven(
        ref=entry.ref,
        account=entry.account,
        month=entry.month,
        text=entry.text,
        currency=entry.currency,
        cents=entry.unbilled,
        at_ms=entry.at_ms,
        entry=entry.entry,
        batch=head.batch,
        closed_ms=head.closed_ms,
        envelope_compared=envelope is not None,
        title_compared=title is not None,
    )


def _read(raw: bytes) -> Proof:
    if len(raw) > MOST_BYTES:
        raise UnreadableProofError(f"a proof is not larger than {MOST_BYTES} bytes")
    try:
        return msgspec.json.decode(raw, type=Proof)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableProofError(f"no proof: {error}") from error


def _head(proof: Proof, public_key: Ed25519PublicKey) -> Head:
    try:
        return read_head(bytes(proof.head), public_key)
    except (dsse.MalformedEnvelopeError, UnreadableHeadError) as error:
        raise UnreadableProofError(f"no head: {error}") from error
    except dsse.DsseError as error:
        raise ProofSignatureError(f"the batch's head is not signed by this key: {error}") from error


def _entry(proof: Proof) -> ProvenEntry:
    try:
        return msgspec.json.decode(proof.entry, type=ProvenEntry)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableProofError(f"no ledger entry: {error}") from error


def _check_place(proof: Proof, entry: ProvenEntry, head: Head) -> None:
    if entry.kind != "usage":
        raise NotIncludedError(f"entry {entry.entry} is a {entry.kind}, and no order")
    size = head.last_entry - head.first_entry + 1
    if proof.size != size or entry.entry != head.first_entry + proof.index:
        raise NotIncludedError(f"entry {entry.entry} has no such place in batch {head.batch}")


def _check_path(proof: Proof, head: Head) -> None:
    leaf = merkle.leaf_hash(hashlib.sha256(bytes(proof.entry)).digest())
    path = [bytes.fromhex(node) for node in proof.path]
    try:
        root = merkle.root_from(leaf, proof.index, proof.size, path)
    except merkle.NotInTreeError as error:
        raise NotIncludedError(str(error)) from error
    if root.hex() != head.root:
        raise NotIncludedError(f"the path does not lead to the root of batch {head.batch}")


def _salted(salt: str, offer: str) -> str:
    try:
        return title_hash(salt, offer)
    except ValueError as error:
        raise WrongTitleError("a salt is written in hex") from error

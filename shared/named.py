"""The named line's messages: who speaks, and what was ordered.

Each message from a box is the payload of a DSSE envelope (payload type `PayloadType.NAMED`) signed with the
box's Ed25519 key. Times are Unix milliseconds, money is whole cents including VAT, VAT rates are basis
points. Unknown fields are refused, but what is authentic and in sequence is taken whatever it says: the
place in the chain (`ChainHead`) is read leniently, before the rest.
"""

import hashlib
from typing import Annotated, Literal, NewType, TypeVar

import msgspec
from msgspec import Meta, Struct

from shared.errors import StbError

_T = TypeVar("_T")

BoxId = NewType("BoxId", str)
AccountId = NewType("AccountId", str)

PROTOCOL_VERSION = 1
GENESIS = "0" * 64
"""The previous hash of an epoch's first message."""
MAX_SUBMISSION = 256 * 1024
"""Bytes of one submission; a box sends what fits."""
MAX_ENVELOPES = 100

Name = Annotated[str, Meta(min_length=1, max_length=64)]
Hash = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
Count = Annotated[int, Meta(ge=0, le=2**53)]
Position = Annotated[int, Meta(ge=1, le=2**53)]
Milliseconds = Annotated[int, Meta(ge=0, le=253402300799999)]
Cents = Annotated[int, Meta(ge=0, le=10_000_000)]
BasisPoints = Annotated[int, Meta(ge=0, le=10_000)]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z")]
Salt = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]


class UnreadableMessageError(StbError):
    """A message of the named line has another form than docs/protocol.md says."""


class _Message(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="type"):
    v: int = PROTOCOL_VERSION


class Enrol(_Message, frozen=True, tag="enrol"):
    """A box's first message, signed with the key that it brings."""

    code: Annotated[str, Meta(min_length=8, max_length=64)]
    serial: Name
    public_key: Annotated[str, Meta(min_length=44, max_length=44)]


class Evidence(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What proves an order (directive 2011/83/EU, articles 8 and 16(m))."""

    pin_verified: bool
    consent_immediate_supply: bool
    confirmation_shown: bool


class Order(_Message, frozen=True, tag="order"):
    """An order as the box placed it; `salt` hides the title's hash, `price_cents` is the price shown."""

    box: Name
    epoch: Position
    seq: Position
    prev: Hash
    offer: Name
    offer_version: Position
    price_cents: Cents
    currency: Currency
    vat_bp: BasisPoints
    placed_ms: Milliseconds
    salt: Salt
    evidence: Evidence


class Delivery(_Message, frozen=True, tag="delivery"):
    """Whether an order's title could be viewed; credits need it."""

    box: Name
    epoch: Position
    seq: Position
    prev: Hash
    order_seq: Position
    outcome: Literal["confirmed", "failed"]
    at_ms: Milliseconds


Chained = Order | Delivery


class ChainHead(Struct, frozen=True, kw_only=True):
    """The place in a box's chain, read from any chained message whatever else it says."""

    v: int
    type: str
    box: Name
    epoch: Position
    seq: Position
    prev: Hash


class Submission(Struct, frozen=True, forbid_unknown_fields=True):
    """Consecutive chained messages, each a DSSE envelope kept byte for byte."""

    envelopes: Annotated[list[msgspec.Raw], Meta(min_length=1, max_length=MAX_ENVELOPES)]


class Acknowledgement(Struct, frozen=True, forbid_unknown_fields=True):
    """All of this epoch up to and including `ack` is stored (0: nothing yet).

    `catalogue` is the version in force, told in answer to a heartbeat, so that a box fetches only what is new
    to it (0: not told).
    """

    box: Name
    epoch: Position
    ack: Count
    catalogue: Count = 0


class Heartbeat(_Message, frozen=True, tag="heartbeat"):
    """A sign of life with the last position placed, so that a lost tail is seen."""

    box: Name
    epoch: Position
    last_seq: Count
    last_hash: Hash
    sent_ms: Milliseconds
    agent: Annotated[str, Meta(max_length=32)]


class Enrolled(Struct, frozen=True, forbid_unknown_fields=True):
    """The answer to `Enrol`."""

    box: Name
    epoch: Position


class MeasureRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """One RFC 9578 TokenRequest (base64) for one measure."""

    measure: Name
    request: Annotated[str, Meta(max_length=512)]


class TokenAsk(_Message, frozen=True, tag="token-ask"):
    """Token requests for one week, at most the quota of each measure."""

    box: Name
    week: Annotated[str, Meta(pattern=r"^\d{4}-W\d{2}\Z")]
    requests: Annotated[list[MeasureRequest], Meta(min_length=1, max_length=64)]


class TokenGrant(Struct, frozen=True, forbid_unknown_fields=True):
    """RFC 9578 TokenResponses (base64), in the order of the requests."""

    responses: list[str]


class Offer(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One version of an offer; half-open validity, no end means until replaced.

    `window_hours` is the rental window in real hours, 0 for a title that is bought. `genre` is an ordered
    genre, or null for adult titles, which no measure counts.
    """

    offer: Name
    version: Position
    kind: Literal["film", "game"]
    mode: Literal["rent", "buy", "subscription"]
    title: Annotated[str, Meta(min_length=1, max_length=200)]
    genre: Name | None
    price_cents: Cents
    currency: Currency
    vat_bp: BasisPoints
    window_hours: Annotated[int, Meta(ge=0, le=24 * 366)]
    display: Literal["title", "class", "amount"]
    valid_from_ms: Milliseconds
    valid_to_ms: Milliseconds | None = None


class Catalogue(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The offers in force, signed by the headend's catalogue key; boxes refuse a lower version."""

    v: int = PROTOCOL_VERSION
    version: Position
    issued_ms: Milliseconds
    offers: list[Offer]


def payload_hash(payload: bytes) -> str:
    """What the next message's `prev` must say: SHA-256 of the payload's bytes, in hex."""
    return hashlib.sha256(payload).hexdigest()


def title_hash(salt: str, offer: str) -> str:
    """The salted hash that stands for the title in the ledger, in hex; keeps proofs valid after erasure."""
    return hashlib.sha256(bytes.fromhex(salt) + offer.encode()).hexdigest()


def encode(message: Struct) -> bytes:
    """Canonical JSON: fields as declared, no white space."""
    return msgspec.json.encode(message)


_CHAINED: msgspec.json.Decoder[Order | Delivery] = msgspec.json.Decoder(Chained)
_HEAD = msgspec.json.Decoder(ChainHead)


def read_head(payload: bytes) -> ChainHead:
    """The place in the chain, and nothing else.

    Raises:
        UnreadableMessageError: it cannot be told where this belongs.
    """
    try:
        return _HEAD.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableMessageError(f"no place in a chain: {error}") from error


def read_chained(payload: bytes) -> Chained:
    """A chained message of this version, strictly.

    Raises:
        UnreadableMessageError: unknown type, field or version, or a value out of bounds.
    """
    try:
        message = _CHAINED.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableMessageError(str(error)) from error
    if message.v != PROTOCOL_VERSION:
        raise UnreadableMessageError(f"version {message.v} is not spoken")
    return message


def read(payload: bytes, form: type[_T]) -> _T:
    """Any other message of the named line, strictly.

    Raises:
        UnreadableMessageError: it has another form.
    """
    try:
        return msgspec.json.decode(payload, type=form)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableMessageError(str(error)) from error

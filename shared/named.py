"""The named line's messages: who speaks, and what was ordered.

Each message from a box is the payload of a DSSE envelope (payload type `PayloadType.NAMED`) signed with the
box's Ed25519 key. Times are Unix milliseconds, money is whole cents including VAT, VAT rates are basis
points. Unknown fields are refused, but what is authentic and in sequence is taken whatever it says: the
place in the chain (`ChainHead`) is read leniently, before the rest.
"""

import hashlib
from typing import Annotated, Any, Literal, NewType, TypeVar

import msgspec
from msgspec import Meta, Struct

from shared.errors import StbError

_T = TypeVar("_T")

BoxId = NewType("BoxId", str)
AccountId = NewType("AccountId", str)

PROTOCOL_VERSION = 2
SPOKEN_VERSIONS = (PROTOCOL_VERSION - 1, PROTOCOL_VERSION)
"""What a headend takes, since boxes are updated after it. Version 2 added promotions, and stopped orders."""
GENESIS = "0" * 64
"""The previous hash of an epoch's first message."""
MAX_SUBMISSION = 256 * 1024
"""Bytes of one submission; a box sends what fits."""
MAX_ENVELOPES = 100

NO_NUL = r"^[^\x00]*\Z"
"""What texts are made of: not every database can keep U+0000."""
Name = Annotated[str, Meta(min_length=1, max_length=64, pattern=NO_NUL)]
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
    """An order as the box placed it; `salt` hides the title's hash, `price_cents` is the price shown.

    `credit_cents` is what the screen said that the promotion takes off it (since version 2), 0 without one.
    """

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
    promotion: Name | None = None
    promotion_version: Position | None = None
    credit_cents: Cents = 0


class Delivery(_Message, frozen=True, tag="delivery"):
    """Whether an order's title could be viewed; credits need it.

    `stopped` (since version 2) says that the household stopped within the offer's preview, uncharged.
    """

    box: Name
    epoch: Position
    seq: Position
    prev: Hash
    order_seq: Position
    outcome: Literal["confirmed", "failed", "stopped"]
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
    agent: Annotated[str, Meta(max_length=32, pattern=NO_NUL)]


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


class Offer(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One version of an offer; half-open validity, no end means until replaced.

    `window_hours` is the rental window in real hours, 0 for a title that is bought. `genre` is an ordered
    genre, or null for adult titles, which no measure counts. `preview_minutes` is how long after the order it
    can still be stopped without being charged; left out where there is none, as boxes of version 1 read it.
    """

    offer: Name
    version: Position
    kind: Literal["film", "game"]
    mode: Literal["rent", "buy", "subscription"]
    title: Annotated[str, Meta(min_length=1, max_length=200, pattern=NO_NUL)]
    genre: Name | None
    price_cents: Cents
    currency: Currency
    vat_bp: BasisPoints
    window_hours: Annotated[int, Meta(ge=0, le=24 * 366)]
    display: Literal["title", "class", "amount"]
    valid_from_ms: Milliseconds
    valid_to_ms: Milliseconds | None = None
    preview_minutes: Annotated[int, Meta(ge=0, le=240)] = 0


class Promotion(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One version of a promotion: cents off what is ordered, under a category that the bill names.

    At most `per_account` orders of an account, of the `kinds`; half-open validity. It takes `credit_cents`
    off, or the whole price, whichever is less.
    """

    promotion: Name
    version: Position
    category: Literal["welcome", "loyalty", "compensation", "campaign"]
    kinds: Annotated[list[Literal["film", "game"]], Meta(min_length=1, max_length=2)]
    credit_cents: Annotated[int, Meta(ge=1, le=10_000_000)]
    currency: Currency
    per_account: Annotated[int, Meta(ge=1, le=1000)]
    valid_from_ms: Milliseconds
    valid_to_ms: Milliseconds

    def takes_off(self, price_cents: int) -> int:
        """What it takes off a price, in cents."""
        return min(self.credit_cents, price_cents)


class Catalogue(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """The offers in force, signed by the headend's catalogue key; boxes refuse a lower version.

    Promotions are left out where there are none, as boxes of protocol version 1 read it.
    """

    v: Literal[1] = 1
    version: Position
    issued_ms: Milliseconds
    offers: list[Offer]
    promotions: list[Promotion] = []


def payload_hash(payload: bytes) -> str:
    """What the next message's `prev` must say: SHA-256 of the payload's bytes, in hex."""
    return hashlib.sha256(payload).hexdigest()


def title_hash(salt: str, offer: str) -> str:
    """The salted hash that stands for the title in the ledger, in hex; keeps proofs valid after erasure."""
    return hashlib.sha256(bytes.fromhex(salt) + offer.encode()).hexdigest()


def encode(message: Struct) -> bytes:
    """Canonical JSON: fields as declared, no white space."""
    return msgspec.json.encode(message)


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
    """A chained message of a version that is spoken, strictly.

    Raises:
        UnreadableMessageError: unknown type, field or version, or a value out of bounds.
    """
    message: Chained = _decode(payload, Chained)
    if not _of_its_version(message):
        raise UnreadableMessageError("a field or a word that its version does not have")
    return message


def _of_its_version(message: Chained) -> bool:
    if message.v > 1:
        return not isinstance(message, Order) or (message.promotion is None) == (
            message.promotion_version is None
        )
    if isinstance(message, Delivery):
        return message.outcome != "stopped"
    return (message.promotion, message.promotion_version, message.credit_cents) == (None, None, 0)


def read(payload: bytes, form: type[_T]) -> _T:
    """Any other message of the named line, strictly.

    Raises:
        UnreadableMessageError: it has another form, or a version that is not spoken.
    """
    message: _T = _decode(payload, form)
    return message


def _decode(payload: bytes, form: Any) -> Any:  # noqa: ANN401 (a Struct or a union of them)
    try:
        message = msgspec.json.decode(payload, type=form)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableMessageError(str(error)) from error
    if isinstance(message, _Message) and message.v not in SPOKEN_VERSIONS:
        raise UnreadableMessageError(f"version {message.v} is not spoken")
    return message

"""Signed envelopes: DSSE version 1 with Ed25519, in one spelling only.

Source: the Dead Simple Signing Envelope, protocol and envelope documents of secure-systems-lab. The profile
here is narrower: exactly one signature, standard base64, compact JSON in declared order. An envelope that
says the same in other bytes is refused, so that its hash is the hash of what was said.
"""

import base64
import binascii
import hashlib
from enum import StrEnum

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from shared.errors import StbError

PublicKey = Ed25519PublicKey
DEFAULT_LIMIT = 65_536  # bytes; an order is under 2 kB, a directory under 40 kB
_RAW_KEY_BYTES = 32
_SIGNATURE_BYTES = 64
_KEY_ID_DIGITS = 16


class PayloadType(StrEnum):
    """What an envelope says, and so the label that keeps one kind from being taken for another."""

    NAMED = "application/vnd.stb-telemetry.named+json"
    CATALOGUE = "application/vnd.stb-telemetry.catalogue+json"
    DIRECTORY = "application/vnd.stb-telemetry.directory+json"
    EXPORT = "application/vnd.stb-telemetry.export+json"
    MANIFEST = "application/vnd.stb-telemetry.manifest+json"
    TOTALS = "application/vnd.stb-telemetry.totals+json"


class DsseError(StbError):
    """An envelope or its key was refused."""


class MalformedEnvelopeError(DsseError):
    """The bytes are no envelope of this profile."""


class BadSignatureError(DsseError):
    """The signature is not by this key over this payload and type."""


class WrongPayloadTypeError(DsseError):
    """The envelope says another kind of thing than was asked for."""


class BadPublicKeyError(DsseError):
    """The text is not the base64 of a 32-byte Ed25519 public key."""


class EnvelopeSignature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One signature: the hint to its key, and 64 bytes in base64."""

    keyid: str
    sig: str


class Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The envelope as it stands in JSON; the field names are DSSE's own."""

    payload: str
    payloadType: str  # noqa: N815 - DSSE's own spelling, which is what goes on the wire
    signatures: tuple[EnvelopeSignature, ...]


class Unverified(msgspec.Struct, frozen=True):
    """What may be looked at before the signature is checked.

    Attributes:
        keyid: An unauthenticated hint: good for finding a key to try, and for nothing else.
        payload_type: What the envelope claims to say, as unauthenticated as the hint.
        unverified_payload: What nobody has vouched for yet; an enrolment brings its own key in it.
        signature: The 64 bytes that `vouched` checks.
    """

    keyid: str
    payload_type: str
    unverified_payload: bytes
    signature: bytes


def pae(payload_type: str, payload: bytes) -> bytes:
    """Answer with the pre-authentication encoding, the bytes that are signed (DSSE protocol, "PAE")."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sign(payload: bytes, payload_type: str, key: Ed25519PrivateKey, keyid: str) -> bytes:
    """Answer with the signed envelope; the same input gives the same bytes.

    Args:
        payload: Any bytes; they travel unchanged.
        payload_type: Usually a `PayloadType`.
        key: The signer's key.
        keyid: A hint for the reader, usually `key_id` of the public key.
    """
    signature = EnvelopeSignature(keyid, _to_base64(key.sign(pae(payload_type, payload))))
    return msgspec.json.encode(Envelope(_to_base64(payload), str(payload_type), (signature,)))


def read(envelope: bytes, limit: int = DEFAULT_LIMIT) -> Unverified:
    """Look at an envelope's hint and claimed type before its key is known.

    Args:
        envelope: The bytes as received.
        limit: The largest envelope taken, in bytes.

    Raises:
        MalformedEnvelopeError: The bytes are no envelope of this profile.
    """
    return _parse(envelope, limit)


def verify(envelope: bytes, payload_type: str, key: Ed25519PublicKey, limit: int = DEFAULT_LIMIT) -> bytes:
    """Answer with the payload that this key signed as this type.

    (1) the envelope is of this profile, (2) it claims the type asked for, (3) the signature covers exactly
    that type and payload. Whether the key may sign such a thing, and whether it said so before, the caller
    owes.

    Raises:
        MalformedEnvelopeError: Step 1 failed.
        WrongPayloadTypeError: Step 2 failed.
        BadSignatureError: Step 3 failed.
    """
    return vouched(read(envelope, limit), payload_type, key)  # 1


def vouched(parsed: Unverified, payload_type: str, key: Ed25519PublicKey) -> bytes:
    """Answer with the payload of an envelope that was read, as `verify` does: steps 2 and 3.

    Raises:
        WrongPayloadTypeError: Step 2 failed.
        BadSignatureError: Step 3 failed.
    """
    if parsed.payload_type != payload_type:  # 2
        raise WrongPayloadTypeError("the envelope is of another payload type")
    payload = parsed.unverified_payload
    try:  # 3
        key.verify(parsed.signature, pae(payload_type, payload))
    except InvalidSignature as error:
        raise BadSignatureError("the signature does not fit payload, type and key") from error
    return payload


def key_id(public: Ed25519PublicKey) -> str:
    """Answer with the hint for a key: the first 16 hex digits of the SHA-256 of its 32 raw bytes."""
    return hashlib.sha256(public.public_bytes_raw()).hexdigest()[:_KEY_ID_DIGITS]


def public_to_text(public: Ed25519PublicKey) -> str:
    """Answer with the standard base64 of the 32 raw bytes (RFC 8032), 44 characters."""
    return _to_base64(public.public_bytes_raw())


def public_from_text(text: str) -> Ed25519PublicKey:
    """Read what `public_to_text` wrote.

    Raises:
        BadPublicKeyError: It is not the base64 of 32 bytes.
    """
    try:
        raw = _from_base64(text)
    except MalformedEnvelopeError as error:
        raise BadPublicKeyError("a public key is written in standard base64") from error
    if len(raw) != _RAW_KEY_BYTES:
        raise BadPublicKeyError("an Ed25519 public key has 32 bytes")
    return Ed25519PublicKey.from_public_bytes(raw)


def _parse(envelope: bytes, limit: int) -> Unverified:
    if len(envelope) > limit:
        raise MalformedEnvelopeError(f"the envelope is larger than {limit} bytes")
    try:
        parsed = msgspec.json.decode(envelope, type=Envelope)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise MalformedEnvelopeError("the bytes are not an envelope") from error
    if len(parsed.signatures) != 1:
        raise MalformedEnvelopeError("an envelope carries exactly one signature")
    # Refuses what JSON leaves open: repeated fields, white space, escapes that spell the same text.
    if msgspec.json.encode(parsed) != envelope:
        raise MalformedEnvelopeError("the envelope is not in its one spelling")
    payload, signature = _from_base64(parsed.payload), _from_base64(parsed.signatures[0].sig)
    if len(signature) != _SIGNATURE_BYTES:
        raise MalformedEnvelopeError("an Ed25519 signature has 64 bytes")
    return Unverified(parsed.signatures[0].keyid, parsed.payloadType, payload, signature)


def _to_base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def _from_base64(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedEnvelopeError("the text is not standard base64") from error
    # The last character may carry bits that decoding drops: two texts for the same bytes.
    if _to_base64(raw) != text:
        raise MalformedEnvelopeError("the base64 is not in its one spelling")
    return raw

"""Hybrid public key encryption, RFC 9180: base mode with exporter, in one suite.

DHKEM(X25519, HKDF-SHA256) (0x0020), HKDF-SHA256 (0x0001), AES-128-GCM (0x0001). Sender and receiver are two
classes, because a receiver that sealed would use the sender's nonces a second time.
"""

import hmac
import os
from collections.abc import Callable
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.errors import StbError

KEM_ID = 0x0020
KDF_ID = 0x0001
AEAD_ID = 0x0001
ENC_BYTES = 32  # Nenc, the encapsulated key
KEY_BYTES = 16  # Nk
NONCE_BYTES = 12  # Nn
TAG_BYTES = 16  # Nt
HASH_BYTES = 32  # Nh
MAX_EXPORT_BYTES = 255 * HASH_BYTES
_LAST_SEQUENCE = (1 << 8 * NONCE_BYTES) - 1

_KEM_SUITE = b"KEM" + KEM_ID.to_bytes(2, "big")
_HPKE_SUITE = b"HPKE" + b"".join(number.to_bytes(2, "big") for number in (KEM_ID, KDF_ID, AEAD_ID))
_MODE_BASE = b"\x00"


class HpkeError(StbError):
    """Sealing or opening was refused."""


class BadShareError(HpkeError):
    """An encapsulated or public key is not 32 bytes, or is of low order."""


class OpenError(HpkeError):
    """The ciphertext was not sealed for this key, info, place in sequence and additional bytes."""


class ExhaustedError(HpkeError):
    """The context has used all its nonces, or was asked for more exported bytes than there can be."""


def extract(salt: bytes, ikm: bytes) -> bytes:
    """Answer with HKDF-Extract over SHA-256 (RFC 5869 section 2.2): 32 bytes."""
    return hmac.digest(salt, ikm, "sha256")


def expand(prk: bytes, info: bytes, length: int) -> bytes:
    """Answer with `length` bytes of HKDF-Expand over SHA-256 (RFC 5869 section 2.3), at most 8,160."""
    out = block = b""
    for counter in range(1, -(-length // HASH_BYTES) + 1):
        block = hmac.digest(prk, block + info + bytes([counter]), "sha256")
        out += block
    return out[:length]


def _labeled_extract(suite: bytes, salt: bytes, label: bytes, ikm: bytes) -> bytes:
    return extract(salt, b"HPKE-v1" + suite + label + ikm)


def _labeled_expand(suite: bytes, prk: bytes, label: bytes, info: bytes, length: int) -> bytes:
    return expand(prk, length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info, length)


# Base mode has no pre-shared key; the hash of its empty name never changes.
_PSK_ID_HASH = _labeled_extract(_HPKE_SUITE, b"", b"psk_id_hash", b"")


class _Schedule(NamedTuple):
    key: bytes
    base_nonce: bytes
    exporter_secret: bytes


class _Context:
    """What both ends share after setup: a key, a row of nonces and an exporter."""

    def __init__(self, schedule: _Schedule) -> None:
        self._aead = AESGCM(schedule.key)
        self._base_nonce = int.from_bytes(schedule.base_nonce, "big")
        self._exporter_secret = schedule.exporter_secret
        self._sequence = 0

    def export(self, exporter_context: bytes, length: int) -> bytes:
        """Answer with `length` secret bytes that the other end can export too (RFC 9180 section 5.3).

        Raises:
            ExhaustedError: `length` is not within 0 and 8,160.
        """
        if not 0 <= length <= MAX_EXPORT_BYTES:
            raise ExhaustedError("an exporter gives at most 8,160 bytes")
        return _labeled_expand(_HPKE_SUITE, self._exporter_secret, b"sec", exporter_context, length)

    def _nonce(self) -> bytes:
        # RFC 9180 section 5.2: the last number is never used, so that counting cannot wrap.
        if self._sequence >= _LAST_SEQUENCE:
            raise ExhaustedError("all nonces of this context are used")
        return (self._base_nonce ^ self._sequence).to_bytes(NONCE_BYTES, "big")


class SenderContext(_Context):
    """The sealing end."""

    def seal(self, aad: bytes, plaintext: bytes) -> bytes:
        """Answer with the ciphertext, 16 bytes longer than the plaintext; each call is next in sequence.

        Raises:
            ExhaustedError: No nonce is left.
        """
        sealed = self._aead.encrypt(self._nonce(), plaintext, aad)
        self._sequence += 1
        return sealed


class ReceiverContext(_Context):
    """The opening end."""

    def open(self, aad: bytes, ciphertext: bytes) -> bytes:
        """Answer with the plaintext; what cannot be opened does not move the sequence.

        Raises:
            OpenError: The ciphertext is not the next one of this sequence, or was changed.
            ExhaustedError: No nonce is left.
        """
        try:
            opened = self._aead.decrypt(self._nonce(), ciphertext, aad)
        except InvalidTag as error:
            raise OpenError("the ciphertext cannot be opened") from error
        self._sequence += 1
        return opened


def setup_sender(
    public: X25519PublicKey, info: bytes, random_bytes: Callable[[int], bytes] = os.urandom
) -> tuple[bytes, SenderContext]:
    """Begin to seal for a public key (RFC 9180 section 5.1.1, SetupBaseS).

    Args:
        public: The receiver's key.
        info: What both ends know about the occasion; a receiver with another info opens nothing.
        random_bytes: Gives the 32 bytes of the one-time private key; the same bytes again would seal again
            under the same key and nonces.

    Returns:
        The encapsulated key, 32 bytes, and the sealing end.

    Raises:
        BadShareError: The public key is of low order.
    """
    ephemeral = X25519PrivateKey.from_private_bytes(random_bytes(ENC_BYTES))
    enc = ephemeral.public_key().public_bytes_raw()
    shared = _shared_secret(_exchange(ephemeral, public), enc + public.public_bytes_raw())
    return enc, SenderContext(_key_schedule(shared, info))


def setup_receiver(enc: bytes, private: X25519PrivateKey, info: bytes) -> ReceiverContext:
    """Begin to open what was sealed for this key (RFC 9180 section 5.1.1, SetupBaseR).

    Raises:
        BadShareError: `enc` is not 32 bytes, or is of low order.
    """
    if len(enc) != ENC_BYTES:
        raise BadShareError("an encapsulated key has 32 bytes")
    agreed = _exchange(private, X25519PublicKey.from_public_bytes(enc))
    shared = _shared_secret(agreed, enc + private.public_key().public_bytes_raw())
    return ReceiverContext(_key_schedule(shared, info))


def _exchange(private: X25519PrivateKey, public: X25519PublicKey) -> bytes:
    try:
        return private.exchange(public)
    except ValueError as error:  # the all-zero result of RFC 7748 section 6.1
        raise BadShareError("the key is of low order") from error


def _shared_secret(agreed: bytes, kem_context: bytes) -> bytes:
    prk = _labeled_extract(_KEM_SUITE, b"", b"eae_prk", agreed)
    return _labeled_expand(_KEM_SUITE, prk, b"shared_secret", kem_context, HASH_BYTES)


def _key_schedule(shared_secret: bytes, info: bytes) -> _Schedule:
    info_hash = _labeled_extract(_HPKE_SUITE, b"", b"info_hash", info)
    context = _MODE_BASE + _PSK_ID_HASH + info_hash
    secret = _labeled_extract(_HPKE_SUITE, shared_secret, b"secret", b"")
    return _Schedule(
        _labeled_expand(_HPKE_SUITE, secret, b"key", context, KEY_BYTES),
        _labeled_expand(_HPKE_SUITE, secret, b"base_nonce", context, NONCE_BYTES),
        _labeled_expand(_HPKE_SUITE, secret, b"exp", context, HASH_BYTES),
    )

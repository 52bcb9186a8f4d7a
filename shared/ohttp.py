"""Oblivious HTTP, RFC 9458: a sealed request through a relay that cannot read it, and the sealed answer.

One suite: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM (`shared.hpke`). What is sealed is bytes here;
that they are binary HTTP is `shared.bhttp`'s concern. A retry is sealed afresh (section 6.5).
"""

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared import hpke
from shared.errors import StbError

KEYS_MEDIA_TYPE = "application/ohttp-keys"
REQUEST_MEDIA_TYPE = "message/ohttp-req"
RESPONSE_MEDIA_TYPE = "message/ohttp-res"
RESPONSE_NONCE_BYTES = max(hpke.NONCE_BYTES, hpke.KEY_BYTES)
HEADER_BYTES = 7
REQUEST_OVERHEAD = HEADER_BYTES + hpke.ENC_BYTES + hpke.TAG_BYTES
RESPONSE_OVERHEAD = RESPONSE_NONCE_BYTES + hpke.TAG_BYTES

SUITE = (hpke.KDF_ID, hpke.AEAD_ID)
_KEY_BYTES = 32
_MAX_KEY_ID = 255
_MAX_SUITES = 16_383  # four bytes each, counted in two
_SUITE_BYTES = 4
_FIXED_CONFIG_BYTES = 1 + 2 + _KEY_BYTES + 2
_REQUEST_LABEL = b"message/bhttp request"
_RESPONSE_LABEL = b"message/bhttp response"


class OhttpError(StbError):
    """A key configuration, sealed request or sealed answer was refused."""


class WrongKeyError(OhttpError):
    """The request names a key id that this gateway does not have."""


class WrongSuiteError(OhttpError):
    """Another suite than X25519, HKDF-SHA256, AES-128-GCM was asked for."""


class SealError(OhttpError):
    """The seal does not open: another key, or a changed byte."""


class TruncatedError(OhttpError):
    """There are too few bytes, or bytes that nothing accounts for."""


@dataclass(frozen=True, slots=True)
class KeyConfig:
    """A gateway's public key and the suites it takes (RFC 9458 section 3.1).

    Attributes:
        key_id: 0 to 255; what a sealed request carries to name this key.
        public_key: 32 bytes, X25519.
        suites: Pairs of KDF and AEAD number, in the gateway's order of preference.

    Raises:
        TruncatedError: The key is not 32 bytes, or the key id not one byte.
        WrongSuiteError: The suites do not contain ours, or are more than can be counted.
    """

    key_id: int
    public_key: bytes
    suites: tuple[tuple[int, int], ...] = (SUITE,)

    def __post_init__(self) -> None:
        if not 0 <= self.key_id <= _MAX_KEY_ID or len(self.public_key) != _KEY_BYTES:
            raise TruncatedError("a key configuration has a key id of one byte and a key of 32")
        if SUITE not in self.suites or len(self.suites) > _MAX_SUITES:
            raise WrongSuiteError("the key configuration does not offer HKDF-SHA256 with AES-128-GCM")

    def encode(self) -> bytes:
        """Answer with the one configuration, without length prefix: 41 bytes with one suite."""
        suites = b"".join(_number(kdf) + _number(aead) for kdf, aead in self.suites)
        head = bytes([self.key_id]) + _number(hpke.KEM_ID) + self.public_key
        return head + _number(len(suites)) + suites

    @classmethod
    def decode(cls, encoded: bytes) -> "KeyConfig":
        """Read one configuration.

        Raises:
            TruncatedError: The bytes are too few or too many.
            WrongSuiteError: It is for another KEM, or offers none of our suites.
        """
        if _read_number(encoded, 1) != hpke.KEM_ID:
            raise WrongSuiteError("the key configuration is not for X25519")
        if len(encoded) < _FIXED_CONFIG_BYTES:
            raise TruncatedError("the key configuration is cut short")
        suites = encoded[_FIXED_CONFIG_BYTES:]
        declared = _read_number(encoded, _FIXED_CONFIG_BYTES - 2)
        if len(suites) != declared:
            raise TruncatedError("the list of suites is not as long as it says")
        pairs = [
            (_read_number(suites, at), _read_number(suites, at + 2))
            for at in range(0, declared, _SUITE_BYTES)
        ]
        return cls(encoded[0], encoded[3 : 3 + _KEY_BYTES], tuple(pairs))


def encode_configs(configs: tuple[KeyConfig, ...]) -> bytes:
    """Answer with an `application/ohttp-keys` list: each configuration behind its length in two bytes."""
    encoded = (config.encode() for config in configs)
    return b"".join(_number(len(one)) + one for one in encoded)


def decode_configs(encoded: bytes) -> tuple[KeyConfig, ...]:
    """Read an `application/ohttp-keys` list; configurations of other suites are passed over (section 3.2).

    Raises:
        TruncatedError: A configuration is not as long as it says.
        WrongSuiteError: None is left that can be used.
    """
    configs: list[KeyConfig] = []
    while encoded:
        end = 2 + _read_number(encoded, 0)
        if len(encoded) < end:
            raise TruncatedError("the list of key configurations is cut short")
        with contextlib.suppress(WrongSuiteError):  # the length stands there so that others can be skipped
            configs.append(KeyConfig.decode(encoded[2:end]))
        encoded = encoded[end:]
    if not configs:
        raise WrongSuiteError("no key configuration offers our suite")
    return tuple(configs)


class ClientContext:
    """What a client keeps, in memory only, to open the answer to one request."""

    def __init__(self, enc: bytes, secret: bytes) -> None:
        self._enc = enc
        self._secret = secret

    def open_response(self, sealed: bytes) -> bytes:
        """Answer with the response's bytes (RFC 9458 section 4.4).

        Raises:
            TruncatedError: It is too short to be a sealed response.
            SealError: It answers another request, or was changed.
        """
        if len(sealed) < RESPONSE_OVERHEAD:
            raise TruncatedError("the sealed response is cut short")
        response_nonce = sealed[:RESPONSE_NONCE_BYTES]
        aead, nonce = _response_seal(self._secret, self._enc, response_nonce)
        try:
            return aead.decrypt(nonce, sealed[RESPONSE_NONCE_BYTES:], b"")
        except InvalidTag as error:
            raise SealError("the sealed response does not open") from error


class ServerContext:
    """What a gateway keeps, in memory only, to seal the answer to one request."""

    def __init__(self, enc: bytes, secret: bytes) -> None:
        self._enc = enc
        self._secret = secret

    def seal_response(self, response: bytes, response_nonce: bytes) -> bytes:
        """Answer with the sealed response, 32 bytes longer than the response (RFC 9458 section 4.4).

        Args:
            response: The response's bytes.
            response_nonce: 16 fresh random bytes for every call: a request that was replayed has the same
                secret, and only the nonce keeps the two answers from sharing a key.

        Raises:
            TruncatedError: The nonce is not 16 bytes.
        """
        if len(response_nonce) != RESPONSE_NONCE_BYTES:
            raise TruncatedError("a response nonce has 16 bytes")
        aead, nonce = _response_seal(self._secret, self._enc, response_nonce)
        return response_nonce + aead.encrypt(nonce, response, b"")


def encapsulate_request(
    config: KeyConfig, request: bytes, random_bytes: Callable[[int], bytes] = os.urandom
) -> tuple[bytes, ClientContext]:
    """Seal a request for a gateway (RFC 9458 section 4.3).

    Args:
        config: The gateway's key configuration.
        request: The request's bytes, usually from `shared.bhttp.encode_request`.
        random_bytes: Gives the 32 bytes of the one-time key.

    Returns:
        The sealed request, 55 bytes longer, and what opens the answer.

    Raises:
        SealError: The gateway's public key is of low order.
    """
    header = bytes([config.key_id]) + b"".join(map(_number, (hpke.KEM_ID, *SUITE)))
    public = X25519PublicKey.from_public_bytes(config.public_key)
    try:
        enc, sender = hpke.setup_sender(public, _info(header), random_bytes)
    except hpke.BadShareError as error:
        raise SealError("the gateway's key cannot be sealed for") from error
    sealed = header + enc + sender.seal(b"", request)
    return sealed, ClientContext(enc, sender.export(_RESPONSE_LABEL, RESPONSE_NONCE_BYTES))


class Gateway:
    """The end that opens requests; one key, one key id."""

    def __init__(self, private_key: X25519PrivateKey, key_id: int) -> None:
        self._private_key = private_key
        self.config = KeyConfig(key_id, private_key.public_key().public_bytes_raw())

    def open_request(self, sealed: bytes) -> tuple[bytes, ServerContext]:
        """Open a sealed request (RFC 9458 section 4.3).

        Whether it was seen before, the caller owes: a replay opens like the first.

        Raises:
            TruncatedError: It is too short to be a sealed request.
            WrongKeyError: It names another key id.
            WrongSuiteError: It names another suite.
            SealError: It was sealed for another key, or was changed.
        """
        if len(sealed) < REQUEST_OVERHEAD:
            raise TruncatedError("the sealed request is cut short")
        self._check_header(sealed)
        enc = sealed[HEADER_BYTES : HEADER_BYTES + hpke.ENC_BYTES]
        try:
            receiver = hpke.setup_receiver(enc, self._private_key, _info(sealed[:HEADER_BYTES]))
            request = receiver.open(b"", sealed[HEADER_BYTES + hpke.ENC_BYTES :])
        except hpke.HpkeError as error:
            raise SealError("the sealed request does not open") from error
        return request, ServerContext(enc, receiver.export(_RESPONSE_LABEL, RESPONSE_NONCE_BYTES))

    def _check_header(self, sealed: bytes) -> None:
        if sealed[0] != self.config.key_id:
            raise WrongKeyError("the sealed request names an unknown key")
        if tuple(_read_number(sealed, at) for at in (1, 3, 5)) != (hpke.KEM_ID, *SUITE):
            raise WrongSuiteError("the sealed request is of another suite")


def _info(header: bytes) -> bytes:
    return _REQUEST_LABEL + b"\x00" + header


def _response_seal(secret: bytes, enc: bytes, response_nonce: bytes) -> tuple[AESGCM, bytes]:
    prk = hpke.extract(enc + response_nonce, secret)
    key = hpke.expand(prk, b"key", hpke.KEY_BYTES)
    return AESGCM(key), hpke.expand(prk, b"nonce", hpke.NONCE_BYTES)


def _number(value: int) -> bytes:
    return value.to_bytes(2, "big")


def _read_number(raw: bytes, at: int) -> int:
    if len(raw) < at + 2:
        raise TruncatedError("a number of two bytes is cut short")
    return int.from_bytes(raw[at : at + 2], "big")

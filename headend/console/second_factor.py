"""Second factors: time-based codes (RFC 6238: SHA-1, 6 digits, 30 seconds), their secrets sealed at rest.

A sealed secret is `nonce (12) | AES-256-GCM` with the operator's name as associated data, so that one
operator's cannot be put in another's place. The key is the console's own, made at first need.
"""

import base64
import hmac
import re
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from headend.kit.engine import Shelf
from headend.kit.shelf import KeyFileError
from shared.errors import StbError

STEP_MS = 30_000
KEY_FILE = "second-factor.key"
_SECRET_BYTES = 20
_KEY_BYTES = 32
_NONCE_BYTES = 12
_DIGITS = 6
_SKEW_STEPS = 1
_CODE = re.compile(r"[0-9]{6}")
_LABEL = b"second factor of "


class SealError(StbError):
    """The second factor cannot be read: its key is missing or is another; an admin can reset it."""


class Seals:
    """Secrets sealed under the one key on the console's shelf."""

    def __init__(self, shelf: Shelf, random_bytes: Callable[[int], bytes]) -> None:
        self._shelf = shelf
        self._random = random_bytes

    def seal(self, operator: str, secret: bytes) -> bytes:
        """The secret, sealed for that operator."""
        nonce = self._random(_NONCE_BYTES)
        return nonce + AESGCM(self._made_key()).encrypt(nonce, secret, _LABEL + operator.encode())

    def open(self, operator: str, sealed: bytes) -> bytes:
        """The secret that was sealed for that operator.

        Raises:
            SealError: it was not, or the key is not the one that it was sealed under.
        """
        try:
            key = AESGCM(self._shelf.get(KEY_FILE) or b"")
            return key.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _LABEL + operator.encode())
        except (KeyFileError, ValueError, InvalidTag) as error:
            raise SealError(f"the second factor of {operator} cannot be opened") from error

    def _made_key(self) -> bytes:
        return self._shelf.get(KEY_FILE) or self._shelf.put_once(KEY_FILE, self._random(_KEY_BYTES))


def make_secret(random_bytes: Callable[[int], bytes]) -> bytes:
    """A new secret of 160 bits."""
    return random_bytes(_SECRET_BYTES)


def code_at(secret: bytes, step: int) -> str:
    """The code of a time step.

    >>> code_at(b"12345678901234567890", 1)
    '287082'
    """
    return _totp(secret).generate(step * STEP_MS // 1000).decode()


def step_of(secret: bytes, code: str, now_ms: int, last_step: int) -> int | None:
    """The time step whose code that is, one step early or late; none at or before the last one used."""
    typed = "".join(code.split())
    if not _CODE.fullmatch(typed):
        return None
    now = now_ms // STEP_MS
    fitting = [
        step
        for step in range(now - _SKEW_STEPS, now + _SKEW_STEPS + 1)
        if hmac.compare_digest(code_at(secret, step), typed)
    ]
    return next((step for step in fitting if step > last_step), None)


def as_text(secret: bytes) -> str:
    """The secret as people type it into an application: base32 in groups of four."""
    letters = base64.b32encode(secret).decode()
    return " ".join(letters[at : at + 4] for at in range(0, len(letters), 4))


def as_address(secret: bytes, operator: str, issuer: str) -> str:
    """The address (otpauth:) that applications read from a QR code."""
    return _totp(secret).get_provisioning_uri(operator, issuer)


def _totp(secret: bytes) -> TOTP:
    return TOTP(secret, _DIGITS, SHA1(), STEP_MS // 1000)  # noqa: S303 (RFC 6238's own; applications know no other)

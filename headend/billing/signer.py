"""The issuer's key: signs what it cannot read (RFC 9474 section 4.3).

Behind a Protocol, so that an operator can keep the key in a hardware module: whoever wants a signature knows
a `Signer` only. `RsaSigner` is the one in software, with gmpy2's constant-time power.
"""

import os
from collections.abc import Callable
from typing import Protocol

import gmpy2
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from shared.tokens import BadTokenKeyError, TokenError, WrongLengthError, draw_below, token_key_spki

_EXPONENT = 65_537
_KEY_BITS = 2_048


class BlindedMessageError(TokenError):
    """The blinded message is not smaller than the modulus."""


class SigningFaultError(TokenError):
    """The signature came out wrong and was withheld: a faulty one can give the key away."""


class Signer(Protocol):
    """Whoever holds a token key."""

    @property
    def public_spki(self) -> bytes:
        """The public key, as `shared.tokens.token_key_spki` writes it."""

    def blind_sign(self, blinded: bytes) -> bytes:
        """Sign a blinded message; 256 bytes in, 256 bytes out.

        Raises:
            WrongLengthError: The message is not as long as the modulus.
            BlindedMessageError: The message is not smaller than the modulus.
            SigningFaultError: The signature came out wrong.
        """


class RsaSigner:
    """A token key in this process's memory."""

    def __init__(self, key: rsa.RSAPrivateKey, random_bytes: Callable[[int], bytes] = os.urandom) -> None:
        numbers = key.private_numbers()
        self._key = key
        self._random_bytes = random_bytes
        self._n = gmpy2.mpz(numbers.public_numbers.n)
        self._e = gmpy2.mpz(numbers.public_numbers.e)
        self._p, self._q = gmpy2.mpz(numbers.p), gmpy2.mpz(numbers.q)
        self._dp, self._dq = gmpy2.mpz(numbers.dmp1), gmpy2.mpz(numbers.dmq1)
        self._q_inverse = gmpy2.mpz(numbers.iqmp)

    @classmethod
    def generate(cls) -> "RsaSigner":
        """Answer with a new key, RSA-2048 with exponent 65537; takes about a tenth of a second."""
        return cls(rsa.generate_private_key(_EXPONENT, _KEY_BITS))

    @classmethod
    def from_pem(cls, pem: bytes) -> "RsaSigner":
        """Read what `to_pem` wrote.

        Raises:
            BadTokenKeyError: It is no unencrypted RSA-2048 key with exponent 65537.
        """
        try:
            key = serialization.load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise BadTokenKeyError("the bytes are no unencrypted private key in PEM") from error
        if not isinstance(key, rsa.RSAPrivateKey):
            raise BadTokenKeyError("a token key is RSA-2048 with exponent 65537")
        token_key_spki(key.public_key())
        return cls(key)

    def to_pem(self) -> bytes:
        """Answer with the private key as unencrypted PKCS #8 PEM, for a file of mode 0600 only."""
        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    @property
    def public_spki(self) -> bytes:
        """The public key, as `shared.tokens.token_key_spki` writes it."""
        return token_key_spki(self._key.public_key())

    def blind_sign(self, blinded: bytes) -> bytes:
        """Sign a blinded message (RFC 9474 section 4.3); as many bytes out as in.

        (1) the message is as long as the modulus, (2) and smaller, (3) it is blinded once more, so that the
        time of the power says nothing about it, (4) the power, (5) the second blinding undone, (6) the result
        gives the message back, else it is withheld.

        Raises:
            WrongLengthError: Step 1 failed.
            BlindedMessageError: Step 2 failed.
            SigningFaultError: Step 6 failed.
        """
        length = self._key.key_size // 8
        if len(blinded) != length:  # 1
            raise WrongLengthError(f"expected {length} bytes")
        message = gmpy2.mpz(int.from_bytes(blinded, "big"))
        if message >= self._n:  # 2
            raise BlindedMessageError("the blinded message is not smaller than the modulus")
        factor = gmpy2.mpz(draw_below(int(self._n), self._random_bytes))
        base = message * gmpy2.powmod(factor, self._e, self._n) % self._n  # 3
        signature = self._power(base) * gmpy2.invert(factor, self._n) % self._n  # 4, 5
        if gmpy2.powmod(signature, self._e, self._n) != message:  # 6
            raise SigningFaultError("the signature came out wrong and was withheld")
        return int(signature).to_bytes(length, "big")

    def _power(self, base: gmpy2.mpz) -> gmpy2.mpz:
        """Raise to the private exponent by the two primes (RFC 8017 section 5.1.2)."""
        by_p = gmpy2.powmod_sec(base % self._p, self._dp, self._p)
        by_q = gmpy2.powmod_sec(base % self._q, self._dq, self._q)
        return by_q + self._q * ((by_p - by_q) * self._q_inverse % self._p)

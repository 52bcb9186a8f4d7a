"""Anonymous rights to send one fragment: blind RSA tokens of Privacy Pass.

RFC 9474 (RSABSSA-SHA384-PSS-Deterministic, RSA-2048, salt of 48 bytes), RFC 9578 section 6 (token type
0x0002), RFC 9577 (challenge and header). The client's part and the check of a token, on `cryptography`
and Python's own integers; the issuer's key stays in the headend. The order of a token's life:
`TokenChallenge.digest` and a nonce go into `prepare`, `blind` makes what must be stored before it is sent,
the issuer signs, `finalize` unblinds, `authorization_header` spends.
"""

import base64
import hashlib
import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers

from shared.errors import StbError

TOKEN_TYPE = 0x0002
MODULUS_BYTES = 256  # Nk
NONCE_BYTES = 32
DIGEST_BYTES = 32
SALT_BYTES = 48
TOKEN_INPUT_BYTES = 2 + NONCE_BYTES + DIGEST_BYTES + DIGEST_BYTES
TOKEN_BYTES = TOKEN_INPUT_BYTES + MODULUS_BYTES
REQUEST_BYTES = 2 + 1 + MODULUS_BYTES
MAX_NAME_BYTES = 65_535

_EXPONENT = 65_537
_MODULUS_BITS = 8 * MODULUS_BYTES
_HASH = hashes.SHA384()
_HASH_BYTES = 48
_DRAWS = 256  # each is taken with a chance of at least a half: more misses than this mean a broken source
_TYPE = TOKEN_TYPE.to_bytes(2, "big")
# RFC 9578 section 6.5 fixes algorithm, length and exponent: all of the DER but the modulus is constant.
_SPKI_HEAD = bytes.fromhex(
    "30820152"  # SubjectPublicKeyInfo
    "303d06092a864886f70d01010a"  # id-RSASSA-PSS
    "3030a00d300b0609608648016503040202"  # hash: SHA-384
    "a11a301806092a864886f70d010108300b0609608648016503040202"  # mask: MGF1 with SHA-384
    "a203020130"  # salt: 48
    "0382010f003082010a0282010100"  # the bit string, RSAPublicKey, and a modulus with its top bit set
)
_SPKI_TAIL = bytes.fromhex("0203010001")
_HEADER = re.compile(r'PrivateToken +token=(?:"([A-Za-z0-9_=\-]+)"|([A-Za-z0-9_=\-]+))', re.IGNORECASE)
_MAX_HEADER = 1_024


class TokenError(StbError):
    """A token, or a step towards one, was refused."""


class WrongLengthError(TokenError):
    """The bytes are not as many as this message always has."""


class WrongTokenTypeError(TokenError):
    """The message is of another token type than 0x0002."""


class UnknownKeyError(TokenError):
    """The message names another key than the one at hand."""


class BadTokenError(TokenError):
    """The signature does not fit the token and the key."""


class BadTokenKeyError(TokenError):
    """The key is not RSA-2048 with exponent 65537, written as id-RSASSA-PSS with SHA-384 and salt 48."""


class BadChallengeError(TokenError):
    """A challenge's part is too long, not ASCII, or of a length that is not allowed."""


class BadHeaderError(TokenError):
    """The Authorization header is not `PrivateToken` with one token."""


class BlindingError(TokenError):
    """No blinding factor could be had, or the one given cannot be undone."""


@dataclass(frozen=True, slots=True)
class TokenChallenge:
    """What a token is good for (RFC 9577 section 2.1); client and origin compute it each for itself.

    Attributes:
        issuer_name: ASCII, 1 to 65,535 bytes.
        redemption_context: 32 bytes, or none.
        origin_info: ASCII, up to 65,535 bytes; origin names with commas between them.

    Raises:
        BadChallengeError: A part is not as described.
    """

    issuer_name: str
    redemption_context: bytes = b""
    origin_info: str = ""

    def __post_init__(self) -> None:
        names = (self.issuer_name, self.origin_info)
        if not all(name.isascii() and len(name) <= MAX_NAME_BYTES for name in names) or not self.issuer_name:
            raise BadChallengeError("issuer name and origin info are ASCII, at most 65,535 bytes")
        if len(self.redemption_context) not in {0, DIGEST_BYTES}:
            raise BadChallengeError("a redemption context has 32 bytes or none")

    def encode(self) -> bytes:
        """Answer with the TokenChallenge structure."""
        issuer, origin = self.issuer_name.encode("ascii"), self.origin_info.encode("ascii")
        context = bytes([len(self.redemption_context)]) + self.redemption_context
        return _TYPE + _prefixed(issuer) + context + _prefixed(origin)

    def digest(self) -> bytes:
        """Answer with the 32 bytes of its SHA-256, which a token carries."""
        return hashlib.sha256(self.encode()).digest()


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """What the issuer gets to see (RFC 9578 section 6.1).

    Attributes:
        truncated_key_id: The last byte of the key id, 0 to 255.
        blinded: 256 bytes, which say nothing about the token.
    """

    truncated_key_id: int
    blinded: bytes

    def encode(self) -> bytes:
        """Answer with the 259 bytes of the TokenRequest structure."""
        return _TYPE + bytes([self.truncated_key_id]) + self.blinded

    @classmethod
    def decode(cls, encoded: bytes) -> "TokenRequest":
        """Read a request.

        Raises:
            WrongLengthError: It is not 259 bytes.
            WrongTokenTypeError: It is of another token type.
        """
        _check(encoded, REQUEST_BYTES)
        return cls(encoded[2], encoded[3:])


@dataclass(frozen=True, slots=True)
class Token:
    """A token (RFC 9577 section 2.2): three times 32 bytes, and a signature of 256."""

    nonce: bytes
    challenge_digest: bytes
    key_id: bytes
    authenticator: bytes

    def signed_part(self) -> bytes:
        """Answer with the 98 bytes that the authenticator signs."""
        return _TYPE + self.nonce + self.challenge_digest + self.key_id

    def encode(self) -> bytes:
        """Answer with the 354 bytes of the Token structure."""
        return self.signed_part() + self.authenticator

    @classmethod
    def decode(cls, encoded: bytes) -> "Token":
        """Read a token; whether it is genuine, `verify_token` says.

        Raises:
            WrongLengthError: It is not 354 bytes.
            WrongTokenTypeError: It is of another token type.
        """
        _check(encoded, TOKEN_BYTES)
        return cls(encoded[2:34], encoded[34:66], encoded[66:98], encoded[98:])


@dataclass(frozen=True, slots=True)
class PendingToken:
    """A token between request and answer; stored durably before the request is sent.

    Attributes:
        inverse: Undoes the blinding; whoever sees it can link the token to its request.
        token_input: The 98 bytes to be signed.
        request: The 259 bytes to send; sent again, they get the same answer.
    """

    inverse: int = field(repr=False)
    token_input: bytes = field(repr=False)
    request: bytes = field(repr=False)

    @property
    def nonce(self) -> bytes:
        """The token's 32-byte nonce."""
        return self.token_input[2:34]

    @property
    def key_id(self) -> bytes:
        """The 32-byte id of the key that shall sign."""
        return self.token_input[66:]

    def to_bytes(self) -> bytes:
        """Answer with 613 bytes: inverse (256), token input (98), request (259)."""
        return self.inverse.to_bytes(MODULUS_BYTES, "big") + self.token_input + self.request

    @classmethod
    def from_bytes(cls, stored: bytes) -> "PendingToken":
        """Read what `to_bytes` wrote.

        Raises:
            WrongLengthError: It is not 613 bytes.
            WrongTokenTypeError: Its parts are of another token type.
            UnknownKeyError: Its request names another key than its token.
        """
        end = MODULUS_BYTES + TOKEN_INPUT_BYTES
        token_input, request = stored[MODULUS_BYTES:end], stored[end:]
        _check(token_input, TOKEN_INPUT_BYTES)
        if TokenRequest.decode(request).truncated_key_id != truncated_key_id(token_input[66:]):
            raise UnknownKeyError("the stored request names another key than its token")
        return cls(int.from_bytes(stored[:MODULUS_BYTES], "big"), token_input, request)


def token_key_spki(key: RSAPublicKey | RSAPublicNumbers) -> bytes:
    """Answer with the 342 bytes of id-RSASSA-PSS SubjectPublicKeyInfo (RFC 9578 section 6.5).

    Raises:
        BadTokenKeyError: The key is not RSA-2048 with exponent 65537.
    """
    numbers = key.public_numbers() if isinstance(key, RSAPublicKey) else key
    if numbers.n.bit_length() != _MODULUS_BITS or numbers.e != _EXPONENT or not numbers.n % 2:
        raise BadTokenKeyError("a token key is RSA-2048 with exponent 65537")
    return _SPKI_HEAD + numbers.n.to_bytes(MODULUS_BYTES, "big") + _SPKI_TAIL


def read_token_key(spki: bytes) -> RSAPublicKey:
    """Read a token key; anything but the one encoding that `token_key_spki` writes is refused.

    Raises:
        BadTokenKeyError: The bytes are another algorithm, length, exponent or encoding.
    """
    modulus = int.from_bytes(spki[len(_SPKI_HEAD) : -len(_SPKI_TAIL)], "big")
    numbers = RSAPublicNumbers(_EXPONENT, modulus)
    if token_key_spki(numbers) != spki:
        raise BadTokenKeyError("the key is not written as RFC 9578 section 6.5 says")
    return numbers.public_key()


def token_key_id(spki: bytes) -> bytes:
    """Answer with the 32-byte key id: the SHA-256 of the encoded key (RFC 9578 section 6.5)."""
    return hashlib.sha256(spki).digest()


def truncated_key_id(key_id: bytes) -> int:
    """Answer with the one byte of a key id that a request carries: its last (RFC 9578 section 6.1)."""
    return key_id[-1]


def prepare(challenge_digest: bytes, spki: bytes, nonce: bytes) -> bytes:
    """Answer with the 98 bytes that shall be signed (RFC 9578 section 6.1, "token_input").

    Args:
        challenge_digest: `TokenChallenge.digest`, 32 bytes.
        spki: The key that shall sign.
        nonce: 32 fresh random bytes; they are all that keeps the message from being guessed.

    Raises:
        WrongLengthError: Digest or nonce is not 32 bytes.
        BadTokenKeyError: The key is not a token key.
    """
    if len(challenge_digest) != DIGEST_BYTES or len(nonce) != NONCE_BYTES:
        raise WrongLengthError("digest and nonce have 32 bytes each")
    read_token_key(spki)
    return _TYPE + nonce + challenge_digest + token_key_id(spki)


def blind(token_input: bytes, spki: bytes, random_bytes: Callable[[int], bytes] = os.urandom) -> PendingToken:
    """Blind a token's input (RFC 9474 section 4.2); "deterministic" names the message, the salt is random.

    Args:
        token_input: What `prepare` answered.
        spki: The same key.
        random_bytes: Gives salt and blinding factor.

    Raises:
        WrongLengthError: The input is not 98 bytes.
        WrongTokenTypeError: The input is of another token type.
        UnknownKeyError: The input names another key.
        BadTokenKeyError: The key is not a token key.
        BlindingError: The source of randomness gives nothing usable.
    """
    salt = random_bytes(SALT_BYTES)
    factor = draw_below(read_token_key(spki).public_numbers().n, random_bytes)
    return _blind_with(token_input, spki, salt, factor)


def finalize(pending: PendingToken, spki: bytes, response: bytes) -> Token:
    """Unblind the issuer's answer and check it (RFC 9474 section 4.4).

    Args:
        pending: What was stored before the request was sent.
        spki: The key that was asked to sign.
        response: The issuer's 256 bytes.

    Raises:
        WrongLengthError: The answer is not 256 bytes.
        UnknownKeyError: The token is for another key.
        BadTokenKeyError: The key is not a token key.
        BadTokenError: The answer is no signature on this request by this key.
    """
    if len(response) != MODULUS_BYTES:
        raise WrongLengthError(f"expected {MODULUS_BYTES} bytes")
    key = read_token_key(spki)
    _check_key(pending.token_input, spki)
    signature = unblind_signature(key.public_numbers(), response, pending.inverse)
    token = Token.decode(pending.token_input + signature)
    verify_token(token, key)
    return token


def verify_token(token: Token, key: RSAPublicKey) -> None:
    """Check a token's signature (RFC 9578 section 6.4, RSASSA-PSS-VERIFY of RFC 8017).

    The caller owes: that `key` was found by `token.key_id`, that `token.challenge_digest` is the one
    expected, and that the nonce was not seen before.

    Raises:
        BadTokenError: The signature is not by this key over this token.
    """
    scheme = padding.PSS(padding.MGF1(_HASH), SALT_BYTES)
    try:
        key.verify(token.authenticator, token.signed_part(), scheme, _HASH)
    except InvalidSignature as error:
        raise BadTokenError("the token was not signed by this key") from error


def authorization_header(token: Token) -> str:
    """Answer with the value of the Authorization header that spends a token (RFC 9577 section 2.2)."""
    return f'PrivateToken token="{base64.urlsafe_b64encode(token.encode()).decode("ascii")}"'


def parse_authorization(header: str) -> Token:
    """Read the token of an Authorization header, quoted or not, in base64url.

    Raises:
        BadHeaderError: It is another scheme, has other parameters, or is not base64url.
        WrongLengthError: The token is not 354 bytes.
        WrongTokenTypeError: It is of another token type.
    """
    found = _HEADER.fullmatch(header) if len(header) <= _MAX_HEADER else None
    if found is None:
        raise BadHeaderError("the header is not PrivateToken with one token")
    try:
        encoded = base64.b64decode(found[1] or found[2], altchars=b"-_", validate=True)
    except ValueError as error:
        raise BadHeaderError("the token is not base64url with padding") from error
    return Token.decode(encoded)


def blind_message(numbers: RSAPublicNumbers, message: bytes, salt: bytes, factor: int) -> tuple[bytes, int]:
    """Blind a prepared message (RFC 9474 section 4.2) for a modulus of any length.

    Args:
        numbers: The signer's public key.
        message: The prepared message.
        salt: The PSS salt: 48 bytes, or none in the PSSZERO variants.
        factor: The blinding factor, uniform in 1 to n - 1.

    Returns:
        The blinded message, as many bytes as the modulus, and the factor's inverse.

    Raises:
        BlindingError: Factor or message has no inverse (a chance in practice never met), or the factor is
            out of range.
    """
    n = numbers.n
    encoded = int.from_bytes(_pss_encode(message, n.bit_length() - 1, salt), "big")
    try:
        inverse = pow(factor, -1, n)
    except ValueError as error:
        raise BlindingError("the blinding factor has no inverse") from error
    if not 0 < factor < n or math.gcd(encoded, n) != 1:
        raise BlindingError("factor or message cannot be used with this key")
    blinded = encoded * pow(factor, numbers.e, n) % n
    return blinded.to_bytes(_length(n), "big"), inverse


def unblind_signature(numbers: RSAPublicNumbers, blind_signature: bytes, inverse: int) -> bytes:
    """Answer with the signature under the blinding (RFC 9474 section 4.4), not yet checked."""
    signature = int.from_bytes(blind_signature, "big") * inverse % numbers.n
    return signature.to_bytes(_length(numbers.n), "big")


def draw_below(modulus: int, random_bytes: Callable[[int], bytes]) -> int:
    """Draw uniformly from 1 to modulus - 1, by drawing again whatever lies outside.

    Raises:
        BlindingError: The source of randomness gives nothing usable.
    """
    size = _length(modulus)
    excess = 8 * size - modulus.bit_length()
    for _ in range(_DRAWS):
        drawn = int.from_bytes(random_bytes(size), "big") >> excess
        if 0 < drawn < modulus:
            return drawn
    raise BlindingError("the source of randomness is broken")


def _blind_with(token_input: bytes, spki: bytes, salt: bytes, factor: int) -> PendingToken:
    _check(token_input, TOKEN_INPUT_BYTES)
    _check_key(token_input, spki)
    blinded, inverse = blind_message(read_token_key(spki).public_numbers(), token_input, salt, factor)
    request = TokenRequest(truncated_key_id(token_key_id(spki)), blinded)
    return PendingToken(inverse, token_input, request.encode())


def _check(message: bytes, length: int) -> None:
    if len(message) != length:
        raise WrongLengthError(f"expected {length} bytes")
    if message[:2] != _TYPE:
        raise WrongTokenTypeError("the token type is not 0x0002")


def _check_key(token_input: bytes, spki: bytes) -> None:
    if token_input[66:] != token_key_id(spki):
        raise UnknownKeyError("the token is for another key")


def _length(modulus: int) -> int:
    return (modulus.bit_length() + 7) // 8


def _prefixed(raw: bytes) -> bytes:
    return len(raw).to_bytes(2, "big") + raw


def _pss_encode(message: bytes, bits: int, salt: bytes) -> bytes:
    """EMSA-PSS-ENCODE of RFC 8017 section 9.1.1 with SHA-384, which `cryptography` keeps to itself."""
    length = (bits + 7) // 8
    hashed = hashlib.sha384(message).digest()
    digest = hashlib.sha384(bytes(8) + hashed + salt).digest()
    block = (b"\x01" + salt).rjust(length - _HASH_BYTES - 1, b"\x00")
    masked = int.from_bytes(block, "big") ^ int.from_bytes(_mgf1(digest, len(block)), "big")
    masked &= (1 << bits - 8 * (_HASH_BYTES + 1)) - 1  # the modulus has no room for the top bits
    return masked.to_bytes(len(block), "big") + digest + b"\xbc"


def _mgf1(seed: bytes, length: int) -> bytes:
    rounds = range(-(-length // _HASH_BYTES))
    return b"".join(hashlib.sha384(seed + count.to_bytes(4, "big")).digest() for count in rounds)[:length]

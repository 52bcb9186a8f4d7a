"""What a fragment must be before it is counted: the week it belongs to, its token, its cell.

Nothing here stores or logs; each way to be refused is a value, which the gateway counts by name.
"""

import binascii
import re
from base64 import urlsafe_b64decode
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from headend.analytics.store import Contribution, StoredDirectory
from shared.anonymous import (
    FRAGMENT_AUTHORITY,
    FRAGMENT_PATH,
    FRAGMENT_SIZE,
    FRAGMENT_TYPE,
    INNER_REQUEST_SIZE,
    Fragment,
    MalformedFragmentError,
    value_fits,
)
from shared.bhttp import BhttpError, Request, decode_request, encode_request
from shared.clock import to_ms
from shared.directory import challenge, read_directory
from shared.errors import StbError
from shared.ohttp import Gateway
from shared.register import SIXTEENTHS, Kind, Measure
from shared.tokens import (
    MODULUS_BYTES,
    NONCE_BYTES,
    BadHeaderError,
    BadTokenError,
    Token,
    TokenError,
    authorization_header,
    parse_authorization,
    read_token_key,
    token_key_id,
    verify_token,
)
from shared.weeks import Week


class Refusal(StrEnum):
    """Why the inside of an opened seal is not counted; the value is the problem's name."""

    INNER_REQUEST = "inner-request"
    FRAGMENT = "malformed-fragment"
    NO_TOKEN = "no-token"  # noqa: S105 (a refusal's name)
    TOKEN = "malformed-token"  # noqa: S105 (a refusal's name)
    OTHER_WEEK = "other-week"
    WEEK_NOT_OVER = "week-not-over"
    WEEK_CLOSED = "week-closed"
    TOKEN_KEY = "unknown-token-key"  # noqa: S105 (a refusal's name)
    OTHER_MEASURE = "other-measure"
    CHALLENGE = "wrong-challenge"
    CELL = "cell-outside-grid"
    VALUE = "value-does-not-fit"
    FORGED = "forged-token"


_STATUS = {
    Refusal.NO_TOKEN: 401,
    Refusal.TOKEN_KEY: 401,
    Refusal.CHALLENGE: 401,
    Refusal.FORGED: 401,
    Refusal.WEEK_NOT_OVER: 403,
    Refusal.WEEK_CLOSED: 403,
}
_MALFORMED = 400


class FragmentRefusedError(StbError):
    """A fragment is not counted; `reason` says why, and nothing has changed."""

    def __init__(self, reason: Refusal) -> None:
        super().__init__(reason.value)
        self.reason = reason

    @property
    def status(self) -> int:
        """The status of the inner answer."""
        return _STATUS.get(self.reason, _MALFORMED)


@dataclass(frozen=True)
class TokenRight:
    """What a token of one key may be spent on."""

    measure: Measure
    cells: int
    key: RSAPublicKey
    challenge_digest: bytes


@dataclass(frozen=True)
class OpenWeek:
    """A week's directory as the intake reads it; `rights` is by token key id."""

    week: Week
    gateway: Gateway
    ends_ms: int
    closes_ms: int
    rights: dict[bytes, TokenRight]


def open_week(stored: StoredDirectory, gateway: Gateway) -> OpenWeek:
    """Make a week's directory ready for the intake.

    Raises:
        BadDirectoryError: the directory does not fit the register packaged here.
    """
    said = read_directory(stored.payload, stored.week)
    rights = {}
    for measure in said.taken().measures:
        spki = said.token_key(measure.name)
        digest = challenge(said.issuer, measure.name, stored.week).digest()
        rights[token_key_id(spki)] = TokenRight(
            measure, said.grid(measure).size, read_token_key(spki), digest
        )
    return OpenWeek(stored.week, gateway, said.ends_ms, said.closes_ms, rights)


def check(inner: bytes, week: OpenWeek, now: datetime) -> Contribution:
    """Read an opened request and prove that it may be counted, but for its token being unspent.

    These are the rest of step 2, and steps 3 and 4, of `Intake.answer`.

    Raises:
        FragmentRefusedError: with the reason.
    """
    fragment, token = _read(inner)  # 2
    _check_time(fragment, week, to_ms(now))  # 3
    right = _check_token(fragment, token, week)  # 4
    timed = right.measure.kind is Kind.TIMED and fragment.cell
    rest = SIXTEENTHS - fragment.value if timed else 0
    return Contribution(fragment.week, right.measure.name, fragment.cell, fragment.value, rest, token.nonce)


def _read(inner: bytes) -> tuple[Fragment, Token]:
    usual = _USUAL.fullmatch(inner)
    if usual is None:
        return _read_any(inner)
    try:
        return _fragment(usual["body"]), Token.decode(urlsafe_b64decode(usual["token"]))
    except (TokenError, binascii.Error) as error:
        raise FragmentRefusedError(Refusal.TOKEN) from error


def _read_any(inner: bytes) -> tuple[Fragment, Token]:
    """Read an inner request however it is spelled, or say why not."""
    try:
        request = decode_request(inner)
    except BhttpError as error:
        raise FragmentRefusedError(Refusal.INNER_REQUEST) from error
    headers = dict(request.headers)
    if request[:4] != ("POST", "https", FRAGMENT_AUTHORITY, FRAGMENT_PATH) or _has_more(request, headers):
        raise FragmentRefusedError(Refusal.INNER_REQUEST)
    return _fragment(request.body), _token(headers.get("authorization", ""))


def _fragment(body: bytes) -> Fragment:
    try:
        return Fragment.decode(body)
    except MalformedFragmentError as error:
        raise FragmentRefusedError(Refusal.FRAGMENT) from error


def _usual() -> re.Pattern[bytes]:
    """The one spelling in which agents write an inner request: all of it is constant but token and fragment.

    Reading what is not constant by its place takes a third of the time of reading binary HTTP in general.
    """
    token = authorization_header(Token(bytes(NONCE_BYTES), bytes(32), bytes(32), bytes(MODULUS_BYTES)))
    body = bytes([0xFF]) * FRAGMENT_SIZE
    headers = (("authorization", token), ("content-type", FRAGMENT_TYPE))
    request = Request("POST", "https", FRAGMENT_AUTHORITY, FRAGMENT_PATH, headers, body)
    before, rest = encode_request(request, INNER_REQUEST_SIZE).split(token.encode())
    between, after = rest.split(body)
    scheme, _, quoted = token.partition('"')
    constant = (scheme, before, between, after)
    said, head, middle, tail = (
        re.escape(part.encode() if isinstance(part, str) else part) for part in constant
    )
    return re.compile(
        b'%b%b"(?P<token>[A-Za-z0-9_=-]{%d})"%b(?P<body>.{%d})%b'
        % (head, said, len(quoted) - 1, middle, FRAGMENT_SIZE, tail),
        re.DOTALL,
    )


_USUAL = _usual()


def _has_more(request: Request, headers: dict[str, str]) -> bool:
    """Whether there is any header beside the two, or another body; a header of its own would mark a box."""
    repeated = len(headers) != len(request.headers)
    unknown = not headers.keys() <= {"authorization", "content-type"}
    return repeated or unknown or headers.get("content-type") != FRAGMENT_TYPE


def _token(header: str) -> Token:
    try:
        return parse_authorization(header)
    except BadHeaderError as error:
        raise FragmentRefusedError(Refusal.NO_TOKEN) from error
    except TokenError as error:
        raise FragmentRefusedError(Refusal.TOKEN) from error


def _check_time(fragment: Fragment, week: OpenWeek, now_ms: int) -> None:
    if fragment.week != week.week:
        raise FragmentRefusedError(Refusal.OTHER_WEEK)
    if now_ms < week.ends_ms:
        raise FragmentRefusedError(Refusal.WEEK_NOT_OVER)
    if now_ms >= week.closes_ms:
        raise FragmentRefusedError(Refusal.WEEK_CLOSED)


def _check_token(fragment: Fragment, token: Token, week: OpenWeek) -> TokenRight:
    """Step 4; the signature comes last because it costs the most."""
    right = week.rights.get(token.key_id)
    if right is None:
        raise FragmentRefusedError(Refusal.TOKEN_KEY)
    if token.challenge_digest != right.challenge_digest:
        raise FragmentRefusedError(Refusal.CHALLENGE)
    if fragment.measure_number != right.measure.number:
        raise FragmentRefusedError(Refusal.OTHER_MEASURE)
    if fragment.cell > right.cells:
        raise FragmentRefusedError(Refusal.CELL)
    if not value_fits(right.measure.kind, fragment.cell, fragment.value):
        raise FragmentRefusedError(Refusal.VALUE)
    try:
        verify_token(token, right.key)
    except BadTokenError as error:
        raise FragmentRefusedError(Refusal.FORGED) from error
    return right

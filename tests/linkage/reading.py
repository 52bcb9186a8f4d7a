"""Reading what crosses the named line, and what the gateway's key opens."""

import base64
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from shared import dsse
from shared.anonymous import FRAGMENT_SIZE, Fragment
from shared.bhttp import decode_request
from shared.named import TokenAsk, TokenGrant, read
from shared.ohttp import Gateway
from shared.register import profile
from shared.tokens import Token, TokenRequest, parse_authorization

NAMES = {measure.number: measure.name for measure in profile("small").measures}


@dataclass(frozen=True)
class Opened:
    """A fragment as the gateway has it; `owner` is the truth, which nobody there is told."""

    owner: int
    at_ms: int
    sealed: bytes
    headers: tuple[str, ...]
    inner_size: int
    fragment: Fragment
    token: Token

    @property
    def measure(self) -> str:
        return NAMES[self.fragment.measure_number]


def open_sealed(gateway: Gateway, owner: int, at_ms: int, sealed: bytes, *, whole: bool = True) -> Opened:
    """Open a recorded request with the gateway's private key; if not `whole`, an empty body is a `none`."""
    inner, _ = gateway.open_request(sealed)
    request = decode_request(inner)
    headers = dict(request.headers)
    return Opened(
        owner,
        at_ms,
        sealed,
        tuple(sorted(headers)),
        len(inner),
        Fragment.decode(request.body if whole else request.body.ljust(FRAGMENT_SIZE, b"\x01")),
        parse_authorization(headers["authorization"]),
    )


def read_ask(body: bytes, public: Ed25519PublicKey) -> tuple[TokenAsk, list[tuple[str, bytes]]]:
    """A token request, and its blinded messages by measure."""
    ask = read(dsse.verify(body, dsse.PayloadType.NAMED, public), TokenAsk)
    return ask, [
        (one.measure, TokenRequest.decode(base64.b64decode(one.request)).blinded) for one in ask.requests
    ]


def grant(signed: list[bytes]) -> TokenGrant:
    """The answer to it."""
    return TokenGrant([base64.b64encode(one).decode() for one in signed])

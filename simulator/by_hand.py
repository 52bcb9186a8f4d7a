"""A box by hand: messages of the named line written against their format, not with the agent's code.

The agent would refuse to write most of what an adversary wants to send.
"""

import os
from dataclasses import dataclass, field
from typing import Any

import msgspec
import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared import dsse
from shared.named import GENESIS, Delivery, Evidence, Order, payload_hash

TIMEOUT = 30
JSON = "application/json"
GOOD = Evidence(pin_verified=True, consent_immediate_supply=True, confirmation_shown=True)


@dataclass(frozen=True)
class Attempt:
    """One attack: what was tried, what should happen, what happened."""

    what: str
    expected: str
    met: str

    @property
    def held(self) -> bool:
        """Whether the attack met what it should."""
        return self.met == self.expected


@dataclass
class HandBox:
    """A box's key and its place in the chain; each message takes the next place, whatever it says.

    `signs_as` is the box that its envelopes name, if that is another than its messages speak for.
    """

    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    box: str = ""
    epoch: int = 1
    seq: int = 0
    prev: str = GENESIS
    signs_as: str = ""

    def sign(self, payload: bytes, keyid: str | None = None) -> bytes:
        """An envelope of the named line."""
        return dsse.sign(payload, dsse.PayloadType.NAMED, self.key, keyid or self.signs_as or self.box)

    def order(self, offer: dict[str, Any], at_ms: int, **lies: object) -> bytes:
        """An order of an offer of the catalogue, but for the lies, by field."""
        honest = Order(
            box=self.box,
            epoch=self.epoch,
            seq=self.seq + 1,
            prev=self.prev,
            offer=offer["offer"],
            offer_version=offer["version"],
            price_cents=offer["price_cents"],
            currency=offer["currency"],
            vat_bp=offer["vat_bp"],
            placed_ms=at_ms,
            salt=os.urandom(16).hex(),
            evidence=GOOD,
        )
        return self._chained(honest, lies)

    def delivery(self, order_seq: int, at_ms: int, **lies: object) -> bytes:
        """Word that an order was stopped in its preview, but for the lies, by field."""
        honest = Delivery(
            box=self.box,
            epoch=self.epoch,
            seq=self.seq + 1,
            prev=self.prev,
            order_seq=order_seq,
            outcome="stopped",
            at_ms=at_ms,
        )
        return self._chained(honest, lies)

    def _chained(self, honest: msgspec.Struct, lies: dict[str, object]) -> bytes:
        payload = msgspec.json.encode(msgspec.to_builtins(honest) | lies)
        self.seq += 1
        self.prev = payload_hash(payload)
        return self.sign(payload)

    def ref(self, seq: int) -> str:
        """An order's identity, as the headend writes it."""
        return f"{self.box}/{self.epoch}/{seq}"


class HandLine:
    """The named line, spoken over one connection."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/billing/v1"
        self._http = requests.Session()

    def get(self, path: str) -> requests.Response:
        """Fetch what is published to all boxes."""
        return self._http.get(f"{self._url}/{path}", timeout=TIMEOUT)

    def post(self, path: str, body: bytes, content_type: str = JSON) -> requests.Response:
        """Send a body, whatever it is."""
        headers = {"Content-Type": content_type}
        try:
            return self._http.post(f"{self._url}/{path}", body, headers=headers, timeout=TIMEOUT)
        except requests.ConnectionError:
            # A connection kept open may have died with a headend that was killed; everybody tries once more.
            return requests.post(f"{self._url}/{path}", body, headers=headers, timeout=TIMEOUT)

    def submit(self, *envelopes: bytes) -> requests.Response:
        """Send envelopes as one submission."""
        return self.post("chain", b'{"envelopes":[' + b",".join(envelopes) + b"]}")

    def try_post(self, what: str, expected: str, path: str, body: bytes, content_type: str = JSON) -> Attempt:
        """An attempt whose answer should be a refusal of this name."""
        return Attempt(what, expected, refusal(self.post(path, body, content_type)))

    def try_chain(self, what: str, expected: str, envelope: bytes) -> Attempt:
        """An attempt whose answer should be `ack N`, or a refusal of this name."""
        answer = self.submit(envelope)
        met = f"ack {answer.json()['ack']}" if answer.ok else refusal(answer)
        return Attempt(what, expected, met)


def refusal(answer: requests.Response) -> str:
    """The name of a problem answer; the status where there is none."""
    if answer.ok:
        return str(answer.status_code)
    try:
        return str(answer.json()["type"]).rpartition(":")[2]
    except (ValueError, KeyError):
        return str(answer.status_code)

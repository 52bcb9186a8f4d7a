"""A customer who attacks: forges, replays, lies, floods, spends twice. Each attempt says what it met.

Mallory is a real customer with two boxes, so that the attacks begin behind the door. What is tried is
written against the wire formats, not with the agent's code, which would refuse most of it.
"""

import base64
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared import bhttp, dsse, tokens
from shared.anonymous import (
    FRAGMENT_AUTHORITY,
    FRAGMENT_PATH,
    FRAGMENT_TYPE,
    INNER_REQUEST_SIZE,
    Fragment,
)
from shared.directory import Directory, challenge, read_directory
from shared.named import (
    GENESIS,
    Enrol,
    Evidence,
    MeasureRequest,
    Order,
    TokenAsk,
    encode,
    payload_hash,
)
from shared.ohttp import KeyConfig, encapsulate_request
from shared.weeks import Week
from simulator.processes import Headend

TIMEOUT = 30
JSON = "application/json"
SEALED = "message/ohttp-req"
GOOD = Evidence(pin_verified=True, consent_immediate_supply=True, confirmation_shown=True)
FLOOD = 25
DUPLICATE = 'headend_refused_total{name="duplicate",side="analytics"}'


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
class _Box:
    """One of Mallory's boxes, by hand."""

    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    box: str = ""
    epoch: int = 1
    seq: int = 0
    prev: str = GENESIS

    def sign(self, payload: bytes, keyid: str | None = None) -> bytes:
        return dsse.sign(payload, dsse.PayloadType.NAMED, self.key, keyid or self.box)

    def order(self, offer: dict[str, Any], at_ms: int, **lies: object) -> bytes:
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
        payload = msgspec.json.encode(msgspec.to_builtins(honest) | lies)
        self.seq += 1
        self.prev = payload_hash(payload)
        return self.sign(payload)


class Adversary:
    """Mallory, with what every customer is given: codes, the pins, the addresses."""

    def __init__(self, headend: Headend, relay_url: str, codes: list[str], pins: dict[str, str]) -> None:
        self._headend = headend
        self._named = f"{headend.url}/billing/v1"
        self._relay = relay_url
        self._codes = codes
        self._pins = pins
        self._boxes = [_Box(), _Box()]
        self._http = requests.Session()
        self._directory: Directory | None = None
        self._reporter: _Box | None = None
        self._granted: dict[str, tokens.Token] = {}

    # --- visits, in the order of the world's days
    def move_in(self) -> list[Attempt]:
        """Enrol both boxes; try a code again with another key."""
        for box, code in zip(self._boxes, self._codes, strict=False):
            found = self._post("enrol", self._enrolment(box, code)).json()
            box.box, box.epoch = found["box"], found["epoch"]
        stranger = _Box()
        return [
            self._try_named(
                "enrol with a code that is used",
                "unknown-code",
                "enrol",
                self._enrolment(stranger, self._codes[0]),
            )
        ]

    def on_the_named_line(self, week: Week) -> list[Attempt]:
        """Everything that can be tried with orders, and with asking for tokens."""
        return [*self._orders(), *self._malformed(), *self._tokens(week)]

    def on_the_anonymous_line(self, week: Week) -> list[Attempt]:
        """Everything that can be tried with a token while its week is open."""
        genre = self._granted.get("genre")
        if genre is None:
            return [Attempt("get a token as a customer", "granted", "refused")]
        honest = Fragment(1, week, 0, 0)
        rotten = tokens.Token.decode(genre.encode()[:-1] + bytes([genre.encode()[-1] ^ 1]))
        before = self._headend.metrics().get(DUPLICATE, 0)
        attempts = [
            self._try_fragment(
                "spend a token on another measure", "other-measure", Fragment(2, week, 1, 16), genre
            ),
            self._try_fragment(
                "name a cell outside the grid", "cell-outside-grid", Fragment(1, week, 999, 1), genre
            ),
            self._try_fragment(
                "count one cell for sixteen", "value-does-not-fit", Fragment(1, week, 1, 16), genre
            ),
            self._try_fragment(
                "name a week that still runs", "other-week", Fragment(1, week.plus(1), 1, 1), genre
            ),
            self._try_fragment("forge a token", "forged-token", honest, rotten),
            self._try_fragment("send no token", "no-token", honest, None),
            self._try_fragment("spend a token", "200", honest, genre),
            self._try_fragment("spend it twice", "200", honest, genre),
        ]
        counted = self._headend.metrics().get(DUPLICATE, 0) - before
        attempts.append(Attempt("be counted twice for it", "counted once", _times(counted)))
        return [*attempts, *self._relay_attempts()]

    def too_late(self, week: Week) -> list[Attempt]:
        """A token of a week that has closed."""
        token = self._granted.get("ordered-genre")
        if token is None:
            return []
        late = self._try_fragment(
            "spend a token after its week has closed", "unknown-key", Fragment(3, week, 1, 1), token
        )
        return [late]

    # --- orders
    def _orders(self) -> list[Attempt]:
        now_ms = self._now_ms()
        offers = self._paid_offers()
        thief, victim = self._boxes
        honest = thief.order(offers[0], now_ms)
        replayed = {"envelopes": [json.loads(honest)]}
        first = self._post("chain", _json(replayed))
        forged = _Box(box=victim.box).order(offers[1], now_ms)
        unknown = _Box(box="bx" + "0" * 16).order(offers[1], now_ms)
        again = self._post("chain", _json(replayed))
        twin = _Box(key=thief.key, box=thief.box).order(offers[1], now_ms)
        cheap = thief.order(offers[2], now_ms, price_cents=1)
        nonsense = thief.order(offers[3], now_ms, price_cents=-5)
        attempts = [
            Attempt("replay an order", "the same acknowledgement", _same(first, again)),
            self._try_chain("forge another box's order", "bad-signature", forged),
            self._try_chain("order as a box that does not exist", "unknown-box", unknown),
            self._try_chain("say something else under an old number", "equivocation", twin),
            self._try_chain("lower the price that was shown", "ack 2", cheap),
            self._try_chain("order at a negative price", "ack 3", nonsense),
        ]
        attempts.append(Attempt("be billed at a price of one's own", "suspended", self._state_of(thief, 2)))
        for number in range(FLOOD):
            self._post("chain", _json({"envelopes": [json.loads(thief.order(offers[4 + number], now_ms))]}))
        metrics = self._headend.metrics()
        flooded = sum(n for name, n in metrics.items() if "headend_alarms" in name and "velocity" in name)
        attempts.append(
            Attempt(f"flood {FLOOD} orders in a minute", "an alarm", "an alarm" if flooded else "nothing")
        )
        return attempts

    def _state_of(self, box: _Box, seq: int) -> str:
        words = ("order", "list", str(self._headend.folder), "--state", "suspended", "--limit", "1000")
        found = self._headend.asked(*words)
        refs = {order["ref"]: order["state"] for order in found}
        return str(refs.get(f"{box.box}/{box.epoch}/{seq}", "not there"))

    def _malformed(self) -> list[Attempt]:
        box = self._boxes[0]
        changed = bytearray(box.order(self._paid_offers()[0], self._now_ms()))
        box.seq -= 1
        place = changed.index(b'"sig":"') + 9
        changed[place] = ord("A") if changed[place] != ord("A") else ord("B")  # still base64
        extra = box.sign(_json({"type": "heartbeat", "v": 1, "viewed": "a title"}))
        return [
            self._try_named("send garbage", "malformed", "chain", b"\x00\xff not JSON"),
            self._try_named(
                "send a changed byte", "bad-signature", "chain", b'{"envelopes":[' + bytes(changed) + b"]}"
            ),
            self._try_named("send an undeclared field", "malformed", "heartbeat", extra),
            self._try_named("send half a megabyte", "too-large", "chain", b" " * 500_000),
            self._try_named("send a form", "wrong-content-type", "chain", b"a=b", "text/plain"),
        ]

    # --- tokens
    def _tokens(self, week: Week) -> list[Attempt]:
        raw = self._http.get(f"{self._named}/directory/{week}", timeout=TIMEOUT).content
        key = dsse.public_from_text(self._pins["directory_key"])
        self._directory = read_directory(dsse.verify(raw, dsse.PayloadType.DIRECTORY, key, 1024 * 1024), week)
        attempts = []
        for box in self._boxes:
            answer = self._ask(box, week)
            if answer.ok:
                self._reporter = box
        other = next(box for box in self._boxes if box is not self._reporter)
        attempts.append(
            Attempt("ask with both boxes of a household", "not-reporting-box", _name(self._ask(other, week)))
        )
        if self._reporter is not None:
            again = _name(self._ask(self._reporter, week))
            attempts.append(Attempt("ask for more tokens than the quota", "quota-exhausted", again))
            later = _name(self._ask(self._reporter, week.plus(1)))
            attempts.append(Attempt("ask for next week's tokens", "wrong-token-key", later))
        return attempts

    def _ask(self, box: _Box, week: Week) -> requests.Response:
        assert self._directory is not None  # noqa: S101 (it was fetched)
        pending = {
            taken.name: self._blinded(taken.name, Week.parse(self._directory.week))
            for taken in self._directory.measures
        }
        coded = [
            MeasureRequest(measure, base64.b64encode(one.request).decode())
            for measure, one in pending.items()
        ]
        answer = self._post("tokens", box.sign(encode(TokenAsk(box=box.box, week=str(week), requests=coded))))
        if answer.ok:
            for (measure, one), text in zip(pending.items(), answer.json()["responses"], strict=True):
                spki = self._directory.token_key(measure)
                self._granted[measure] = tokens.finalize(one, spki, base64.b64decode(text))
        return answer

    def _blinded(self, measure: str, week: Week) -> tokens.PendingToken:
        assert self._directory is not None  # noqa: S101 (it was fetched)
        spki = self._directory.token_key(measure)
        digest = challenge(self._pins["issuer"], measure, week).digest()
        return tokens.blind(tokens.prepare(digest, spki, os.urandom(tokens.NONCE_BYTES)), spki)

    # --- fragments
    def _try_fragment(
        self, what: str, expected: str, fragment: Fragment, token: tokens.Token | None
    ) -> Attempt:
        assert self._directory is not None  # noqa: S101 (it was fetched)
        headers: tuple[tuple[str, str], ...] = (("content-type", FRAGMENT_TYPE),)
        if token is not None:
            headers = (("authorization", tokens.authorization_header(token)), *headers)
        request = bhttp.Request(
            "POST", "https", FRAGMENT_AUTHORITY, FRAGMENT_PATH, headers, fragment.encode()
        )
        inner = bhttp.encode_request(request, INNER_REQUEST_SIZE)
        sealed, context = encapsulate_request(KeyConfig.decode(self._directory.key_config()), inner)
        answer = self._send_sealed(sealed)
        if not answer.ok:
            return Attempt(what, expected, _name(answer))
        opened = bhttp.decode_response(context.open_response(answer.content))
        return Attempt(what, expected, _inner_name(opened))

    def _send_sealed(self, body: bytes, path: str = "/ohttp") -> requests.Response:
        return requests.post(self._relay + path, body, headers={"Content-Type": SEALED}, timeout=TIMEOUT)

    def _relay_attempts(self) -> list[Attempt]:
        assert self._directory is not None  # noqa: S101 (it was fetched)
        sealed, _ = encapsulate_request(
            KeyConfig.decode(self._directory.key_config()), bytes(INNER_REQUEST_SIZE)
        )
        broken = sealed[:-1] + bytes([sealed[-1] ^ 1])
        tries: list[tuple[str, str, Callable[[], requests.Response]]] = [
            ("break a seal", "broken-seal", lambda: self._send_sealed(broken)),
            (
                "seal for a key that nobody has",
                "unknown-key",
                lambda: self._send_sealed(b"\xfa" + sealed[1:]),
            ),
            ("send a smaller message", "wrong-size", lambda: self._send_sealed(sealed[:-9])),
            (
                "reach billing through the relay",
                "not-found",
                lambda: requests.get(f"{self._relay}/billing/v1/catalogue", timeout=TIMEOUT),
            ),
        ]
        return [Attempt(what, expected, _name(send())) for what, expected, send in tries]

    # --- the named line
    def _enrolment(self, box: _Box, code: str) -> bytes:
        public = dsse.public_to_text(box.key.public_key())
        return box.sign(encode(Enrol(code=code, serial="MALLORY", public_key=public)), "new")

    def _post(self, path: str, body: bytes, content_type: str = JSON) -> requests.Response:
        headers = {"Content-Type": content_type}
        try:
            return self._http.post(f"{self._named}/{path}", body, headers=headers, timeout=TIMEOUT)
        except requests.ConnectionError:
            # A connection kept open may have died with a headend that was killed; everybody tries once more.
            return requests.post(f"{self._named}/{path}", body, headers=headers, timeout=TIMEOUT)

    def _try_named(
        self, what: str, expected: str, path: str, body: bytes, content_type: str = JSON
    ) -> Attempt:
        return Attempt(what, expected, _name(self._post(path, body, content_type)))

    def _try_chain(self, what: str, expected: str, envelope: bytes) -> Attempt:
        answer = self._post("chain", b'{"envelopes":[' + envelope + b"]}")
        met = f"ack {answer.json()['ack']}" if answer.ok else _name(answer)
        return Attempt(what, expected, met)

    def _paid_offers(self) -> list[dict[str, Any]]:
        envelope = self._http.get(f"{self._named}/catalogue", timeout=TIMEOUT).json()
        catalogue = json.loads(base64.b64decode(envelope["payload"]))
        return [offer for offer in catalogue["offers"] if offer["price_cents"]]

    def _now_ms(self) -> int:
        return int(self._headend.readiness()["now_ms"])


def _json(value: object) -> bytes:
    return msgspec.json.encode(value)


def _name(answer: requests.Response) -> str:
    if answer.ok:
        return str(answer.status_code)
    try:
        return str(answer.json()["type"]).rpartition(":")[2]
    except (ValueError, KeyError):
        return str(answer.status_code)


def _inner_name(answer: bhttp.Response) -> str:
    if answer.status < 400:  # noqa: PLR2004 (RFC 9110: refusals begin here)
        return str(answer.status)
    return answer.body.decode()


def _same(first: requests.Response, again: requests.Response) -> str:
    return "the same acknowledgement" if first.content == again.content else "another answer"


def _times(duplicates: float) -> str:
    return "counted once" if duplicates == 1 else f"{duplicates:.0f} duplicates seen"

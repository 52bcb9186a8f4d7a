"""A customer who attacks: forges, replays, lies, floods, spends twice. Each attempt says what it met.

Mallory is a real customer with two boxes, so that the attacks begin behind the door. What is tried is
written against the wire formats, not with the agent's code, which would refuse most of it.
"""

import base64
import json
import os
from collections.abc import Callable
from typing import Any

import msgspec
import requests

from shared import bhttp, dsse, tokens
from shared.anonymous import (
    FRAGMENT_AUTHORITY,
    FRAGMENT_PATH,
    FRAGMENT_TYPE,
    INNER_REQUEST_SIZE,
    Fragment,
)
from shared.directory import Directory, challenge, read_directory
from shared.named import PROTOCOL_VERSION, SPOKEN_VERSIONS, Enrol, MeasureRequest, TokenAsk, encode
from shared.ohttp import KeyConfig, encapsulate_request
from shared.weeks import Week
from simulator.by_hand import TIMEOUT, Attempt, HandBox, HandLine, refusal
from simulator.false_orders import FalseOrders
from simulator.processes import Headend

SEALED = "message/ohttp-req"
DUPLICATE = 'headend_refused_total{name="duplicate",side="analytics"}'


class Adversary:
    """Mallory, with what every customer is given: codes, the pins, the addresses."""

    def __init__(
        self, headend: Headend, relay_url: str, account: tuple[str, list[str]], pins: dict[str, str]
    ) -> None:
        self._headend = headend
        self._account, self._codes = account
        self._line = HandLine(headend.url)
        self._relay = relay_url
        self._pins = pins
        self._boxes = (HandBox(), HandBox())
        self._directory: Directory | None = None
        self._reporter: HandBox | None = None
        self._granted: dict[str, tokens.Token] = {}

    # --- visits, in the order of the world's days
    def move_in(self) -> list[Attempt]:
        """Enrol both boxes; try a code again with another key."""
        for version, box, code in zip(SPOKEN_VERSIONS, self._boxes, self._codes, strict=False):
            found = self._line.post("enrol", self._enrolment(box, code, version)).json()
            box.box, box.epoch = found["box"], found["epoch"]
        stranger = HandBox()
        return [
            self._line.try_post(
                "enrol with a code that is used",
                "unknown-code",
                "enrol",
                self._enrolment(stranger, self._codes[0]),
            )
        ]

    def on_the_named_line(self, week: Week) -> list[Attempt]:
        """Everything that can be tried with orders, and with asking for tokens."""
        catalogue = self._catalogue()
        false_orders = FalseOrders(self._headend, self._line, self._boxes, self._account)
        attempts = false_orders.try_all(catalogue, self._now_ms())
        return [*attempts, *self._malformed(catalogue), *self._tokens(week)]

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

    # --- the named line
    def _malformed(self, catalogue: dict[str, Any]) -> list[Attempt]:
        box = self._boxes[0]
        changed = bytearray(box.order(catalogue["offers"][0], self._now_ms()))
        box.seq -= 1
        place = changed.index(b'"sig":"') + 9
        changed[place] = ord("A") if changed[place] != ord("A") else ord("B")  # still base64
        extra = box.sign(msgspec.json.encode({"type": "heartbeat", "v": 1, "viewed": "a title"}))
        return [
            self._line.try_post("send garbage", "malformed", "chain", b"\x00\xff not JSON"),
            self._line.try_chain("send a changed byte", "bad-signature", bytes(changed)),
            self._line.try_post("send an undeclared field", "malformed", "heartbeat", extra),
            self._line.try_post("send half a megabyte", "too-large", "chain", b" " * 500_000),
            self._line.try_post("send a form", "wrong-content-type", "chain", b"a=b", "text/plain"),
        ]

    # --- tokens
    def _tokens(self, week: Week) -> list[Attempt]:
        raw = self._line.get(f"directory/{week}").content
        key = dsse.public_from_text(self._pins["directory_key"])
        self._directory = read_directory(dsse.verify(raw, dsse.PayloadType.DIRECTORY, key, 1024 * 1024), week)
        attempts = []
        for box in self._boxes:
            answer = self._ask(box, week)
            if answer.ok:
                self._reporter = box
        other = next(box for box in self._boxes if box is not self._reporter)
        attempts.append(
            Attempt(
                "ask with both boxes of a household", "not-reporting-box", refusal(self._ask(other, week))
            )
        )
        if self._reporter is not None:
            again = refusal(self._ask(self._reporter, week))
            attempts.append(Attempt("ask for more tokens than the quota", "quota-exhausted", again))
            later = refusal(self._ask(self._reporter, week.plus(1)))
            attempts.append(Attempt("ask for next week's tokens", "wrong-token-key", later))
        return attempts

    def _ask(self, box: HandBox, week: Week) -> requests.Response:
        assert self._directory is not None  # noqa: S101 (it was fetched)
        pending = {
            taken.name: self._blinded(taken.name, Week.parse(self._directory.week))
            for taken in self._directory.measures
        }
        coded = [
            MeasureRequest(measure, base64.b64encode(one.request).decode())
            for measure, one in pending.items()
        ]
        answer = self._line.post(
            "tokens", box.sign(encode(TokenAsk(box=box.box, week=str(week), requests=coded)))
        )
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
            return Attempt(what, expected, refusal(answer))
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
        return [Attempt(what, expected, refusal(send())) for what, expected, send in tries]

    def _enrolment(self, box: HandBox, code: str, version: int = PROTOCOL_VERSION) -> bytes:
        public = dsse.public_to_text(box.key.public_key())
        return box.sign(encode(Enrol(v=version, code=code, serial="MALLORY", public_key=public)), "new")

    def _catalogue(self) -> dict[str, Any]:
        envelope = self._line.get("catalogue").json()
        catalogue: dict[str, Any] = json.loads(base64.b64decode(envelope["payload"]))
        return catalogue

    def _now_ms(self) -> int:
        return int(self._headend.readiness()["now_ms"])


def _inner_name(answer: bhttp.Response) -> str:
    if answer.status < 400:  # noqa: PLR2004 (RFC 9110: refusals begin here)
        return str(answer.status)
    return answer.body.decode()


def _times(duplicates: float) -> str:
    return "counted once" if duplicates == 1 else f"{duplicates:.0f} duplicates seen"

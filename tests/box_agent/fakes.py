"""A headend and a relay in memory, on the box's two line Protocols, with real keys and real tokens."""

import base64
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from box_agent.app import Agent
from box_agent.lines import Answer, LineDownError, RefusedError
from box_agent.settings import BoxSettings
from headend.billing.signer import RsaSigner
from shared import bhttp, dsse
from shared.anonymous import INNER_ANSWER_SIZE, Fragment
from shared.clock import Clock, ManualClock, from_ms, to_ms
from shared.directory import Directory, TokenKey, challenge, describe
from shared.named import (
    GENESIS,
    Acknowledgement,
    Catalogue,
    Enrol,
    Enrolled,
    Evidence,
    Heartbeat,
    Offer,
    Promotion,
    Submission,
    TokenAsk,
    TokenGrant,
    encode,
    payload_hash,
    read,
    read_head,
)
from shared.notice_version import notice_version
from shared.ohttp import Gateway
from shared.register import profile, register_hash
from shared.tokens import TOKEN_TYPE, TokenRequest, parse_authorization, read_token_key, verify_token
from shared.weeks import Week

ZONE = ZoneInfo("Europe/Amsterdam")
ISSUER = "issuer.example"
BOX = "box-1"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PIN = dsse.public_to_text(KEY.public_key())
OHTTP = X25519PrivateKey.from_private_bytes(bytes(range(32)))
W41 = Week(2026, 41)
START = W41.start(ZONE)
YES = Evidence(pin_verified=True, consent_immediate_supply=True, confirmation_shown=True)


@cache
def signer(measure: str) -> RsaSigner:
    """One key a measure, made once a test run."""
    return RsaSigner.generate()


def offer(name: str = "film-1", **changes: object) -> Offer:
    """An offer, rented for 48 hours."""
    fields: dict[str, object] = {
        "offer": name,
        "version": 1,
        "kind": "film",
        "mode": "rent",
        "title": f"Title of {name}",
        "genre": "film-comedy",
        "price_cents": 499,
        "currency": "EUR",
        "vat_bp": 2100,
        "window_hours": 48,
        "display": "title",
        "valid_from_ms": 0,
    }
    return msgspec.convert(fields | changes, Offer)


def promotion(name: str = "welcome", **changes: object) -> Promotion:
    """A promotion that takes two euros off one film."""
    fields: dict[str, object] = {
        "promotion": name,
        "version": 1,
        "category": "welcome",
        "kinds": ["film"],
        "credit_cents": 200,
        "currency": "EUR",
        "per_account": 1,
        "valid_from_ms": 0,
        "valid_to_ms": to_ms(START) + 60 * 86_400_000,
    }
    return msgspec.convert(fields | changes, Promotion)


def sign_catalogue(*terms: Offer | Promotion, version: int = 1, key: Ed25519PrivateKey = KEY) -> bytes:
    """A signed catalogue of offers and promotions."""
    catalogue = Catalogue(
        version=version,
        issued_ms=0,
        offers=[one for one in terms if isinstance(one, Offer)],
        promotions=[one for one in terms if isinstance(one, Promotion)],
    )
    return dsse.sign(encode(catalogue), dsse.PayloadType.CATALOGUE, key, "catalogue")


def sign_directory(week: Week, profile_name: str = "small", **changes: object) -> bytes:
    """A signed directory of a week."""
    taken = profile(profile_name)
    fields: dict[str, object] = {
        "week": str(week),
        "zone": str(ZONE),
        "issuer": ISSUER,
        "profile": profile_name,
        "register": register_hash(),
        "notice": notice_version(),
        "starts_ms": to_ms(week.start(ZONE)),
        "ends_ms": to_ms(week.end(ZONE)),
        "closes_ms": to_ms(week.closes(ZONE)),
        "measures": describe(taken),
        "token_keys": [
            TokenKey(one.name, TOKEN_TYPE, base64.b64encode(signer(one.name).public_spki).decode())
            for one in taken.measures
        ],
        "ohttp_keys": base64.b64encode(Gateway(OHTTP, 1).config.encode()).decode(),
        "region_map": 1,
        "regions": ["north", "south"],
        "areas": {"10": "north", "30": "south"},
    }
    directory = Directory(**(fields | changes))  # type: ignore[arg-type]  # fields of a test, by name
    return dsse.sign(msgspec.json.encode(directory), dsse.PayloadType.DIRECTORY, KEY, "directory")


class FakeHeadend:
    """The named line's other end: keeps a chain, checks it, signs tokens."""

    def __init__(self) -> None:
        self.down = False
        self.catalogue = sign_catalogue(offer())
        self.profile = "small"
        self.chain: list[bytes] = []
        self.heartbeats: list[Heartbeat] = []
        self.asks: list[TokenAsk] = []
        self.posted: list[tuple[str, bytes]] = []
        self.fetched: list[str] = []
        self.refuse: dict[str, RefusedError] = {}
        self.acknowledge: Callable[[int], int] = lambda stored: stored
        self.lose_answer = False
        self.public = KEY.public_key()

    def post(self, path: str, body: bytes) -> Answer:
        self.posted.append((path, body))
        if self.down:
            raise LineDownError("down")
        if path in self.refuse:
            raise self.refuse[path]
        answer = getattr(self, f"_{path}")(body)
        if self.lose_answer:
            raise LineDownError("the answer got lost")
        return Answer(200, encode(answer))

    def get(self, path: str, etag: str | None = None) -> Answer:
        self.fetched.append(path)
        if self.down:
            raise LineDownError("down")
        if path in self.refuse:
            raise self.refuse[path]
        if path == "catalogue":
            tag = payload_hash(self.catalogue)
            return Answer(304, b"") if etag == tag else Answer(200, self.catalogue, tag)
        return Answer(200, sign_directory(Week.parse(path.removeprefix("directory/")), self.profile))

    def _enrol(self, body: bytes) -> Enrolled:
        message = read(_payload(body), Enrol)
        self.public = dsse.public_from_text(message.public_key)
        dsse.verify(body, dsse.PayloadType.NAMED, self.public)
        return Enrolled(BOX, 1)

    def _chain(self, body: bytes) -> Acknowledgement:
        for raw in read(body, Submission).envelopes:
            payload = dsse.verify(bytes(raw), dsse.PayloadType.NAMED, self.public)
            head = read_head(payload)
            before = payload_hash(self.chain[-1]) if self.chain else GENESIS
            if head.seq <= len(self.chain):
                assert self.chain[head.seq - 1] == payload, "another message in the same place"
                continue
            assert (head.seq, head.prev) == (len(self.chain) + 1, before), "a gap or a fork"
            self.chain.append(payload)
        return Acknowledgement(BOX, 1, self.acknowledge(len(self.chain)))

    def _heartbeat(self, body: bytes) -> Acknowledgement:
        payload = dsse.verify(body, dsse.PayloadType.NAMED, self.public)
        self.heartbeats.append(read(payload, Heartbeat))
        return Acknowledgement(BOX, 1, self.acknowledge(len(self.chain)))

    def _tokens(self, body: bytes) -> TokenGrant:
        ask = read(dsse.verify(body, dsse.PayloadType.NAMED, self.public), TokenAsk)
        self.asks.append(ask)
        requests = [(one.measure, TokenRequest.decode(base64.b64decode(one.request))) for one in ask.requests]
        signed = [signer(measure).blind_sign(request.blinded) for measure, request in requests]
        return TokenGrant([base64.b64encode(one).decode() for one in signed])


class FakeRelay:
    """The anonymous line's other end: relay and gateway in one, which checks every token."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._gateway = Gateway(OHTTP, 1)
        self.profile = "small"
        self.down = False
        self.status = 200
        self.directory: bytes | None = None
        self.fetched: list[tuple[int, str]] = []
        self.sealed: list[tuple[int, bytes]] = []
        self.fragments: list[tuple[int, Fragment]] = []
        self.nonces: list[bytes] = []

    def post_sealed(self, body: bytes) -> Answer:
        self.sealed.append((to_ms(self._clock.now()), body))
        if self.down:
            raise LineDownError("down")
        inner, context = self._gateway.open_request(body)
        request = bhttp.decode_request(inner)
        fragment = Fragment.decode(request.body)
        self._check_token(dict(request.headers)["authorization"], fragment)
        self.fragments.append((to_ms(self._clock.now()), fragment))
        answer = bhttp.encode_response(bhttp.Response(self.status), INNER_ANSWER_SIZE)
        return Answer(200, context.seal_response(answer, os.urandom(16)))

    def get_directory(self, week: str) -> Answer:
        self.fetched.append((to_ms(self._clock.now()), week))
        if self.down:
            raise LineDownError("down")
        return Answer(200, self.directory or sign_directory(Week.parse(week), self.profile))

    def _check_token(self, header: str, fragment: Fragment) -> None:
        measure = next(one for one in profile(self.profile).measures if one.number == fragment.measure_number)
        token = parse_authorization(header)
        verify_token(token, read_token_key(signer(measure.name).public_spki))
        assert token.challenge_digest == challenge(ISSUER, measure.name, fragment.week).digest()
        self.nonces.append(token.nonce)


def settings(state: Path, **changes: object) -> BoxSettings:
    """Settings of a box in zone and installation of these tests."""
    fields: dict[str, object] = {
        "headend_url": "https://headend.example",
        "relay_url": "https://relay.example",
        "issuer": ISSUER,
        "directory_key": PIN,
        "catalogue_key": PIN,
        "zone": str(ZONE),
        "postal_area": "1012",
        "serial": "serial-1",
        "state_dir": str(state),
    }
    return msgspec.convert(fields | changes, BoxSettings)


class TwoClocks:
    """A wall clock that can be set, and a monotonic one that only goes on."""

    def __init__(self, start: datetime) -> None:
        self._wall = start
        self._ran = timedelta(0)

    def now(self) -> datetime:
        """See `shared.clock.Clock`."""
        return self._wall

    def monotonic(self) -> float:
        """Likewise."""
        return self._ran.total_seconds()

    def advance(self, by: timedelta) -> None:
        """Let time pass."""
        self._ran += by
        self._wall += by

    def advance_to(self, instant: datetime) -> None:
        """Let time pass until the wall clock shows an instant."""
        self.advance(instant - self._wall)

    def jump(self, milliseconds: int) -> None:
        """Set the wall clock by so much; no time passes."""
        self._wall += timedelta(milliseconds=milliseconds)


class Bench:
    """A box with everything around it."""

    def __init__(self, state: Path, clock: ManualClock | TwoClocks | None = None, **changes: object) -> None:
        self.clock = clock or ManualClock(START)
        self.headend = FakeHeadend()
        self.relay = FakeRelay(self.clock)
        self.settings = settings(state, **changes)
        self.agent = self.start()

    def start(self) -> Agent:
        """A (further) process of this box."""
        self.agent = Agent(self.settings, (self.headend, self.relay), self.clock)
        return self.agent

    def take(self, profile_name: str) -> None:
        """Let the installation take another profile."""
        self.headend.profile = self.relay.profile = profile_name

    def enrol(self) -> None:
        """Enrol and fetch the catalogue."""
        self.agent.enrol("code-1234")
        self.agent.tick()

    def consent(self, *, granted: bool = True) -> None:
        """Answer the notice."""
        self.agent.set_consent(granted=granted, notice=notice_version(), how="test")

    def run_until(self, end_ms: int) -> None:
        """Tick at each moment when something is due, until then."""
        for _ in range(10_000):
            due = self.agent.next_due()
            if due is None or to_ms(due) > end_ms:
                break
            self.clock.advance_to(max(due, self.clock.now()))
            self.agent.tick()
        else:
            raise AssertionError("the agent is never done")
        self.clock.advance_to(max(self.clock.now(), from_ms(end_ms)))


def waiting(agent: Agent) -> int:
    """How many fragments wait to be sent; the agent itself tells it to whoever has the PIN only."""
    return int(agent._store.connection().execute("SELECT count(*) FROM outbox").fetchone()[0])


def _payload(envelope: bytes) -> bytes:
    return base64.b64decode(msgspec.json.decode(envelope)["payload"])

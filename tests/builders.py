"""Makers of what tests need: a billing store, boxes that sign, offers that sell."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from headend.billing import accounts, orders
from headend.billing.catalogue import publish_catalogue
from headend.billing.engines import open_store
from headend.billing.rows import Account, OrderRow
from headend.billing.store import BillingStore
from headend.installation import Settings
from headend.kit.language import language_of
from headend.kit.side import Visit
from shared import dsse
from shared.clock import to_ms
from shared.named import (
    GENESIS,
    AccountId,
    Acknowledgement,
    Delivery,
    Enrol,
    Evidence,
    Offer,
    Order,
    Promotion,
    encode,
    payload_hash,
)
from tests import engines

NOW = datetime(2026, 10, 7, 20, 0, tzinfo=UTC)
NOW_MS = to_ms(NOW)
HOUR = 3_600_000
DAY = 24 * HOUR
SETTINGS = Settings(
    issuer="issuer.example",
    zone="Europe/Amsterdam",
    profile="small",
    country="NL",
    first_week="2026-W41",
    simulated=False,
    clock="",
    regions=(),
    areas={},
)
GOOD = Evidence(pin_verified=True, consent_immediate_supply=True, confirmation_shown=True)
CATALOGUE_KEY = Ed25519PrivateKey.generate()


def offer(name: str = "film-1", **changes) -> Offer:
    terms = {
        "offer": name,
        "version": 1,
        "kind": "film",
        "mode": "rent",
        "title": "A Very Particular Film",
        "genre": "film-comedy",
        "price_cents": 499,
        "currency": "EUR",
        "vat_bp": 2100,
        "window_hours": 48,
        "display": "title",
        "valid_from_ms": NOW_MS - 30 * DAY,
    }
    return Offer(**{**terms, **changes})


def promotion(name: str = "autumn", **changes) -> Promotion:
    terms = {
        "promotion": name,
        "version": 1,
        "category": "campaign",
        "kinds": ["film"],
        "credit_cents": 200,
        "currency": "EUR",
        "per_account": 2,
        "valid_from_ms": NOW_MS - 30 * DAY,
        "valid_to_ms": NOW_MS + 30 * DAY,
    }
    return Promotion(**{**terms, **changes})


def account(name: str = "acc-1", **changes) -> Account:
    particulars = {
        "account": AccountId(name),
        "zone": "Europe/Amsterdam",
        "country": "NL",
        "postal_area": "1011",
        "language": "nl",
        "spending_limit_cents": None,
        "created_ms": NOW_MS,
    }
    return Account(**{**particulars, **changes})


def billing_store(folder: Path, *offers: Offer, promotions: tuple[Promotion, ...] = ()) -> BillingStore:
    store = open_store(engines.place("billing", folder / "billing.db"))
    store.write(lambda tx: tx.add_account(account()))
    sold = list(offers or (offer(),))
    store.write(lambda tx: publish_catalogue(tx, sold, CATALOGUE_KEY, NOW_MS, list(promotions)))
    return store


@dataclass
class SigningBox:
    """A box's named line, by hand: signs and chains whatever a test wants it to say."""

    store: BillingStore
    account: str = "acc-1"
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    box: str = ""
    epoch: int = 1
    seq: int = 0
    prev: str = GENESIS
    sent: list[bytes] = field(default_factory=list)
    issued_ms: int = NOW_MS
    serial: str = "SN-0001"

    def enrolled(self, renew: str | None = None) -> "SigningBox":
        code = self.store.write(
            lambda tx: accounts.add_code(tx, self.account, renew, self.issued_ms, secrets.token_bytes)
        )
        answer = accounts.enrol(self.store, self.enrolment(code), self.issued_ms, secrets.token_bytes)
        self.box, self.epoch, self.seq, self.prev = answer.box, answer.epoch, 0, GENESIS
        return self

    def enrolment(self, code: str) -> bytes:
        public = dsse.public_to_text(self.key.public_key())
        message = Enrol(code=code, serial=self.serial, public_key=public)
        return self.sign(encode(message), dsse.key_id(self.key.public_key()))

    def sign(self, payload: bytes, keyid: str | None = None) -> bytes:
        return dsse.sign(payload, dsse.PayloadType.NAMED, self.key, keyid or self.box)

    def chain(self, payload: bytes) -> bytes:
        envelope = self.sign(payload)
        self.seq += 1
        self.prev = payload_hash(payload)
        self.sent.append(envelope)
        return envelope

    def order(self, name: str = "film-1", at_ms: int = NOW_MS, **changes) -> bytes:
        message = Order(
            box=self.box,
            epoch=self.epoch,
            seq=self.seq + 1,
            prev=self.prev,
            offer=name,
            offer_version=1,
            price_cents=499,
            currency="EUR",
            vat_bp=2100,
            placed_ms=at_ms,
            salt=secrets.token_hex(16),
            evidence=GOOD,
        )
        return self.chain(encode(msgspec.structs.replace(message, **changes)))

    def delivery(self, order_seq: int, outcome: str, at_ms: int = NOW_MS) -> bytes:
        message = Delivery(
            box=self.box,
            epoch=self.epoch,
            seq=self.seq + 1,
            prev=self.prev,
            order_seq=order_seq,
            outcome=outcome,
            at_ms=at_ms,
        )
        return self.chain(encode(message))

    def raw(self, **fields) -> bytes:
        """A chained message that says anything at all, authentic and in sequence."""
        place = {"box": self.box, "epoch": self.epoch, "seq": self.seq + 1, "prev": self.prev}
        return self.chain(msgspec.json.encode({"type": "order", "v": 1, **place, **fields}))

    def submit(self, *envelopes: bytes, now_ms: int = NOW_MS) -> Acknowledgement:
        return orders.take(self.store, list(envelopes), now_ms)

    def stored(self, seq: int) -> OrderRow | None:
        return self.store.read().order(self.box, self.epoch, seq)


def visit(
    args: Mapping[str, str] | None = None,
    role: str = "billing",
    *,
    path: str = "",
    who: str = "erin",
    language: str = "en",
) -> Visit:
    """An operator asking for a page of a side, without the console."""
    words = language_of(language, ZoneInfo("Europe/Amsterdam"))
    return Visit(path, args or {}, who, role, words, "token")

"""The invented town behind a large billing database: who lives there, and what each orders in a month."""

import base64
import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import msgspec

from headend.billing.rating import Reason
from headend.billing.rows import Account, Box, OrderState
from shared.clock import to_ms
from shared.named import GENESIS, AccountId, BoxId, Evidence, Offer, Order, encode, payload_hash, title_hash
from shared.weeks import Month

ZONE = "Europe/Amsterdam"
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
MONTHS = 24
ACTIVE_MONTHS = 3
"""Of 24, in how many a household orders: a bill has several lines then."""
AGENTS = ("1.4.0", "1.4.1", "1.5.0", "1.5.2")
REASONS = (
    Reason.UNKNOWN_OFFER,
    Reason.PRICE_MISMATCH,
    Reason.NO_EVIDENCE,
    Reason.OFFER_NOT_VALID,
    Reason.UNBOUND,
)
_GOOD = Evidence(pin_verified=True, consent_immediate_supply=True, confirmation_shown=True)
_NO_SIGNATURE = base64.b64encode(bytes(64)).decode()
_PAYLOAD_TYPE = "application/vnd.stb-telemetry.named+json"


def offers(valid_from_ms: int) -> list[Offer]:
    """Forty things to order: films, games, and some of which bills name the amount only."""
    return [
        Offer(
            offer=f"title-{number:02}",
            version=1,
            kind="film" if number % 5 else "game",
            mode="rent",
            title=f"Invented Title {number}",
            genre=None,
            price_cents=199 + 100 * (number % 5),
            currency="EUR",
            vat_bp=2100,
            window_hours=48,
            display=("title", "class", "amount")[number % 3],
            valid_from_ms=valid_from_ms,
        )
        for number in range(40)
    ]


@dataclass
class Home:
    """One household: its account, its box, and how far the box's chain has come."""

    account: Account
    box: Box
    months: frozenset[int]
    seq: int = 0
    last_hash: str = GENESIS
    last_ms: int = 0


@dataclass(frozen=True)
class Placed:
    """One order as it came in; `envelope` is kept for the newest months only."""

    home: Home
    seq: int
    hash: str
    envelope: bytes | None
    envelope_hash: str
    offer: Offer
    salt: str
    title_hash: str
    at_ms: int
    state: OrderState
    reason: str

    @property
    def ref(self) -> str:
        """Its identity."""
        return f"{self.home.box.box}/1/{self.seq}"


def homes(count: int, start_ms: int, chance: random.Random) -> list[Home]:
    """So many households, each with one box."""
    found = []
    for number in range(count):
        country, language = ("BE", chance.choice(("nl", "fr"))) if not number % 6 else ("NL", "nl")
        account = Account(
            account=AccountId(f"acc-{number:06}"),
            zone=ZONE,
            country=country,
            postal_area=str(1000 + number % 8000),
            language=language,
            spending_limit_cents=None,
            created_ms=start_ms,
        )
        name = hashlib.sha256(f"box {number}".encode()).hexdigest()[:16]
        box = Box(BoxId(f"bx{name}"), f"SN-{number:07}", "key", account.account, 1, start_ms)
        found.append(Home(account, box, frozenset(chance.sample(range(MONTHS), ACTIVE_MONTHS))))
    return found


def month_at(last: Month, index: int) -> Month:
    """The month of an index, of which the last is the newest."""
    return last.plus(index - MONTHS + 1)


def newest(now_ms: int) -> Month:
    """The month in which the town's present lies."""
    return Month.of(datetime.fromtimestamp(now_ms / 1000, UTC), ZoneInfo(ZONE))


@dataclass(frozen=True)
class Evening:
    """When a month's orders come, and what of them is kept: the newest two months are signed still."""

    start_ms: int
    end_ms: int
    current: bool
    signed: bool


def evening_of(month: Month, now_ms: int) -> Evening:
    """The span of a month, up to the present."""
    zone, now = ZoneInfo(ZONE), newest(now_ms)
    start, end = to_ms(month.start(zone)), to_ms(month.end(zone))
    return Evening(start, min(end, now_ms), month == now, str(month) >= str(now.plus(-1)))


def orders_of(
    active: list[Home], count: int, evening: Evening, sold: list[Offer], chance: random.Random
) -> Iterator[Placed]:
    """So many orders of these households within a month, in the order of their receipt."""
    times = sorted(chance.randrange(evening.start_ms, evening.end_ms) for _ in range(count))
    for at_ms in times:
        home = chance.choice(active)
        yield _order(home, chance.choice(sold), at_ms, evening, chance)


def _order(home: Home, offer: Offer, at_ms: int, evening: Evening, chance: random.Random) -> Placed:
    home.seq += 1
    home.last_ms = max(at_ms, home.last_ms + 1)
    salt = f"{chance.getrandbits(128):032x}"
    envelope, digest = None, hashlib.sha256(f"{home.box.box}/{home.seq}".encode()).hexdigest()
    if evening.signed:
        payload = _said(home, offer, at_ms, salt)
        digest, envelope = payload_hash(payload), _envelope(payload, home.box.box)
    home.last_hash = digest
    state, reason = _outcome(evening, chance.random(), chance)
    return Placed(
        home,
        home.seq,
        digest,
        envelope,
        digest if envelope is None else hashlib.sha256(envelope).hexdigest(),
        offer,
        salt,
        title_hash(salt, offer.offer),
        at_ms,
        state,
        reason,
    )


def _outcome(evening: Evening, drawn: float, chance: random.Random) -> tuple[OrderState, str]:
    if drawn < 0.002 or (evening.signed and drawn < 0.012):  # noqa: PLR2004 (few old ones, more new ones)
        return OrderState.SUSPENDED, chance.choice(REASONS)
    if drawn < 0.016:  # noqa: PLR2004
        return OrderState.REJECTED, chance.choice(REASONS)
    if drawn < 0.06:  # noqa: PLR2004
        return OrderState.ZERO_RATED, chance.choice((Reason.OPEN_WINDOW, Reason.DELIVERY_FAILED))
    return (OrderState.RATED if evening.current else OrderState.BILLED), Reason.NONE


def _said(home: Home, offer: Offer, at_ms: int, salt: str) -> bytes:
    return encode(
        Order(
            box=home.box.box,
            epoch=1,
            seq=home.seq,
            prev=home.last_hash,
            offer=offer.offer,
            offer_version=1,
            price_cents=offer.price_cents,
            currency="EUR",
            vat_bp=2100,
            placed_ms=at_ms,
            salt=salt,
            evidence=_GOOD,
        )
    )


def _envelope(payload: bytes, box: str) -> bytes:
    """An envelope whose signature nobody checks any more: it was checked at receipt."""
    whole = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": _PAYLOAD_TYPE,
        "signatures": [{"keyid": box, "sig": _NO_SIGNATURE}],
    }
    return msgspec.json.encode(whole)

"""Orders: checked against the signed catalogue, signed, chained, and stored before anybody is told yes.

Each message's bytes, its place and the previous one's hash are fixed in the transaction that places it,
and never change; `box_agent.submission` sends them.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from box_agent.chance import DAY_MS, HOUR_MS, RandomBytes
from box_agent.identity import Identity
from box_agent.published import MAX_CATALOGUE, BadCatalogueError, Offers, Packed, open_catalogue
from box_agent.store import Door
from shared.clock import Clock, to_ms
from shared.errors import StbError
from shared.named import BoxId, Delivery, Evidence, Offer, Order, encode, payload_hash

FOREVER_MS = 253402300799999
_SALT_BYTES = 16
OUTCOMES = ("confirmed", "failed")


class UnknownOfferError(StbError):
    """The catalogue on this box has no such offer."""


class OfferNotValidError(StbError):
    """The offer is not in force now."""


class MissingEvidenceError(StbError):
    """The order cannot be proven: PIN, consent to immediate supply or its confirmation is missing."""


class UnknownOrderError(StbError):
    """This box has placed no such order, or has forgotten it."""


class UnknownOutcomeError(StbError):
    """A delivery is confirmed or failed, nothing else."""


@dataclass(frozen=True)
class Placed:
    """An order's place in the chain; `repeated` if an open window made a new order needless."""

    seq: int
    offer: str
    placed_ms: int
    until_ms: int | None
    repeated: bool
    genre: str | None = None


@dataclass(frozen=True)
class Kept:
    """An order as the household may look it up; `acknowledged` once the headend has stored it."""

    seq: int
    offer: str
    title: str
    price_cents: int
    currency: str
    placed_ms: int
    until_ms: int | None
    outcome: str | None
    acknowledged: bool


@dataclass(frozen=True)
class _Place:
    box: BoxId
    epoch: int
    seq: int
    prev: str


class Ordering:
    """The box's orders and the catalogue they are placed from."""

    def __init__(self, door: Door, identity: Identity, clock: Clock, catalogue_key: str) -> None:
        self._door = door
        self._identity = identity
        self._clock = clock
        self._catalogue_key = catalogue_key

    def accept_catalogue(self, raw: bytes, etag: str | None) -> int:
        """Keep a catalogue; answers with its version.

        Raises:
            BadCatalogueError: not signed by the pinned key, malformed, or older than the one on hand.
        """
        digest = payload_hash(raw)
        found = open_catalogue(Packed(digest, lambda: raw), self._catalogue_key)
        held = self._door.row("SELECT version FROM catalogue")
        if held is not None and found.version < held[0]:
            raise BadCatalogueError(f"version {found.version} after version {held[0]}")
        self._door.write(
            "INSERT OR REPLACE INTO catalogue (id, version, digest, etag, packed) VALUES (1, ?, ?, ?, ?)",
            (found.version, digest, etag, _deflate(raw)),
        )
        return found.version

    def catalogue_etag(self) -> str | None:
        """The entity tag of the catalogue on hand."""
        row = self._door.row("SELECT etag FROM catalogue")
        return row[0] if row else None

    def catalogue_version(self) -> int:
        """The version of the catalogue on hand; 0 if there is none."""
        row = self._door.row("SELECT version FROM catalogue")
        return int(row[0]) if row else 0

    def offers(self) -> list[Offer]:
        """The offers in force now."""
        now = to_ms(self._clock.now())
        return [
            offer
            for versions in self._catalogue().by_id.values()
            for offer in versions
            if _in_force(offer, now)
        ]

    def place_order(self, offer_id: str, evidence: Evidence, random_bytes: RandomBytes) -> Placed:
        """Place an order; when this returns, it survives a power cut.

        Inside the window of an earlier order of the same offer there is no new one: the earlier is
        answered.

        Raises:
            NotEnrolledError: this box has no account.
            MissingEvidenceError: the evidence is not complete.
            UnknownOfferError: no such offer.
            OfferNotValidError: it is not in force now.
        """
        self._identity.enrolment()
        if not (evidence.pin_verified and evidence.consent_immediate_supply and evidence.confirmation_shown):
            raise MissingEvidenceError("PIN, consent to immediate supply and its confirmation are needed")
        now = to_ms(self._clock.now())
        with self._door.transaction():
            running = self._running(offer_id, now)
            return running or self._place(self._offer(offer_id, now), evidence, now, random_bytes)

    def report_delivery(self, order_seq: int, outcome: str) -> int:
        """Tell whether an order's title could be viewed; answers with the message's place in the chain.

        The same outcome again is no new message: its order's place is answered.

        Raises:
            UnknownOrderError: no such order on this box.
            UnknownOutcomeError: the outcome is neither "confirmed" nor "failed".
        """
        if outcome not in OUTCOMES:
            raise UnknownOutcomeError(f"an outcome is one of {', '.join(OUTCOMES)}")
        now = to_ms(self._clock.now())
        with self._door.transaction():
            row = self._door.row(
                "SELECT outcome, epoch FROM orders WHERE seq = ? AND epoch = (SELECT epoch FROM head)",
                (order_seq,),
            )
            if row is None:
                raise UnknownOrderError(f"no order {order_seq}")
            if row[0] == outcome:
                return order_seq
            self._door.write(
                "UPDATE orders SET outcome = ? WHERE epoch = ? AND seq = ?", (outcome, row[1], order_seq)
            )
            return self._append(lambda place: _delivery(place, order_seq, outcome, now), now)

    def orders(self) -> list[Kept]:
        """The orders that this box still remembers, the oldest first."""
        rows = self._door.rows(
            "SELECT o.seq, offer, title, price_cents, currency, placed_ms, until_ms, outcome,"
            " o.epoch < head.epoch OR o.seq <= acked FROM orders o CROSS JOIN head ORDER BY o.epoch, o.seq"
        )
        return [Kept(*(*row[:-1], bool(row[-1]))) for row in rows]

    def prune(self, now: datetime, retention_days: int) -> None:
        """Forget acknowledged envelopes, and orders whose window is over, that are older than this."""
        limit = to_ms(now) - retention_days * DAY_MS
        with self._door.transaction():
            self._door.write(
                "DELETE FROM chain WHERE placed_ms < ? AND"
                " (epoch < (SELECT epoch FROM head) OR seq <= (SELECT acked FROM head))",
                (limit,),
            )
            self._door.write(
                "DELETE FROM orders WHERE placed_ms < ? AND coalesce(until_ms, 0) <= ? AND"
                " (epoch < (SELECT epoch FROM head) OR seq <= (SELECT acked FROM head))",
                (limit, to_ms(now)),
            )

    def _running(self, offer_id: str, now: int) -> Placed | None:
        row = self._door.row(
            "SELECT seq, placed_ms, until_ms FROM orders WHERE offer = ? AND until_ms > ?"
            " AND coalesce(outcome, '') <> 'failed' ORDER BY placed_ms DESC",
            (offer_id, now),
        )
        return None if row is None else Placed(row[0], offer_id, row[1], row[2], repeated=True)

    def _place(self, offer: Offer, evidence: Evidence, now: int, random_bytes: RandomBytes) -> Placed:
        salt = random_bytes(_SALT_BYTES).hex()
        seq = self._append(lambda place: _order(place, offer, (evidence, now, salt)), now)
        until = _until(offer, now)
        self._door.write(
            "INSERT INTO orders (epoch, seq, offer, title, price_cents, currency, placed_ms, until_ms)"
            " VALUES ((SELECT epoch FROM head), ?, ?, ?, ?, ?, ?, ?)",
            (seq, offer.offer, offer.title, offer.price_cents, offer.currency, now, until),
        )
        return Placed(seq, offer.offer, now, until, repeated=False, genre=offer.genre)

    def _append(self, make: Callable[[_Place], Order | Delivery], now: int) -> int:
        found = self._door.row("SELECT epoch, seq, hash FROM head")
        enrolment = self._identity.enrolment()
        epoch, last, prev = found or (enrolment.epoch, 0, "")
        message = make(_Place(BoxId(enrolment.box), epoch, last + 1, prev))
        self._door.write(
            "INSERT INTO chain (epoch, seq, placed_ms, envelope) VALUES (?, ?, ?, ?)",
            (epoch, message.seq, now, self._identity.sign(message)),
        )
        self._door.write("UPDATE head SET seq = ?, hash = ?", (message.seq, payload_hash(encode(message))))
        return message.seq

    def _offer(self, offer_id: str, now: int) -> Offer:
        versions = self._catalogue().by_id.get(offer_id, ())
        if not versions:
            raise UnknownOfferError(f"no offer {offer_id!r}")
        valid = [offer for offer in versions if _in_force(offer, now)]
        if not valid:
            raise OfferNotValidError(f"offer {offer_id!r} is not in force now")
        return max(valid, key=lambda offer: offer.version)

    def _catalogue(self) -> Offers:
        row = self._door.row("SELECT digest FROM catalogue")
        return (
            Offers(0, {}) if row is None else open_catalogue(Packed(row[0], self._load), self._catalogue_key)
        )

    def _load(self) -> bytes:
        row = self._door.row("SELECT packed FROM catalogue")
        # Bounded, although this box deflated it itself: a damaged file must not fill the memory.
        return b"" if row is None else zlib.decompressobj().decompress(row[0], MAX_CATALOGUE)


@lru_cache(maxsize=2)
def _deflate(raw: bytes) -> bytes:
    return zlib.compress(raw)


def _in_force(offer: Offer, now: int) -> bool:
    return offer.valid_from_ms <= now and (offer.valid_to_ms is None or now < offer.valid_to_ms)


def _until(offer: Offer, now: int) -> int | None:
    if offer.mode == "buy":
        return FOREVER_MS
    return now + offer.window_hours * HOUR_MS if offer.window_hours else None


def _order(place: _Place, offer: Offer, told: tuple[Evidence, int, str]) -> Order:
    evidence, placed_ms, salt = told
    return Order(
        box=place.box,
        epoch=place.epoch,
        seq=place.seq,
        prev=place.prev,
        offer=offer.offer,
        offer_version=offer.version,
        price_cents=offer.price_cents,
        currency=offer.currency,
        vat_bp=offer.vat_bp,
        placed_ms=placed_ms,
        salt=salt,
        evidence=evidence,
    )


def _delivery(place: _Place, order_seq: int, outcome: str, at_ms: int) -> Delivery:
    return Delivery(
        box=place.box,
        epoch=place.epoch,
        seq=place.seq,
        prev=place.prev,
        order_seq=order_seq,
        outcome="confirmed" if outcome == "confirmed" else "failed",
        at_ms=at_ms,
    )

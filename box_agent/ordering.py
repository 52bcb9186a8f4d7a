"""Orders: checked against the signed catalogue, signed, chained, and stored before anybody is told yes.

Each message's bytes, its place and the previous one's hash are fixed in the transaction that places it,
and never change; `box_agent.submission` sends them.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Literal, get_args

from box_agent.chance import DAY_MS, RandomBytes
from box_agent.identity import Identity
from box_agent.kept import Kept, KeptOrders, Placed, Standing
from box_agent.published import (
    MAX_CATALOGUE,
    NOTHING_OFFERED,
    BadCatalogueError,
    Offers,
    Packed,
    open_catalogue,
)
from box_agent.store import Door
from box_agent.terms import (
    Shown,
    choose_offer,
    choose_promotion,
    in_force,
    preview_until,
    window_until,
)
from shared.clock import Clock, to_ms
from shared.errors import StbError
from shared.named import BoxId, Delivery, Evidence, Offer, Order, Promotion, encode, payload_hash

_SALT_BYTES = 16
Outcome = Literal["confirmed", "failed", "stopped"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


class MissingEvidenceError(StbError):
    """The order cannot be proven: PIN, consent to immediate supply or its confirmation is missing."""


class UnknownOrderError(StbError):
    """This box has placed no such order, or has forgotten it."""


class UnknownOutcomeError(StbError):
    """A delivery is confirmed, failed or stopped, nothing else."""


class PreviewOverError(StbError):
    """The order cannot be stopped any more without being charged: its preview is over, or it has none."""


class NotPaidError(StbError):
    """The order has failed or was stopped, and is not paid: nothing that is told later makes it run again."""


@dataclass(frozen=True)
class PromotionUse:
    """A promotion that is in force, and how often this box has used it."""

    terms: Promotion
    used: int


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
        self._kept = KeptOrders(door)

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
            if in_force(offer, now)
        ]

    def promotions(self) -> list[PromotionUse]:
        """The promotions in force now; other boxes of the account may have used them too."""
        now = to_ms(self._clock.now())
        return [
            PromotionUse(one, self._kept.used(one.promotion))
            for versions in self._catalogue().promotions.values()
            for one in versions
            if in_force(one, now)
        ]

    def place_order(
        self, offer_id: str, evidence: Evidence, random_bytes: RandomBytes, promotion: str | None = None
    ) -> Placed:
        """Place an order, with a promotion if one is named; when this returns, it survives a power cut.

        Inside the window of an earlier order of the same offer there is no new one: the earlier is
        answered, and no promotion is used.

        Raises:
            NotEnrolledError: this box has no account.
            MissingEvidenceError: the evidence is not complete.
            UnknownOfferError: no such offer.
            OfferNotValidError: it is not in force now.
            UnknownPromotionError: no such promotion.
            PromotionNotValidError: it takes nothing off this order.
        """
        self._identity.enrolment()
        if not (evidence.pin_verified and evidence.consent_immediate_supply and evidence.confirmation_shown):
            raise MissingEvidenceError("PIN, consent to immediate supply and its confirmation are needed")
        now = to_ms(self._clock.now())
        with self._door.transaction():
            running = self._kept.running(offer_id, now)
            return running or self._place(self._shown(offer_id, promotion, now), evidence, now, random_bytes)

    def report_delivery(self, order_seq: int, outcome: str) -> int:
        """Tell what became of an order's title; answers with the message's place in the chain.

        The same outcome again is no new message: its order's place is answered. What failed or was stopped
        is not paid, and its window does not run any more.

        Raises:
            UnknownOrderError: no such order on this box.
            UnknownOutcomeError: the outcome is none of "confirmed", "failed" and "stopped".
            PreviewOverError: it is stopped after the offer's preview.
            NotPaidError: it has failed or been stopped before.
        """
        told = next((one for one in OUTCOMES if one == outcome), None)
        if told is None:
            raise UnknownOutcomeError(f"an outcome is one of {', '.join(OUTCOMES)}")
        now = to_ms(self._clock.now())
        with self._door.transaction():
            standing = self._kept.standing(order_seq)
            if standing is None:
                raise UnknownOrderError(f"no order {order_seq}")
            if standing.outcome == told:
                return order_seq
            _check_outcome(standing, told, now)
            self._kept.set_outcome(order_seq, told)
            return self._append(lambda place: _delivery(place, order_seq, told, now), now)

    def orders(self) -> list[Kept]:
        """The orders that this box still remembers, the oldest first."""
        return self._kept.all()

    def prune(self, now: datetime, retention_days: int) -> None:
        """Forget acknowledged envelopes, and orders whose window is over, that are older than this."""
        limit = to_ms(now) - retention_days * DAY_MS
        with self._door.transaction():
            self._door.write(
                "DELETE FROM chain WHERE placed_ms < ? AND"
                " (epoch < (SELECT epoch FROM head) OR seq <= (SELECT acked FROM head))",
                (limit,),
            )
            self._kept.forget(limit, to_ms(now))

    def _shown(self, offer_id: str, promotion: str | None, now: int) -> Shown:
        found = self._catalogue()
        offer = choose_offer(found.by_id, offer_id, now)
        if promotion is None:
            return Shown(offer)
        return Shown(offer, choose_promotion(found.promotions, promotion, offer, now, self._kept.used))

    def _place(self, shown: Shown, evidence: Evidence, now: int, random_bytes: RandomBytes) -> Placed:
        salt = random_bytes(_SALT_BYTES).hex()
        seq = self._append(lambda place: _order(place, shown, (evidence, now, salt)), now)
        offer, promotion = shown.offer, shown.promotion
        placed = Placed(
            seq=seq,
            offer=offer.offer,
            placed_ms=now,
            until_ms=window_until(offer, now),
            price_cents=offer.price_cents,
            credit_cents=shown.credit_cents,
            to_pay_cents=offer.price_cents - shown.credit_cents,
            currency=offer.currency,
            promotion=None if promotion is None else promotion.promotion,
            preview_until_ms=preview_until(offer, now),
            genre=offer.genre,
        )
        self._kept.keep(placed, offer.title, None if promotion is None else promotion.valid_to_ms)
        return placed

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

    def _catalogue(self) -> Offers:
        row = self._door.row("SELECT digest FROM catalogue")
        if row is None:
            return NOTHING_OFFERED
        return open_catalogue(Packed(row[0], self._load), self._catalogue_key)

    def _load(self) -> bytes:
        row = self._door.row("SELECT packed FROM catalogue")
        # Bounded, although this box deflated it itself: a damaged file must not fill the memory.
        return b"" if row is None else zlib.decompressobj().decompress(row[0], MAX_CATALOGUE)


@lru_cache(maxsize=2)
def _deflate(raw: bytes) -> bytes:
    return zlib.compress(raw)


def _check_outcome(standing: Standing, told: Outcome, now: int) -> None:
    if not standing.is_paid:
        raise NotPaidError(f"the order is told as {standing.outcome} already")
    if told == "stopped" and now >= (standing.preview_until_ms or 0):
        raise PreviewOverError("the preview is over, or the offer has none")


def _order(place: _Place, shown: Shown, told: tuple[Evidence, int, str]) -> Order:
    evidence, placed_ms, salt = told
    offer, promotion = shown.offer, shown.promotion
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
        promotion=None if promotion is None else promotion.promotion,
        promotion_version=None if promotion is None else promotion.version,
        credit_cents=shown.credit_cents,
    )


def _delivery(place: _Place, order_seq: int, outcome: Outcome, at_ms: int) -> Delivery:
    return Delivery(
        box=place.box,
        epoch=place.epoch,
        seq=place.seq,
        prev=place.prev,
        order_seq=order_seq,
        outcome=outcome,
        at_ms=at_ms,
    )

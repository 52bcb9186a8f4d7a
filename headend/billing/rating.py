"""Rating: what an authentic order costs, whether a window is open, or why it has to wait. Pure of storage.

Nothing is billed on a guess: an order that does not fit the offer it names waits in suspense with a reason.
"""

from dataclasses import dataclass
from enum import StrEnum

from shared.named import Offer, Order, Promotion

HOUR_MS = 3_600_000
MINUTE_MS = 60_000
CLOCK_TOLERANCE_MS = 5 * 60_000
"""How much later than its receipt an order may say that it was placed before its clock is called wrong."""
FOREVER_MS = 253_402_300_799_999
"""The end of a window that never closes: a title that was bought."""


class Reason(StrEnum):
    """Why an order waits, or costs nothing."""

    NONE = ""
    UNREADABLE = "unreadable"
    UNKNOWN_OFFER = "unknown-offer"
    OFFER_NOT_VALID = "offer-not-valid"
    PRICE_MISMATCH = "price-mismatch"
    CURRENCY_MISMATCH = "currency-mismatch"
    VAT_MISMATCH = "vat-mismatch"
    VAT_NOT_IN_FORCE = "vat-not-in-force"
    NO_EVIDENCE = "no-evidence"
    UNKNOWN_PROMOTION = "unknown-promotion"
    PROMOTION_NOT_VALID = "promotion-not-valid"
    PROMOTION_MISMATCH = "promotion-mismatch"
    PROMOTION_USED_UP = "promotion-used-up"
    UNBOUND = "unbound"
    OPEN_WINDOW = "open-window"
    SUBSCRIPTION = "subscription"
    DELIVERY_FAILED = "delivery-failed"
    STOPPED_IN_PREVIEW = "stopped-in-preview"
    DELIVERY_REPORT = "delivery-report"


@dataclass(frozen=True)
class TimeBounds:
    """What bounds an order's time whatever its clock said: its neighbour in the chain, and the receipt."""

    neighbour_ms: int
    received_ms: int

    def effective(self, placed_ms: int) -> int:
        """The time that the order takes effect: as placed, if that lies within the bounds.

        >>> TimeBounds(1_000, 9_000_000).effective(0), TimeBounds(1_000, 9_000_000).effective(5_000)
        (1000, 5000)
        """
        latest = max(self.received_ms, self.neighbour_ms)
        return min(max(placed_ms, self.neighbour_ms), latest)


@dataclass(frozen=True)
class Terms:
    """What an order is held against: the offer and promotion that it names, and the law where it is billed.

    `uses` is how often the promotion has served the account before.
    """

    offer: Offer | None
    promotion: Promotion | None
    uses: int
    vat_rates: frozenset[int]
    currency: str


def objection(order: Order, terms: Terms, effective_ms: int) -> Reason:
    """Why the order cannot be rated as it stands; `Reason.NONE` if it can."""
    offer = terms.offer
    if offer is None:
        return Reason.UNKNOWN_OFFER
    checks = (
        (order.price_cents == offer.price_cents, Reason.PRICE_MISMATCH),
        (order.currency == offer.currency, Reason.CURRENCY_MISMATCH),
        (offer.price_cents == 0 or order.currency == terms.currency, Reason.CURRENCY_MISMATCH),
        (order.vat_bp == offer.vat_bp, Reason.VAT_MISMATCH),
        (offer.price_cents == 0 or order.vat_bp in terms.vat_rates, Reason.VAT_NOT_IN_FORCE),
        (_within(effective_ms, offer.valid_from_ms, offer.valid_to_ms), Reason.OFFER_NOT_VALID),
        (_proven(order, offer), Reason.NO_EVIDENCE),
    )
    fault = next((reason for holds, reason in checks if not holds), Reason.NONE)
    return fault or _promotion_objection(order, offer, terms, effective_ms)


def _promotion_objection(order: Order, offer: Offer, terms: Terms, effective_ms: int) -> Reason:
    promotion = terms.promotion
    if order.promotion is None:
        return Reason.NONE if order.credit_cents == 0 else Reason.PROMOTION_MISMATCH
    if promotion is None:
        return Reason.UNKNOWN_PROMOTION
    suits = offer.kind in promotion.kinds and order.currency == promotion.currency
    checks = (
        (
            suits and order.credit_cents == promotion.takes_off(offer.price_cents),
            Reason.PROMOTION_MISMATCH,
        ),
        (
            _within(effective_ms, promotion.valid_from_ms, promotion.valid_to_ms),
            Reason.PROMOTION_NOT_VALID,
        ),
        (terms.uses < promotion.per_account, Reason.PROMOTION_USED_UP),
    )
    return next((reason for holds, reason in checks if not holds), Reason.NONE)


def _within(at_ms: int, from_ms: int, to_ms: int | None) -> bool:
    until = FOREVER_MS if to_ms is None else to_ms
    return from_ms - CLOCK_TOLERANCE_MS <= at_ms < until + CLOCK_TOLERANCE_MS


def _proven(order: Order, offer: Offer) -> bool:
    evidence = order.evidence
    if offer.price_cents == 0:
        return True
    return evidence.pin_verified and evidence.consent_immediate_supply and evidence.confirmation_shown


def costs_nothing(offer: Offer) -> bool:
    """Whether an offer is part of a subscription, or free."""
    return offer.mode == "subscription" or offer.price_cents == 0


def window_until(offer: Offer, effective_ms: int) -> int:
    """When the rental window closes (half-open), in real hours; a bought title's never does."""
    if offer.window_hours == 0:
        return FOREVER_MS
    return effective_ms + offer.window_hours * HOUR_MS


def stopped_in_preview(offer: Offer | None, after_ms: int) -> bool:
    """Whether an order that was stopped so long after it was placed is not charged: within its preview.

    The preview is half-open; an offer without one has none of it.
    """
    return offer is not None and after_ms < offer.preview_minutes * MINUTE_MS


def display_text(offer: Offer) -> str:
    """What ledger, legal invoice and export say of it: its class, never its title.

    A title stands in the annex and in the signed envelope only, which can be removed; see `shown_text`.
    """
    return "on demand" if offer.display == "amount" else offer.kind


def shown_text(offer: Offer) -> str:
    """What the subscriber is shown beside the amount while the annex stands: the display class decides."""
    return offer.title if offer.display == "title" else display_text(offer)

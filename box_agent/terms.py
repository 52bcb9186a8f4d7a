"""What may be ordered now, and what a promotion takes off it. Pure of storage, time and chance.

The headend holds every order against the same terms again: what is chosen here is what the screen shows.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from box_agent.chance import HOUR_MS
from shared.errors import StbError
from shared.named import Offer, Promotion

MINUTE_MS = 60_000
FOREVER_MS = 253402300799999
"""The end of what has none: the window of a title that was bought."""


class UnknownOfferError(StbError):
    """The catalogue on this box has no such offer."""


class OfferNotValidError(StbError):
    """The offer is not in force now."""


class UnknownPromotionError(StbError):
    """The catalogue on this box has no such promotion."""


class PromotionNotValidError(StbError):
    """The promotion takes nothing off this order: not in force, of another kind or currency, or used up."""


@dataclass(frozen=True)
class Shown:
    """What the screen shows before an order: the offer, and the promotion that the household chose.

    Money in whole cents, including VAT.
    """

    offer: Offer
    promotion: Promotion | None = None

    @property
    def credit_cents(self) -> int:
        """What the promotion takes off the price."""
        return 0 if self.promotion is None else self.promotion.takes_off(self.offer.price_cents)


def in_force(terms: Offer | Promotion, now_ms: int) -> bool:
    """Whether it can be ordered, or used, now (Unix milliseconds; validity is half-open)."""
    return terms.valid_from_ms <= now_ms and (terms.valid_to_ms is None or now_ms < terms.valid_to_ms)


def choose_offer(offers: Mapping[str, tuple[Offer, ...]], name: str, now_ms: int) -> Offer:
    """The newest version of an offer that is in force.

    Raises:
        UnknownOfferError: no such offer.
        OfferNotValidError: no version of it is in force now.
    """
    versions = offers.get(name, ())
    if not versions:
        raise UnknownOfferError(f"no offer {name!r}")
    valid = [one for one in versions if in_force(one, now_ms)]
    if not valid:
        raise OfferNotValidError(f"offer {name!r} is not in force now")
    return max(valid, key=lambda one: one.version)


def choose_promotion(
    promotions: Mapping[str, tuple[Promotion, ...]],
    name: str,
    offer: Offer,
    now_ms: int,
    used: Callable[[str], int],
) -> Promotion:
    """The newest version of a promotion that is in force, if it takes something off this offer.

    `used` tells how often this box has used a promotion of that name; the account's other boxes are not
    known to it, so the headend has the last word.

    Raises:
        UnknownPromotionError: no such promotion.
        PromotionNotValidError: not in force, of another kind or currency, used up, or nothing to take off.
    """
    versions = promotions.get(name, ())
    if not versions:
        raise UnknownPromotionError(f"no promotion {name!r}")
    valid = [one for one in versions if in_force(one, now_ms)]
    if not valid:
        raise PromotionNotValidError(f"promotion {name!r} is not in force now")
    found = max(valid, key=lambda one: one.version)
    faults = (
        (offer.kind not in found.kinds, f"is not for a {offer.kind}"),
        (offer.currency != found.currency, f"is in {found.currency}, not {offer.currency}"),
        (offer.price_cents == 0, "has nothing to take off"),
        (used(name) >= found.per_account, f"has been used {found.per_account} times"),
    )
    for fault, words in faults:
        if fault:
            raise PromotionNotValidError(f"promotion {name!r} {words}")
    return found


def window_until(offer: Offer, placed_ms: int) -> int | None:
    """When the rental window closes (half-open, Unix milliseconds); None without a window."""
    if offer.mode == "buy":
        return FOREVER_MS
    return placed_ms + offer.window_hours * HOUR_MS if offer.window_hours else None


def preview_until(offer: Offer, placed_ms: int) -> int | None:
    """Until when an order can be stopped without being charged (half-open); None without a preview."""
    return placed_ms + offer.preview_minutes * MINUTE_MS if offer.preview_minutes else None

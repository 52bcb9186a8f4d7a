"""False orders: other prices, promotions and versions than there are, other boxes' orders, stops too late.

What is authentic is taken, and waits in suspense or changes nothing; what is not, is refused. Neither blocks
the orders that follow.
"""

from dataclasses import dataclass, replace
from typing import Any

from simulator.by_hand import Attempt, HandBox, HandLine
from simulator.processes import Headend

FLOOD = 25
MINUTE_MS = 60_000
_EARLIER_MS = 60 * MINUTE_MS
_RATED = "rated"
Offer = dict[str, Any]
"""An offer as the catalogue's JSON has it."""


@dataclass(frozen=True)
class _Claim:
    """An order that was taken, and where it should stand."""

    what: str
    expected: str
    ref: str


class FalseOrders:
    """What a customer with two boxes tries; `thief` floods and forges, `other` lies about its own orders."""

    def __init__(
        self, headend: Headend, line: HandLine, boxes: tuple[HandBox, HandBox], account: str
    ) -> None:
        self._headend = headend
        self._line = line
        self._thief, self._other = boxes
        self._account = account
        self._attempts: list[Attempt] = []
        self._claims: list[_Claim] = []
        self._at_ms = 0
        self._unused: list[Offer] = []

    def try_all(self, catalogue: dict[str, Any], now_ms: int) -> list[Attempt]:
        """Everything, against a catalogue as the line gives it."""
        paid = [offer for offer in catalogue["offers"] if offer["price_cents"]]
        flooded, self._unused = paid[: FLOOD + 4], paid[FLOOD + 4 :]
        self._at_ms = now_ms - _EARLIER_MS
        self._forge(flooded, now_ms)
        self._lie_about_promotions({one["promotion"]: one for one in catalogue["promotions"]})
        self._lie_about_deliveries()
        self._speak_other_versions()
        return self._attempts + self._met()

    def _film(self, *, preview: bool = False) -> Offer:
        """A film that was not ordered yet: else the account's window would be open for it."""
        fits = (
            offer
            for offer in self._unused
            if offer["kind"] == "film" and bool(offer.get("preview_minutes")) == preview
        )
        found = next(fits)
        self._unused.remove(found)
        return found

    def _forge(self, offers: list[Offer], now_ms: int) -> None:
        thief, line = self._thief, self._line
        honest = thief.order(offers[0], now_ms)
        first = line.submit(honest)
        forged = HandBox(box=self._other.box).order(offers[1], now_ms)
        unknown = HandBox(box="bx" + "0" * 16).order(offers[1], now_ms)
        again = line.submit(honest)
        twin = HandBox(key=thief.key, box=thief.box).order(offers[1], now_ms)
        cheap = thief.order(offers[2], now_ms, price_cents=1)
        nonsense = thief.order(offers[3], now_ms, price_cents=-5)
        same = "the same acknowledgement"
        self._attempts += [
            Attempt("replay an order", same, same if first.content == again.content else "another answer"),
            line.try_chain("forge another box's order", "bad-signature", forged),
            line.try_chain("order as a box that does not exist", "unknown-box", unknown),
            line.try_chain("say something else under an old number", "equivocation", twin),
            line.try_chain("lower the price that was shown", "ack 2", cheap),
            line.try_chain("order at a negative price", "ack 3", nonsense),
        ]
        self._claims += [
            _Claim("be billed at a price of one's own", "suspended price-mismatch", thief.ref(2)),
            _Claim("be paid for an order", "suspended unreadable", thief.ref(3)),
        ]
        for offer in offers[4:]:
            line.submit(thief.order(offer, now_ms))
        metrics = self._headend.metrics()
        velocity = sum(n for name, n in metrics.items() if "headend_alarms" in name and "velocity" in name)
        met = "an alarm" if velocity else "nothing"
        self._attempts.append(Attempt(f"flood {FLOOD} orders in a minute", "an alarm", met))

    def _lie_about_promotions(self, promotions: dict[str, Any]) -> None:
        welcome, loyalty = promotions["welcome"], promotions["loyalty"]
        greedy = {"credit_cents": loyalty["credit_cents"] + 1}
        for what, expected, promotion, lies in (
            ("use a promotion", _RATED, welcome, {}),
            ("use it once too often", "suspended promotion-used-up", welcome, {}),
            ("claim more than a promotion takes off", "suspended promotion-mismatch", loyalty, greedy),
            ("make up a promotion", "suspended unknown-promotion", loyalty, {"promotion": "farewell"}),
            (
                "take something off without one",
                "suspended promotion-mismatch",
                loyalty,
                {"promotion": None, "promotion_version": None},
            ),
        ):
            film = self._film()
            self._order(what, expected, film, _claim(promotion, film) | lies)

    def _lie_about_deliveries(self) -> None:
        other, thief, line = self._other, self._thief, self._line
        film = self._film(preview=True)
        bought = self._order("stop an order after its preview", _RATED, film, {})
        late_ms = self._at_ms + film["preview_minutes"] * MINUTE_MS
        line.submit(other.delivery(bought, late_ms))
        self._at_ms = late_ms
        mine = self._order("report another box's order as failed", _RATED, self._film(), {})
        forger = replace(other, key=thief.key)
        stranger = replace(forger, signs_as=thief.box)
        failed = {"outcome": "failed"}
        forged, strange = (box.delivery(mine, late_ms, **failed) for box in (forger, stranger))
        self._attempts += [
            line.try_chain("sign as another box", "bad-signature", forged),
            line.try_chain("speak for another box", "box-mismatch", strange),
            line.try_chain(
                "tell of an order that one does not have",
                f"ack {thief.seq + 1}",
                thief.delivery(99_999, late_ms, **failed),
            ),
        ]

    def _speak_other_versions(self) -> None:
        unreadable = "suspended unreadable"
        for version in (0, 3):
            self._order(f"speak version {version}", unreadable, self._film(), {"v": version})
        new = {"v": 1, "promotion": "welcome", "promotion_version": 1, "credit_cents": 50}
        self._order("say in version 1 what it cannot", unreadable, self._film(), new)
        self._order("order honestly after all that", _RATED, self._film(), {})

    def _order(self, what: str, expected: str, offer: Offer, lies: dict[str, Any]) -> int:
        """Send one order of the other box, a minute after the one before; gives its place."""
        self._at_ms += MINUTE_MS
        envelope = self._other.order(offer, self._at_ms, **lies)
        seq = self._other.seq
        taken = self._line.try_chain(f"{what}, and block what follows", f"ack {seq}", envelope)
        if not taken.held:
            self._attempts.append(taken)
        self._claims.append(_Claim(what, expected, self._other.ref(seq)))
        return seq

    def _met(self) -> list[Attempt]:
        words = ("order", "list", str(self._headend.folder), "--account", self._account, "--limit", "1000")
        stands = {
            one["ref"]: f"{one['state']} {one['reason']}".strip() for one in self._headend.asked(*words)
        }
        return [Attempt(one.what, one.expected, stands.get(one.ref, "not there")) for one in self._claims]


def _claim(promotion: dict[str, Any], offer: Offer) -> dict[str, Any]:
    return {
        "promotion": promotion["promotion"],
        "promotion_version": promotion["version"],
        "credit_cents": min(promotion["credit_cents"], offer["price_cents"]),
    }

"""What billing has to come to, worked out in plain Python from what boxes said.

No store, no SQL, and none of billing's code: only the messages' own forms. Times are Unix milliseconds,
money is whole cents.
"""

import itertools
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from shared.named import GENESIS, Delivery, Offer, Order, Promotion

HOUR = 3_600_000
FOREVER = 253_402_300_799_999
TOLERANCE = 5 * 60_000
RATES = {"NL": {0, 900, 2100}, "BE": {0, 600, 1200, 2100}}
USES = ("rated", "billed", "suspended")
RUNS = ("rated", "billed")
DISPUTE_DAYS = {"NL": 92, "BE": 183}


@dataclass(frozen=True)
class Subscriber:
    name: str
    country: str
    zone: str

    def month_start(self, month: str, months_later: int = 0) -> int:
        year, number = (int(part) for part in month.split("-"))
        index = year * 12 + number - 1 + months_later
        start = datetime(index // 12, index % 12 + 1, 1, tzinfo=ZoneInfo(self.zone))
        return int(start.timestamp()) * 1000


@dataclass(frozen=True)
class Said:
    """A chained message as a box made it; `body` is None where nobody can read it.

    `later` is what it says to those who speak the next version.
    """

    seq: int
    prev: str
    hash: str
    envelope: bytes
    body: Order | Delivery | None
    later: Order | Delivery | None = None


@dataclass
class Charge:
    """An order that was taken, and what it costs."""

    ref: str
    account: str | None
    state: str
    price: int
    credit: int
    currency: str
    vat_bp: int
    effective: int
    promotion: str
    received: int
    order: Order | None
    later: Order | Delivery | None = None
    reports: list[tuple[Delivery, int]] = field(default_factory=list)
    offer: Offer | None = None
    signed: bool = True
    titled: bool = False
    until: int = 0
    credited: int = 0
    free_play: bool = False
    unpaid: bool = False
    billed_at: int | None = None

    @property
    def waits(self) -> bool:
        return self.state in {"rated", "suspended"}

    def runs(self, now: int) -> bool:
        """Whether its window is open, and has been paid for."""
        return self.state in RUNS and self.until > now

    @property
    def payable(self) -> int:
        return self.price - self.credit

    @property
    def left(self) -> int:
        return self.payable - self.credited


@dataclass
class Chain:
    """One epoch of one box, as the headend should hold it."""

    last_ms: int
    kept: list[Said] = field(default_factory=list)
    told: int = 0

    @property
    def last_hash(self) -> str:
        return self.kept[-1].hash if self.kept else GENESIS


class Model:
    """The expected outcome."""

    def __init__(
        self, subscribers: list[Subscriber], offers: list[Offer], promotions: list[Promotion]
    ) -> None:
        self.subscribers = {one.name: one for one in subscribers}
        self.offers = {(one.offer, one.version): one for one in offers}
        self.promotions = {(one.promotion, one.version): one for one in promotions}
        self.chains: dict[tuple[str, int], Chain] = {}
        self.bindings: dict[str, list[tuple[int, str | None]]] = {}
        self.charges: dict[str, Charge] = {}
        self.bills: dict[tuple[str, str], list[str]] = {}
        self.alarms: set[tuple[str, str, str]] = set()
        self.never: set[bytes] = set()
        self.learnt = False

    # --- boxes
    def enrol(self, box: str, epoch: int, account: str, now: int) -> None:
        self.chains[box, epoch] = Chain(now)
        self.bind(box, account, now)

    def bind(self, box: str, account: str | None, now: int) -> None:
        held = self.bindings.setdefault(box, [])
        if not held or held[-1][1] != account:
            held.append((max(now, held[-1][0] if held else 0), account))

    def bound(self, box: str, at: int) -> str | None:
        held = [account for since, account in self.bindings[box] if since <= at]
        return held[-1] if held else self.bindings[box][0][1]

    # --- what boxes send
    def take(self, box: str, epoch: int, says: list[Said], now: int) -> tuple[int, str | None]:
        """The acknowledgement, and what kind of refusal comes with it."""
        chain = self.chains[box, epoch]
        for said in says:
            last = len(chain.kept)
            if said.seq <= last:
                if chain.kept[said.seq - 1].hash != said.hash:
                    return self._refuse("equivocation", box, epoch, said)
            elif said.seq > last + 1:
                chain.told = max(chain.told, said.seq)
            elif said.prev != chain.last_hash:
                return self._refuse("fork", box, epoch, said)
            else:
                self._accept(box, epoch, said, now)
        return len(chain.kept), None

    def _refuse(self, kind: str, box: str, epoch: int, said: Said) -> tuple[int, str]:
        self.alarms.add((kind, box, f"epoch {epoch}, seq {said.seq}"))
        self.never.add(said.envelope)
        return len(self.chains[box, epoch].kept), kind

    def _accept(self, box: str, epoch: int, said: Said, now: int) -> None:
        chain, body = self.chains[box, epoch], said.later if self.learnt and said.later else said.body
        told = {Order: "placed_ms", Delivery: "at_ms"}.get(type(body))
        at = max(getattr(body, told) if told else 0, chain.last_ms)
        effective = min(at, max(now, chain.last_ms))
        chain.kept.append(said)
        chain.last_ms, chain.told = effective, max(chain.told, said.seq)
        if isinstance(body, Delivery):
            self._deliver(self.charges.get(f"{box}/{epoch}/{body.order_seq}"), body, now)
        else:
            ref = f"{box}/{epoch}/{said.seq}"
            self._order(ref, self.bound(box, effective), body, (effective, now))
            if body is None:
                self.charges[ref].later = said.later

    def _order(self, ref: str, account: str | None, order: Order | None, times: tuple[int, int]) -> None:
        effective, received = times
        charge = Charge(ref, account, "suspended", 0, 0, "", 0, effective, "", received, None)
        if order is not None:
            _say(charge, order)
            if self._sound(order, account, effective):
                offer = self.offers[order.offer, order.offer_version]
                self._admit(charge, offer, _window(offer, effective))
        self.charges[ref] = charge

    def _sound(self, order: Order, account: str | None, effective: int) -> bool:
        offer = self.offers.get((order.offer, order.offer_version))
        if account is None or offer is None:
            return False
        proof = order.evidence
        return (
            (order.price_cents, order.currency, order.vat_bp)
            == (offer.price_cents, offer.currency, offer.vat_bp)
            and (offer.price_cents == 0 or order.vat_bp in RATES[self.subscribers[account].country])
            and _within(effective, offer.valid_from_ms, offer.valid_to_ms)
            and (
                offer.price_cents == 0
                or (proof.pin_verified and proof.consent_immediate_supply and proof.confirmation_shown)
            )
            and self._promotion_sound(order, offer, account, effective)
        )

    def _promotion_sound(self, order: Order, offer: Offer, account: str, effective: int) -> bool:
        if order.promotion is None:
            return order.credit_cents == 0
        found = self.promotions.get((order.promotion, order.promotion_version or 0))
        return (
            found is not None
            and offer.kind in found.kinds
            and order.credit_cents == min(found.credit_cents, offer.price_cents)
            and _within(effective, found.valid_from_ms, found.valid_to_ms)
            and self.uses(account, order.promotion) < found.per_account
        )

    def uses(self, account: str, promotion: str) -> int:
        held = (one for one in self.charges.values() if one.account == account)
        return sum(one.promotion == promotion and one.state in USES for one in held)

    def _admit(self, charge: Charge, offer: Offer, until: int) -> None:
        """Charge it, unless it is included, or the account has a window that overlaps [effective, until)."""
        charge.offer, charge.titled = offer, True
        free = offer.mode == "subscription" or offer.price_cents == 0
        charge.free_play = not free and self._running(charge, offer, until)
        if free or charge.free_play:
            charge.state, charge.until = "zero-rated", charge.effective
            charge.credit, charge.promotion = 0, ""
        else:
            charge.state, charge.until = "rated", _window(offer, charge.effective)

    def _running(self, charge: Charge, offer: Offer, until: int, *, credited: bool = False) -> bool:
        return any(
            one.account == charge.account
            and one.titled
            and (one.state in RUNS or (credited and one.state == "credited" and not one.unpaid))
            and one.offer is not None
            and one.offer.offer == offer.offer
            and one.effective < until
            and one.until > charge.effective
            for one in self.charges.values()
        )

    def _deliver(self, charge: Charge | None, told: Delivery, received: int) -> None:
        if charge is None:
            return
        charge.reports.append((told, received))
        offer = charge.offer if charge.titled else self.named_offer(charge) if charge.signed else None
        if not self._failed(charge, offer, told, received):
            return
        charge.free_play = False
        if charge.state == "suspended":
            charge.state = "zero-rated"
        elif charge.state == "rated":
            charge.state = "zero-rated"
            self._charge_plays(charge)
        elif charge.state == "billed" and charge.left:
            charge.credited, charge.state, charge.unpaid = charge.payable, "credited", True
            self._charge_plays(charge)

    def _charge_plays(self, unpaid: Charge) -> None:
        """Who pays for a title that was not paid for after all: the earliest play that cost nothing by it."""
        plays = [one for one in self.charges.values() if one.free_play and one.account == unpaid.account]
        for one in sorted(plays, key=_when):
            sold, paid = one.offer, unpaid.offer
            if not (one.titled and one.signed and unpaid.titled) or sold is None or paid is None:
                continue
            until = _window(sold, one.effective)
            if sold.offer != paid.offer or one.effective >= unpaid.until or until <= unpaid.effective:
                continue
            if not self._running(one, sold, until, credited=True):
                one.state, one.until, one.free_play = "rated", until, False
                if one.order is not None and one.price == one.order.price_cents:
                    one.credit = min(one.order.credit_cents, one.price)
                    one.promotion = one.order.promotion or ""

    def _failed(self, charge: Charge, offer: Offer | None, told: Delivery, received: int) -> bool:
        if told.outcome != "stopped" or offer is None:
            return told.outcome == "failed"
        # By the box's own clock, or by what bounds it: whichever is sooner.
        placed = charge.order.placed_ms if charge.order else 0
        bounded = min(told.at_ms, max(received, charge.effective))
        after = min(max(0, told.at_ms - placed), max(0, bounded - charge.effective))
        return after < offer.preview_minutes * 60_000

    # --- what people decide
    def waiting(self) -> list[Charge]:
        return [one for one in self.charges.values() if one.state == "suspended"]

    def read_again(self, charge: Charge) -> bool:
        """What could not be read before is decided as if it could have been; whether that is all of it."""
        body, box = charge.later, charge.ref.split("/")[0]
        if isinstance(body, Delivery):
            epoch = charge.ref.split("/")[1]
            charge.account, charge.state, charge.signed = None, "zero-rated", False
            self._deliver(self.charges.get(f"{box}/{epoch}/{body.order_seq}"), body, charge.received)
            return True
        assert body is not None
        latest = max(charge.received, charge.effective)
        charge.effective = min(max(body.placed_ms, charge.effective), latest)
        charge.account = self.bound(box, charge.effective)
        _say(charge, body)
        if any(self._failed(charge, self.named_offer(charge), *report) for report in charge.reports):
            charge.state = "zero-rated"
        return charge.state != "suspended" or not self._sound(body, charge.account, charge.effective)

    def can_be_billed(self, charge: Charge, offer: Offer | None) -> bool:
        if charge.account is None:
            return False
        if charge.order is not None and offer is not None and offer.price_cents == 0:
            return True
        if charge.price <= 0 or charge.currency != "EUR":
            return False
        return charge.vat_bp in RATES[self.subscribers[charge.account].country]

    def readmit(self, charge: Charge, meant: Offer | None) -> None:
        offer = meant if charge.order is not None else None
        if any(self._failed(charge, meant, *report) for report in charge.reports):
            charge.state = "zero-rated"
        elif offer is None:
            charge.state = "rated"
        else:
            self._admit(charge, offer, _window(offer, charge.effective))

    def named_offer(self, charge: Charge) -> Offer | None:
        order = charge.order
        return None if order is None else self.offers.get((order.offer, order.offer_version))

    def credit(self, ref: str, cents: int) -> None:
        charge = self.charges[ref]
        assert 0 < cents <= charge.left
        charge.credited += cents
        if charge.left == 0:
            charge.state = "credited"

    def dispute_end(self, charge: Charge) -> int:
        """When it can be disputed no more; of nobody's, the longest period of all."""
        days, zone = max(DISPUTE_DAYS.values()), "UTC"
        if charge.account is not None:
            who = self.subscribers[charge.account]
            days, zone = DISPUTE_DAYS[who.country], who.zone
        begun = charge.received if charge.billed_at is None else charge.billed_at
        day = datetime.fromtimestamp(begun / 1000, ZoneInfo(zone)).date() + timedelta(days=days + 1)
        return int(datetime.combine(day, time(), ZoneInfo(zone)).timestamp()) * 1000

    # --- bills
    def bill(self, month: str, now: int) -> int:
        """Raise the bills of a month; gives how many."""
        raised = 0
        for name, who in self.subscribers.items():
            end = who.month_start(month, 1)
            due = [
                one
                for one in self.charges.values()
                if one.account == name and one.state == "rated" and one.effective < end
            ]
            if now < end or (name, month) in self.bills or not due:
                continue
            for one in due:
                one.state, one.billed_at = "billed", now
            self.bills[name, month] = [one.ref for one in due]
            raised += 1
        return raised

    def owed(self) -> dict[str, int]:
        """What each account is charged: unbilled and billed, less what was credited."""
        sums = dict.fromkeys(self.subscribers, 0)
        for one in self.charges.values():
            if one.state in {"rated", "billed", "credited"}:
                sums[str(one.account)] += one.left
        return sums


def _say(charge: Charge, order: Order) -> None:
    charge.price, charge.credit = order.price_cents, min(order.credit_cents, order.price_cents)
    charge.currency, charge.vat_bp = order.currency, order.vat_bp
    charge.promotion, charge.order = order.promotion or "", order


def _when(charge: Charge) -> tuple[int, str, int, int]:
    box, epoch, seq = charge.ref.rsplit("/", 2)
    return charge.effective, box, int(epoch), int(seq)


def _within(at: int, since: int, until: int | None) -> bool:
    return since - TOLERANCE <= at < (FOREVER if until is None else until) + TOLERANCE


def _window(offer: Offer, effective: int) -> int:
    return FOREVER if offer.window_hours == 0 else effective + offer.window_hours * HOUR


def overlaps(charges: list[Charge]) -> list[tuple[str, str]]:
    """Pairs of charged orders of one account and offer, the second within the first's window."""
    runs = [one for one in charges if one.state in RUNS and one.titled and one.offer is not None]
    return [
        (one.ref, other.ref)
        for one, other in itertools.combinations(sorted(runs, key=lambda run: run.effective), 2)
        if one.account == other.account
        and one.offer is not None
        and other.offer is not None
        and one.offer.offer == other.offer.offer
        and other.effective < one.until
    ]

"""What an installation needs, by one formula a resource; docs/capacity.md tells them in words."""

from dataclasses import dataclass
from math import ceil

from benchmarks.capacity.arrivals import Curve
from benchmarks.capacity.boxes import NAMED
from benchmarks.capacity.measured import Measured
from benchmarks.capacity.recorded import Growth, largest
from benchmarks.growth.sized import SIGNED_WEEKS
from shared.register import profile

SHARE = 0.6
"""Of its cores an installation is to use so much in the busiest hour."""
CORES = 8
OFFERS = 500
"""Offers in the catalogue, which each box fetches once a day."""
WEEKS_A_MONTH = 365.25 / 12 / 7
GRANT_WEEKS = 2.15
"""How long what was signed stays: until a day after its week has closed, which is a week after its end."""
REPORTING_WEEKS = 3
RECORDED_QUOTA = 17


@dataclass(frozen=True)
class Model:
    """Measured costs and an arrival curve, for a profile."""

    measured: Measured
    curve: Curve
    growth: Growth
    name: str = "national"

    @property
    def quota(self) -> int:
        """Tokens of an account and week."""
        return sum(one.quota for one in profile(self.name).measures)

    def cpu_us(self, kind: str) -> float:
        """Microseconds of the serving process for a request of a kind."""
        cpu = self.measured.cpu_us
        if kind == "tokens":
            return cpu["token request"] + self.quota * cpu["token"]
        return {"free order": cpu["paid order"], "fragment": cpu["fragment apart"]}.get(kind) or cpu[kind]

    def wire(self, kind: str) -> float:
        """Bytes of a request, both directions, with a TLS handshake; but the relay keeps its connections."""
        wire = self.measured.wire
        if kind == "fragment":
            return wire["fragment"]
        plain = {
            "tokens": wire["token request"] + self.quota * wire["token"],
            "free order": wire["paid order"],
            "catalogue": OFFERS * wire["offer"],
        }
        return (plain.get(kind) or wire[kind]) + wire["handshake"]

    def a_week(self, kind: str) -> float:
        """Requests of a kind for each box and week."""
        return self.curve.a_week(kind) * (self.quota / RECORDED_QUOTA if kind == "fragment" else 1)

    def cores(self, boxes: int, *kinds: str) -> float:
        """Cores that requests of these kinds need in the busiest hour."""
        weights = {kind: self._scaled(kind) * self.cpu_us(kind) / 1e6 for kind in kinds}
        return boxes * self.curve.peak(weights) / SHARE

    def front(self, boxes: int) -> float:
        """Cores for TLS: a full handshake for each request of the named line."""
        weight = self.measured.cpu_us["handshake"] / 1e6
        return boxes * self.curve.peak(dict.fromkeys(NAMED, weight)) / SHARE

    def nodes(self, boxes: int) -> int:
        """Nodes of `CORES` cores for all of it."""
        needed = self.cores(boxes, *NAMED) + self.cores(boxes, "fragment") + self.front(boxes)
        return ceil(needed / CORES)

    def one_process(self, *kinds: str) -> float:
        """How many boxes one process, which keeps one core busy, serves in the busiest hour."""
        return 1 / self.cores(1, *kinds)

    def requests(self, boxes: int, *kinds: str) -> float:
        """Requests a second in the busiest hour."""
        return boxes * self.curve.peak({kind: self._scaled(kind) for kind in kinds})

    def mbit(self, boxes: int, *kinds: str) -> float:
        """Megabits a second in the busiest hour, both directions together."""
        return boxes * 8e-6 * self.curve.peak({kind: self._scaled(kind) * self.wire(kind) for kind in kinds})

    def signatures(self, boxes: int) -> float:
        """Blind signatures a second in the busiest hour."""
        return self.quota * self.requests(boxes, "tokens")

    def _scaled(self, kind: str) -> float:
        return self.quota / RECORDED_QUOTA if kind == "fragment" else 1.0

    # --- disk, in bytes

    def accounts(self, boxes: int) -> float:
        """Accounts of so many boxes."""
        return boxes * self.curve.accounts / self.curve.boxes

    def granted(self, boxes: int) -> float:
        """Accounts whose box gets tokens in a week."""
        return boxes * self.a_week("tokens")

    def a_weeks_orders(self, boxes: int, age: str) -> float:
        """A week of orders and deliveries: `young` while titles are kept, `old` after."""
        disk = self.measured.disk
        paid, free, told = (self.a_week(kind) for kind in ("paid order", "free order", "delivery"))
        message, order, money = (disk[f"{name}, {age}"] for name in ("message", "order", "money"))
        return boxes * ((paid + free + told) * message + (paid + free) * order + paid * money)

    def tokens(self, boxes: int) -> float:
        """What was signed lately, and who reports."""
        disk = self.measured.disk
        signed = self.granted(boxes) * self.quota * disk["grant"] * GRANT_WEEKS
        return signed + self.accounts(boxes) * disk["reporting"] * REPORTING_WEEKS

    def billing(self, boxes: int, weeks: int) -> float:
        """Billing's database after so many weeks."""
        disk, young = self.measured.disk, min(weeks, SIGNED_WEEKS)
        enrolled = boxes * disk["box"] + self.accounts(boxes) * disk["account"]
        orders = young * self.a_weeks_orders(boxes, "young")
        orders += (weeks - young) * self.a_weeks_orders(boxes, "old")
        return enrolled + self.tokens(boxes) + orders

    def nonces(self, boxes: int) -> float:
        """The nonces of a week at its close, before they are pruned: what grows with boxes in analytics."""
        return boxes * self.a_week("fragment") * self.measured.disk["nonce"]

    def kept(self, weeks: int) -> float:
        """What analytics keeps of so many released weeks, whatever the boxes."""
        return weeks * self.measured.disk[f"released week, {self.name}"]

    # --- jobs, in seconds of one process

    def job(self, unit: str, count: float) -> float:
        """How long a job takes that does so many units."""
        return count * largest(self.growth, unit) / 1e6

    def bills(self, boxes: int) -> float:
        """Bills of a month."""
        return self.accounts(boxes) * self.curve.billed

    def entries(self, boxes: int) -> float:
        """Ledger entries of a month: what is ordered for money, and the bills."""
        return boxes * self.a_week("paid order") * WEEKS_A_MONTH + self.bills(boxes)

    def export(self, boxes: int) -> float:
        """Bytes of a month's export as JSON Lines."""
        return self.entries(boxes) * self.measured.disk["export entry"]

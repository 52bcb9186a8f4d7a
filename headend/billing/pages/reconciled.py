"""Reconciliation: has everything that was ordered in a month been billed? In a sentence, then in figures."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from headend.billing.pages.boxes import oldest_first
from headend.billing.pages.desk import BadAddressError, Desk
from headend.billing.reconcile import Missing, MonthReconciliation, by_month, missing, reconcile
from headend.billing.rows import LEDGERS, OrderState
from headend.billing.store import BillingTx
from headend.kit.side import Visit
from shared.clock import from_ms, to_ms
from shared.weeks import Month, NotAMonthError

_MOST_GAPS = 10


@dataclass(frozen=True)
class MonthAnswer:
    """How a usage month stands: what is not billed (yet), and what may still come of it.

    `gaps` are the places in chains where an order of this month may be missing: those whose box has told of
    messages after one from before the month's end.
    """

    month: str
    over: bool
    counts: MonthReconciliation
    gaps: list[Missing]

    def orders(self, state: OrderState) -> int:
        """Orders in a state."""
        return self.counts.orders.get(state, 0)

    def cents(self, state: OrderState) -> int:
        """Payable cents in a state."""
        return self.counts.cents.get(state, 0)

    @property
    def in_flight(self) -> int:
        """Messages that boxes told of and that may be orders of this month."""
        return sum(gap.last - gap.first + 1 for gap in self.gaps)

    @property
    def waiting(self) -> int:
        """Orders that are not billed and may still be."""
        return self.orders(OrderState.RATED) + self.orders(OrderState.SUSPENDED)

    @property
    def complete(self) -> bool:
        """Whether everything of the month has been billed, as far as anybody knows."""
        return self.over and not self.waiting and not self.in_flight


def reconciliation(desk: Desk, visit: Visit) -> str:
    """The answer for a month (the last that is over, unless another is asked for), and all months.

    Raises:
        BadAddressError: `month` is none.
    """
    look, zone = desk.store.read(), ZoneInfo(str(visit.language.zone))
    now = from_ms(desk.now_ms())
    try:
        asked = visit.arg("month") or str(Month.of(now, zone).plus(-1))
        month = Month.parse(asked)
    except NotAMonthError as error:
        raise BadAddressError(str(error)) from error
    months = by_month(look)
    sums = reconcile(look)
    gaps = oldest_first(look)
    return desk.page(
        visit,
        "reconciliation.html",
        answer=answer(look, month, zone, to_ms(now), months),
        months=list(reversed(months)),
        states=list(OrderState),
        sums=sums,
        gaps=gaps[:_MOST_GAPS],
        ledgers=LEDGERS,
        totals=look.ledger_totals(1, None),
        recent=[str(Month.of(now, zone).plus(back)) for back in (0, -1, -2)],
    )


def answer(
    look: BillingTx, month: Month, zone: ZoneInfo, now_ms: int, months: list[MonthReconciliation]
) -> MonthAnswer:
    """How a month stands now."""
    end_ms = to_ms(month.end(zone))
    counts = next(
        (one for one in months if one.month == str(month)), MonthReconciliation(str(month), {}, {}, 0)
    )
    return MonthAnswer(str(month), now_ms >= end_ms, counts, _gaps_of(look, end_ms))


def _gaps_of(look: BillingTx, end_ms: int) -> list[Missing]:
    """A missing message took effect after the last that is stored: later than the month, it is none of it."""
    before = {(end.box, end.epoch) for end in look.gaps() if end.last_ms < end_ms}
    return [gap for gap in missing(look) if (gap.box, gap.epoch) in before]

"""Reconciliation: where every order stands that a box is known to have placed, at any moment.

placed = billed + credited + zero-rated + suspended + rejected + not yet due + in flight. The ledger adds up
to nothing, and is the batches plus a tail.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from headend.billing.rows import Alarm, ChainEnd, MonthTotals, OrderState
from headend.billing.store import BillingTx

GAP_ALARM_MS = 24 * 3_600_000
"""How long a gap may stand, since boxes send again by themselves, before somebody has to look."""


@dataclass(frozen=True)
class Reconciliation:
    """Orders by where they stand, cents beside them, and whether everything adds up.

    Cents are payable, less what has been credited. `in_flight` are positions that boxes told of and that are
    not here; one may be a delivery report.
    """

    received: int
    billed: int
    credited: int
    zero_rated: int
    suspended: int
    rejected: int
    not_yet_due: int
    in_flight: int
    boxes_with_gaps: int
    billed_cents: int
    not_yet_due_cents: int
    suspended_cents: int
    ledger_sum: int
    unbilled_cents: int
    receivable_cents: int
    entries: int
    entries_in_batches: int

    @property
    def closes(self) -> bool:
        """Whether every order stands somewhere, and the ledger agrees with the orders to the cent."""
        standing = (
            self.billed + self.credited + self.zero_rated + self.suspended + self.rejected + self.not_yet_due
        )
        return (
            self.received == standing
            and self.ledger_sum == 0
            and self.unbilled_cents == self.not_yet_due_cents
            and self.receivable_cents == self.billed_cents
        )


@dataclass(frozen=True)
class MonthReconciliation:
    """One usage month: orders by state, payable cents of each, and cents credited since."""

    month: str
    orders: dict[str, int]
    cents: dict[str, int]
    credited_cents: int

    @property
    def received(self) -> int:
        """All orders of the month."""
        return sum(self.orders.values())


@dataclass(frozen=True)
class Missing:
    """Positions that a box told of and that are not here, and since when (Unix milliseconds)."""

    box: str
    epoch: int
    first: int
    last: int
    since_ms: int


def reconcile(tx: BillingTx) -> Reconciliation:
    """Count and add up what stands now."""
    totals = tx.order_totals()
    gaps = list(missing(tx))
    cents = tx.ledger_totals(1, None)
    last_batch = tx.last_batch()

    def count(state: OrderState) -> int:
        return totals.get(state, (0, 0))[0]

    def value(state: OrderState) -> int:
        return totals.get(state, (0, 0))[1]

    return Reconciliation(
        received=sum(n for n, _ in totals.values()),
        billed=count(OrderState.BILLED),
        credited=count(OrderState.CREDITED),
        zero_rated=count(OrderState.ZERO_RATED),
        suspended=count(OrderState.SUSPENDED),
        rejected=count(OrderState.REJECTED),
        not_yet_due=count(OrderState.RATED),
        in_flight=sum(gap.last - gap.first + 1 for gap in gaps),
        boxes_with_gaps=len({gap.box for gap in gaps}),
        billed_cents=value(OrderState.BILLED),
        not_yet_due_cents=value(OrderState.RATED),
        suspended_cents=value(OrderState.SUSPENDED),
        ledger_sum=sum(cents.values()),
        unbilled_cents=cents["unbilled"],
        receivable_cents=cents["receivable"],
        entries=tx.last_entry()[0],
        entries_in_batches=0 if last_batch is None else last_batch.last_entry,
    )


def recounted(tx: BillingTx) -> list[str]:
    """What the running sums say otherwise than a recount of all that they add up; empty if they agree."""
    kept, counted = tx.ledger_totals(1, None), tx.recount_ledger()
    faults = [
        f"{name}: {kept[name]} cents kept, {counted[name]} counted"
        for name in counted
        if kept[name] != counted[name]
    ]
    sums = {(one.month, one.state): one for one in tx.month_totals()}
    found = {(one.month, one.state): one for one in tx.recount_months()}
    for place in sorted(sums.keys() | found.keys()):
        before, after = sums.get(place), found.get(place)
        if before != after:
            faults.append(f"{', '.join(place)}: {_told(before)} kept, {_told(after)} counted")
    return faults + _miscounted_agents(tx)


def _miscounted_agents(tx: BillingTx) -> list[str]:
    kept, counted = dict(tx.agents()), dict(tx.recount_agents())
    return [
        f"agent {agent or 'unsaid'}: {kept.get(agent, 0)} boxes kept, {counted.get(agent, 0)} counted"
        for agent in sorted(kept.keys() | counted.keys())
        if kept.get(agent, 0) != counted.get(agent, 0)
    ]


def _told(total: MonthTotals | None) -> str:
    if total is None:
        return "nothing"
    return f"{total.orders} orders of {total.cents} cents, {total.credited_cents} credited"


def by_month(tx: BillingTx) -> list[MonthReconciliation]:
    """The same by usage month, oldest first."""
    months: dict[str, list[MonthTotals]] = defaultdict(list)
    for total in tx.month_totals():
        months[total.month].append(total)
    return [
        MonthReconciliation(
            month,
            {total.state.value: total.orders for total in totals},
            {total.state.value: total.cents for total in totals},
            sum(total.credited_cents for total in totals),
        )
        for month, totals in sorted(months.items())
    ]


def missing(tx: BillingTx) -> Iterator[Missing]:
    """What is missing of every box, since when."""
    for end in tx.gaps():
        yield _missing(end)


def _missing(end: ChainEnd) -> Missing:
    return Missing(end.box, end.epoch, end.last_seq + 1, end.told_seq, end.gap_ms)


def raise_gap_alarms(tx: BillingTx, now_ms: int) -> int:
    """Raise an alarm for every gap that has stood for a day; gives how many are new."""
    raised = 0
    for gap in list(missing(tx)):
        if now_ms - gap.since_ms >= GAP_ALARM_MS:
            detail = f"epoch {gap.epoch}, from seq {gap.first}, since {gap.since_ms}"
            raised += tx.raise_alarm(Alarm("gap", gap.box, tx.box(gap.box).account, detail, now_ms), None)
    return raised

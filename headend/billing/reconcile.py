"""Reconciliation: where every order stands that a box is known to have placed, at any moment.

placed = billed + credited + zero-rated + suspended + rejected + not yet due + in flight. The ledger adds up
to nothing, and is the batches plus a tail.
"""

from dataclasses import dataclass

from headend.billing import ledger
from headend.billing.store import BillingTx, OrderState


@dataclass(frozen=True)
class Reconciliation:
    """Orders by where they stand, cents beside them, and whether everything adds up.

    `in_flight` are positions that boxes told of and that are not here; one may be a delivery report.
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


def reconcile(tx: BillingTx) -> Reconciliation:
    """Count and add up what stands now."""
    totals = tx.order_totals()
    ends = list(tx.chain_ends())
    cents = tx.ledger_totals(None)
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
        in_flight=sum(end.missing for end in ends),
        boxes_with_gaps=sum(1 for end in ends if end.missing),
        billed_cents=value(OrderState.BILLED),
        not_yet_due_cents=value(OrderState.RATED),
        suspended_cents=value(OrderState.SUSPENDED),
        ledger_sum=sum(cents.values()),
        unbilled_cents=cents.get(ledger.UNBILLED, 0),
        receivable_cents=cents.get(ledger.RECEIVABLE, 0),
        entries=tx.last_entry()[0],
        entries_in_batches=0 if last_batch is None else last_batch.last_entry,
    )

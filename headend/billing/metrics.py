"""What billing tells Prometheus: sums and indexes are asked, never every order.

Every state and every kind is told, with 0 where there is none: an alert on what rises sees the first.
"""

from collections.abc import Iterator

from headend.billing.reconcile import reconcile
from headend.billing.rows import ALARM_KINDS, OrderState
from headend.billing.store import BillingTx

Sample = tuple[str, dict[str, str], float]


def samples(look: BillingTx, now_ms: int) -> Iterator[Sample]:
    """How orders, ledger, export and alarms stand."""
    totals = look.order_totals()
    for state in OrderState:
        yield "headend_orders", {"state": state.value}, totals.get(state, (0, 0))[0]
    alarms = dict(look.alarm_kinds())
    for kind in sorted({*ALARM_KINDS, *alarms}):
        yield "headend_alarms", {"kind": kind}, alarms.get(kind, 0)
    found = reconcile(look)
    yield "headend_books_close", {}, found.closes
    yield "headend_ledger_imbalance_cents", {}, found.ledger_sum
    yield "headend_orders_missing", {}, found.in_flight
    yield "headend_boxes_with_gaps", {}, found.boxes_with_gaps
    oldest = min((end.gap_ms for end in look.gaps()), default=now_ms)
    yield "headend_gap_oldest_age_seconds", {}, _seconds(oldest, now_ms)
    yield from _export(look, now_ms)


def _export(look: BillingTx, now_ms: int) -> Iterator[Sample]:
    batch = look.last_batch()
    closed = 0 if batch is None else batch.last_entry
    first = next(look.entries(closed + 1, closed + 1), None)
    yield "headend_export_batches_total", {}, 0 if batch is None else batch.batch
    yield "headend_export_waiting_entries", {}, look.last_entry()[0] - closed
    yield (
        "headend_export_oldest_waiting_age_seconds",
        {},
        0 if first is None else _seconds(first.at_ms, now_ms),
    )


def _seconds(since_ms: int, now_ms: int) -> float:
    return max(0, now_ms - since_ms) / 1000

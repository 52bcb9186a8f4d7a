"""Delivery reports: what could not be viewed, or was stopped within its preview, is not paid."""

from dataclasses import replace

from headend.billing import charging
from headend.billing import credits as corrections
from headend.billing.rating import Reason, stopped_in_preview
from headend.billing.rows import Link, OrderRow, OrderState
from headend.billing.store import BillingTx
from shared.named import Delivery


def note_delivery(tx: BillingTx, delivery: Delivery, link: Link, effective_ms: int, now_ms: int) -> None:
    """Take back the order that a report is about, or credit it, if it is not to be paid.

    `link` is the report's own message, `now_ms` the moment of posting.
    """
    order = tx.order(link.box, link.epoch, delivery.order_seq)
    reason = _not_paid(tx, delivery, order, effective_ms)
    if order is None or reason is Reason.NONE:
        return
    if order.state is OrderState.RATED:
        charging.take_back(tx, order, reason, now_ms)
    elif order.state is OrderState.SUSPENDED:
        tx.set_order(replace(order, state=OrderState.ZERO_RATED, reason=reason))
    elif order.state is OrderState.BILLED:
        corrections.credit_order(tx, order, reason, now_ms)


def _not_paid(tx: BillingTx, delivery: Delivery, order: OrderRow | None, effective_ms: int) -> Reason:
    if order is None:
        return Reason.NONE
    if delivery.outcome == "failed":
        return Reason.DELIVERY_FAILED
    annex = tx.annex(order.box, order.epoch, order.seq)
    offer = None if annex is None else tx.offer(annex.offer, annex.offer_version)
    # One clock told both moments, so its own difference counts, however wrong it is and however late.
    after_ms = min(max(0, delivery.at_ms - order.placed_ms), max(0, effective_ms - order.effective_ms))
    stopped = delivery.outcome == "stopped" and stopped_in_preview(offer, after_ms)
    return Reason.STOPPED_IN_PREVIEW if stopped else Reason.NONE

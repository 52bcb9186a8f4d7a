"""Delivery reports: what could not be viewed, or was stopped within its preview, is not paid.

Then it pays for nothing else either: plays of the same title that cost nothing within its window are charged,
the earliest first, unless it could not be viewed or was stopped too.
"""

from dataclasses import replace

from headend.billing import charging
from headend.billing import credits as corrections
from headend.billing.messages import message_of
from headend.billing.rating import Reason, TimeBounds, stopped_in_preview, window_until
from headend.billing.rows import Alarm, Link, OrderRow, OrderState
from headend.billing.store import BillingTx
from shared.named import Delivery, Offer, Order


def note_delivery(tx: BillingTx, delivery: Delivery, link: Link, now_ms: int) -> None:
    """Take back the order that a report is about, or credit it, if it is not to be paid.

    `link` is the report's own message, `now_ms` the moment of posting.
    """
    order = _held(tx, link.box, link.epoch, delivery.order_seq)
    reason = Reason.NONE if order is None else _unpaid(delivery, link, order, _offer_of(tx, order))
    if order is None or reason is Reason.NONE:
        return
    if order.state is OrderState.RATED:
        charging.take_back(tx, order, reason, now_ms)
        _charge_plays(tx, order, now_ms)
    elif order.state is OrderState.SUSPENDED or order.reason == Reason.OPEN_WINDOW:
        tx.set_order(replace(order, state=OrderState.ZERO_RATED, reason=reason))
    elif order.state is OrderState.BILLED and order.account is None:
        # Its books are emptied: nobody knows whose it was.
        detail = f"epoch {order.epoch}, seq {order.seq}: {reason}"
        tx.raise_alarm(Alarm("not-credited", order.box, "", detail, now_ms), None)
    elif order.state is OrderState.BILLED:
        corrections.credit_order(tx, order, reason, now_ms)
        _charge_plays(tx, order, now_ms)


def _charge_plays(tx: BillingTx, unpaid: OrderRow, now_ms: int) -> None:
    """Charge the plays that cost nothing since an order paid for them that is not to be paid itself."""
    annex = tx.annex(unpaid.box, unpaid.epoch, unpaid.seq)
    if annex is None:
        return
    for play in tx.free_plays(annex.account, annex.offer, annex.window_until_ms):
        offer = tx.offer(play.offer, play.offer_version)
        row, link = tx.order(play.box, play.epoch, play.seq), tx.link(play.box, play.epoch, play.seq)
        message = None if link is None else message_of(link)
        if offer is None or row is None or row.account is None or not isinstance(message, Order):
            continue
        if window_until(offer, row.effective_ms) > annex.window_from_ms:
            charging.charge_play(tx, row, message, offer, now_ms)


def apply_stored(tx: BillingTx, order: OrderRow, offer: Offer | None) -> OrderRow:
    """Zero-rate a suspended order of `offer` if a report about it that came meanwhile says so."""
    for link in tx.deliveries_after(order.box, order.epoch, order.seq):
        report = message_of(link)
        if not isinstance(report, Delivery) or report.order_seq != order.seq:
            continue
        reason = _unpaid(report, link, order, offer)
        if reason is not Reason.NONE:
            unpaid = replace(order, state=OrderState.ZERO_RATED, reason=reason)
            tx.set_order(unpaid)
            return unpaid
    return order


def _held(tx: BillingTx, box: str, epoch: int, seq: int) -> OrderRow | None:
    """An order as it stands while nobody else changes what its account is charged."""
    order = tx.order(box, epoch, seq)
    if order is None or order.account is None:
        return order
    tx.account(order.account)
    return tx.order(box, epoch, seq)


def _offer_of(tx: BillingTx, order: OrderRow) -> Offer | None:
    """The offer that an order is charged by, or else that it names itself; None until it has been read."""
    if order.reason == Reason.UNREADABLE:
        return None
    annex = tx.annex(order.box, order.epoch, order.seq)
    if annex is not None:
        return tx.offer(annex.offer, annex.offer_version)
    link = tx.link(order.box, order.epoch, order.seq)
    message = None if link is None else message_of(link)
    return tx.offer(message.offer, message.offer_version) if isinstance(message, Order) else None


def _unpaid(report: Delivery, link: Link, order: OrderRow, offer: Offer | None) -> Reason:
    if report.outcome == "failed":
        return Reason.DELIVERY_FAILED
    bounds = TimeBounds(order.effective_ms, link.received_ms)
    # One clock told both moments, so its own difference counts, however wrong it is and however late.
    after_ms = min(
        max(0, report.at_ms - order.placed_ms), bounds.effective(report.at_ms) - order.effective_ms
    )
    stopped = report.outcome == "stopped" and stopped_in_preview(offer, after_ms)
    return Reason.STOPPED_IN_PREVIEW if stopped else Reason.NONE

"""Suspense: orders that wait for a person, with reason, age and value; decisions leave audit entries."""

from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

from headend.billing import charging
from headend.billing.deliveries import apply_stored, note_delivery
from headend.billing.laws import law_of
from headend.billing.messages import message_of
from headend.billing.rating import Reason, costs_nothing, display_text
from headend.billing.rows import Link, NotFoundError, OrderRow, OrderState
from headend.billing.store import BillingTx
from shared.errors import StbError
from shared.named import Chained, Delivery, Offer, Order


class NotSuspendedError(StbError):
    """The order does not wait in suspense, or cannot be decided on in this way."""


@dataclass(frozen=True)
class Correction:
    """What an operator puts right: which offer was meant, a lower price in cents, whose order it was."""

    offer: tuple[str, int] | None = None
    price_cents: int | None = None
    account: str | None = None


@dataclass(frozen=True)
class Decision:
    """Who decides, why, and when (Unix milliseconds)."""

    why: str
    who: str
    now_ms: int


def find_suspended(tx: BillingTx, ref: str) -> tuple[OrderRow, Link]:
    """The suspended order of that reference (box/epoch/seq), with its stored message.

    Raises:
        NotFoundError: no such order.
        NotSuspendedError: it is not suspended.
    """
    box, _, place = ref.partition("/")
    epoch, _, seq = place.partition("/")
    if not (epoch.isdigit() and seq.isdigit()):
        raise NotFoundError(f"{ref!r} is not of the form box/epoch/seq")
    order, link = tx.order(box, int(epoch), int(seq)), tx.link(box, int(epoch), int(seq))
    if order is None or link is None:
        raise NotFoundError(f"no order {ref}")
    if order.state is not OrderState.SUSPENDED:
        raise NotSuspendedError(f"order {ref} is {order.state}")
    return order, link


def reject(tx: BillingTx, ref: str, decision: Decision) -> None:
    """Decide that a suspended order is never billed.

    Raises:
        NotFoundError: no such order.
        NotSuspendedError: it is not suspended.
    """
    order, _ = find_suspended(tx, ref)
    tx.set_order(replace(order, state=OrderState.REJECTED))
    tx.add_audit(decision.now_ms, decision.who, "order rejected", ref, decision.why)


def readmit(tx: BillingTx, ref: str, decision: Decision) -> OrderRow:
    """Decide that a suspended order is billed at the price that was shown.

    What could not be read is read again, since the headend may have learnt its version meanwhile, and decided
    as it would have been then: a delivery report is applied, and an order to which there is an objection is
    given back as it waits on, with what it says.

    Raises:
        NotFoundError: no such order.
        NotSuspendedError: it is not suspended, or says no price, currency, VAT rate or account to bill by.
    """
    return _admit(tx, ref, Correction(), decision, "order readmitted")


def correct(tx: BillingTx, ref: str, correction: Correction, decision: Decision) -> OrderRow:
    """Decide that a suspended order is billed as corrected; never at more than the price shown.

    What could not be read is read again first, as by `readmit`; if it waits on, it is not corrected.

    Raises:
        NotFoundError: no such order, offer version or account.
        NotSuspendedError: it is not suspended, the price is higher than shown, or it can still not be billed.
    """
    return _admit(tx, ref, correction, decision, "order corrected")


def _admit(tx: BillingTx, ref: str, correction: Correction, decision: Decision, what: str) -> OrderRow:
    row, link = find_suspended(tx, ref)
    message = message_of(link)
    if row.reason == Reason.UNREADABLE and message is not None:
        row = _read_again(tx, row, link, message, decision.now_ms)
        if (row.state, row.reason) != (OrderState.SUSPENDED, Reason.UNREADABLE):
            tx.add_audit(decision.now_ms, decision.who, "message read again", ref, decision.why)
            return row
    order = message if isinstance(message, Order) else None
    reason = f"{what.removeprefix('order ')}: {row.reason}"
    row, offer = _corrected(tx, row, order, correction)
    meant = None if offer is None or order is None else (offer, order.salt)
    _check(tx, row, meant)
    admitted = apply_stored(tx, row, offer)
    if admitted.state is OrderState.SUSPENDED:
        admitted = charging.readmit(tx, replace(row, reason=reason), meant, decision.now_ms)
    tx.add_audit(decision.now_ms, decision.who, what, ref, decision.why)
    return admitted


def _read_again(tx: BillingTx, row: OrderRow, link: Link, message: Chained, now_ms: int) -> OrderRow:
    if isinstance(message, Order):
        read = charging.read_again(tx, message, link, row)
        return apply_stored(tx, read, tx.offer(message.offer, message.offer_version))
    return _report_read_again(tx, row, link, message, now_ms)


def _report_read_again(tx: BillingTx, row: OrderRow, link: Link, report: Delivery, now_ms: int) -> OrderRow:
    """Apply a delivery report; what waited was no order, so that it is nobody's and costs nothing."""
    note_delivery(tx, report, link, now_ms)
    read = replace(row, state=OrderState.ZERO_RATED, reason=Reason.DELIVERY_REPORT, account=None)
    tx.set_kind(link.box, link.epoch, link.seq, "delivery")
    tx.set_order(read)
    return read


def _corrected(
    tx: BillingTx, row: OrderRow, message: Order | None, correction: Correction
) -> tuple[OrderRow, Offer | None]:
    named = correction.offer or ((message.offer, message.offer_version) if message else None)
    offer = None if named is None else tx.offer(*named)
    if correction.offer is not None and offer is None:
        raise NotFoundError(f"no offer {correction.offer[0]} of version {correction.offer[1]}")
    if correction.offer is not None and offer is not None:
        row = replace(row, kind=offer.kind, display=display_text(offer), vat_bp=offer.vat_bp)
    if correction.account is not None:
        account = tx.account(correction.account)
        row = replace(row, account=account.account, month=charging.month_of(account, row.effective_ms))
    if correction.price_cents is not None:
        row = _at_price(tx, row, correction.price_cents)
    return row, offer


def _at_price(tx: BillingTx, row: OrderRow, cents: int) -> OrderRow:
    if not 0 < cents <= row.payable:
        raise NotSuspendedError(f"order {row.ref} showed {row.payable} cents; it is never billed at more")
    country = tx.account(row.account).country if row.account else "NL"
    currency = law_of(tx, country, row.effective_ms).currency
    # The price says what is to be paid; the promotion that was shown has no part in it any more.
    return replace(row, price_cents=cents, currency=currency, promotion="", category="", credit_cents=0)


def _check(tx: BillingTx, row: OrderRow, meant: tuple[Offer, str] | None) -> None:
    if row.account is None:
        raise NotSuspendedError(f"order {row.ref} is nobody's; say whose with a correction, or reject it")
    if meant is not None and costs_nothing(meant[0]):
        return
    account = tx.account(row.account)
    law = law_of(tx, account.country, row.effective_ms)
    faults = (
        (row.price_cents <= 0, "shows no price; it can only be rejected"),
        (row.currency != law.currency, f"is not in {law.currency}; correct its price, or reject it"),
        (
            row.vat_bp not in law.rates_on(row.effective_ms, ZoneInfo(account.zone)),
            "says a VAT rate that is not in force; correct its offer, or reject it",
        ),
    )
    for fault, words in faults:
        if fault:
            raise NotSuspendedError(f"order {row.ref} {words}")

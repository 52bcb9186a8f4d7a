"""Suspense: orders that wait for a person, with reason, age and value; decisions leave audit entries."""

from headend.billing.orders import post_usage
from headend.billing.store import BillingTx, Link, NotFoundError, OrderRow, OrderState
from shared.errors import StbError


class NotSuspendedError(StbError):
    """The order does not wait in suspense."""


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


def reject(tx: BillingTx, ref: str, why: str, who: str, now_ms: int) -> None:
    """Decide that a suspended order is never billed.

    Raises:
        NotFoundError: no such order.
        NotSuspendedError: it is not suspended.
    """
    order, _ = find_suspended(tx, ref)
    tx.set_order_state(order, OrderState.REJECTED, order.reason, None)
    tx.add_audit(now_ms, who, "order rejected", ref, why)


def readmit(tx: BillingTx, ref: str, why: str, who: str, now_ms: int) -> None:
    """Decide that a suspended order is billed at the price that was shown.

    Raises:
        NotFoundError: no such order.
        NotSuspendedError: it is not suspended, or says no price that could be billed.
    """
    order, link = find_suspended(tx, ref)
    if not order.currency or order.price_cents <= 0:
        raise NotSuspendedError(f"order {ref} shows no price; it can only be rejected")
    post_usage(tx, order, link)
    tx.set_order_state(order, OrderState.RATED, f"readmitted: {order.reason}", None)
    tx.add_audit(now_ms, who, "order readmitted", ref, why)

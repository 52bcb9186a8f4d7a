"""Disputes: a subscriber's objection to a line of a bill, with a deadline, and how it ended.

open → upheld (with a credit note) or dismissed. While one is open, the order's title and evidence are kept.
"""

from zoneinfo import ZoneInfo

from headend.billing import credits as corrections
from headend.billing.deadlines import days_later
from headend.billing.laws import law_of
from headend.billing.rows import Dispute, DisputeState, Invoice, NotFoundError
from headend.billing.store import BillingTx
from shared.errors import StbError


class BadDisputeError(StbError):
    """A dispute that cannot be opened or decided; the message says why."""


def open_dispute(
    tx: BillingTx, number: str, order_ref: str, why: str, now_ms: int, who: str = "subscriber"
) -> Dispute:
    """Open a dispute about an order's line of a bill, to be decided within the country's days.

    `who` says in the audit who told of it: the subscriber, or the operator who wrote it down.

    Raises:
        NotFoundError: no such bill, or no such line on it.
        BadDisputeError: it is no bill, its dispute period is over, or the line is being disputed already.
    """
    numbered = tx.dispute(tx.add_dispute(draft_dispute(tx, number, order_ref, why, now_ms)))
    tx.add_audit(now_ms, who, "dispute opened", order_ref, f"number {numbered.dispute}")
    return numbered


def draft_dispute(tx: BillingTx, number: str, order_ref: str, why: str, now_ms: int) -> Dispute:
    """The dispute as it would be opened, with its deadline; it has no number, and nothing is stored.

    Raises:
        NotFoundError: no such bill, or no such line on it.
        BadDisputeError: it is no bill, its dispute period is over, or the line is being disputed already.
    """
    invoice = tx.invoice(number)
    if invoice is None or order_ref not in {line.order_ref for line in invoice.lines}:
        raise NotFoundError(f"no line {order_ref!r} on bill {number!r}")
    law = law_of(tx, invoice.country, invoice.issued_ms)
    if invoice.kind != "invoice":
        raise BadDisputeError(f"{number} is a {invoice.kind}; dispute its bill")
    if now_ms >= disputable_until(tx, invoice):
        raise BadDisputeError(f"bill {number} could be disputed for {law.dispute_days} days")
    if any((one.number, one.order_ref) == (number, order_ref) for one in _open(tx, invoice)):
        raise BadDisputeError(f"{order_ref} is being disputed already")
    return Dispute(
        dispute=0,
        number=number,
        order_ref=order_ref,
        why=why,
        opened_ms=now_ms,
        deadline_ms=days_later(now_ms, law.decide_days, ZoneInfo(invoice.zone)),
        state=DisputeState.OPEN,
        decided_ms=None,
        note=None,
    )


def disputable_until(tx: BillingTx, invoice: Invoice) -> int:
    """Until when a bill can be disputed (Unix milliseconds; exclusive): the end of a day of its account."""
    days = law_of(tx, invoice.country, invoice.issued_ms).dispute_days
    return days_later(invoice.issued_ms, days, ZoneInfo(invoice.zone))


def _open(tx: BillingTx, invoice: Invoice) -> list[Dispute]:
    return list(tx.disputes(DisputeState.OPEN, invoice.account))


def uphold(tx: BillingTx, number: int, cents: int | None, who: str, now_ms: int) -> Dispute:
    """Decide for the subscriber: credit these cents of the line, or all that is left of it.

    Raises:
        NotFoundError: no such dispute.
        BadDisputeError: it has been decided.
        BadCreditError: that is nothing, or more than what is left of the line.
    """
    dispute = _undecided(tx, number)
    invoice = tx.invoice(dispute.number)
    left = (
        {} if invoice is None else {line.order_ref: line.cents for line in corrections.remaining(tx, invoice)}
    )
    wanted = {dispute.order_ref: left.get(dispute.order_ref, 0) if cents is None else cents}
    note = corrections.credit(tx, dispute.number, wanted, f"dispute {number}", now_ms)
    return _decide(tx, dispute, DisputeState.UPHELD, note.number, (who, note.number, now_ms))


def dismiss(tx: BillingTx, number: int, why: str, who: str, now_ms: int) -> Dispute:
    """Decide that the line stands.

    Raises:
        NotFoundError: no such dispute.
        BadDisputeError: it has been decided.
    """
    return _decide(tx, _undecided(tx, number), DisputeState.DISMISSED, None, (who, why, now_ms))


def _undecided(tx: BillingTx, number: int) -> Dispute:
    dispute = tx.dispute(number)
    if dispute.state is not DisputeState.OPEN:
        raise BadDisputeError(f"dispute {number} was {dispute.state}")
    return dispute


def _decide(
    tx: BillingTx, dispute: Dispute, state: DisputeState, note: str | None, said: tuple[str, str, int]
) -> Dispute:
    who, detail, now_ms = said
    tx.decide_dispute(dispute.dispute, state, now_ms, note)
    tx.add_audit(now_ms, who, f"dispute {state}", dispute.order_ref, detail)
    return tx.dispute(dispute.dispute)

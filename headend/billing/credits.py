"""Credit notes: nothing is edited; a correction refers to its bill and adds up with the others exactly."""

from zoneinfo import ZoneInfo

from headend.billing import ledger
from headend.billing.invoices import invoice_number, vat_groups
from headend.billing.store import BillingTx, Invoice, InvoiceLine, NotFoundError, OrderRow, OrderState
from shared.clock import from_ms
from shared.money import VatGroup

SERIES = "CRN"


def _sum(groups: list[VatGroup]) -> tuple[int, int, int, int]:
    return (
        sum(group.gross for group in groups),
        sum(group.net for group in groups),
        sum(group.vat for group in groups),
        sum(group.rounding for group in groups),
    )


def credit_parts(
    before: tuple[InvoiceLine, ...], after: tuple[InvoiceLine, ...]
) -> tuple[int, int, int, int]:
    """Gross, net, VAT and rounding of a credit: the bill's parts before less its parts after.

    So all partial credits of a bill add up to the bill exactly.
    """
    old, new = _sum(vat_groups(before)), _sum(vat_groups(after))
    return (old[0] - new[0], old[1] - new[1], old[2] - new[2], old[3] - new[3])


def credit_order(tx: BillingTx, order: OrderRow, reason: str, now_ms: int) -> Invoice:
    """Credit one billed order whole, within the caller's transaction.

    Raises:
        NotFoundError: the order is on no bill.
    """
    invoice = tx.invoice(order.invoice or "")
    if invoice is None:
        raise NotFoundError(f"order {order.ref} is on no bill")
    gone = {
        line.order_ref
        for note in tx.invoices(invoice.account, 1_000_000)
        if note.refers_to == invoice.number
        for line in note.lines
    }
    before = tuple(line for line in invoice.lines if line.order_ref not in gone)
    after = tuple(line for line in before if line.order_ref != order.ref)
    gross, net, vat, rounding = credit_parts(before, after)
    zone = ZoneInfo(tx.account(invoice.account).zone)
    year = from_ms(now_ms).astimezone(zone).year
    note = Invoice(
        number=invoice_number(SERIES, year, tx.next_number(SERIES, year)),
        kind="credit-note",
        refers_to=invoice.number,
        account=invoice.account,
        month=invoice.month,
        currency=invoice.currency,
        issued_ms=now_ms,
        gross=gross,
        net=net,
        vat=vat,
        rounding=rounding,
        lines=tuple(line for line in before if line.order_ref == order.ref),
    )
    tx.add_invoice(note)
    ledger.post_entry(
        tx,
        ledger.Draft(
            kind=note.kind,
            account=note.account,
            ref=note.number,
            month=note.month,
            text=reason,
            currency=note.currency,
            vat_bp=0,
            proof="",
            at_ms=now_ms,
            postings=ledger.claim(-gross, -net, -vat, -rounding),
        ),
    )
    tx.set_order_state(order, OrderState.CREDITED, reason, order.invoice)
    return note

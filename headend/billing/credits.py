"""Credit notes: nothing is edited; a correction refers to its bill and adds up with the others exactly."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from zoneinfo import ZoneInfo

from headend.billing import ledger
from headend.billing.documents.document import InvoiceLine
from headend.billing.invoices import invoice_number, vat_groups
from headend.billing.rows import Invoice, NotFoundError, OrderRow, OrderState
from headend.billing.store import BillingTx
from shared.clock import from_ms
from shared.errors import StbError
from shared.money import VatGroup

SERIES = "CRN"


class BadCreditError(StbError):
    """A credit that the bill does not allow: no such line, nothing or more than what is left of it."""


def credit_groups(before: tuple[InvoiceLine, ...], after: tuple[InvoiceLine, ...]) -> tuple[VatGroup, ...]:
    """A credit's VAT groups: the bill's parts before less its parts after.

    So all partial credits of a bill add up to the bill exactly, in net, VAT and rounding too.
    """
    left = {group.rate_bp: group for group in vat_groups(after)}
    nothing = VatGroup(0, 0, 0, 0, 0)
    found = []
    for old in vat_groups(before):
        new = left.get(old.rate_bp, nothing)
        part = VatGroup(
            old.rate_bp,
            old.gross - new.gross,
            old.net - new.net,
            old.vat - new.vat,
            old.rounding - new.rounding,
        )
        if part.gross:
            found.append(part)
    return tuple(found)


def remaining(tx: BillingTx, invoice: Invoice) -> tuple[InvoiceLine, ...]:
    """What is left of a bill, one line an order: its price less its promotion and what has been credited.

    Of a bill that is past its tax period nothing is: its lines name no orders, and a later note's still may.
    """
    if not invoice.account:
        return ()
    lines: dict[str, InvoiceLine] = {}
    for line in invoice.lines:
        stands = lines.get(line.order_ref)
        lines[line.order_ref] = line if stands is None else _less(stands, -line.cents)
    for note in tx.notes_of(invoice.number):
        for line in note.lines:
            lines[line.order_ref] = _less(lines[line.order_ref], line.cents)
    return tuple(lines.values())


def _less(line: InvoiceLine, cents: int) -> InvoiceLine:
    return replace(line, cents=line.cents - cents)


def draft_note(tx: BillingTx, number: str, wanted: Mapping[str, int] | None, now_ms: int) -> Invoice:
    """The credit note for these cents of these orders (by reference), or for all that is left of a bill.

    Nothing is stored, and it has no number yet: what an operator looks at before deciding.

    Raises:
        NotFoundError: no such bill.
        BadCreditError: it is no bill, it has no such line, or that is nothing or more than what is left.
    """
    invoice = tx.invoice(number)
    if invoice is None:
        raise NotFoundError(f"no invoice {number}")
    if invoice.kind != "invoice":
        raise BadCreditError(f"{number} is a {invoice.kind}; only a bill is credited")
    if not invoice.account:
        raise BadCreditError(f"{number} is past its tax period; nobody knows whose it was")
    before = remaining(tx, invoice)
    asked = {line.order_ref: line.cents for line in before if line.cents} if wanted is None else wanted
    _check(before, asked)
    after = tuple(_less(line, asked.get(line.order_ref, 0)) for line in before)
    lines = tuple(replace(line, cents=asked[line.order_ref]) for line in before if line.order_ref in asked)
    groups = credit_groups(before, after)
    return replace(
        invoice,
        number="",
        kind="credit-note",
        refers_to=invoice.number,
        issued_ms=now_ms,
        gross=sum(group.gross for group in groups),
        net=sum(group.net for group in groups),
        vat=sum(group.vat for group in groups),
        rounding=sum(group.rounding for group in groups),
        lines=lines,
        groups=groups,
    )


def credit(tx: BillingTx, number: str, wanted: Mapping[str, int] | None, reason: str, now_ms: int) -> Invoice:
    """Credit a bill as `draft_note` says.

    Within the caller's transaction: the number, the note, its ledger entry and the orders' new state.

    Raises:
        NotFoundError: no such bill.
        BadCreditError: see `draft_note`.
    """
    draft = draft_note(tx, number, wanted, now_ms)
    year = from_ms(now_ms).astimezone(ZoneInfo(draft.zone)).year
    note = replace(draft, number=invoice_number(SERIES, year, tx.next_number(SERIES, year)))
    tx.add_invoice(note)
    tx.post(_draft(note, reason))
    for line in note.lines:
        _move(tx, line.order_ref, line.cents, reason)
    return note


def credit_by(
    tx: BillingTx, number: str, wanted: Mapping[str, int] | None, said: tuple[str, str, int]
) -> Invoice:
    """Credit a bill at an operator's word; `said` is why, who, and when (Unix milliseconds).

    Raises:
        NotFoundError: no such bill.
        BadCreditError: see `draft_note`.
    """
    why, who, now_ms = said
    note = credit(tx, number, wanted, "correction", now_ms)
    tx.add_audit(now_ms, who, "bill credited", number, f"{note.number}: {why}")
    return note


def _check(before: tuple[InvoiceLine, ...], asked: Mapping[str, int]) -> None:
    left: dict[str, int] = defaultdict(int, {line.order_ref: line.cents for line in before})
    if not asked:
        raise BadCreditError("nothing is left to credit")
    for ref, cents in asked.items():
        if not 0 < cents <= left[ref]:
            raise BadCreditError(f"of {ref or 'nothing'} {left[ref]} cents are left, not {cents}")


def _draft(note: Invoice, reason: str) -> ledger.Draft:
    return ledger.Draft(
        kind=note.kind,
        account=note.account,
        ref=note.number,
        month=note.month,
        text=reason,
        currency=note.currency,
        vat_bp=0,
        proof="",
        at_ms=note.issued_ms,
        amounts=ledger.claim(-note.gross, -note.net, -note.vat, -note.rounding),
    )


def _move(tx: BillingTx, ref: str, cents: int, reason: str) -> None:
    box, epoch, seq = ref.rsplit("/", 2)
    order = tx.order(box, int(epoch), int(seq))
    if order is None:
        raise NotFoundError(f"no order {ref}")
    credited = order.credited_cents + cents
    state = OrderState.CREDITED if credited == order.payable else order.state
    tx.set_order(replace(order, credited_cents=credited, state=state, reason=reason))


def credit_order(tx: BillingTx, order: OrderRow, reason: str, now_ms: int) -> Invoice | None:
    """Credit all that is left of one billed order; None if nothing is.

    Raises:
        NotFoundError: the order is on no bill.
    """
    left = order.payable - order.credited_cents
    if left == 0:
        return None
    return credit(tx, order.invoice or "", {order.ref: left}, reason, now_ms)

"""Bills: a month's orders of one account, cut in the account's own zone, exact to the cent."""

from collections import defaultdict
from dataclasses import replace
from zoneinfo import ZoneInfo

from headend.billing import ledger
from headend.billing.documents.document import InvoiceLine
from headend.billing.laws import law_of
from headend.billing.rating import shown_text
from headend.billing.rows import Account, Alarm, Invoice, OrderRow
from headend.billing.store import BillingStore, BillingTx
from shared.clock import from_ms, to_ms
from shared.errors import StbError
from shared.money import VatGroup, vat_group
from shared.named import AccountId
from shared.weeks import Month

SERIES = "INV"
AT_A_TIME = 100
"""Accounts that are billed in one transaction."""


def vat_groups(lines: tuple[InvoiceLine, ...]) -> list[VatGroup]:
    """The bill's VAT groups, one a rate: VAT is taken over the group, never over a line."""
    gross: dict[int, int] = defaultdict(int)
    for line in lines:
        gross[line.vat_bp] += line.cents
    return [vat_group(cents, rate) for rate, cents in sorted(gross.items())]


def invoice_number(series: str, year: int, number: int) -> str:
    """The number as it stands on the bill.

    >>> invoice_number("INV", 2026, 7)
    'INV-2026-000007'
    """
    return f"{series}-{year:04}-{number:06}"


def lines_of(order: OrderRow, month: Month) -> tuple[InvoiceLine, ...]:
    """An order's line, and its promotion's; `late` if it took effect before the bill's month."""
    late = Month.parse(order.month) < month
    line = InvoiceLine(
        order_ref=order.ref,
        kind="order",
        text=order.display,
        placed_ms=order.effective_ms,
        cents=order.price_cents,
        vat_bp=order.vat_bp,
        late=late,
    )
    if not order.credit_cents:
        return (line,)
    return (line, replace(line, kind="promotion", text=order.category, cents=-order.credit_cents))


def as_shown(tx: BillingTx, invoice: Invoice) -> Invoice:
    """The bill as the subscriber sees it: with titles where offers may show them, while the annex stands."""
    return replace(invoice, lines=tuple(_shown(tx, line) for line in invoice.lines))


def _shown(tx: BillingTx, line: InvoiceLine) -> InvoiceLine:
    if line.kind != "order" or not line.order_ref:
        return line
    box, epoch, seq = line.order_ref.rsplit("/", 2)
    annex = tx.annex(box, int(epoch), int(seq))
    offer = None if annex is None else tx.offer(annex.offer, annex.offer_version)
    return line if offer is None else replace(line, text=shown_text(offer))


def raise_invoice(tx: BillingTx, account: Account, month: Month, now_ms: int) -> Invoice | None:
    """Bill what an account ordered up to the end of `month` and was not billed for; None if that is nothing.

    Nothing either while the month is not over in the account's zone. A bill is in one currency: what is in
    another waits, with an alarm. Taken in one transaction: the number, the bill, its ledger entry and the
    orders' new state.
    """
    zone = ZoneInfo(account.zone)
    end_ms = to_ms(month.end(zone))
    due = tx.due_orders(account.account, end_ms) if now_ms >= end_ms else []
    currency = _currency_of(tx, account, due)
    orders = [order for order in due if order.currency == currency]
    for other in sorted({order.currency for order in due} - {currency}):
        tx.raise_alarm(Alarm("not-billed", "", account.account, f"{month}: orders in {other}", now_ms), None)
    if not orders:
        return None
    lines = tuple(line for order in orders for line in lines_of(order, month))
    groups = tuple(vat_groups(lines))
    year = from_ms(now_ms).astimezone(zone).year
    invoice = Invoice(
        number=invoice_number(SERIES, year, tx.next_number(SERIES, year)),
        kind="invoice",
        refers_to=None,
        account=account.account,
        country=account.country,
        zone=account.zone,
        language=account.language,
        month=str(month),
        currency=orders[0].currency,
        issued_ms=now_ms,
        gross=sum(group.gross for group in groups),
        net=sum(group.net for group in groups),
        vat=sum(group.vat for group in groups),
        rounding=sum(group.rounding for group in groups),
        lines=lines,
        groups=groups,
    )
    tx.add_invoice(invoice)
    tx.post(_draft(invoice))
    tx.mark_billed(orders, invoice.number)
    return invoice


def _currency_of(tx: BillingTx, account: Account, due: list[OrderRow]) -> str | None:
    """The currency of the first order in the one that the law had when it was placed; None if there is none.

    So, when a country takes another currency, what was ordered in the old one is billed first.
    """
    held = (
        order.currency
        for order in due
        if order.currency == law_of(tx, account.country, order.effective_ms).currency
    )
    return next(held, None)


def _draft(invoice: Invoice) -> ledger.Draft:
    return ledger.Draft(
        kind=invoice.kind,
        account=invoice.account,
        ref=invoice.number,
        month=invoice.month,
        text=f"bill {invoice.month}",
        currency=invoice.currency,
        vat_bp=0,
        proof="",
        at_ms=invoice.issued_ms,
        amounts=ledger.billing(invoice.gross, invoice.net, invoice.vat, invoice.rounding),
    )


def raise_month(store: BillingStore, month: Month, now_ms: int) -> int:
    """Bill every account that is due, some at a time, so that memory does not grow; gives how many bills.

    Safe to call again: what is billed is due no more, and an account has one bill a month. An account that
    cannot be billed raises an alarm and holds up nobody else.
    """
    raised, last = 0, ""
    while names := store.read().accounts_with_due_orders(last, AT_A_TIME):
        last = names[-1]
        try:
            raised += store.write(lambda tx, names=names: _raise_some(tx, names, month, now_ms))  # type: ignore[misc] # mypy cannot infer a lambda with a default
        except StbError:
            raised += sum(_raise_alone(store, name, month, now_ms) for name in names)
    return raised


def _raise_some(tx: BillingTx, names: list[AccountId], month: Month, now_ms: int) -> int:
    return sum(_raise_once(tx, name, month, now_ms) for name in names)


def _raise_alone(store: BillingStore, name: AccountId, month: Month, now_ms: int) -> int:
    try:
        return store.write(lambda tx: _raise_once(tx, name, month, now_ms))
    except StbError as error:
        alarm = Alarm("not-billed", "", name, f"{month}: {type(error).__name__}", now_ms)
        store.write(lambda tx: tx.raise_alarm(alarm, None))
        return 0


def _raise_once(tx: BillingTx, name: AccountId, month: Month, now_ms: int) -> int:
    if tx.bill_of(name, str(month)) is not None:
        return 0
    return 0 if raise_invoice(tx, tx.account(name), month, now_ms) is None else 1

"""Periods: how long title detail and books stay, and why. Two clocks, both set by the country's law.

1. Title detail: the signed bytes of an order and its deliveries, its annex, an alarm's evidence. It goes
   with the last of the `dispute_days` after its bill; of an order on no bill, after it was received. It stays
   while the order waits or is not billed yet, while a dispute about it is open, and, of the annex, while its
   window is open: else a title would be charged again. Hashes stay, so that every proof stays valid.
2. The tax period: `tax_years` after the end of the calendar year. Then the books lose what names a
   subscriber or an order; amounts, numbers and hashes stay, so that chain, roots and sums stay valid.
"""

from collections.abc import Container
from enum import StrEnum
from zoneinfo import ZoneInfo

from headend.billing.deadlines import days_later
from headend.billing.disputes import disputable_until
from headend.billing.forgetting import Evidence
from headend.billing.laws import COUNTRIES, law_of
from headend.billing.messages import message_of
from headend.billing.rating import FOREVER_MS
from headend.billing.rows import AnnexRow, DisputeState, Link, OrderRow, OrderState
from headend.billing.store import BillingTx
from shared.clock import from_ms, to_ms
from shared.named import Delivery
from shared.weeks import Month

LONGEST_TAX_YEARS = 30
"""The most that a law may say; see headend.billing.laws."""


class Hold(StrEnum):
    """Why title detail stays, whoever asks."""

    SUSPENDED = "suspended"
    UNBILLED = "unbilled"
    DISPUTED = "disputed"
    WINDOW = "open-window"
    BOUGHT = "bought"


# --- the first clock: how long title detail stays


def disputed(tx: BillingTx) -> frozenset[str]:
    """The references of orders about which a dispute is open."""
    return frozenset(one.order_ref for one in tx.disputes(DisputeState.OPEN, None))


def hold_on(order: OrderRow, open_disputes: Container[str]) -> Hold | None:
    """Why nothing of an order's title may go yet, even on request; None if it may."""
    if order.state is OrderState.SUSPENDED:
        return Hold.SUSPENDED
    if order.state is OrderState.RATED:
        return Hold.UNBILLED
    return Hold.DISPUTED if order.ref in open_disputes else None


def hold_on_annex(annex: AnnexRow, order: OrderRow, now_ms: int) -> Hold | None:
    """Why an annex must stay although the signed bytes may go: its window is open, and has been paid for."""
    if order.state is not OrderState.BILLED or annex.window_until_ms <= now_ms:
        return None
    return Hold.BOUGHT if annex.window_until_ms >= FOREVER_MS else Hold.WINDOW


def dispute_end(tx: BillingTx, order: OrderRow) -> int:
    """When an order can be disputed no more, in Unix milliseconds."""
    bill = None if order.invoice is None else tx.invoice(order.invoice)
    if bill is not None:
        return disputable_until(tx, bill)
    return _period_end(tx, order.account, order.received_ms)


def _period_end(tx: BillingTx, name: str | None, at_ms: int) -> int:
    """The end of the dispute period that an instant begins for an account; of nobody, the longest, in UTC."""
    account = None if name is None else tx.account(name)
    countries = COUNTRIES if account is None else (account.country,)
    days = max(law_of(tx, country, at_ms).dispute_days for country in countries)
    return days_later(at_ms, days, ZoneInfo("UTC" if account is None else account.zone))


def fewest_days(tx: BillingTx) -> int:
    """The shortest dispute period that ever held anywhere: nothing younger need be looked at."""
    instants = [(country, at_ms) for country in COUNTRIES for at_ms in [0, *tx.law_changes(country)]]
    return min(law_of(tx, country, at_ms).dispute_days for country, at_ms in instants)


def delivered_order(tx: BillingTx, link: Link) -> OrderRow | None:
    """The order that a delivery report is about, while its signed bytes stand."""
    message = message_of(link)
    return tx.order(link.box, link.epoch, message.order_seq) if isinstance(message, Delivery) else None


def _order_of(tx: BillingTx, link: Link) -> OrderRow | None:
    if link.kind == "delivery":
        return delivered_order(tx, link)
    return tx.order(link.box, link.epoch, link.seq)


def message_end(tx: BillingTx, link: Link, open_disputes: Container[str]) -> int | Hold:
    """When a message's signed bytes go, in Unix milliseconds; or why nobody can say."""
    order = _order_of(tx, link)
    if order is None:
        account = tx.bound_account(link.box, link.received_ms)
        return _period_end(tx, account, link.received_ms)
    return hold_on(order, open_disputes) or dispute_end(tx, order)


def evidence_account(tx: BillingTx, alarm: Evidence) -> str | None:
    """Whose an alarm's evidence is: the account that it names, or that its box was bound to."""
    return alarm.account or tx.bound_account(alarm.box, alarm.raised_ms)


def evidence_end(tx: BillingTx, alarm: Evidence) -> int:
    """When an alarm's evidence goes, in Unix milliseconds."""
    return _period_end(tx, evidence_account(tx, alarm), alarm.raised_ms)


# --- the second clock: the tax period


def tax_years(tx: BillingTx, year: int, now_ms: int, zone: ZoneInfo) -> int:
    """How many years a year's records are kept: the longest of the laws that held in it, or hold now.

    So a law that shortens the period frees nothing older, and one that lengthens it holds everything.
    """
    start, end = to_ms(Month(year, 1).start(zone)), to_ms(Month(year + 1, 1).start(zone))
    return max(
        law_of(tx, country, at_ms).tax_years
        for country in COUNTRIES
        for at_ms in [start, now_ms, *(one for one in tx.law_changes(country) if start < one < end)]
    )


def tax_end(tx: BillingTx, at_ms: int, now_ms: int, zone: ZoneInfo) -> int:
    """When the tax period of what was booked at an instant is over, in Unix milliseconds."""
    year = Month.of(from_ms(at_ms), zone).year
    return to_ms(Month(year + 1 + tax_years(tx, year, now_ms, zone), 1).start(zone))


def tax_horizon(tx: BillingTx, now_ms: int, zone: ZoneInfo) -> int:
    """The start of the first calendar year whose tax period is not over, in Unix milliseconds."""
    this = Month.of(from_ms(now_ms), zone).year
    year = this - LONGEST_TAX_YEARS - 1
    while year + tax_years(tx, year, now_ms, zone) < this:
        year += 1
    return to_ms(Month(year, 1).start(zone))

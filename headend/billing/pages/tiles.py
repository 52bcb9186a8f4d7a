"""Billing's figures on the overview; each leads to the page that answers more. An alarm asks for a deed."""

from datetime import datetime
from zoneinfo import ZoneInfo

from headend.billing.pages.desk import BILLING, DAY_MS, HOUR_MS, Desk
from headend.billing.reconcile import Reconciliation, reconcile
from headend.billing.rows import OrderState
from headend.billing.store import BillingTx
from headend.kit.pages import address
from headend.kit.side import Tile, Visit
from shared.clock import from_ms, to_ms
from shared.weeks import Month

_RECENT_ALARMS_MS = 7 * DAY_MS


def tiles(desk: Desk, visit: Visit) -> list[Tile]:
    """Billing's figures, for those who may see billing."""
    if visit.role not in BILLING:
        return []
    look = desk.store.read()
    sums = reconcile(look)
    return [
        _boxes(look, visit, desk.now_ms()),
        *_orders(look, visit, desk.now_ms()),
        *_money(visit, sums),
        _waiting(visit, sums),
        _disputes(look, visit, desk.now_ms()),
        _alarms(look, visit, desk.now_ms()),
        _books(visit, sums),
        _next_bills(desk, visit),
    ]


def _boxes(look: BillingTx, visit: Visit, now_ms: int) -> Tile:
    words = visit.language
    bound = look.bound_boxes()
    heard = bound - look.silent_since(now_ms - 48 * HOUR_MS)
    note = words.text("of {n}, in 48 hours", n=words.number(bound))
    return Tile(words.text("Boxes heard from"), words.number(heard), note, href=address("boxes"))


def _orders(look: BillingTx, visit: Visit, now_ms: int) -> list[Tile]:
    words, zone = visit.language, ZoneInfo(str(visit.language.zone))
    local = from_ms(now_ms).astimezone(zone)
    today = to_ms(datetime(local.year, local.month, local.day, tzinfo=zone))
    month = str(Month.of(local, zone))
    placed = sum(one.orders for one in look.month_totals() if one.month == month)
    return [
        Tile(
            words.text("Orders today"),
            words.number(look.orders_received(today)),
            words.text("received since midnight"),
            href=address("orders"),
        ),
        Tile(
            words.text("Orders this month"),
            words.number(placed),
            words.month(month),
            href=address("orders", month=month),
        ),
    ]


def _money(visit: Visit, sums: Reconciliation) -> list[Tile]:
    words = visit.language
    return [
        Tile(
            words.text("Not yet due"),
            words.money(sums.not_yet_due_cents),
            words.plural("{n} order", "{n} orders", sums.not_yet_due),
            href=address("orders", state=OrderState.RATED.value),
        ),
        Tile(
            words.text("Billed"),
            words.money(sums.billed_cents),
            words.text("including VAT, less credits"),
            href=address("invoices"),
        ),
    ]


def _waiting(visit: Visit, sums: Reconciliation) -> Tile:
    words = visit.language
    return Tile(
        words.text("In suspense"),
        words.money(sums.suspended_cents),
        words.plural("{n} order waits for a decision", "{n} orders wait for a decision", sums.suspended),
        alarm=sums.suspended > 0,
        href=address("suspense"),
    )


def _disputes(look: BillingTx, visit: Visit, now_ms: int) -> Tile:
    words = visit.language
    open_ones, late = look.disputes_due(now_ms)
    return Tile(
        words.text("Disputes"),
        words.plural("{n} open", "{n} open", open_ones),
        words.plural("{n} is past its deadline", "{n} are past their deadline", late)
        if late
        else words.text("none is late"),
        alarm=late > 0,
        href=address("disputes"),
    )


def _alarms(look: BillingTx, visit: Visit, now_ms: int) -> Tile:
    words, recent = visit.language, look.alarms_since(now_ms - _RECENT_ALARMS_MS)
    return Tile(
        words.text("Alarms"),
        words.number(recent),
        words.text("raised in the last 7 days"),
        alarm=recent > 0,
        href=address("alarms"),
    )


def _books(visit: Visit, sums: Reconciliation) -> Tile:
    words = visit.language
    return Tile(
        words.text("Books"),
        words.text("close") if sums.closes else words.text("do not close"),
        words.plural("{n} message in flight", "{n} messages in flight", sums.in_flight),
        alarm=not sums.closes,
        href=address("reconciliation"),
    )


def _next_bills(desk: Desk, visit: Visit) -> Tile:
    words, slot = visit.language, desk.next_bills()
    return Tile(
        words.text("Next bills"),
        words.day(to_ms(slot.due)),
        words.text("for {month}", month=words.month(slot.name)),
        href=address("reconciliation", month=slot.name),
    )

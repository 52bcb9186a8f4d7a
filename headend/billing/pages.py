"""Billing's page parts for the console: orders, bills, suspense, boxes. Server-rendered, no scripts."""

from datetime import datetime
from zoneinfo import ZoneInfo

from flask import render_template

from headend.billing.invoices import as_shown
from headend.billing.reconcile import missing, reconcile
from headend.billing.rows import OrderState
from headend.billing.store import BillingStore, BillingTx
from headend.kit.side import PagePart, Tile
from shared.clock import from_ms
from shared.money import Money

BILLING_ROLES = frozenset({"billing"})
PAGE_SIZE = 100
HOUR_MS = 3_600_000


def amount(cents: int, currency: str = "EUR") -> str:
    """Cents as a person reads them."""
    return str(Money(cents, currency or "EUR"))


class Pages:
    """The page parts over one store."""

    def __init__(self, store: BillingStore, zone: ZoneInfo) -> None:
        self._store = store
        self._zone = zone

    def moment(self, ms: int) -> str:
        """An instant in the installation's zone."""
        local: datetime = from_ms(ms).astimezone(self._zone)
        return local.strftime("%Y-%m-%d %H:%M")

    def _render(self, template: str, **values: object) -> str:
        return render_template(f"billing/{template}", amount=amount, moment=self.moment, **values)

    def orders(self, args: dict[str, str]) -> str:
        """Orders, newest first, by state and account."""
        look = self._store.read()
        state = _state(args.get("state", ""))
        account = args.get("account", "").strip() or None
        rows = list(look.orders(state, account, PAGE_SIZE))
        return self._render(
            "orders.html",
            orders=rows,
            states=list(OrderState),
            state=state,
            account=account or "",
            limit=PAGE_SIZE,
            totals=look.order_totals(),
        )

    def invoices(self, args: dict[str, str]) -> str:
        """Bills, newest first; with `number`, that bill as the subscriber sees it."""
        look = self._store.read()
        number = args.get("number", "")
        if number:
            invoice = look.invoice(number)
            shown = None if invoice is None else as_shown(look, invoice)
            return self._render("invoice.html", invoice=shown, number=number)
        account = args.get("account", "").strip() or None
        rows = list(look.invoices(account, PAGE_SIZE))
        return self._render("invoices.html", invoices=rows, account=account or "", limit=PAGE_SIZE)

    def boxes(self, args: dict[str, str]) -> str:  # noqa: ARG002 (every page part takes the query)
        """Gaps in chains and alarms: what a person has to look at."""
        look = self._store.read()
        gaps = list(missing(look))
        return self._render("boxes.html", gaps=gaps, alarms=list(look.alarms(PAGE_SIZE)))

    def reconciliation(self, args: dict[str, str]) -> str:  # noqa: ARG002 (every page part takes the query)
        """Where every order stands now."""
        return self._render("reconciliation.html", sums=reconcile(self._store.read()))


def _state(text: str) -> OrderState | None:
    try:
        return OrderState(text)
    except ValueError:
        return None


def make_pages(store: BillingStore, zone: ZoneInfo) -> list[PagePart]:
    """The pages that billing offers to the console."""
    pages = Pages(store, zone)
    return [
        PagePart("orders", "Orders", BILLING_ROLES, pages.orders),
        PagePart("invoices", "Invoices", BILLING_ROLES, pages.invoices),
        PagePart("reconciliation", "Reconciliation", BILLING_ROLES, pages.reconciliation),
        PagePart("boxes", "Boxes and alarms", BILLING_ROLES, pages.boxes),
    ]


def tiles(look: BillingTx, roles: frozenset[str], now_ms: int) -> list[Tile]:
    """Billing's figures on the overview, for those who may see billing."""
    if not roles & BILLING_ROLES:
        return []
    sums = reconcile(look)
    recent = sum(1 for end in look.chain_ends() if end.told_ms > now_ms - 48 * HOUR_MS)
    alarms = len(list(look.alarms(PAGE_SIZE)))
    return [
        Tile("Orders received", f"{sums.received:,}", f"{sums.billed:,} billed"),
        Tile("Not yet due", amount(sums.not_yet_due_cents), f"{sums.not_yet_due:,} orders"),
        Tile("Billed", amount(sums.billed_cents), "including VAT"),
        Tile(
            "In suspense",
            amount(sums.suspended_cents),
            f"{sums.suspended:,} orders",
            alarm=sums.suspended > 0,
        ),
        Tile("In flight", f"{sums.in_flight:,}", f"at {sums.boxes_with_gaps:,} boxes"),
        Tile(
            "Books",
            "close" if sums.closes else "do not close",
            f"{sums.entries:,} entries",
            alarm=not sums.closes,
        ),
        Tile("Boxes heard from", f"{recent:,}", "in 48 hours"),
        Tile("Alarms", f"{alarms:,}", "see Boxes and alarms", alarm=alarms > 0),
    ]

"""Billing's page parts for the console: orders, bills, suspense, boxes. Server-rendered, no scripts."""

from headend.billing.invoices import as_shown
from headend.billing.reconcile import missing, reconcile
from headend.billing.rows import OrderState
from headend.billing.store import BillingStore, BillingTx
from headend.kit import pages
from headend.kit.language import N_
from headend.kit.side import Group, PagePart, Tile, Visit
from shared.money import Money

BILLING_ROLES = frozenset({"billing"})
PAGE_SIZE = 100
HOUR_MS = 3_600_000


def amount(cents: int, currency: str = "EUR") -> str:
    """Cents as a person reads them."""
    return str(Money(cents, currency or "EUR"))


class Pages:
    """The page parts over one store."""

    def __init__(self, store: BillingStore) -> None:
        self._store = store

    def _render(self, visit: Visit, template: str, **values: object) -> str:
        return pages.render("headend.billing", f"billing/{template}", visit, amount=amount, **values)

    def orders(self, visit: Visit) -> str:
        """Orders, newest first, by state and account."""
        look = self._store.read()
        state = _state(visit.arg("state"))
        account = visit.arg("account") or None
        rows = list(look.orders(state, account, PAGE_SIZE))
        return self._render(
            visit,
            "orders.html",
            orders=rows,
            states=list(OrderState),
            state=state,
            account=account or "",
            limit=PAGE_SIZE,
            totals=look.order_totals(),
        )

    def invoices(self, visit: Visit) -> str:
        """Bills, newest first; with `number`, that bill as the subscriber sees it."""
        look = self._store.read()
        number = visit.arg("number")
        if number:
            invoice = look.invoice(number)
            shown = None if invoice is None else as_shown(look, invoice)
            return self._render(visit, "invoice.html", invoice=shown, number=number)
        account = visit.arg("account") or None
        rows = list(look.invoices(account, PAGE_SIZE))
        return self._render(visit, "invoices.html", invoices=rows, account=account or "", limit=PAGE_SIZE)

    def boxes(self, visit: Visit) -> str:
        """Gaps in chains and alarms: what a person has to look at."""
        look = self._store.read()
        gaps = list(missing(look))
        return self._render(visit, "boxes.html", gaps=gaps, alarms=list(look.alarms(PAGE_SIZE)))

    def reconciliation(self, visit: Visit) -> str:
        """Where every order stands now."""
        return self._render(visit, "reconciliation.html", sums=reconcile(self._store.read()))


def _state(text: str) -> OrderState | None:
    try:
        return OrderState(text)
    except ValueError:
        return None


def make_pages(store: BillingStore) -> list[PagePart]:
    """The pages that billing offers to the console."""
    made = Pages(store)
    return [
        PagePart("orders", N_("Orders"), BILLING_ROLES, made.orders, Group.BILLING),
        PagePart("invoices", N_("Bills"), BILLING_ROLES, made.invoices, Group.BILLING),
        PagePart("reconciliation", N_("Reconciliation"), BILLING_ROLES, made.reconciliation, Group.BILLING),
        PagePart("boxes", N_("Boxes and alarms"), BILLING_ROLES, made.boxes, Group.BOXES),
    ]


def tiles(look: BillingTx, visit: Visit, now_ms: int) -> list[Tile]:
    """Billing's figures on the overview, for those who may see billing."""
    if visit.role not in BILLING_ROLES:
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

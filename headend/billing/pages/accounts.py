"""One account: who it is, its boxes, orders, bills, disputes and alarms."""

from headend.billing.laws import law_of
from headend.billing.lists import Chosen, ChosenBills
from headend.billing.pages.desk import ROWS, Desk, number_in
from headend.billing.rows import DisputeState
from headend.kit.pages import address
from headend.kit.side import Page, Visit

_BILLS = 12
_MOST = 20


def account(desk: Desk, visit: Visit) -> Page:
    """One account's page; its orders are paged, of the rest the newest are shown.

    Raises:
        NotFoundError: no such account.
    """
    look, before = desk.store.read(), number_in(visit, "before")
    found = look.account(visit.arg("account"))
    name = found.account
    orders = look.orders_page(Chosen(account=name), before, ROWS + 1)
    disputes = list(look.disputes(None, name))
    inside = desk.page(
        visit,
        "account.html",
        account=found,
        law=law_of(look, found.country, desk.now_ms()),
        boxes=[(look.sighting(box), look.bindings(box)) for box in look.boxes_of(name)],
        orders=[order for _, order in orders[:ROWS]],
        bills=[bill for _, bill in look.bills_page(ChosenBills(account=name), None, _BILLS)],
        disputes=[one for one in disputes if one.state is DisputeState.OPEN]
        + [one for one in reversed(disputes) if one.state is not DisputeState.OPEN][:_MOST],
        alarms=look.alarms_about("account", name, _MOST),
        now_ms=desk.now_ms(),
        first=address("account", account=name) if before is not None else "",
        older=address("account", account=name, before=orders[ROWS - 1][0]) if len(orders) > ROWS else "",
    )
    title = visit.language.text("Account {name}", name=name)
    return Page(inside, title=title, about=(name,), back=("orders", "Orders"))

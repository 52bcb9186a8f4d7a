"""The list of orders: newest first, by state, month of use, class, account and box."""

from headend.billing.lists import Cell, Chosen
from headend.billing.pages.desk import ROWS, BadAddressError, Desk, number_in
from headend.billing.pages.telling import CLASSES
from headend.billing.rows import OrderRow, OrderState
from headend.kit.pages import address
from headend.kit.side import Page, Visit
from shared.weeks import Month, NotAMonthError


def orders(desk: Desk, visit: Visit) -> Page:
    """A page of orders, as chosen."""
    look, chosen, before = desk.store.read(), chosen_in(visit), number_in(visit, "before")
    found = look.orders_page(chosen, before, ROWS + 1)
    rows, cells = found[:ROWS], look.order_cells()
    inside = desk.page(
        visit,
        "orders.html",
        orders=[order for _, order in rows],
        chosen=chosen,
        states=list(OrderState),
        months=sorted({cell.month for cell in cells}, reverse=True),
        classes=list(CLASSES),
        total=None if chosen.account or chosen.box else _sum(cells, chosen),
        first=_address(chosen) if before is not None else "",
        older=_address(chosen, rows[-1][0]) if len(found) > ROWS else "",
    )
    return Page(inside, about=accounts_in([order for _, order in rows]))


def chosen_in(visit: Visit) -> Chosen:
    """Which orders the address asks for.

    Raises:
        BadAddressError: a state, month or class that there is not.
    """
    try:
        state = OrderState(visit.arg("state")) if visit.arg("state") else None
        month = str(Month.parse(visit.arg("month"))) if visit.arg("month") else ""
    except (ValueError, NotAMonthError) as error:
        raise BadAddressError(f"no such state or month: {error}") from error
    display = visit.arg("display")
    if display and display not in CLASSES:
        raise BadAddressError(f"no class {display[:40]!r}")
    return Chosen(state, month, display, visit.arg("account")[:64], visit.arg("box")[:64])


def accounts_in(rows: list[OrderRow]) -> tuple[str, ...]:
    """The accounts whose orders these are, each once."""
    return tuple(dict.fromkeys(order.account for order in rows if order.account))


def _sum(cells: list[Cell], chosen: Chosen) -> tuple[int, int]:
    """How many orders are chosen, and what is payable of them, in cents."""
    fitting = [
        cell
        for cell in cells
        if (not chosen.month or cell.month == chosen.month)
        and (chosen.state is None or cell.state is chosen.state)
        and (not chosen.display or cell.display == chosen.display)
    ]
    return sum(cell.orders for cell in fitting), sum(cell.cents - cell.credited_cents for cell in fitting)


def _address(chosen: Chosen, before: int | None = None) -> str:
    return address(
        "orders",
        state=chosen.state.value if chosen.state else "",
        month=chosen.month,
        display=chosen.display,
        account=chosen.account,
        box=chosen.box,
        before=before,
    )

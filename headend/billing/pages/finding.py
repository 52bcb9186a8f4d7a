"""One box to search by: an account, a box, an order or a bill goes straight to its page."""

from headend.billing.pages.desk import Desk, order_at
from headend.billing.store import BillingTx
from headend.kit.pages import address
from headend.kit.side import Done, Page, Visit

MOST = 20
"""Names of each sort that are told."""
MOST_TEXT = 100
_PAGES = {"account": ("account", "account"), "box": ("box", "box"), "number": ("invoice", "number")}


def find(desk: Desk, visit: Visit) -> Done | Page:
    """Go to what bears that name; else tell what begins with it. What was typed stands in no audit."""
    text, look = visit.arg("text")[:MOST_TEXT], desk.store.read()
    named = [] if not text else look.names_like(text, MOST)
    where = _exact(look, text, named)
    if where is not None:
        return Done(where)
    found = [(what, name, address_of(what, name)) for what, name in named]
    about = tuple(name for what, name in named if what == "account")
    inside = desk.page(visit, "found.html", text=text, found=found, most=MOST)
    return Page(inside, about=about, back=("orders", "Orders"))


def _exact(look: BillingTx, text: str, named: list[tuple[str, str]]) -> str | None:
    if order_at(look, text) is not None:
        return address("order", ref=text)
    exact = [what for what, name in named if name == text]
    if exact:
        return address_of(exact[0], text)
    return address_of(*named[0]) if len(named) == 1 and named[0][0] == "box" else None


def address_of(what: str, name: str) -> str:
    """The page of an account, box, or bill."""
    page, argument = _PAGES[what]
    return address(page, **{argument: name})

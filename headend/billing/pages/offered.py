"""What billing offers to the console: its pages, what can be done on them, the files that they hand out."""

from collections.abc import Callable
from functools import partial
from typing import Final

from headend.billing.pages import (
    accounts,
    bills,
    boxes,
    crediting,
    disputing,
    exporting,
    finding,
    order,
    orders,
    reconciled,
    suspended,
)
from headend.billing.pages.desk import BILLING, Desk
from headend.kit.language import N_
from headend.kit.side import Attachment, Deed, Done, Download, Group, Page, PagePart, Search, Visit

_PAGES: Final[tuple[tuple[str, str, Callable[[Desk, Visit], Page | str], Group | None], ...]] = (
    ("orders", N_("Orders"), orders.orders, Group.BILLING),
    ("order", N_("Order"), order.order, None),
    ("account", N_("Account"), accounts.account, None),
    ("invoices", N_("Bills"), bills.bills, Group.BILLING),
    ("invoice", N_("Bill"), bills.bill, None),
    ("disputes", N_("Disputes"), disputing.listed, Group.BILLING),
    ("dispute", N_("Dispute"), disputing.dispute, None),
    ("suspense", N_("Suspense"), suspended.queue, Group.BILLING),
    ("exports", N_("Exports"), exporting.batches, Group.BILLING),
    ("export", N_("Batch"), exporting.batch, None),
    ("export-keys", N_("Keys for exports"), exporting.keys, None),
    ("reconciliation", N_("Reconciliation"), reconciled.reconciliation, Group.BILLING),
    ("boxes", N_("Boxes"), boxes.boxes, Group.BOXES),
    ("box", N_("Box"), boxes.box, None),
    ("gaps", N_("Gaps"), boxes.gaps, None),
    ("alarms", N_("Alarms"), boxes.alarms, Group.BOXES),
)
_DEEDS: Final[tuple[tuple[str, str, Callable[[Desk, Visit], Done | Page]], ...]] = (
    ("find", N_("Search"), finding.find),
    ("invoice/credit", N_("Credit a bill"), crediting.credit),
    ("dispute/open", N_("Open a dispute"), disputing.opening),
    ("dispute/uphold", N_("Uphold a dispute"), disputing.uphold),
    ("dispute/dismiss", N_("Dismiss a dispute"), disputing.dismiss),
    ("suspense/decide", N_("Decide on orders"), suspended.several),
    ("suspense/correct", N_("Correct an order"), suspended.correct),
    ("export/verify", N_("Verify a batch"), exporting.verify),
    ("export/close", N_("Close a batch"), exporting.close),
    ("export-keys/create", N_("Keys for exports"), exporting.create_key),
    ("export-keys/revoke", N_("Keys for exports"), exporting.revoke_key),
)
_FILES: Final[tuple[tuple[str, str, Callable[[Desk, Visit], Attachment]], ...]] = (
    ("invoices/bill.pdf", N_("Bill as PDF"), partial(bills.document, suffix="pdf")),
    ("invoices/bill.xml", N_("Bill as UBL"), partial(bills.document, suffix="xml")),
    ("proofs/order.json", N_("Proof of an order"), order.proof),
    ("exports/batch", N_("Export batch"), exporting.file),
    ("exports/head", N_("Signed head of a batch"), exporting.head),
)


SEARCH: Final = Search("find", "text", N_("Account, box, order or bill"), BILLING, is_form=True)


def make_pages(desk: Desk) -> list[PagePart]:
    """The pages that billing offers to the console."""
    return [
        PagePart(path, title, BILLING, partial(render, desk), group) for path, title, render, group in _PAGES
    ]


def make_deeds(desk: Desk) -> list[Deed]:
    """What operators can do on billing's pages."""
    return [Deed(path, title, BILLING, partial(do, desk)) for path, title, do in _DEEDS]


def make_downloads(desk: Desk) -> list[Download]:
    """The files that billing hands out over the console."""
    return [Download(path, title, BILLING, partial(make, desk)) for path, title, make in _FILES]

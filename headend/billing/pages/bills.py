"""Bills and credit notes: the list, one as its subscriber sees it, and the files of it."""

from dataclasses import dataclass
from typing import Final

from headend.billing import credits as corrections
from headend.billing.disputes import disputable_until
from headend.billing.documents.document import InvoiceLine
from headend.billing.documents.gather import gather
from headend.billing.documents.pdf import pdf
from headend.billing.documents.ubl import ubl
from headend.billing.invoices import as_shown
from headend.billing.lists import ChosenBills
from headend.billing.pages.desk import ROWS, BadAddressError, Desk, number_in
from headend.billing.pages.telling import DOCUMENTS
from headend.billing.rows import Dispute, Invoice, NotFoundError
from headend.billing.store import BillingTx
from headend.disclosure import Kind, Purpose, Recipient, clear
from headend.kit.language import LANGUAGES, N_
from headend.kit.pages import address
from headend.kit.side import Attachment, Page, Visit
from shared.weeks import Month, NotAMonthError

_TYPES: Final = {"pdf": "application/pdf", "xml": "application/xml"}


def bills(desk: Desk, visit: Visit) -> Page:
    """A page of bills and credit notes, as chosen; a number that there is shows that bill.

    Raises:
        BadAddressError: a month or kind that there is not.
    """
    look, chosen, before = desk.store.read(), _chosen(visit), number_in(visit, "before")
    found = look.bills_page(chosen, before, ROWS + 1)
    rows = found[:ROWS]

    def at(place: int | None) -> str:
        return address("invoices", account=chosen.account, month=chosen.month, kind=chosen.kind, before=place)

    inside = desk.page(
        visit,
        "invoices.html",
        bills=[bill for _, bill in rows],
        chosen=chosen,
        months=look.bill_months(),
        kinds=list(DOCUMENTS),
        first=at(None) if before is not None else "",
        older=at(rows[-1][0]) if len(found) > ROWS else "",
    )
    return Page(inside, about=tuple(dict.fromkeys(bill.account for _, bill in rows if bill.account)))


def _chosen(visit: Visit) -> ChosenBills:
    try:
        month = str(Month.parse(visit.arg("month"))) if visit.arg("month") else ""
    except NotAMonthError as error:
        raise BadAddressError(str(error)) from error
    kind = visit.arg("kind")
    if kind and kind not in DOCUMENTS:
        raise BadAddressError(f"no kind {kind[:40]!r}")
    return ChosenBills(visit.arg("account")[:64], month, kind)


@dataclass(frozen=True)
class BillLine:
    """A line with what is left of it to credit, in cents, and the dispute about it that is open."""

    line: InvoiceLine
    left: int
    dispute: Dispute | None


def bill(desk: Desk, visit: Visit) -> Page:
    """One bill or credit note as its subscriber sees it.

    Raises:
        NotFoundError: no such bill.
    """
    return bill_page(desk, visit, found_bill(desk.store.read(), visit.arg("number")))


def found_bill(look: BillingTx, number: str) -> Invoice:
    """A bill or credit note.

    Raises:
        NotFoundError: there is none of that number.
    """
    found = look.invoice(number)
    if found is None:
        raise NotFoundError(f"no bill {number}")
    return found


def bill_page(desk: Desk, visit: Visit, found: Invoice, wrong: str = "") -> Page:
    """A bill's page, with why a form on it was refused and what it said."""
    look, now_ms = desk.store.read(), desk.now_ms()
    whole = found.kind == "invoice" and bool(found.account)
    disputes = look.disputes_of(found.number)
    inside = desk.page(
        visit,
        "invoice.html",
        bill=as_shown(look, found),
        lines=lines_left(look, found, disputes) if whole else [],
        notes=look.notes_of(found.number),
        disputes=disputes,
        disputable=whole and now_ms < disputable_until(look, found),
        until_ms=disputable_until(look, found),
        own_language=LANGUAGES.get(found.language, found.language),
        files=list(_TYPES),
        wrong=wrong,
        credited=visit.args if visit.path == "invoice/credit" else {},
        disputed=visit.args if visit.path == "dispute/open" else {},
        now_ms=now_ms,
    )
    kind = N_("Bill {number}") if found.kind == "invoice" else N_("Credit note {number}")
    title = visit.language.text(kind, number=found.number)
    return Page(
        inside, title=title, about=(found.account,) if found.account else (), back=("invoices", "Bills")
    )


def lines_left(look: BillingTx, found: Invoice, disputes: list[Dispute]) -> list[BillLine]:
    """What is left of a bill's orders, one line each, as its subscriber sees it."""
    left = {line.order_ref: line.cents for line in corrections.remaining(look, found)}
    open_ones = {one.order_ref: one for one in disputes if one.decided_ms is None}
    return [
        BillLine(line, left.get(line.order_ref, 0), open_ones.get(line.order_ref))
        for line in as_shown(look, found).lines
        if line.kind == "order"
    ]


def document(desk: Desk, visit: Visit, suffix: str) -> Attachment:
    """A bill as PDF (with its UBL inside) or as UBL, for its subscriber.

    Raises:
        NotFoundError: no such bill.
        NoSellerError: nobody is set to bill in its country.
        MissingExtraError: the `documents` extra is not installed, and a PDF is asked for.
        BadDocumentError: it cannot be written as it stands.
    """
    look = desk.store.read()
    found = found_bill(look, visit.arg("number"))
    machine = ubl(gather(look, found, titles=False))
    made = machine if suffix == "xml" else pdf(gather(look, found, titles=True), machine)
    given = clear(made, Kind.INVOICE, Recipient.SUBSCRIBER, Purpose.BILLING)
    now_ms = desk.now_ms()
    desk.store.write(
        lambda tx: tx.add_audit(now_ms, visit.who, "invoice written", found.number, given.recipient)
    )
    about = (found.account,) if found.account else ()
    return Attachment(given, f"{found.number}.{suffix}", _TYPES[suffix], about)

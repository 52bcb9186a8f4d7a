"""Disputes from the page: the list by deadline; opening, upholding and dismissing one, each shown before."""

from headend.billing import credits as corrections
from headend.billing import disputes
from headend.billing.disputes import BadDisputeError
from headend.billing.documents.document import InvoiceLine
from headend.billing.pages.amounts import cents_of, typed
from headend.billing.pages.bills import bill_page, found_bill
from headend.billing.pages.crediting import as_seen, preview
from headend.billing.pages.desk import ROWS, Desk, number_in, place_in, refused, why_in, why_not
from headend.billing.rows import Dispute, DisputeState, NotFoundError
from headend.billing.store import BillingTx
from headend.kit.pages import address
from headend.kit.side import Done, Page, Visit
from shared.errors import StbError


def listed(desk: Desk, visit: Visit) -> Page:
    """Open disputes by deadline; or, with `state=decided`, the decided ones, newest first."""
    look, decided = desk.store.read(), visit.arg("state") == "decided"
    after, before = place_in(visit, "after"), number_in(visit, "before")
    found = look.decided_disputes(before, ROWS + 1) if decided else look.open_disputes(after, ROWS + 1)
    rows = found[:ROWS]
    older = _older(rows[-1], decided=decided) if len(found) > ROWS else ""
    bills = [(one, look.invoice(one.number)) for one in rows]
    inside = desk.page(
        visit,
        "disputes.html",
        disputes=[(one, bill.account if bill else "") for one, bill in bills],
        decided=decided,
        due=look.disputes_due(desk.now_ms()),
        now_ms=desk.now_ms(),
        first=address("disputes", state=visit.arg("state")) if after or before else "",
        older=older,
    )
    accounts = (bill.account for _, bill in bills if bill and bill.account)
    return Page(inside, about=tuple(dict.fromkeys(accounts)))


def _older(last: Dispute, *, decided: bool) -> str:
    if decided:
        return address("disputes", state="decided", before=last.dispute)
    return address("disputes", after=f"{last.deadline_ms}.{last.dispute}")


def dispute(desk: Desk, visit: Visit) -> Page:
    """One dispute, with what is left of its line and the forms that decide it.

    Raises:
        NotFoundError: no such dispute.
    """
    number = number_in(visit, "number")
    if number is None:
        raise NotFoundError("no number of a dispute")
    return _page(desk, visit, desk.store.read().dispute(number))


def _page(desk: Desk, visit: Visit, one: Dispute, wrong: str = "") -> Page:
    look = desk.store.read()
    bill = found_bill(look, one.number)
    line, left = _line(look, one)
    inside = desk.page(
        visit,
        "dispute.html",
        dispute=one,
        bill=bill,
        line=line,
        left=left,
        cents=visit.arg("cents") or typed(left, visit.language),
        open=one.state is DisputeState.OPEN,
        now_ms=desk.now_ms(),
        wrong=wrong,
        why=visit.arg("why"),
    )
    title = visit.language.text("Dispute {number}", number=one.dispute)
    about = (bill.account,) if bill.account else ()
    return Page(inside, title=title, about=about, back=("disputes", "Disputes"))


def _line(look: BillingTx, one: Dispute) -> tuple[InvoiceLine | None, int]:
    """The disputed line as billed, and the cents that are left of it."""
    bill = found_bill(look, one.number)
    billed = next((line for line in bill.lines if line.order_ref == one.order_ref), None)
    left = {line.order_ref: line.cents for line in corrections.remaining(look, bill)}
    return billed, left.get(one.order_ref, 0)


def opening(desk: Desk, visit: Visit) -> Done | Page:
    """Show what opening a dispute means, or open it; a refusal shows the bill with its form again.

    Raises:
        NotFoundError: no such bill.
    """
    look, now_ms = desk.store.read(), desk.now_ms()
    bill = found_bill(look, visit.arg("number"))
    try:
        why, ref = why_in(visit), visit.arg("ref")
        draft = disputes.draft_dispute(look, bill.number, ref, why, now_ms)
        if visit.arg("step") != "confirm":
            line = next(line for line in bill.lines if line.order_ref == ref)
            inside = desk.page(visit, "dispute_open.html", draft=draft, bill=bill, line=line)
            title = visit.language.text("Dispute about bill {number}", number=bill.number)
            return Page(inside, title=title, about=(bill.account,), back=("invoices", "Bills"))
        made = desk.store.write(
            lambda tx: disputes.open_dispute(tx, bill.number, ref, why, now_ms, visit.who)
        )
    except StbError as error:
        return refused(bill_page(desk, visit, bill, why_not(visit, error)))
    return Done(address("dispute", number=made.dispute), f"{made.number} {made.order_ref}", (bill.account,))


def uphold(desk: Desk, visit: Visit) -> Done | Page:
    """Show what upholding a dispute would credit, or uphold it; a refusal shows the dispute again.

    Raises:
        NotFoundError: no such dispute.
    """
    look, now_ms = desk.store.read(), desk.now_ms()
    one = look.dispute(number_in(visit, "dispute") or 0)
    bill = found_bill(look, one.number)
    try:
        cents = cents_of(visit.arg("cents"), visit.language)
        if visit.arg("step") != "confirm":
            _undecided(one)
            found = preview(look, bill, {one.order_ref: cents}, now_ms)
            again = typed(cents, visit.language)
            inside = desk.page(visit, "uphold.html", preview=found, note=found.note, dispute=one, cents=again)
            title = visit.language.text("Uphold dispute {number}", number=one.dispute)
            return Page(inside, title=title, about=(bill.account,), back=("disputes", "Disputes"))
        seen = visit.arg("seen")

        def work(tx: BillingTx) -> Dispute:
            as_seen(tx, bill, seen)
            return disputes.uphold(tx, one.dispute, cents, visit.who, now_ms)

        made = desk.store.write(work)
    except StbError as error:
        return refused(_page(desk, visit, look.dispute(one.dispute), why_not(visit, error)))
    return Done(address("dispute", number=made.dispute), f"{made.dispute}: {made.note}", (bill.account,))


def dismiss(desk: Desk, visit: Visit) -> Done | Page:
    """Show what dismissing a dispute means, or dismiss it; a refusal shows the dispute again.

    Raises:
        NotFoundError: no such dispute.
    """
    look, now_ms = desk.store.read(), desk.now_ms()
    one = look.dispute(number_in(visit, "dispute") or 0)
    bill = found_bill(look, one.number)
    try:
        why = why_in(visit)
        if visit.arg("step") != "confirm":
            _undecided(one)
            inside = desk.page(
                visit, "dismiss.html", dispute=one, left=_line(look, one)[1], bill=bill, why=why
            )
            title = visit.language.text("Dismiss dispute {number}", number=one.dispute)
            return Page(inside, title=title, about=(bill.account,), back=("disputes", "Disputes"))
        desk.store.write(lambda tx: disputes.dismiss(tx, one.dispute, why, visit.who, now_ms))
    except StbError as error:
        return refused(_page(desk, visit, look.dispute(one.dispute), why_not(visit, error)))
    return Done(address("dispute", number=one.dispute), str(one.dispute), (bill.account,))


def _undecided(one: Dispute) -> None:
    if one.state is not DisputeState.OPEN:
        raise BadDisputeError(f"dispute {one.dispute} was {one.state}")

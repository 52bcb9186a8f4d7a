"""Crediting a bill from its page: choose lines and cents, look at the figures, confirm."""

from collections.abc import Mapping
from dataclasses import dataclass

from headend.billing import credits as corrections
from headend.billing.credits import BadCreditError
from headend.billing.pages.amounts import cents_of
from headend.billing.pages.bills import bill_page, found_bill
from headend.billing.pages.desk import Desk, picked, refused, why_in, why_not
from headend.billing.rows import Invoice
from headend.billing.store import BillingTx
from headend.kit.pages import address
from headend.kit.side import Done, Page, Visit
from shared.errors import StbError

_MOST_DIGITS = 12
"""Digits of cents in a form that a preview made."""


class MovedCreditError(StbError):
    """The bill has been credited since the figures were shown; look at it again."""


@dataclass(frozen=True)
class Preview:
    """A credit note as it would be, and the bill's amounts before and after it, in cents."""

    note: Invoice
    left_before: int
    seen: str

    @property
    def left_after(self) -> int:
        """What would be left of the bill."""
        return self.left_before - self.note.gross


def credit(desk: Desk, visit: Visit) -> Done | Page:
    """Show what a credit note would say, or raise it; a refusal shows the form again.

    Raises:
        NotFoundError: no such bill.
    """
    bill = found_bill(desk.store.read(), visit.arg("number"))
    try:
        why = why_in(visit)
        if visit.arg("step") == "confirm":
            return _confirmed(desk, visit, bill, why)
        wanted = _typed(visit)
        return preview_page(desk, visit, preview(desk.store.read(), bill, wanted, desk.now_ms()), why)
    except StbError as error:
        return refused(bill_page(desk, visit, bill, why_not(visit, error)))


def as_seen(tx: BillingTx, bill: Invoice, seen: str) -> None:
    """Whether the bill still is as a preview has seen it.

    Raises:
        MovedCreditError: it has been credited since.
    """
    if seen_of(tx, bill) != seen:
        raise MovedCreditError(f"bill {bill.number} has been credited meanwhile; look at it again")


def _typed(visit: Visit) -> dict[str, int] | None:
    """The cents by order that the form asks for; None for all that is left."""
    if visit.arg("whole"):
        return None
    sent = {ref: text.strip() for ref, text in picked(visit.args, "cents:").items()}
    return {ref: cents_of(text, visit.language) for ref, text in sent.items() if text}


def _confirmed(desk: Desk, visit: Visit, bill: Invoice, why: str) -> Done:
    wanted = {ref: _cents(text) for ref, text in picked(visit.args, "credit:").items()}
    now_ms, seen = desk.now_ms(), visit.arg("seen")

    def work(tx: BillingTx) -> Invoice:
        as_seen(tx, bill, seen)
        return corrections.credit_by(tx, bill.number, wanted, (why, visit.who, now_ms))

    note = desk.store.write(work)
    return Done(address("invoice", number=note.number), f"{bill.number}: {note.number}", (bill.account,))


def _cents(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise BadCreditError("the form has other cents than were shown")
    return int(text)


def preview(look: BillingTx, bill: Invoice, wanted: Mapping[str, int] | None, now_ms: int) -> Preview:
    """What crediting would give; nothing is stored.

    Raises:
        BadCreditError: the bill does not allow it.
    """
    note = corrections.draft_note(look, bill.number, wanted, now_ms)
    left = sum(line.cents for line in corrections.remaining(look, bill))
    return Preview(note, left, seen_of(look, bill))


def seen_of(look: BillingTx, bill: Invoice) -> str:
    """What a preview has seen of a bill: how many credit notes, and what was left; it changes with each."""
    left = sum(line.cents for line in corrections.remaining(look, bill))
    return f"{len(look.notes_of(bill.number))}.{left}"


def preview_page(desk: Desk, visit: Visit, found: Preview, why: str) -> Page:
    """The figures of a credit note before it is raised, and the form that raises it."""
    bill = found.note.refers_to or ""
    inside = desk.page(visit, "credit.html", preview=found, note=found.note, bill=bill, why=why)
    title = visit.language.text("Credit of bill {number}", number=bill)
    return Page(inside, title=title, about=(found.note.account,), back=("invoices", "Bills"))

"""Suspense worked from the page: the queue, and decisions that are shown before they are taken."""

from dataclasses import dataclass
from typing import Final

from headend.billing import suspense
from headend.billing.pages.amounts import cents_of, typed
from headend.billing.pages.desk import (
    ROWS,
    BadFormError,
    Desk,
    order_at,
    picked,
    place_in,
    refused,
    why_in,
    why_not,
)
from headend.billing.pages.orders import accounts_in
from headend.billing.rating import Reason
from headend.billing.rows import NotFoundError, OrderRow, OrderState
from headend.billing.store import BillingTx
from headend.billing.suspense import Correction, Decision
from headend.kit.language import N_, Language
from headend.kit.pages import address
from headend.kit.side import Done, Page, Visit
from shared.errors import StbError

MOST: Final = ROWS
"""Orders that are decided at once: as many as a page shows."""
_MOST_VERSION = 9
_MOST_TOLD = 2000
_DEEDS: Final = {
    "readmit": N_("Readmit orders"),
    "reject": N_("Reject orders"),
    "correct": N_("Correct an order"),
}


def queue(desk: Desk, visit: Visit) -> Page:
    """What waits, the longest first, with the sums by reason.

    Raises:
        BadFormError: a reason that there is not.
    """
    return _queue(desk, visit, visit.arg("reason"))


def _queue(desk: Desk, visit: Visit, reason: str, wrong: str = "") -> Page:
    if reason and reason not in set(Reason):
        raise BadFormError(visit.language.text("There is no such reason."))
    look, after = desk.store.read(), place_in(visit, "after")
    waiting, found = look.waiting(), look.waiting_page(reason, after, ROWS + 1)
    rows = [order for _, order in found[:ROWS]]
    last = found[ROWS - 1] if len(found) > ROWS else None
    inside = desk.page(
        visit,
        "suspense.html",
        waiting=waiting,
        total=(sum(one.orders for one in waiting), sum(one.cents for one in waiting)),
        reason=reason,
        orders=rows,
        now_ms=desk.now_ms(),
        picked=picked(visit.args, "pick:"),
        wrong=wrong,
        first=address("suspense", reason=reason) if after else "",
        older=address("suspense", reason=reason, after=f"{last[1].received_ms}.{last[0]}") if last else "",
    )
    return Page(inside, about=accounts_in(rows))


def typed_price(order: OrderRow, words: Language) -> str:
    """What an order's screen showed as payable, as a form asks for a lower price."""
    return typed(order.payable, words)


@dataclass(frozen=True)
class Tried:
    """An order before and after a decision, or why it cannot be taken."""

    before: OrderRow
    after: OrderRow | None
    wrong: str


def several(desk: Desk, visit: Visit) -> Done | Page:
    """Show what readmitting or rejecting the picked orders means, or do it: all of them, or none."""
    what, refs = visit.arg("what"), list(picked(visit.args, "pick:"))
    try:
        if what not in {"readmit", "reject"}:
            raise BadFormError(visit.language.text("Choose whether to readmit or to reject."))
        if not 0 < len(refs) <= MOST:
            raise BadFormError(
                visit.language.text("Choose at least one order, and at most {most}.", most=MOST)
            )
    except StbError as error:
        return refused(_queue(desk, visit, visit.arg("reason"), why_not(visit, error)))
    if visit.arg("step") != "confirm":
        return _preview(desk, visit, what, refs)
    try:
        decision = Decision(why_in(visit), visit.who, desk.now_ms())
        desk.store.write(lambda tx: [_decide(tx, what, ref, Correction(), decision) for ref in refs])
    except StbError as error:
        return refused(_preview(desk, visit, what, refs, why_not(visit, error)))
    return Done(address("suspense", reason=visit.arg("reason")), f"{what} {' '.join(refs)}"[:_MOST_TOLD])


def correct(desk: Desk, visit: Visit) -> Done | Page:
    """Show what an order would be billed at once corrected, or do it."""
    ref = visit.arg("ref")
    if visit.arg("step") != "confirm":
        return _preview(desk, visit, "correct", [ref])
    try:
        correction = correction_in(visit)
        decision = Decision(why_in(visit), visit.who, desk.now_ms())
        done = desk.store.write(lambda tx: _decide(tx, "correct", ref, correction, decision))
    except StbError as error:
        return refused(_preview(desk, visit, "correct", [ref], why_not(visit, error)))
    about = (done.account,) if done.account else ()
    return Done(address("order", ref=ref), f"correct {ref}", about)


def correction_in(visit: Visit) -> Correction:
    """What the form puts right.

    Raises:
        BadFormError: nothing, an offer without its version, or a price that is no amount.
    """
    offer, version, price = visit.arg("offer"), visit.arg("version"), visit.arg("price")
    if not (offer or price or visit.arg("account")):
        raise BadFormError(visit.language.text("Say what to correct: the offer, the price, or the account."))
    if bool(offer) != bool(version) or not (not version or _is_version(version)):
        raise BadFormError(visit.language.text("An offer has a name and a version, which is a number."))
    return Correction(
        offer=(offer, int(version)) if offer else None,
        price_cents=cents_of(price, visit.language) if price else None,
        account=visit.arg("account") or None,
    )


def _is_version(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MOST_VERSION


def _decide(tx: BillingTx, what: str, ref: str, correction: Correction, decision: Decision) -> OrderRow:
    if what == "reject":
        suspense.reject(tx, ref, decision)
    elif what == "readmit":
        suspense.readmit(tx, ref, decision)
    else:
        suspense.correct(tx, ref, correction, decision)
    row = order_at(tx, ref)
    if row is None:
        raise NotFoundError(f"no order {ref}")
    return row


def _preview(desk: Desk, visit: Visit, what: str, refs: list[str], wrong: str = "") -> Page:
    try:
        correction = correction_in(visit) if what == "correct" else Correction()
        tried = _tried(desk, visit, what, refs, correction)
    except StbError as error:
        tried, wrong = _untried(desk, refs), why_not(visit, error)
    changed = [one.after for one in tried if one.after is not None]
    inside = desk.page(
        visit,
        "decide.html",
        what=what,
        tried=tried,
        possible=bool(changed) and len(changed) == len(refs),
        total=sum(one.payable for one in changed if one.state is OrderState.RATED),
        wrong=wrong,
        sent={name: visit.arg(name) for name in ("ref", "offer", "version", "price", "account", "reason")},
        why=visit.arg("why"),
    )
    page = Page(
        inside,
        title=visit.language.text(_DEEDS[what]),
        about=accounts_in([one.before for one in tried] + changed),
        back=("suspense", "Suspense"),
    )
    return page if changed or not wrong else refused(page)


def _tried(desk: Desk, visit: Visit, what: str, refs: list[str], correction: Correction) -> list[Tried]:
    """The orders decided on one after the other, as they will be: one may pay for another's window."""
    decision = Decision("", visit.who, desk.now_ms())

    def work(tx: BillingTx) -> list[Tried]:
        return [one(tx, ref) for ref in refs]

    def one(tx: BillingTx, ref: str) -> Tried:
        before = order_at(tx, ref)
        if before is None:
            raise NotFoundError(f"no order {ref[:80]}")
        try:
            return Tried(before, _decide(tx, what, ref, correction, decision), "")
        except StbError as error:
            return Tried(before, None, why_not(visit, error))

    return desk.tried(work)


def _untried(desk: Desk, refs: list[str]) -> list[Tried]:
    found = [order_at(desk.store.read(), ref) for ref in refs]
    return [Tried(order, None, "") for order in found if order is not None]

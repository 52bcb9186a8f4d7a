"""Erasure on request (GDPR article 17): what may go goes now; what stays is said, with why and until when.

It does not wait for the dispute period: whoever asks gives up disputing what the titles were. What has not
been billed, is being disputed, or is open to be watched stays, since the contract needs it; books stay as
long as the tax law says, without titles.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from zoneinfo import ZoneInfo

from headend.billing.forgetting import Evidence
from headend.billing.periods import (
    Hold,
    delivered_order,
    disputed,
    evidence_account,
    hold_on,
    hold_on_annex,
    tax_end,
)
from headend.billing.rows import AnnexRow, DisputeState, Link, OrderRow
from headend.billing.store import BillingTx
from headend.billing.wording import Words, words_of

_ALL = 1_000_000
"""Bills or alarms of one account: more than there can be."""


class Ground(StrEnum):
    """On what legal ground something stays (GDPR articles 6(1) and 17(3))."""

    CONTRACT = "contract"
    LEGAL_OBLIGATION = "legal obligation"
    LEGITIMATE_INTEREST = "legitimate interest"
    CONSENT = "consent"


class What(StrEnum):
    """What stays apart from held titles."""

    BILL = "bill"
    BOOKS = "books"
    ACCOUNT = "account"
    BOX = "box"
    TOKENS = "tokens"
    ALARMS = "alarms"
    AUDIT = "audit"


@dataclass(frozen=True)
class Goes:
    """What goes of one order (box/epoch/seq): its signed bytes, its annex with the title, or both."""

    ref: str
    message: bool
    title: bool


@dataclass(frozen=True)
class Stays:
    """One thing that stays: why (a `Hold` or a `What`), what it is about, the ground, and until when.

    `until_ms` is in Unix milliseconds; None where it hangs on an event, which the words name.
    """

    why: str
    ref: str
    ground: Ground
    until_ms: int | None


@dataclass(frozen=True)
class Erasure:
    """What an erasure takes and leaves: orders, delivery reports (box/epoch/seq) and alarms' evidence."""

    account: str
    language: str
    zone: str
    at_ms: int
    orders: tuple[Goes, ...]
    deliveries: tuple[str, ...]
    evidence: tuple[int, ...]
    stays: tuple[Stays, ...]

    @property
    def titles(self) -> int:
        """Orders of which title detail goes."""
        return len(self.orders)


def plan_erasure(tx: BillingTx, account: str, now_ms: int, *, give_up_bought: bool = False) -> Erasure:
    """What an erasure would take now, and what would stay. Nothing is changed.

    With `give_up_bought` the account gives up what it bought: played again, it would be charged again.

    Raises:
        NotFoundError: no such account.
    """
    who = tx.account(account)
    plan = _Plan(tx, account, now_ms, give_up_bought=give_up_bought)
    orders = plan.orders()
    return Erasure(
        account=account,
        language=who.language,
        zone=who.zone,
        at_ms=now_ms,
        orders=tuple(orders),
        deliveries=tuple(plan.deliveries({one.ref for one in orders})),
        evidence=tuple(plan.evidence()),
        stays=(*plan.held, *plan.records()),
    )


def erase(tx: BillingTx, account: str, who: str, now_ms: int, *, give_up_bought: bool = False) -> Erasure:
    """Do what `plan_erasure` says, within the caller's transaction, with an audit line.

    Asking again finds nothing more to take, until something has been billed, decided or closed meanwhile.

    Raises:
        NotFoundError: no such account.
    """
    plan = plan_erasure(tx, account, now_ms, give_up_bought=give_up_bought)
    for one in plan.orders:
        box, epoch, seq = one.ref.rsplit("/", 2)
        if one.message:
            tx.forget_message(box, int(epoch), int(seq))
        if one.title:
            tx.forget_annex(box, int(epoch), int(seq))
        tx.forget_complaints(one.ref)
    for ref in plan.deliveries:
        box, epoch, seq = ref.rsplit("/", 2)
        tx.forget_message(box, int(epoch), int(seq))
    for alarm in plan.evidence:
        tx.forget_evidence(alarm)
    held = len(plan.stays)
    detail = f"titles {plan.titles}, deliveries {len(plan.deliveries)}, evidence {len(plan.evidence)}"
    tx.add_audit(now_ms, who, "titles erased on request", account, f"{detail}; {held} things stay")
    return plan


class _Plan:
    """Looks at one account's records, and collects what is held on the way."""

    def __init__(self, tx: BillingTx, account: str, now_ms: int, *, give_up_bought: bool) -> None:
        self._tx = tx
        self._account = account
        self._now_ms = now_ms
        self._give_up_bought = give_up_bought
        self._disputed = disputed(tx)
        self._deadlines = {one.order_ref: one.deadline_ms for one in tx.disputes(DisputeState.OPEN, account)}
        self.held: list[Stays] = []

    def orders(self) -> list[Goes]:
        """Orders of which something goes."""
        tx = self._tx
        annexes = {(one.box, one.epoch, one.seq): one for one in tx.annexes_of(self._account)}
        found = []
        for order in tx.orders_of(self._account):
            place = (order.box, order.epoch, order.seq)
            link = tx.link(*place)
            signed = link is not None and link.envelope is not None
            goes = self._order(order, annexes.get(place), signed=signed)
            if goes is not None:
                found.append(goes)
        return found

    def _order(self, order: OrderRow, annex: AnnexRow | None, *, signed: bool) -> Goes | None:
        if not signed and annex is None:
            return None
        hold = hold_on(order, self._disputed)
        if hold is not None:
            until = self._deadlines.get(order.ref) if hold is Hold.DISPUTED else None
            self.held.append(Stays(hold, order.ref, Ground.CONTRACT, until))
            return None
        kept = self._annex_hold(order, annex)
        title = annex is not None and kept is None
        return Goes(order.ref, message=signed, title=title) if signed or title else None

    def _annex_hold(self, order: OrderRow, annex: AnnexRow | None) -> Hold | None:
        hold = None if annex is None else hold_on_annex(annex, order, self._now_ms)
        if annex is None or hold is None or (hold is Hold.BOUGHT and self._give_up_bought):
            return None
        until = annex.window_until_ms if hold is Hold.WINDOW else None
        self.held.append(Stays(hold, order.ref, Ground.CONTRACT, until))
        return hold

    def deliveries(self, gone: set[str]) -> Iterator[str]:
        """Delivery reports about orders whose signed bytes go, or went before."""
        for link in self._tx.signed_deliveries(self._account):
            if self._delivery_goes(link, gone):
                yield f"{link.box}/{link.epoch}/{link.seq}"

    def _delivery_goes(self, link: Link, gone: set[str]) -> bool:
        order = delivered_order(self._tx, link)
        if order is None:
            return self._tx.bound_account(link.box, link.received_ms) == self._account
        if order.account != self._account:
            return False
        return order.ref in gone or hold_on(order, self._disputed) is None

    def evidence(self) -> Iterator[int]:
        """Alarms of the account that have signed bytes as evidence."""
        alarms: list[Evidence] = self._tx.standing_evidence(0, _ALL)
        for alarm in alarms:
            if evidence_account(self._tx, alarm) == self._account:
                yield alarm.alarm

    def records(self) -> Iterator[Stays]:
        """What stays without any title in it."""
        tx, account = self._tx, self._account
        zone = ZoneInfo(tx.account(account).zone)
        bills = list(tx.invoices(account, _ALL))
        for bill in reversed(bills):
            until = tax_end(tx, bill.issued_ms, self._now_ms, ZoneInfo(bill.zone))
            yield Stays(What.BILL, bill.number, Ground.LEGAL_OBLIGATION, until)
        booked = [bill.issued_ms for bill in bills] + [order.received_ms for order in tx.orders_of(account)]
        if booked:
            until = tax_end(tx, max(booked), self._now_ms, zone)
            yield Stays(What.BOOKS, account, Ground.LEGAL_OBLIGATION, until)
        yield Stays(What.ACCOUNT, account, Ground.CONTRACT, None)
        for box in tx.boxes_of(account):
            yield Stays(What.BOX, box, Ground.CONTRACT, None)
        yield from self._traces()

    def _traces(self) -> Iterator[Stays]:
        tx, account = self._tx, self._account
        for what, table, ground in (
            (What.TOKENS, "reporting", Ground.CONSENT),
            (What.ALARMS, "alarms", Ground.LEGITIMATE_INTEREST),
            (What.AUDIT, "audit", Ground.LEGAL_OBLIGATION),
        ):
            if any(True for _ in tx.rows_about(table, account)):
                yield Stays(what, account, ground, None)


def told(erasure: Erasure, *, done: bool) -> str:
    """The erasure in the subscriber's own language, to be read: what goes or went, and what stays and why."""
    return "\n".join(_lines(erasure, words_of(erasure.language), done=done)) + "\n"


def _lines(erasure: Erasure, words: Words, *, done: bool) -> Iterator[str]:
    said, day = words.erasure, words.day(erasure.at_ms, erasure.zone)
    yield said["heading"].format(account=erasure.account, day=day)
    yield ""
    if not (erasure.orders or erasure.deliveries or erasure.evidence):
        yield said["nothing"]
    else:
        yield said["gone" if done else "goes"].format(orders=erasure.titles)
        yield said["hashes"]
        yield said["given_up"]
    yield ""
    yield said["stays"]
    for (why, until_ms, ground), refs in _grouped(erasure.stays).items():
        until = said["until"].format(day=words.day(until_ms, erasure.zone)) if until_ms else ""
        yield f"- {said[why].format(n=len(refs))}{until} ({said['ground']}: {words.basis[ground]})"
        yield from (f"    {ref}" for ref in refs if ref != erasure.account)
    yield ""
    yield said["beyond"]


def _grouped(stays: tuple[Stays, ...]) -> dict[tuple[str, int | None, Ground], list[str]]:
    groups: dict[tuple[str, int | None, Ground], list[str]] = {}
    for one in stays:
        groups.setdefault((one.why, one.until_ms, one.ground), []).append(one.ref)
    return groups

"""Retention: what `headend.billing.periods` lets go is forgotten, every day, some at a time.

Looked at outside transactions, and looked at again inside them, so that orders never wait for long.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from zoneinfo import ZoneInfo

from headend.billing.forgetting import START, Emptied
from headend.billing.laws import DAY_MS
from headend.billing.periods import (
    Hold,
    disputed,
    evidence_end,
    fewest_days,
    hold_on,
    hold_on_annex,
    message_end,
    tax_horizon,
)
from headend.billing.rating import HOUR_MS
from headend.billing.rows import Link, OrderRow
from headend.billing.store import BillingStore, BillingTx
from headend.kit.jobs import Job, Slot, day_slot
from shared.clock import Clock, to_ms

AT_A_TIME = 500
"""Messages or documents in one transaction."""
ALLOWED, EMPTIED = "tax", "tax emptied"
"""The horizons: before which the guards let books be emptied, and before which they have been."""


@dataclass(frozen=True)
class Outlook:
    """What a run would forget now, what waits and for how long, and how far the books are emptied.

    `messages` and `titles` would go now; `waiting` messages go when their period is over, the first at
    `next_ms` (None: nobody can say yet); `held` counts what has a reason to stay. Times are Unix ms;
    references before `tax_ms` go, those before `emptied_ms` are gone.
    """

    messages: int
    titles: int
    waiting: int
    next_ms: int | None
    held: dict[str, int]
    tax_ms: int
    emptied_ms: int


def forget_order(tx: BillingTx, order: OrderRow, now_ms: int) -> Counter[str]:
    """Delete an order's signed bytes, and its annex unless its window is open; gives what went."""
    annex = tx.annex(order.box, order.epoch, order.seq)
    gone: Counter[str] = Counter()
    gone["messages"] += tx.forget_message(order.box, order.epoch, order.seq)
    if annex is not None and hold_on_annex(annex, order, now_ms) is None:
        gone["titles"] += tx.forget_annex(order.box, order.epoch, order.seq)
    tx.forget_complaints(order.ref)
    return gone


# --- a walk over all that stands, some at a time


def _pages(store: BillingStore, now_ms: int) -> Iterator[list[Link]]:
    place = START
    # A period ends with a day, which may be one of 23 hours: an hour less than so many days may be enough.
    before = now_ms - fewest_days(store.read()) * DAY_MS + HOUR_MS + 1
    while page := store.read().signed_messages(before, place, AT_A_TIME):
        place = page[-1].place
        yield [link for _, link in page]


def _forget_messages(store: BillingStore, now_ms: int) -> Counter[str]:
    gone: Counter[str] = Counter()
    for page in _pages(store, now_ms):
        look = store.read()
        open_disputes = disputed(look)
        # Looked at outside the transaction, so that it is only as long as what is to be forgotten.
        due = [link for link in page if _is_due(message_end(look, link, open_disputes), now_ms)]
        if due:
            gone += store.write(partial(_forget_some, links=due, now_ms=now_ms))
    return gone


def _is_due(end: int | Hold, now_ms: int) -> bool:
    return not isinstance(end, Hold) and end <= now_ms


def _forget_some(tx: BillingTx, links: list[Link], now_ms: int) -> Counter[str]:
    gone: Counter[str] = Counter()
    open_disputes = disputed(tx)
    for link in links:
        if not _is_due(message_end(tx, link, open_disputes), now_ms):
            continue
        order = None if link.kind == "delivery" else tx.order(link.box, link.epoch, link.seq)
        if order is None:
            gone["messages"] += tx.forget_message(link.box, link.epoch, link.seq)
        else:
            gone += forget_order(tx, order, now_ms)
    return gone


def _forget_annexes(store: BillingStore, now_ms: int) -> Counter[str]:
    """Annexes that outlived their signed bytes, since their window was open then."""
    after, gone = 0, Counter[str]()
    while page := store.read().loose_annexes(now_ms, after, AT_A_TIME):
        after = page[-1][0]
        gone += store.write(partial(_forget_loose, orders=[order for _, order in page], now_ms=now_ms))
    return gone


def _forget_loose(tx: BillingTx, orders: list[OrderRow], now_ms: int) -> Counter[str]:
    gone: Counter[str] = Counter()
    open_disputes = disputed(tx)
    for found in orders:
        order = tx.order(found.box, found.epoch, found.seq)
        if order is not None and hold_on(order, open_disputes) is None:
            gone += forget_order(tx, order, now_ms)
    return gone


def _forget_evidence(store: BillingStore, now_ms: int) -> Counter[str]:
    after, gone = 0, Counter[str]()
    while page := store.read().standing_evidence(after, AT_A_TIME):
        after = page[-1].alarm
        look = store.read()
        due = [alarm.alarm for alarm in page if evidence_end(look, alarm) <= now_ms]
        store.write(partial(_drop_evidence, alarms=due))
        gone["evidence"] += len(due)
    return gone


def _drop_evidence(tx: BillingTx, alarms: list[int]) -> None:
    for alarm in alarms:
        tx.forget_evidence(alarm)


# --- the books


def _empty_books(store: BillingStore, now_ms: int, zone: ZoneInfo) -> Counter[str]:
    """Once a year: the horizon moves, and what lies before it loses its references."""
    look = store.read()
    horizon = max(tax_horizon(look, now_ms, zone), look.horizon(ALLOWED))
    if look.horizon(EMPTIED) >= horizon:
        return Counter()
    store.write(lambda tx: tx.move_horizon(ALLOWED, horizon))
    gone = _empty_documents(store, horizon) + _empty_outcomes(store, horizon)
    gone += _count("alarms", store, lambda tx: tx.forget_alarms(horizon, AT_A_TIME))
    gone += _count("requests", store, lambda tx: tx.forget_requests(horizon, AT_A_TIME))
    store.write(lambda tx: tx.move_horizon(EMPTIED, horizon))
    return gone


def _empty_documents(store: BillingStore, horizon: int) -> Counter[str]:
    after, gone = "", Counter[str]()
    while page := store.read().old_documents(horizon, after, AT_A_TIME):
        after = page[-1]
        works = [partial(_empty_document, number=number, horizon=horizon) for number in page]
        gone += store.write(partial(_all_of, works=works))
    return gone


def _empty_document(tx: BillingTx, number: str, horizon: int) -> Emptied:
    return tx.empty_document(number, horizon)


def _empty_outcomes(store: BillingStore, horizon: int) -> Counter[str]:
    after, gone = 0, Counter[str]()
    while page := store.read().old_outcomes(horizon, after, AT_A_TIME):
        after = page[-1][0]
        works = [partial(_empty_order, order=order, horizon=horizon) for _, order in page]
        gone += store.write(partial(_all_of, works=works))
    return gone


def _empty_order(tx: BillingTx, order: OrderRow, horizon: int) -> Emptied:
    return tx.empty_order(order, horizon)


def _all_of(tx: BillingTx, works: list[partial[Emptied]]) -> Counter[str]:
    gone: Counter[str] = Counter()
    for work in works:
        gone.update(work(tx)._asdict())
    return gone


def _count(name: str, store: BillingStore, work: Callable[[BillingTx], int]) -> Counter[str]:
    gone: Counter[str] = Counter()
    while some := store.write(work):
        gone[name] += some
    return gone


# --- a run


def forget_due(store: BillingStore, now_ms: int, zone: ZoneInfo) -> dict[str, int]:
    """Forget everything whose period is over; gives how much by kind. Safe to call again, and to interrupt.

    Years are those of `zone`.
    """
    gone = _forget_messages(store, now_ms) + _forget_annexes(store, now_ms) + _forget_evidence(store, now_ms)
    gone += _count("codes", store, lambda tx: tx.forget_codes(now_ms, AT_A_TIME))
    gone += _empty_books(store, now_ms, zone)
    return {name: n for name, n in sorted(gone.items()) if n}


def record(tx: BillingTx, gone: dict[str, int], now_ms: int) -> None:
    """Add the audit line of a run: counts, and nobody."""
    detail = ", ".join(f"{name} {n}" for name, n in gone.items())
    tx.add_audit(now_ms, "retention", "forgotten", "", detail or "nothing was due")


def outlook(tx: BillingTx, now_ms: int, zone: ZoneInfo) -> Outlook:
    """What a run would do now, and what it would leave, without doing it."""
    place, after, open_disputes = START, 0, disputed(tx)
    counts: Counter[str] = Counter()
    next_ms: int | None = None
    while page := tx.signed_messages(now_ms + 1, place, AT_A_TIME):
        place = page[-1].place
        for _, link in page:
            end = message_end(tx, link, open_disputes)
            counts[_fate(end, now_ms)] += 1
            counts["titles"] += _is_due(end, now_ms) and _title_goes(tx, link, now_ms)
            if not isinstance(end, Hold) and end > now_ms:
                next_ms = end if next_ms is None else min(next_ms, end)
    while loose := tx.loose_annexes(now_ms, after, AT_A_TIME):
        after = loose[-1][0]
        counts["titles"] += sum(hold_on(order, open_disputes) is None for _, order in loose)
    return Outlook(
        messages=counts["due"],
        titles=counts["titles"],
        waiting=counts["waiting"],
        next_ms=next_ms,
        held={hold.value: counts[hold] for hold in Hold if counts[hold]},
        tax_ms=max(tax_horizon(tx, now_ms, zone), tx.horizon(ALLOWED)),
        emptied_ms=tx.horizon(EMPTIED),
    )


def _fate(end: int | Hold, now_ms: int) -> str:
    if isinstance(end, Hold):
        return end
    return "due" if end <= now_ms else "waiting"


def _title_goes(tx: BillingTx, link: Link, now_ms: int) -> bool:
    order, annex = tx.order(link.box, link.epoch, link.seq), tx.annex(link.box, link.epoch, link.seq)
    return order is not None and annex is not None and hold_on_annex(annex, order, now_ms) is None


def job_retention(store: BillingStore, clock: Clock, zone: ZoneInfo) -> Job:
    """The daily run. A day that was missed is not caught up: today's run forgets what it would have."""

    def next_slot() -> Slot:
        return day_slot(store.read().last_slot("retention"), clock.now(), zone)

    def run(slot: Slot) -> None:
        now_ms = to_ms(clock.now())
        gone = forget_due(store, now_ms, zone)

        def finish(tx: BillingTx) -> None:
            if tx.claim("retention", slot.name, now_ms):
                record(tx, gone, now_ms)

        store.write(finish)
        store.sweep()

    return Job("retention", next_slot, run, lambda: store.read().last_run("retention"))
